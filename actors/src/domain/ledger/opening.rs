//! How a room begins, and how one that there may be only one of is given back.

use chrono::{DateTime, Utc};

use super::Ledger;
use crate::domain::command::{Actor, OpenRoom, Refusal};
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{ParticipantId, Seq, UserId};
use crate::domain::participant::Role;
use crate::domain::person::Person;
use crate::domain::room::{Room, RoomType};

impl Ledger {
    /// Makes the room of `open` with its first people: the first of `people` is its admin where its
    /// kind has admins, and each takes a fresh id.
    #[must_use]
    pub fn found(
        open: &OpenRoom,
        people: Vec<(Person, Role)>,
        fresh_ids: Vec<ParticipantId>,
        now: DateTime<Utc>,
    ) -> (Self, Vec<Event>) {
        let room = Room {
            id: open.id,
            room_type: open.room_type,
            name: open.name.clone(),
            subject: open.subject,
            title: open.told_title().to_owned(),
            created_at: now,
            modified_at: now,
            created_by: open.by.person(),
            archived_at: None,
            is_deleted: false,
            head: Seq::START,
        };
        let mut ledger = Self::new(room, now);
        ledger.fresh_ids = fresh_ids;
        ledger.fresh_ids.reverse();
        let mut made = ledger.room.clone();
        made.head = made.head.next();
        let mut events = vec![ledger.event(open.by, EventBody::RoomCreated(Box::new(made)))];
        for (person, role) in people {
            events.push(ledger.join(open.by, person, role));
        }
        (ledger, events)
    }

    /// Gives back a room that there may be only one of: puts in who may come in by `open`, and takes
    /// over whom and what title the host application names. Asks for the roster and the people of `open`.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for one who is neither in the room nor let in by a grant, which one who was
    /// taken out needs a newer one for, and
    /// [`Refusal::Archived`] where someone would have to join an archived room.
    pub fn reopen(&mut self, open: &OpenRoom) -> Result<Vec<Event>, Refusal> {
        let was_in = open.by.person().is_none_or(|user| self.present(user).is_ok());
        if open.room_type != RoomType::Direct && !was_in && !self.is_let_in(open) {
            return Err(Refusal::Forbidden);
        }
        let mut events = Vec::new();
        let by_host = open.by == Actor::Service;
        let mut comers: Vec<UserId> = open.by.person().into_iter().collect();
        if by_host && open.room_type.is_of_host() {
            comers.extend(&open.people);
        }
        comers.retain(|user| self.present(*user).is_err());
        if self.room.archived_at.is_some() && !comers.is_empty() {
            return Err(Refusal::Archived);
        }
        for user in comers {
            if self.members.contains_key(&user) {
                events.push(self.rejoin(open.by, user, Role::Member));
            } else {
                let person =
                    self.people.get(&user).ok_or_else(|| Refusal::PeopleNotFound(vec![user]))?.clone();
                events.push(self.join(open.by, person, Role::Member));
            }
        }
        if let Some(title) = open.title.as_ref().filter(|_| by_host) {
            events.extend(self.update_room(open.by, |room, _| room.title.clone_from(title)).events);
        }
        Ok(events)
    }

    /// Whether the grant lets its holder in: not one from before the holder was taken out. It says no
    /// more than its second, so that one of the same second counts as older.
    fn is_let_in(&self, open: &OpenRoom) -> bool {
        let Some(signed) = open.granted else { return false };
        let place = open.by.person().and_then(|user| self.members.get(&user));
        place
            .filter(|member| !member.left_willingly)
            .is_none_or(|member| member.participant.left_at.is_none_or(|removed_at| removed_at <= signed))
    }
}
