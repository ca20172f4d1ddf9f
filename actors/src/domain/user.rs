//! Users, as far as a room needs to know them.

use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::ids::UserId;

/// A user of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What is shown of the user.
    pub summary: UserSummary,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
    /// Whether the user is on the host application's staff.
    pub is_staff: bool,
    /// Whether it is a guest account: the host application says so or, where it says nothing, the user is or was
    /// a guest somewhere and is no more than that in any room.
    pub is_guest: bool,
}

/// What is shown of a user beside a message or in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UserSummary {
    /// The id.
    pub id: UserId,
    /// The sign-in name; `deleted` for an erased account.
    pub username: Arc<str>,
    /// The name to show; the username where there is no other.
    pub full_name: Arc<str>,
}

/// The fields, and for a bot its `kind`.
impl Serialize for UserSummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_bot = self.id.is_bot();
        let mut user = serializer.serialize_struct("UserSummary", 3 + usize::from(is_bot))?;
        user.serialize_field("id", &self.id)?;
        user.serialize_field("username", &self.username)?;
        user.serialize_field("full_name", &self.full_name)?;
        if is_bot {
            user.serialize_field("kind", self.id.kind())?;
        }
        user.end()
    }
}

impl UserSummary {
    /// A user with the username in place of an empty full name.
    #[must_use]
    pub fn new(id: UserId, username: &str, full_name: &str) -> Self {
        let username: Arc<str> = username.into();
        let full_name = if full_name.is_empty() { username.clone() } else { full_name.into() };
        Self { id, username, full_name }
    }

    /// The stand-in for an erased account.
    #[must_use]
    pub fn erased(id: UserId) -> Self {
        Self { id, username: "deleted".into(), full_name: "Deleted user".into() }
    }
}
