//! People, as far as a room needs to know them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::UserId;

/// A person of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who it is.
    pub author: Author,
    /// Whether this person may do anything at all.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
    /// Whether this person is of the host application's staff.
    pub is_staff: bool,
}

/// The part of a person that stands beside what that person wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The person's id.
    pub id: UserId,
    /// The sign-in name, or `deleted` for an erased account.
    pub username: Arc<str>,
    /// The name to show; the username when there is no other.
    pub full_name: Arc<str>,
}

impl Author {
    /// Makes an author, with the username in place of an empty full name.
    #[must_use]
    pub fn new(id: UserId, username: &str, full_name: &str) -> Self {
        let username: Arc<str> = username.into();
        let full_name = if full_name.is_empty() { username.clone() } else { full_name.into() };
        Self { id, username, full_name }
    }

    /// What stands for an account that has been erased.
    #[must_use]
    pub fn erased(id: UserId) -> Self {
        Self { id, username: "deleted".into(), full_name: "Deleted user".into() }
    }
}
