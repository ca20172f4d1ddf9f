//! The messages that actors send one another, and the handles they know each other by.
//!
//! One file for each actor: what it may be told or asked, what it tells whoever asked, and the handles
//! through which each kind of caller reaches it. Nothing here acts; the actors above implement it.

pub(crate) mod bots;
pub(crate) mod diagnostics;
pub(crate) mod inbox;
pub(crate) mod instance;
pub(crate) mod persistence;
pub(crate) mod registry;
pub(crate) mod relay;
pub(crate) mod room;
pub(crate) mod session;
pub(crate) mod switchboard;
pub(crate) mod users;
