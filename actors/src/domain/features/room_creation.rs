//! How a room begins, and how one that there may be only one of is given back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::aggregate::RoomAggregate;
use super::command::{OpenRoom, Principal, Refusal};
use super::event::{Event, EventBody};
use crate::domain::entry::{EntryTerms, HistoryStart};
use crate::domain::ids::{ParticipantId, Seq, UserId};
use crate::domain::participant::{Participant, Role};
use crate::domain::room::{Room, RoomType, Subject};
use crate::domain::user::User;

/// Who is to be in a room that is created or found, as far as the directory knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrants {
    /// The users, the principal before all others, each with the terms on which a new room takes them in.
    pub users: Vec<(User, EntryTerms)>,
    /// Those of the host application's roster who are unknown or inactive.
    pub unknown: Vec<UserId>,
}

impl OpenRoom {
    /// Who shall be in the room, each once: the principal before all others.
    #[must_use]
    pub fn initial_users(&self) -> Vec<UserId> {
        let mut initial = Vec::with_capacity(self.users.len() + self.roster.named.len() + 1);
        let mut seen = BTreeSet::new();
        let others = self.users.iter().copied().filter(|_| self.can_name_users());
        let named = self.named().iter().map(|(user, _)| *user);
        for user in self.by.user_id().into_iter().chain(others).chain(named) {
            if seen.insert(user) {
                initial.push(user);
            }
        }
        initial
    }

    /// Finds [`Self::initial_users`] in `known`, which is what the directory says of them, and gives each the
    /// terms on which a new room takes them in. Where rooms of this type have admins, the first one is admin
    /// unless the host application has given terms.
    ///
    /// # Errors
    /// [`Refusal::UsersNotFound`] names those who are unknown or inactive, beside those of the host application's
    /// roster; an inactive user is [`Refusal::Forbidden`] in a direct room and as the principal. So is a guest
    /// account in a direct room, where nobody could end its access, and as the principal of a group; and so are two
    /// bots in a direct room.
    pub fn entrants(&self, known: &BTreeMap<UserId, User>) -> Result<Entrants, Refusal> {
        let initial = self.initial_users();
        let is_inactive = |user: &UserId| known.get(user).is_some_and(|user| !user.is_active);
        let is_guest = |user: &UserId| known.get(user).is_some_and(|user| user.is_guest);
        let is_direct = self.room_type == RoomType::Direct;
        let opener = self.by.user_id().and_then(|user| known.get(&user));
        if opener.is_some_and(|opener| !opener.is_active || self.by.is_revoked(opener.tokens_valid_from)) {
            return Err(Refusal::Forbidden);
        }
        if is_direct && initial.iter().any(|user| is_inactive(user) || is_guest(user)) {
            return Err(Refusal::Forbidden);
        }
        if is_direct && initial.iter().all(|user| user.is_bot()) {
            return Err(Refusal::Forbidden);
        }
        if self.room_type == RoomType::Group && opener.is_some_and(|opener| opener.is_guest) {
            return Err(Refusal::Forbidden);
        }
        let named: BTreeMap<UserId, EntryTerms> = self.named().iter().copied().collect();
        let is_known = |user: &UserId| known.get(user).is_some_and(|user| user.is_active);
        let (present, missing): (Vec<UserId>, Vec<UserId>) = initial.into_iter().partition(is_known);
        let (unknown, missing): (Vec<UserId>, Vec<UserId>) =
            missing.into_iter().partition(|user| named.contains_key(user));
        if !missing.is_empty() {
            return Err(Refusal::UsersNotFound(missing));
        }
        let users = present.into_iter().enumerate().map(|(index, id)| {
            let (user, granted) = (known[&id].clone(), self.by.user_id() == Some(id));
            let is_admin = index == 0 && !is_direct && !user.is_guest;
            let first = EntryTerms { role: is_admin.then_some(Role::Admin), ..EntryTerms::default() };
            let terms = match named.get(&id) {
                Some(terms) => *terms,
                None if granted => EntryTerms { role: first.role, ..self.granted_terms },
                None => first,
            };
            (user, terms)
        });
        Ok(Entrants { users: users.collect(), unknown })
    }

