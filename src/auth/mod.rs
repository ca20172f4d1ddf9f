//! Authentication: tokens and their keys, passwords, signed URLs of attachments.
//!
//! Authorization belongs to the engine (`actors::domain::permission`); nothing here knows about rooms.

pub mod bot_tokens;
pub mod file_urls;
pub mod jwks;
pub mod keys;
pub mod passwords;
pub mod signing_key;
pub mod token_issuer;
pub mod tokens;

pub use self::{
    bot_tokens::{BotToken, BotTokens},
    file_urls::FileUrlSigner,
    token_issuer::{TokenIssuer, TokenPair},
    tokens::{AccessClaims, InvalidToken, RefreshClaims, RoomGrant, SubjectKind, TokenVerifier},
};
