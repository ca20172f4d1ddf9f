//! Users as REST shows them: to each other, and to the host application.

use actors::domain::ids::UserId;
use actors::domain::user::UserSummary;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::store::postgres::users::{FoundUser, UserProfile, UserRecord};

/// A person, in brief.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct ApiUser {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// The address, for those who may see it; else empty.
    pub email: String,
    /// True for a guest, who belongs to another organisation, where people and senders are listed; else left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub external: Option<bool>,
    /// `bot` for a bot; else left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<&'static str>,
}

impl ApiUser {
    /// Shows a user to `caller`, with the email address if the caller may see it.
    #[must_use]
    pub fn seen_by(caller: &Caller, profile: &UserProfile) -> Self {
        Self::without_email(&profile.summary).with_email(caller.visible_email(profile))
    }

    /// Shows a user without the email address.
    #[must_use]
    pub fn without_email(user: &UserSummary) -> Self {
        Self {
            id: user.id.0,
            username: user.username.to_string(),
            full_name: user.full_name.to_string(),
            email: String::new(),
            external: None,
            kind: user.id.is_bot().then(|| user.id.kind()),
        }
    }

    /// Shows a user of the directory.
    #[must_use]
    pub fn found(user: &FoundUser) -> Self {
        Self::without_email(&user.summary).marked(user.is_guest)
    }

    /// Marks a guest.
    #[must_use]
    pub fn marked(self, is_guest: bool) -> Self {
        Self { external: is_guest.then_some(true), ..self }
    }

    fn with_email(self, email: String) -> Self {
        Self { email, ..self }
    }
}

/// A person, a bot or an integration.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedUser)]
pub struct ApiListedUser {
    /// The id; below 0 for a bot or an integration.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// The address, for those who may see it; else empty.
    pub email: String,
    /// `person`, `bot` or `integration`.
    pub kind: &'static str,
    /// True for a guest, who belongs to another organisation; else left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub external: Option<bool>,
}

impl From<ApiUser> for ApiListedUser {
    fn from(user: ApiUser) -> Self {
        let ApiUser { id, username, full_name, email, external, .. } = user;
        Self { id, username, full_name, email, kind: UserId(id).kind(), external }
    }
}

/// A person as the host application told of one.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryUser)]
pub struct ApiDirectoryUser {
    /// The person's id.
    pub id: i64,
    /// `person`, `bot` or `integration`.
    pub kind: &'static str,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// The address.
    pub email: String,
    /// Whether the account may do anything.
    pub is_active: bool,
    /// Whether this person sees everyone's address.
    pub is_staff: bool,
    /// Tokens issued before are void.
    pub tokens_valid_from: Option<DateTime<Utc>>,
    /// Whether it is a guest account.
    pub is_guest: bool,
}

impl From<&UserRecord> for ApiDirectoryUser {
    fn from(record: &UserRecord) -> Self {
        let user = &record.profile.summary;
        Self {
            id: user.id.0,
            kind: user.id.kind(),
            username: user.username.to_string(),
            full_name: user.full_name.to_string(),
            email: record.profile.email.clone(),
            is_active: record.is_active,
            is_staff: record.is_staff,
            tokens_valid_from: record
                .tokens_valid_from
                .and_then(|second| DateTime::from_timestamp(second, 0)),
            is_guest: record.is_guest,
        }
    }
}