    /// The host application's roster; nobody else has one.
    fn named(&self) -> &[(UserId, EntryTerms)] {
        if self.by == Principal::Service { &self.roster.named } else { &[] }
    }

    /// The two users of a direct room, the lower id first.
    #[must_use]
    pub fn pair(&self) -> Option<(UserId, UserId)> {
        match (self.room_type, self.initial_users().as_slice()) {
            (RoomType::Direct, [one, other]) => Some((*one.min(other), *one.max(other))),
            _ => None,
        }
    }

    /// The task that the room is about.
    #[must_use]
    pub fn task(&self) -> Option<i64> {
        match self.subject {
            Some(Subject::Task(id)) => Some(id),
            _ => None,
        }
    }

    /// The property that the room is about.
    #[must_use]
    pub fn property(&self) -> Option<i64> {
        match self.subject {
            Some(Subject::Property(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether the principal, the first of `entrants`, may create the subject's room where there is none yet. A
    /// guest account never may.
    #[must_use]
    pub fn can_create(&self, entrants: &Entrants) -> bool {
        let is_allowed = self.subject.is_none()
            || self.by == Principal::Service
            || self.open_subjects
            || self.granted.is_some();
        let is_guest = entrants.users.first().is_some_and(|(user, _)| user.is_guest);
        is_allowed && !(is_guest && self.by.user_id().is_some())
    }

    /// The subject's title, as far as the principal may give it.
    #[must_use]
    pub fn accepted_title(&self) -> &str {
        self.title.as_deref().filter(|_| self.can_name_users()).unwrap_or_default()
    }

    /// Whether the principal may name other users and the subject's title: a grant is for its holder alone.
    fn can_name_users(&self) -> bool {
        self.subject.is_none() || self.by == Principal::Service || self.open_subjects
    }
}

impl RoomAggregate {
    /// Creates the room of `open` with the users of [`OpenRoom::entrants`], each with an unused participant id.
    #[must_use]
    pub fn create_room(
        open: &OpenRoom,
        users: Vec<(User, EntryTerms)>,
        fresh_ids: Vec<ParticipantId>,
        now: DateTime<Utc>,
    ) -> (Self, Vec<Event>) {
        let room = Room {
            name: open.name.clone(),
            subject: open.subject,
            title: open.accepted_title().to_owned(),
            ..Room::new(open.id, open.room_type, open.by.user_id(), now)
        };
        let mut aggregate = Self::new(room, now);
        aggregate.fresh_ids = fresh_ids;
        aggregate.fresh_ids.reverse();
        let mut created = aggregate.room.clone();
        created.head = created.head.next();
        let mut events = vec![aggregate.event(open.by, EventBody::RoomCreated(Box::new(created)))];
        for (user, terms) in users.into_iter().filter(|(_, terms)| !terms.have_ended(now)) {
            events.push(aggregate.enter(open.by, user, terms));
        }
        (aggregate, events)
    }

    /// Gives back a room that there may be only one of: adds the users who may join by `open`, and takes over
    /// the users and the title that the host application names. Needs the roster and the users of `open`.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for a principal who is neither in the room nor let in by a grant (a removed
    /// participant needs a newer one), and [`Refusal::Archived`] where someone would have to join an archived
    /// room.
    pub fn reopen_room(&mut self, open: &OpenRoom) -> Result<Vec<Event>, Refusal> {
        let was_participant = open.by.user_id().is_none_or(|user| self.require_current(user).is_ok());
        if open.room_type != RoomType::Direct && !was_participant && !self.is_admitted_by_grant(open) {
            return Err(Refusal::Forbidden);
        }
        let by_host = open.by == Principal::Service && open.room_type.is_host_managed();
        let named = if by_host { open.named() } else { &[] };
        let mut joining: Vec<(UserId, EntryTerms)> =
            open.by.user_id().map(|user| (user, open.granted_terms)).into_iter().collect();
        if by_host {
            joining.extend(open.users.iter().map(|user| (*user, EntryTerms::default())));
        }
        let is_known = |user: &UserId| self.users.get(user).is_some_and(|user| user.is_active);
        let staying = named.iter().filter(|(user, terms)| is_known(user) && !terms.have_ended(self.now));
        joining.extend(staying);
        let mut seen = BTreeSet::new();
        joining.retain(|(user, _)| self.require_current(*user).is_err() && seen.insert(*user));
        if self.room.archived_at.is_some() && !joining.is_empty() {
            return Err(Refusal::Archived);
        }
        if self.room.is_blocked && !joining.is_empty() {
            return Err(Refusal::Blocked);
        }
        let mut events = if by_host { self.apply_roster(open, named) } else { Vec::new() };
        for (user, terms) in joining {
            let terms = match (open.room_type, open.granted) {
                (RoomType::Direct, _) => Role::Member.into(),
                (_, Some(signed)) if open.by.user_id() == Some(user) => {
                    self.earlier_terms(user, terms, signed)
                }
                _ => terms,
            };
            let added = self.users.get(&user).ok_or_else(|| Refusal::UsersNotFound(vec![user]))?.clone();
            events.push(self.enter(open.by, added, terms));
        }
        if let Some(title) = open.title.as_ref().filter(|_| open.by == Principal::Service) {
            events.extend(self.update_room(open.by, |room, _| room.title.clone_from(title)).events);
        }
        Ok(events)
    }

    /// Removes who isn't in the host application's roster any more, and changes the terms of those who stay.
    fn apply_roster(&mut self, open: &OpenRoom, named: &[(UserId, EntryTerms)]) -> Vec<Event> {
        let has_ended = |terms: &EntryTerms| terms.have_ended(self.now);
        let kept: BTreeSet<UserId> = named.iter().map(|(user, _)| *user).chain(open.users.clone()).collect();
        let ended = named.iter().filter(|(_, terms)| has_ended(terms)).map(|(user, _)| *user);
        let mut leaving: BTreeSet<UserId> = ended.collect();
        if open.roster.is_complete {
            leaving.extend(self.participants.keys().filter(|user| !kept.contains(*user)));
        }
        leaving.retain(|user| self.require_current(*user).is_ok());
        let mut events: Vec<Event> =
            leaving.iter().map(|user| self.remove_participant(open.by, *user)).collect();
        for (user, terms) in named.iter().filter(|(user, _)| !leaving.contains(user)) {
            if self.require_current(*user).is_ok() {
                events.extend(
                    self.update_participant(open.by, *user, |participant| change_terms(participant, terms)),
                );
            }
        }
        self.note_visibility();
        events
    }

    /// Whether the principal's grant admits its holder: not one from before the holder was removed. A grant is
    /// dated by the second, so that one of the same second counts as older.
    fn is_admitted_by_grant(&self, open: &OpenRoom) -> bool {
        let Some(signed) = open.granted else { return false };
        let state = open.by.user_id().and_then(|user| self.participants.get(&user));
        state
            .filter(|state| !state.left_willingly)
            .is_none_or(|state| state.participant.left_at.is_none_or(|removed_at| removed_at <= signed))
    }
}

/// Gives a participant the terms that the host application says. What was seen can't be unseen, so that they show
/// more of the room's history or the same.
fn change_terms(participant: &mut Participant, terms: &EntryTerms) {
    participant.role = terms.role.unwrap_or(participant.role);
    participant.until = terms.until;
    if terms.from == Some(HistoryStart::Start) {
        participant.visible_from = Seq::START;
    }
}
