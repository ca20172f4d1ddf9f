//! REST against the real application on a private PostgreSQL.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod audit;
mod bad_input;
mod blocks;
mod bots;
mod cards;
mod client;
mod compatibility;
mod docs;
mod exports;
mod files;
mod forwarding;
mod grants;
mod guests;
mod history;
mod holds;
mod integrations;
mod invitations;
mod link_hosts;
mod link_previews;
mod mentions;
mod messages;
mod notifications;
mod participants;
mod personal;
mod pins;
mod random_input;
mod reactions;
mod refresh_tokens;
mod regressions;
mod reports;
mod resumable;
mod retention;
mod roles;
mod room_at;
mod rooms;
mod searching;
mod server;
mod settings;
mod sign_in;
mod threads;
mod uploads;
mod urgent;
mod users;
mod web_assets;
