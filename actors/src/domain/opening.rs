//! Who is in a room at its making, and what there may be only one room of.

use std::collections::BTreeMap;

use super::command::{Actor, OpenRoom, Refusal};
use super::ids::UserId;
use super::participant::Role;
use super::person::Person;
use super::room::{RoomType, Subject};

impl OpenRoom {
    /// Who shall be in the room, each once: the one who asks before all others.
    #[must_use]
    pub fn first_people(&self) -> Vec<UserId> {
        let mut first = Vec::with_capacity(self.people.len() + 1);
        let mut seen = std::collections::BTreeSet::new();
        let others = self.people.iter().copied().filter(|_| self.may_name());
        for user in self.by.person().into_iter().chain(others) {
            if seen.insert(user) {
                first.push(user);
            }
        }
        first
    }

    /// Gives each of [`Self::first_people`] a role: the first one is the admin where the room's kind has
    /// admins. `known` is what the directory says of them.
    ///
    /// # Errors
    /// [`Refusal::PeopleNotFound`] names those who are unknown or inactive; an inactive one is
    /// [`Refusal::Forbidden`] in a direct room and as the one who asks.
    pub fn cast(&self, known: &BTreeMap<UserId, Person>) -> Result<Vec<(Person, Role)>, Refusal> {
        let first = self.first_people();
        let is_inactive = |user: &UserId| known.get(user).is_some_and(|person| !person.is_active);
        let is_direct = self.room_type == RoomType::Direct;
        let asker = self.by.person().and_then(|user| known.get(&user));
        if asker.is_some_and(|asker| !asker.is_active || self.by.is_void(asker.tokens_valid_from)) {
            return Err(Refusal::Forbidden);
        }
        if is_direct && first.iter().any(is_inactive) {
            return Err(Refusal::Forbidden);
        }
        let missing: Vec<UserId> = first
            .iter()
            .copied()
            .filter(|user| !known.get(user).is_some_and(|person| person.is_active))
            .collect();
        if !missing.is_empty() {
            return Err(Refusal::PeopleNotFound(missing));
        }
        let role = |index| Role::of(index == 0 && !is_direct);
        Ok(first.iter().enumerate().map(|(index, user)| (known[user].clone(), role(index))).collect())
    }

    /// The two people of a direct room, the lower id first.
    #[must_use]
    pub fn pair(&self) -> Option<(UserId, UserId)> {
        match (self.room_type, self.first_people().as_slice()) {
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

    /// Whether the one who asks may make the room of the subject, when there is none yet.
    #[must_use]
    pub fn may_make(&self) -> bool {
        self.subject.is_none() || self.by == Actor::Service || self.open_subjects || self.granted.is_some()
    }

    /// What the room's subject is called, as far as the one who asks may say.
    #[must_use]
    pub fn told_title(&self) -> &str {
        self.title.as_deref().filter(|_| self.may_name()).unwrap_or_default()
    }

    /// Whether the one who asks may say who else is in it, and what its subject is called: a grant is
    /// for its holder alone.
    #[must_use]
    pub fn may_name(&self) -> bool {
        self.subject.is_none() || self.by == Actor::Service || self.open_subjects
    }
}
