//! Who gives commands.

use crate::domain::ids::UserId;

/// Who gives a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A user, whenever they signed in.
    User(UserId),
    /// A user by a token, which is void if it was issued before the user's tokens were revoked.
    TokenHolder {
        /// The user.
        user: UserId,
        /// When the token was issued; Unix time in seconds.
        issued_at: i64,
    },
    /// The host application, by a service token.
    Service,
    /// An integration, by the address that is its secret. It writes in rooms without being in them.
    Integration(UserId),
}

impl Principal {
    /// The user; none for the host application.
    #[must_use]
    pub fn user_id(self) -> Option<UserId> {
        match self {
            Self::User(user) | Self::TokenHolder { user, .. } | Self::Integration(user) => Some(user),
            Self::Service => None,
        }
    }

    /// The account that the principal's messages are of.
    #[must_use]
    pub fn author(self) -> UserId {
        self.user_id().unwrap_or(UserId::HOST)
    }

    /// Whether the principal writes under an account that is in no room.
    #[must_use]
    pub fn is_outside_author(self) -> bool {
        matches!(self, Self::Service | Self::Integration(_))
    }

    /// Whether the principal's token was issued before `tokens_valid_from`, in seconds of Unix time.
    #[must_use]
    pub fn is_revoked(self, tokens_valid_from: Option<i64>) -> bool {
        match self {
            Self::TokenHolder { issued_at, .. } => tokens_valid_from.is_some_and(|from| issued_at < from),
            Self::User(_) | Self::Service | Self::Integration(_) => false,
        }
    }
}
