//! Notifications: which rooms are due, who is told, what was told, and what is pushed to browsers.
//!
//! A message makes its room due (`windows.rs`). A round takes due rooms and decides for all of their users at once
//! (`round.rs`, by the facts of `facts.rs` and the rules of the domain); it also withdraws what was read meanwhile, and
//! tells of urgent messages again (`repeats.rs`).
//! One round at a time is under way among all nodes. Whoever changes a user's notifications holds the head of that
//! user's personal log, which tells all devices.

mod deliveries;
mod facts;
mod feed;
mod pushes;
mod repeats;
mod round;
mod settings;
mod subscriptions;
mod unread_why;
mod view;
mod why;
mod windows;

pub use deliveries::{ClaimedPush, PushOutcome};
pub use feed::ReadNotifications;
pub use round::NotifierRound;
pub use subscriptions::{NewPushSubscription, SUBSCRIPTIONS_MAX};
pub use unread_why::UnreadReasons;
pub use view::NotificationDetails;
pub use why::{MessageReasons, PushState, ToldState, WayState};

pub(crate) use view::shown;
pub(crate) use windows::{CONSUMER, extend_windows};
