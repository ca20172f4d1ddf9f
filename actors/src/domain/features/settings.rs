//! A participant's own settings of a room: muting, what to be told of, and whether it is a favourite.

use chrono::{DateTime, Utc};

use super::aggregate::RoomAggregate;
use super::command::{CommandOutcome, CommandRules, Principal, Refusal};
use crate::domain::ids::UserId;
use crate::domain::participant::NotificationLevel;
use crate::domain::permission::Action;
use crate::domain::personal::{PersonalChange, PersonalKind};
use crate::domain::signal::Signal;

/// What a participant changes in the settings; what is unset stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// What to be told of.
    pub level: Option<NotificationLevel>,
    /// Until when the room is muted; not at all, if that is unset in turn.
    pub muted_until: Option<Option<DateTime<Utc>>>,
    /// Whether the room is a favourite.
    pub is_favourite: Option<bool>,
}

pub(super) fn rules() -> CommandRules {
    CommandRules::of(Action::ChangeOwnState)
}

impl RoomAggregate {
    pub(super) fn mute(
        &mut self,
        by: Principal,
        muted: bool,
        until: Option<DateTime<Utc>>,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let state = self.participants.get_mut(&user).ok_or(Refusal::NotParticipant)?;
        state.is_muted = muted;
        state.muted_until = until.filter(|_| muted);
        Ok(self.settings_changed(user))
    }

    pub(super) fn change_settings(
        &mut self,
        by: Principal,
        change: &SettingsChange,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let state = self.participants.get_mut(&user).ok_or(Refusal::NotParticipant)?;
        state.level = change.level.unwrap_or(state.level);
        state.is_favourite = change.is_favourite.unwrap_or(state.is_favourite);
        if let Some(until) = change.muted_until {
            (state.is_muted, state.muted_until) = (until.is_some(), until);
        }
        Ok(self.settings_changed(user))
    }

    fn settings_changed(&mut self, user: UserId) -> CommandOutcome {
        let (kind, id) = (PersonalKind::RoomSettings, self.room.id.0);
        self.personal_changes.push(PersonalChange { user, kind, id });
        let reply = self.participant_reply(user);
        CommandOutcome { events: Vec::new(), signal: Some(Signal::OwnState { user }), reply }
    }
}
