//! What users are told of: by which rules, when, and what a notification shows.

pub mod quiet;
pub mod rules;
pub mod settings;

use uuid::Uuid;

use self::rules::TellingRule;
use super::ids::{MessageId, RoomId, Seq};

/// What a notification shows in place of the text, where its user doesn't want that to be seen.
const HIDDEN_TEXT: &str = "New message";
const HIDDEN_MENTION: &str = "You were mentioned";
const HIDDEN_URGENT: &str = "Urgent message";

/// A notification that its user hasn't read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The id; what is new in the room changes the notification and not its id.
    pub id: Uuid,
    /// Why the user is told.
    pub rule: TellingRule,
    /// The room.
    pub room: RoomId,
    /// The position of the message.
    pub seq: Seq,
    /// The newest message of which the user is told.
    pub message: MessageId,
    /// The name of the room, as the user sees it.
    pub title: String,
    /// Who says what.
    pub body: String,
}

impl Notification {
    /// Whether it shows an urgent message.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.rule == TellingRule::Urgent
    }
}

/// Returns what a notification says of a message whose preview is `preview`. A sender is named where the title
/// doesn't.
#[must_use]
pub fn body(rule: TellingRule, sender: Option<&str>, preview: &str, hides_text: bool) -> String {
    match (hides_text, sender) {
        (true, _) if rule == TellingRule::Urgent => HIDDEN_URGENT.to_owned(),
        (true, _) if rule.is_mention() => HIDDEN_MENTION.to_owned(),
        (true, _) => HIDDEN_TEXT.to_owned(),
        (false, Some(sender)) => format!("{sender}: {preview}"),
        (false, None) => preview.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_text_is_nowhere_in_the_body() {
        assert_eq!(body(TellingRule::Message, Some("Ann"), "the code", false), "Ann: the code");
        assert_eq!(body(TellingRule::Direct, None, "the code", false), "the code");
        assert_eq!(body(TellingRule::Direct, None, "the code", true), "New message");
        assert_eq!(body(TellingRule::RoomMention, Some("Ann"), "the code", true), "You were mentioned");
        assert_eq!(body(TellingRule::Urgent, Some("Ann"), "the code", true), "Urgent message");
    }
}
