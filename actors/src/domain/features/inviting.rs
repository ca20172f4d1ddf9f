//! Invitations: making and withdrawing them, and coming in by one.

use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, Principal, RateClass, Refusal, RequiredAccess, RequiredState,
};
use crate::domain::entry::EntryTerms;
use crate::domain::invitation::{
    CLOSED_MAX, Invitation, InvitationDraft, InvitationError, InvitationId, OPEN_MAX,
};
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, RowSelection, Table};

/// The invitations of rooms.
pub(super) static INVITATIONS: Table = Table {
    name: "invitations",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("id", ColumnType::Uuid),
        ("token_hash", ColumnType::Text),
        ("role", ColumnType::Text),
        ("until", ColumnType::Timestamp),
        ("uses", ColumnType::BigInt),
        ("used", ColumnType::BigInt),
        ("created_by", ColumnType::BigInt),
        ("created_at", ColumnType::Timestamp),
        ("expires_at", ColumnType::Timestamp),
        ("withdrawn", ColumnType::BigInt),
    ],
    key_columns: 2,
    removals: &[2],
    selections: &[1, 2],
    goes_with_message: false,
};

pub(super) fn invite_rules() -> CommandRules {
    let all = RowSelection { table: &INVITATIONS, prefix: Vec::new() };
    CommandRules {
        required: RequiredState { rows: Some(all), ..RequiredState::default() },
        needs_active_room: true,
        rate: Some(RateClass::Changes),
        ..CommandRules::of(Action::ManageParticipants)
    }
}

pub(super) fn withdraw_rules(invitation: InvitationId) -> CommandRules {
    CommandRules {
        required: RequiredState { rows: Some(only(invitation)), ..RequiredState::default() },
        ..CommandRules::of(Action::ManageParticipants)
    }
}

pub(super) fn accept_rules(by: Principal, invitation: InvitationId) -> CommandRules {
    CommandRules {
        access: RequiredAccess::Invited,
        required: RequiredState {
            roster: true,
            added_user: by.user_id(),
            rows: Some(only(invitation)),
            ..RequiredState::default()
        },
        ..CommandRules::of(Action::ChangeOwnState)
    }
}

fn only(invitation: InvitationId) -> RowSelection {
    RowSelection { table: &INVITATIONS, prefix: vec![invitation.0.into()] }
}

impl RoomAggregate {
    pub(super) fn invite(
        &mut self,
        by: Principal,
        draft: &InvitationDraft,
    ) -> Result<CommandOutcome, Refusal> {
        self.check_end(draft.until)?;
        let room = [self.room.id.0.into()];
        let all: Vec<Invitation> =
            self.rows.select(&INVITATIONS, &room).filter_map(Invitation::from_row).collect();
        if let Some(made) = all.iter().find(|invitation| invitation.id == draft.id) {
            let reply = CommandReply::Invitation(Box::new(made.clone()));
            return Ok(CommandOutcome::of(Vec::new(), reply));
        }
        let (open, mut closed): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|invitation| invitation.check(self.now).is_ok());
        if open.len() >= OPEN_MAX {
            return Err(Refusal::TooManyInvitations);
        }
        closed.sort_by_key(|invitation| (invitation.created_at, invitation.id.0));
        let forgotten = closed.len().saturating_sub(CLOSED_MAX);
        for invitation in &closed[..forgotten] {
            self.forget(invitation);
        }
        let invitation = Invitation::new(self.room.id, draft, by.user_id(), self.now);
        self.change_row(RowChange::insert(&INVITATIONS, invitation.row()));
        Ok(CommandOutcome::of(Vec::new(), CommandReply::Invitation(Box::new(invitation))))
    }

    pub(super) fn withdraw(&mut self, invitation: InvitationId) -> Result<CommandOutcome, Refusal> {
        let mut invitation = self.invitation(invitation)?;
        if !invitation.is_withdrawn {
            invitation.is_withdrawn = true;
            self.replace(&invitation);
        }
        Ok(CommandOutcome::of(Vec::new(), CommandReply::Done))
    }

    /// Lets a user in who has an invitation. Who is in already uses none up.
    pub(super) fn accept(
        &mut self,
        by: Principal,
        invitation: InvitationId,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let mut invitation = self.invitation(invitation)?;
        if self.require_current(user).is_ok() {
            return Ok(CommandOutcome::of(Vec::new(), self.participant_reply(user)));
        }
        invitation.check(self.now)?;
        if self.room.archived_at.is_some() {
            return Err(Refusal::Archived);
        }
        let before = self.participants.get(&user).filter(|state| !state.left_willingly);
        let removed_at = before.and_then(|state| state.participant.left_at);
        if removed_at.is_some_and(|removed_at| removed_at >= invitation.created_at) {
            // Whoever is removed stays out until someone wants otherwise.
            return Err(Refusal::Forbidden);
        }
        let added = self.users.get(&user).ok_or_else(|| Refusal::UsersNotFound(vec![user]))?.clone();
        let terms = EntryTerms { role: Some(invitation.role), until: invitation.until, from: None };
        let terms = self.earlier_terms(user, terms, invitation.created_at);
        if terms.have_ended(self.now) {
            return Err(Refusal::Forbidden);
        }
        invitation.used += 1;
        self.replace(&invitation);
        let event = self.enter(by, added, terms);
        let reply = self.participant_reply(user);
        Ok(CommandOutcome::of(vec![event], reply))
    }

    /// Lets every user through to an invitation whose account may do anything at all.
    pub(super) fn authorize_invited(&self, by: Principal) -> Result<(), Refusal> {
        let account = by.user_id().and_then(|user| self.users.get(&user));
        let may = account.is_some_and(|user| user.is_active && !by.is_revoked(user.tokens_valid_from));
        if may { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    fn invitation(&self, id: InvitationId) -> Result<Invitation, InvitationError> {
        let key = [self.room.id.0.into(), id.0.into()];
        let mut rows = self.rows.select(&INVITATIONS, &key);
        rows.next().and_then(Invitation::from_row).ok_or(InvitationError::Unknown)
    }

    fn replace(&mut self, invitation: &Invitation) {
        self.forget(invitation);
        self.change_row(RowChange::insert(&INVITATIONS, invitation.row()));
    }

    fn forget(&mut self, invitation: &Invitation) {
        let key = [invitation.room.0.into(), invitation.id.0.into()];
        self.change_row(RowChange::remove(&INVITATIONS, key));
    }
}
