//! Who is in the room: joining, leaving, roles, and that a room which needs an admin keeps one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::aggregate::{ParticipantState, RoomAggregate};
use super::command::{CommandOutcome, CommandReply, CommandRules, Principal, Refusal, RequiredState};
use super::event::{AudienceChange, Event, EventBody, EventFacts, EventRules, EventSubject, LogRow};
use crate::domain::entry::{EntryTerms, HistoryStart};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::participant::{NotificationLevel, Participant, ParticipantView, Role};
use crate::domain::permission::Action;
use crate::domain::room::RoomType;
use crate::domain::room_settings::HistoryAccess;
use crate::domain::user::User;

/// The event of a user who joined.
pub enum ParticipantJoinedEvent {}

/// The event of a participant who left.
pub enum ParticipantLeftEvent {}

/// The event of a participant whose role, or the end of whose membership, changed.
pub enum ParticipantUpdatedEvent {}

/// A frame that carries a participant.
#[derive(Serialize)]
pub struct ParticipantFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    participant: ParticipantView<'a>,
}

impl<'a> ParticipantFrame<'a> {
    fn of(kind: &'static str, event: &Event, participant: &'a Participant) -> Self {
        Self { kind, room_id: event.room, seq: event.seq, participant: participant.into() }
    }
}

fn participant_data(participant: &Participant) -> serde_json::Value {
    json!({ "user": participant.user.id, "role": participant.role.as_str() })
}

impl EventRules for ParticipantJoinedEvent {
    type Payload = Participant;
    type Frame<'a> = ParticipantFrame<'a>;

    const STORE_NAME: &'static str = "participant_joined";

    fn facts(participant: &Participant) -> EventFacts<'_> {
        let subject = EventSubject::Participant(participant);
        EventFacts { audience: AudienceChange::Joined, ..EventFacts::about(subject) }
    }

    fn frame<'a>(event: &'a Event, participant: &'a Participant) -> ParticipantFrame<'a> {
        ParticipantFrame::of("participant_joined", event, participant)
    }

    fn data(participant: &Participant) -> Option<serde_json::Value> {
        Some(participant_data(participant))
    }

    fn restore(row: &impl LogRow) -> Participant {
        row.participant()
    }
}

impl EventRules for ParticipantLeftEvent {
    type Payload = Participant;
    type Frame<'a> = ParticipantFrame<'a>;

    const STORE_NAME: &'static str = "participant_left";

    fn facts(participant: &Participant) -> EventFacts<'_> {
        EventFacts {
            audience: AudienceChange::Left,
            stops_typing: Some(participant.user.id),
            ..EventFacts::about(EventSubject::Participant(participant))
        }
    }

    fn frame<'a>(event: &'a Event, participant: &'a Participant) -> ParticipantFrame<'a> {
        ParticipantFrame::of("participant_left", event, participant)
    }

    fn data(participant: &Participant) -> Option<serde_json::Value> {
        Some(participant_data(participant))
    }

    fn restore(row: &impl LogRow) -> Participant {
        row.participant()
    }
}

impl EventRules for ParticipantUpdatedEvent {
    type Payload = Participant;
    type Frame<'a> = ParticipantFrame<'a>;

    const STORE_NAME: &'static str = "participant_updated";

    fn facts(participant: &Participant) -> EventFacts<'_> {
        EventFacts::about(EventSubject::Participant(participant))
    }

    fn frame<'a>(event: &'a Event, participant: &'a Participant) -> ParticipantFrame<'a> {
        ParticipantFrame::of("participant_updated", event, participant)
    }

    fn data(participant: &Participant) -> Option<serde_json::Value> {
        Some(participant_data(participant))
    }

    fn restore(row: &impl LogRow) -> Participant {
        row.participant()
    }
}

pub(super) fn add_rules(user: UserId) -> CommandRules {
    CommandRules {
        required: RequiredState { roster: true, added_user: Some(user), ..RequiredState::default() },
        needs_active_room: true,
        ..CommandRules::of(Action::ManageParticipants)
    }
}

pub(super) fn manage_rules() -> CommandRules {
    with_roster(Action::ManageParticipants)
}

pub(super) fn expel_rules() -> CommandRules {
    with_roster(Action::Expel)
}

pub(super) fn leave_rules() -> CommandRules {
    with_roster(Action::Leave)
}

fn with_roster(action: Action) -> CommandRules {
    let required = RequiredState { roster: true, ..RequiredState::default() };
    CommandRules { required, ..CommandRules::of(action) }
}

