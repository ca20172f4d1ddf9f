//! Search for messages: the index, which a consumer of the log writes, and the queries on it.
//!
//! A text is folded ([`folding`]) and divided into tokens ([`tokens`]). Consecutive messages of a room form a block
//! ([`block`]) with its words and each message as the numbers of its words, so that a search compares the words of many
//! messages at once ([`matching`]). PostgreSQL finds the blocks that may match by their keys ([`keys`]).

mod block;
mod block_builder;
mod filter;
mod folding;
mod highlights;
mod index;
mod keys;
mod matching;
mod operators;
mod query;
mod ranking;
mod scope;
mod source;
mod stems;
mod terms;
mod tokens;
mod varint;

pub(crate) use folding::is_cjk;
pub use index::{CONSUMER, index_messages};
pub use operators::{Has, parse_time};
pub use query::{SearchPage, SearchRequest};
pub use ranking::SearchOrder;
pub use stems::SearchLanguages;
