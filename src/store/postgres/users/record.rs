//! Users of the directory as the store reads them.

use actors::domain::ids::UserId;
use actors::domain::user::UserSummary;
use actors::ports::store::UserAccess;
use tokio_postgres::Row;

use crate::store::postgres::rows::user_summary;

/// A user's public profile with the email address, which only some may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserProfile {
    /// Id and names.
    pub summary: UserSummary,
    /// The email address; empty if there is none.
    pub email: String,
}

/// A user of the directory with their access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Names and address.
    pub profile: UserProfile,
    /// Whether the account is active.
    pub is_active: bool,
    /// Whether the user sees everyone's email address.
    pub is_staff: bool,
    /// Tokens issued before this second (Unix time) are revoked.
    pub tokens_valid_from: Option<i64>,
    /// Whether it is a guest account.
    pub is_guest: bool,
}

impl UserRecord {
    /// The access by which sockets are judged.
    #[must_use]
    pub fn access(&self) -> UserAccess {
        UserAccess {
            user: self.profile.summary.id,
            is_active: self.is_active,
            tokens_valid_from: self.tokens_valid_from,
        }
    }
}

/// The columns of a user `u`, for [`user_record_of`].
macro_rules! user_record_columns {
    () => {
        concat!(
            "u.id, ",
            $crate::store::postgres::rows::user_summary_columns!(),
            ", u.email, u.is_active, u.is_staff, u.tokens_valid_from, ",
            $crate::store::postgres::rules::is_guest_account!("u")
        )
    };
}

pub(crate) use user_record_columns;

/// How many columns [`user_record_columns`] names.
pub(crate) const USER_RECORD_WIDTH: usize = 9;

/// Reads the user whose columns come first.
pub(crate) fn user_record_of(row: &Row) -> UserRecord {
    UserRecord {
        profile: UserProfile { summary: user_summary(row, UserId(row.get(0)), 1), email: row.get(4) },
        is_active: row.get(5),
        is_staff: row.get(6),
        tokens_valid_from: row.get(7),
        is_guest: row.get(8),
    }
}