impl RoomAggregate {
    pub(super) fn add(
        &mut self,
        by: Principal,
        user: UserId,
        terms: EntryTerms,
    ) -> Result<CommandOutcome, Refusal> {
        if self.room.room_type == RoomType::Direct {
            return Err(Refusal::DirectRoom);
        }
        self.check_end(terms.until)?;
        let known = self.users.get(&user).filter(|user| user.is_active);
        let added = known.ok_or_else(|| Refusal::UsersNotFound(vec![user]))?.clone();
        if self.participants.get(&user).is_some_and(|state| state.participant.is_current()) {
            return Err(Refusal::AlreadyParticipant);
        }
        let event = self.enter(by, added, terms);
        let reply = self.participant_reply(user);
        Ok(CommandOutcome::of(vec![event], reply))
    }

    /// Adds a user who isn't in the room, and may have been.
    pub(super) fn enter(&mut self, by: Principal, added: User, terms: EntryTerms) -> Event {
        let user = added.summary.id;
        let before = self.participants.get(&user).map(|state| state.participant.role);
        // Nobody becomes more than a guest unless someone says so.
        let is_guest = added.is_guest || before == Some(Role::Guest);
        let role = terms.role.unwrap_or(if is_guest { Role::Guest } else { Role::Member });
        let terms = EntryTerms { role: Some(role), ..terms };
        if before.is_some() { self.rejoin(by, user, terms) } else { self.join(by, added, terms) }
    }

    /// What terms that were given at `given_at` are worth for a user who was in the room later and left: what was
    /// decided meanwhile, of the role and of the end, isn't undone.
    pub(super) fn earlier_terms(
        &self,
        user: UserId,
        terms: EntryTerms,
        given_at: DateTime<Utc>,
    ) -> EntryTerms {
        let before = self.participants.get(&user).map(|state| &state.participant);
        let Some(before) = before.filter(|before| before.left_at.is_some_and(|left_at| left_at > given_at))
        else {
            return terms;
        };
        let role = terms.role.unwrap_or(Role::Member).lower(before.role);
        let until = terms.until.into_iter().chain(before.until).min();
        EntryTerms { role: Some(role), until, ..terms }
    }

    fn join(&mut self, by: Principal, added: User, terms: EntryTerms) -> Event {
        let user = added.summary.id;
        let (role, visible_from) = (terms.role.unwrap_or(Role::Member), self.first_visible(terms));
        let participant = Participant {
            id: self.fresh_ids.pop().expect("an unused id was asked for with each user to be added"),
            user: added.summary,
            room: self.room.id,
            joined_at: self.now,
            joined_seq: self.room.head.next(),
            left_at: None,
            role,
            until: terms.until,
            read_seq: Seq::START,
            visible_from,
            unread_from: None,
        };
        let event = self.event(by, EventBody::ParticipantJoined(Box::new(participant.clone())));
        let state = ParticipantState {
            participant,
            is_active: added.is_active,
            tokens_valid_from: added.tokens_valid_from,
            is_muted: false,
            muted_until: None,
            level: NotificationLevel::All,
            is_favourite: false,
            left_willingly: false,
        };
        self.participants.insert(user, state);
        self.note_visibility();
        event
    }

    /// Adds a user again, as the same participant.
    pub(super) fn rejoin(&mut self, by: Principal, user: UserId, terms: EntryTerms) -> Event {
        let (now, seq, visible_from) = (self.now, self.room.head.next(), self.first_visible(terms));
        let participant = self.participant_mut(user);
        participant.left_at = None;
        participant.joined_at = now;
        participant.joined_seq = seq;
        participant.unread_from = None;
        participant.role = terms.role.unwrap_or(Role::Member);
        participant.until = terms.until;
        participant.visible_from = visible_from;
        let body = EventBody::ParticipantJoined(Box::new(participant.clone()));
        self.note_visibility();
        self.event(by, body)
    }

    /// The position from which on a user who joins now on these terms may read.
    fn first_visible(&self, terms: EntryTerms) -> Seq {
        let is_limited =
            terms.role == Some(Role::Guest) || self.room.settings.history == HistoryAccess::Joined;
        match terms.from {
            Some(HistoryStart::Start) => Seq::START,
            None if !is_limited => Seq::START,
            Some(HistoryStart::Now) | None => self.room.head.next(),
        }
    }

    /// Refuses a membership that would be over already.
    pub(super) fn check_end(&self, until: Option<DateTime<Utc>>) -> Result<(), Refusal> {
        if until.is_some_and(|until| until <= self.now) { Err(Refusal::EndInPast) } else { Ok(()) }
    }

    /// Notes from which position on all who are in the room may read. It needs the roster.
    pub(super) fn note_visibility(&mut self) {
        let states = self.participants.values().map(|state| &state.participant);
        let current = states.filter(|participant| participant.is_current());
        self.room.visible_to_all_from =
            current.map(|participant| participant.visible_from).max().unwrap_or_default();
    }

