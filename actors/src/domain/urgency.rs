//! Urgent messages: by when they are to be acknowledged, by whom they are, and how often who hasn't is told again.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::UserId;

/// After how long who hasn't acknowledged an urgent message is told of it again, each time.
pub const REPEAT_INTERVAL: TimeDelta = TimeDelta::minutes(5);
/// How long that goes on where the sender gives no time.
pub const REPEATED_FOR: TimeDelta = TimeDelta::hours(1);
/// The furthest ahead that the time by which a message is to be acknowledged may be.
pub const ACK_BY_AHEAD_MAX: TimeDelta = TimeDelta::days(7);

/// That a message is urgent, and who has acknowledged it; on the wire, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrgentMark {
    /// By when it is to be acknowledged, where the sender says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_by: Option<DateTime<Utc>>,
    /// Who has acknowledged it, the first [`UrgentMark::ACKS_MAX`] of them, in the order in which they did.
    #[serde(default)]
    pub acks: Vec<Acknowledgement>,
    /// How many have.
    #[serde(default)]
    pub ack_count: i64,
}

/// That a user has acknowledged an urgent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The user.
    #[serde(rename = "user_id")]
    pub user: UserId,
    /// When.
    pub at: DateTime<Utc>,
}

impl UrgentMark {
    /// The most users that a message names.
    pub const ACKS_MAX: usize = 200;

    /// Adds a user who hasn't acknowledged the message so far.
    ///
    /// Clients do the same when they receive the event.
    pub fn acknowledge(&mut self, user: UserId, at: DateTime<Utc>) {
        self.ack_count += 1;
        if self.acks.len() < Self::ACKS_MAX {
            self.acks.push(Acknowledgement { user, at });
        }
    }
}

/// That a message to be sent is urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UrgentDraft {
    /// By when it is to be acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_by: Option<DateTime<Utc>>,
}

/// What `urgent` of a message to be sent must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Expected an object, in which ack_by is a time as RFC 3339 has it, or left out.")]
pub struct UrgentDraftError;

impl UrgentDraft {
    /// Reads what a client sends. A form holds the object as a text.
    ///
    /// # Errors
    /// [`UrgentDraftError`].
    pub fn read(given: &Value) -> Result<Self, UrgentDraftError> {
        match given {
            Value::Object(fields) => Self::of_fields(fields),
            Value::String(text) => {
                let fields = serde_json::from_str(text).map_err(|_| UrgentDraftError)?;
                Self::of_fields(&fields)
            }
            _ => Err(UrgentDraftError),
        }
    }

    fn of_fields(fields: &Map<String, Value>) -> Result<Self, UrgentDraftError> {
        let ack_by = match fields.get("ack_by") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                let at = DateTime::parse_from_rfc3339(text.trim()).map_err(|_| UrgentDraftError)?;
                Some(at.to_utc().trunc_subsecs(6))
            }
            Some(_) => return Err(UrgentDraftError),
        };
        Ok(Self { ack_by })
    }

    /// The mark of the message that is sent at `now`.
    ///
    /// # Errors
    /// [`UrgencyRefusal::AckByOutOfRange`].
    pub fn mark(self, now: DateTime<Utc>) -> Result<UrgentMark, UrgencyRefusal> {
        let is_in_range = |at: DateTime<Utc>| at > now && at - now <= ACK_BY_AHEAD_MAX;
        if self.ack_by.is_some_and(|at| !is_in_range(at)) {
            return Err(UrgencyRefusal::AckByOutOfRange);
        }
        Ok(UrgentMark { ack_by: self.ack_by, ..UrgentMark::default() })
    }
}

/// Why something isn't done about an urgent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrgencyRefusal {
    /// The time by which it is to be acknowledged isn't ahead, or too far.
    #[error("ack_by must be ahead, and at most {} days.", ACK_BY_AHEAD_MAX.num_days())]
    AckByOutOfRange,
    /// Only urgent messages are acknowledged.
    #[error("This message is not urgent.")]
    NotUrgent,
    /// Only others' messages are acknowledged.
    #[error("You sent this message.")]
    Own,
}

impl UrgencyRefusal {
    /// The field of a request that it is about.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::AckByOutOfRange => "urgent",
            Self::NotUrgent | Self::Own => "ack",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn an_object_is_read_with_a_time_or_without() {
        let ack_by = Some(at("2026-11-30T08:00:00Z"));
        for (given, expected) in [
            (json!({}), None),
            (json!({"ack_by": null, "extra": 1}), None),
            (json!({"ack_by": "2026-11-30T09:00:00+01:00"}), ack_by),
            (json!(r#"{"ack_by": "2026-11-30T08:00:00.0000001Z"}"#), ack_by),
        ] {
            assert_eq!(UrgentDraft::read(&given), Ok(UrgentDraft { ack_by: expected }), "{given}");
        }
        for wrong in [json!(true), json!([]), json!("soon"), json!({"ack_by": 5}), json!({"ack_by": "soon"})]
        {
            assert_eq!(UrgentDraft::read(&wrong), Err(UrgentDraftError), "{wrong}");
        }
    }

    #[test]
    fn the_time_is_ahead_and_at_most_a_week() {
        let now = at("2026-11-30T08:00:00Z");
        let mark = |ack_by| UrgentDraft { ack_by: Some(ack_by) }.mark(now).map(|mark| mark.ack_by);
        for right in [now + TimeDelta::seconds(1), now + ACK_BY_AHEAD_MAX] {
            assert_eq!(mark(right), Ok(Some(right)));
        }
        for wrong in [now, now - TimeDelta::days(1), now + ACK_BY_AHEAD_MAX + TimeDelta::seconds(1)] {
            assert_eq!(mark(wrong), Err(UrgencyRefusal::AckByOutOfRange), "{wrong}");
        }
        assert_eq!(UrgentDraft::default().mark(now), Ok(UrgentMark::default()));
    }

    #[test]
    fn a_message_names_the_first_users_and_counts_all() {
        let mut mark = UrgentMark::default();
        for user in 1..=201 {
            mark.acknowledge(UserId(user), at("2026-11-30T08:00:00Z"));
        }
        assert_eq!((mark.acks.len(), mark.ack_count, mark.acks[0].user), (200, 201, UserId(1)));
    }
}
