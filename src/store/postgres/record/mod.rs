//! What is kept on record: the audit log, legal holds, for how long messages are kept, and rooms as they stood.

pub mod audit;
pub mod audit_events;
pub mod audit_page;
pub mod audit_verification;
pub mod export_lines;
pub mod exports;
pub mod holds;
pub mod retention;
pub mod room_at;