    pub(super) fn leave(&mut self, by: Principal) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        self.remove(by, user)
    }

    pub(super) fn remove(&mut self, by: Principal, user: UserId) -> Result<CommandOutcome, Refusal> {
        let leaves = by.user_id() == Some(user);
        if self.room.room_type == RoomType::Direct && !leaves {
            return Err(Refusal::DirectRoom);
        }
        self.require_current(user)?;
        if self.is_last_admin(user) {
            return Err(Refusal::LastAdmin);
        }
        let event = self.remove_participant(by, user);
        let reply = self.participant_reply(user);
        Ok(CommandOutcome::of(vec![event], reply))
    }

    /// Removes a participant whose account ends. The last admin's role goes to whoever has been in the room
    /// longest.
    pub(super) fn expel(&mut self, user: UserId) -> Result<CommandOutcome, Refusal> {
        self.require_current(user)?;
        let mut events = Vec::with_capacity(2);
        if self.is_last_admin(user) {
            let successor = self
                .participants
                .values()
                .filter(|state| {
                    let participant = &state.participant;
                    let may_be_admin = participant.role != Role::Guest && !participant.has_ended(self.now);
                    participant.is_current() && state.is_active && may_be_admin && participant.user.id != user
                })
                .min_by_key(|state| (state.participant.joined_seq, state.participant.id))
                .map(|state| state.participant.user.id);
            if let Some(successor) = successor {
                events.extend(self.assign_role(Principal::Service, successor, Role::Admin));
            }
        }
        events.push(self.remove_participant(Principal::Service, user));
        Ok(CommandOutcome::of(events, CommandReply::Done))
    }

    /// Removes a participant whose membership was to end at a time that has come. Whichever node is the first to do
    /// so ends it; for the others there is nothing left to do.
    pub(super) fn end_membership(&mut self, user: UserId) -> Result<CommandOutcome, Refusal> {
        let is_due = self
            .participants
            .get(&user)
            .is_some_and(|state| state.participant.is_current() && state.participant.has_ended(self.now));
        if is_due { self.expel(user) } else { Ok(CommandOutcome::of(Vec::new(), CommandReply::Done)) }
    }

    pub(super) fn remove_participant(&mut self, by: Principal, user: UserId) -> Event {
        let now = self.now;
        let state = self.participants.get_mut(&user).expect("the caller has looked the participant up");
        state.left_willingly = by.user_id() == Some(user);
        let participant = &mut state.participant;
        participant.left_at = Some(now);
        let body = EventBody::ParticipantLeft(Box::new(participant.clone()));
        self.note_visibility();
        self.event(by, body)
    }

    pub(super) fn set_role(
        &mut self,
        by: Principal,
        user: UserId,
        role: Role,
    ) -> Result<CommandOutcome, Refusal> {
        self.require_current(user)?;
        if role != Role::Admin && self.is_last_admin(user) {
            return Err(Refusal::LastAdmin);
        }
        let event = self.assign_role(by, user, role);
        let reply = self.participant_reply(user);
        Ok(CommandOutcome::of(event.into_iter().collect(), reply))
    }

    pub(super) fn set_until(
        &mut self,
        by: Principal,
        user: UserId,
        until: Option<DateTime<Utc>>,
    ) -> Result<CommandOutcome, Refusal> {
        self.require_current(user)?;
        self.check_end(until)?;
        let event = self.update_participant(by, user, |participant| participant.until = until);
        let reply = self.participant_reply(user);
        Ok(CommandOutcome::of(event.into_iter().collect(), reply))
    }

    fn assign_role(&mut self, by: Principal, user: UserId, role: Role) -> Option<Event> {
        self.update_participant(by, user, |participant| participant.role = role)
    }

    /// Changes a participant; a change that leaves it as it was makes no event.
    pub(super) fn update_participant(
        &mut self,
        by: Principal,
        user: UserId,
        change: impl FnOnce(&mut Participant),
    ) -> Option<Event> {
        let participant = self.participant_mut(user);
        let before = participant.clone();
        change(participant);
        if *participant == before {
            return None;
        }
        let body = EventBody::ParticipantUpdated(Box::new(participant.clone()));
        Some(self.event(by, body))
    }

    /// Whether the room would be without an admin, while others remain, if `user` were none.
    fn is_last_admin(&self, user: UserId) -> bool {
        let others = || {
            self.participants
                .values()
                .filter(|state| state.participant.is_current() && state.participant.user.id != user)
        };
        self.room.room_type != RoomType::Direct
            && self.participants[&user].participant.role == Role::Admin
            && others().next().is_some()
            && !others().any(|state| state.participant.role == Role::Admin)
    }
}
