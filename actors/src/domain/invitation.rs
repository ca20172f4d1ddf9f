//! Invitations: what lets whoever has its token into a room, a few times and for a while.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::ids::{RoomId, UserId};
use super::participant::Role;
use super::row_change::Cell;

/// The most uses of one invitation.
pub const USES_MAX: u32 = 1_000;
/// The most invitations of one room that can still be used.
pub const OPEN_MAX: usize = 100;
/// How many of a room's other invitations are kept, so that their holders are told why they are refused.
pub(super) const CLOSED_MAX: usize = 100;
/// How long an invitation can be used, unless the membership that it gives ends earlier.
const VALID_FOR: TimeDelta = TimeDelta::days(30);
/// Stands for "no end" where a store needs a time: the last second of the year 9999.
const NO_END: DateTime<Utc> = DateTime::from_timestamp(253_402_300_799, 0).expect("a time");

/// The id of an invitation, which isn't secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvitationId(pub Uuid);

/// An invitation to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationDraft {
    /// The id, made by the caller so that a retry of the commit can't make another.
    pub id: InvitationId,
    /// The hash of the token, which nobody keeps.
    pub token_hash: String,
    /// As what users come in.
    pub role: Role,
    /// When their memberships end.
    pub until: Option<DateTime<Utc>>,
    /// How many users it lets in.
    pub uses: u32,
}

/// An invitation into a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The room.
    pub room: RoomId,
    /// The id.
    pub id: InvitationId,
    /// The hash of its token.
    pub token_hash: String,
    /// As what users come in.
    pub role: Role,
    /// When their memberships end.
    pub until: Option<DateTime<Utc>>,
    /// How many users it lets in.
    pub uses: i64,
    /// How many it has let in.
    pub used: i64,
    /// Who made it; none where the host application did.
    pub created_by: Option<UserId>,
    /// When that was.
    pub created_at: DateTime<Utc>,
    /// Until when it can be used.
    pub expires_at: DateTime<Utc>,
    /// Whether it was taken back.
    pub is_withdrawn: bool,
}

/// Why an invitation lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// There is none with this token, or it is so old that it was forgotten.
    #[error("This invitation is not known.")]
    Unknown,
    /// It was taken back.
    #[error("This invitation was withdrawn.")]
    Withdrawn,
    /// Its time is over.
    #[error("This invitation has expired.")]
    Expired,
    /// It has let in as many users as it may.
    #[error("This invitation was used as often as it may be.")]
    UsedUp,
}

impl Invitation {
    /// The invitation of `draft`, made by `created_by` at `now`.
    pub(super) fn new(
        room: RoomId,
        draft: &InvitationDraft,
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Self {
        let expires_at = now + VALID_FOR;
        Self {
            room,
            id: draft.id,
            token_hash: draft.token_hash.clone(),
            role: draft.role,
            until: draft.until,
            uses: draft.uses.into(),
            used: 0,
            created_by,
            created_at: now,
            expires_at: draft.until.map_or(expires_at, |until| until.min(expires_at)),
            is_withdrawn: false,
        }
    }

    /// Whether it lets anyone in at `now`.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), InvitationError> {
        if self.is_withdrawn {
            Err(InvitationError::Withdrawn)
        } else if self.expires_at <= now {
            Err(InvitationError::Expired)
        } else if self.used >= self.uses {
            Err(InvitationError::UsedUp)
        } else {
            Ok(())
        }
    }

    /// Its row in the table of invitations.
    pub(super) fn row(&self) -> [Cell; 11] {
        [
            self.room.0.into(),
            self.id.0.into(),
            self.token_hash.clone().into(),
            self.role.as_str().to_owned().into(),
            self.until.unwrap_or(NO_END).into(),
            self.uses.into(),
            self.used.into(),
            self.created_by.map_or(0, |user| user.0).into(),
            self.created_at.into(),
            self.expires_at.into(),
            i64::from(self.is_withdrawn).into(),
        ]
    }

    /// Reads when memberships end, as a store keeps it.
    #[must_use]
    pub fn end_of_stored(until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(until).filter(|until| *until < NO_END)
    }

    /// Reads such a row.
    #[must_use]
    pub fn from_row(row: &[Cell]) -> Option<Self> {
        let [room, id, token_hash, role, until, uses, used, created_by, created_at, expires_at, withdrawn] =
            row
        else {
            return None;
        };
        Some(Self {
            room: RoomId(room.as_uuid()?),
            id: InvitationId(id.as_uuid()?),
            token_hash: token_hash.as_text()?.to_owned(),
            role: Role::parse(role.as_text()?),
            until: Self::end_of_stored(until.as_timestamp()?),
            uses: uses.as_big_int()?,
            used: used.as_big_int()?,
            created_by: created_by.as_big_int().filter(|user| *user > 0).map(UserId),
            created_at: created_at.as_timestamp()?,
            expires_at: expires_at.as_timestamp()?,
            is_withdrawn: withdrawn.as_big_int()? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    fn invitation(until: Option<DateTime<Utc>>) -> Invitation {
        let draft = InvitationDraft {
            id: InvitationId(Uuid::nil()),
            token_hash: "hash".to_owned(),
            role: Role::Guest,
            until,
            uses: 2,
        };
        Invitation::new(RoomId(Uuid::nil()), &draft, Some(UserId(7)), at(100))
    }

    #[test]
    fn a_row_says_all_of_an_invitation() {
        for until in [None, Some(at(200))] {
            let invitation = Invitation { used: 1, is_withdrawn: until.is_none(), ..invitation(until) };
            assert_eq!(Invitation::from_row(&invitation.row()), Some(invitation));
        }
        let by_host = Invitation { created_by: None, ..invitation(None) };
        assert_eq!(Invitation::from_row(&by_host.row()), Some(by_host));
    }

    #[test]
    fn an_invitation_ends_with_the_membership_that_it_gives_or_after_thirty_days() {
        assert_eq!(invitation(Some(at(200))).check(at(199)), Ok(()));
        assert_eq!(invitation(Some(at(200))).check(at(200)), Err(InvitationError::Expired));
        let month = VALID_FOR.num_seconds();
        assert_eq!(invitation(None).check(at(100 + month - 1)), Ok(()));
        assert_eq!(invitation(None).check(at(100 + month)), Err(InvitationError::Expired));
        let used = Invitation { used: 2, ..invitation(None) };
        assert_eq!(used.check(at(100)), Err(InvitationError::UsedUp));
        let withdrawn = Invitation { is_withdrawn: true, ..used };
        assert_eq!(withdrawn.check(at(100)), Err(InvitationError::Withdrawn));
    }
}
