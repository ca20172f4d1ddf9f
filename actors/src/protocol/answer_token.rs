//! Answer tokens: what lets a bot answer one command, for a while. A token is sealed by the installation's key and says
//! all by itself, so that every node reads it and nothing is stored.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::envelope::EnvelopeKey;
use crate::domain::ids::{RoomId, UserId};

/// How long a bot may answer.
const VALID_FOR: Duration = Duration::from_secs(15 * 60);
/// The most characters of a token; longer ones are rejected unread.
const CHARS_MAX: usize = 1_024;
/// What keeps a token and an envelope from passing for each other.
const PURPOSE: &[u8] = b"answer to a command, version 1";

/// A command that a bot was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenCommand {
    /// The room.
    pub room: RoomId,
    /// The bot.
    pub bot: UserId,
    /// The user who gave it.
    pub user: UserId,
    /// The command's name.
    pub name: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    given: GivenCommand,
    /// Unix time in seconds.
    until: i64,
}

impl GivenCommand {
    /// The token by which the bot answers from `now` on.
    #[must_use]
    pub fn to_token(&self, key: &EnvelopeKey, now: DateTime<Utc>) -> String {
        let claims = Claims { given: self.clone(), until: (now + VALID_FOR).timestamp() };
        key.seal(PURPOSE, &claims).iter().fold(String::new(), |mut hex, byte| {
            _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Reads a token that is valid at `now`.
    #[must_use]
    pub fn of_token(token: &str, key: &EnvelopeKey, now: DateTime<Utc>) -> Option<Self> {
        if token.len() > CHARS_MAX || !token.is_ascii() {
            return None;
        }
        let digits = token.as_bytes().chunks_exact(2);
        if !digits.remainder().is_empty() {
            return None;
        }
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.map(byte).collect();
        let claims: Claims = key.open(PURPOSE, &bytes?)?;
        (now.timestamp() < claims.until).then_some(claims.given)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_is_read_until_its_time_is_over_and_only_if_it_is_genuine() {
        let key = EnvelopeKey::new(b"one");
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        let room = RoomId(Uuid::from_u128(1));
        let given = GivenCommand { room, bot: UserId::FIRST_BOT, user: UserId(7), name: "x".repeat(32) };
        let token = given.to_token(&key, at(1_000));
        assert!(token.len() <= CHARS_MAX);
        assert_eq!(GivenCommand::of_token(&token, &key, at(1_000 + 899)), Some(given.clone()));
        assert_eq!(GivenCommand::of_token(&token, &key, at(1_000 + 900)), None);
        assert_eq!(GivenCommand::of_token(&token, &EnvelopeKey::new(b"two"), at(1_000)), None);
        for bent in ["", "00", "zz", "+1", &token[1..], &token[2..], &format!("{token}0"), &"é".repeat(40)] {
            assert_eq!(GivenCommand::of_token(bent, &key, at(1_000)), None, "{bent}");
        }
    }

    #[test]
    fn an_envelope_is_no_token() {
        let key = EnvelopeKey::new(b"one");
        let given =
            GivenCommand { room: RoomId(Uuid::nil()), bot: UserId(-7), user: UserId(7), name: "a".into() };
        let sealed = key.seal(b"", &Claims { given, until: i64::MAX });
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(GivenCommand::of_token(&hex, &key, DateTime::UNIX_EPOCH), None);
    }
}
