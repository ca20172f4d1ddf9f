//! What only one user sees, and the personal logs that tell of its changes.

mod drafts;
pub(crate) mod erasure;
pub(crate) mod log;
pub(crate) mod page;
mod reminders;
mod saved;
mod scheduled;
mod sending;

pub use drafts::{DRAFTS_MAX, DraftOutcome, NewDraft};
pub use log::PersonalList;
pub use reminders::{NewReminder, REMINDERS_MAX, ReminderOutcome};
pub use saved::{SAVED_MAX, SaveOutcome, SavedMessageDetails};
pub use scheduled::{
    NewScheduledMessage, SCHEDULED_MAX, ScheduleOutcome, ScheduledChange, UnscheduleOutcome,
};
pub use sending::{ClaimedMessage, Sending};
