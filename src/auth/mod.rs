//! Who someone is: tokens and the keys behind them, passwords, signed file addresses.
//!
//! What someone may do is the engine's (`actors::domain::permission`); nothing here knows a room.

pub mod file_urls;
pub mod jwks;
pub mod kept_secret;
pub mod keys;
pub mod mint;
pub mod passwords;
pub mod tokens;

pub use self::{
    file_urls::FileUrlSigner,
    mint::{TokenMint, TokenPair},
    tokens::{Claims, Grant, InvalidToken, RefreshClaims, SubjectKind, TokenVerifier},
};
