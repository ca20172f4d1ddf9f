//! Who is in the room: joining, leaving, roles, and that a room which needs an admin keeps one.

use super::{Ledger, Member, outcome};
use crate::domain::command::{Actor, Outcome, Refusal, Reply};
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{Seq, UserId};
use crate::domain::participant::{Participant, Role};
use crate::domain::person::Person;
use crate::domain::room::RoomType;

impl Ledger {
    pub(super) fn add(&mut self, by: Actor, user: UserId, role: Role) -> Result<Outcome, Refusal> {
        if self.room.room_type == RoomType::Direct {
            return Err(Refusal::DirectRoom);
        }
        let known = self.people.get(&user).filter(|person| person.is_active);
        let person = known.ok_or_else(|| Refusal::PeopleNotFound(vec![user]))?.clone();
        if self.members.get(&user).is_some_and(|member| member.participant.is_in()) {
            return Err(Refusal::AlreadyIn);
        }
        let event = if self.members.contains_key(&user) {
            self.rejoin(by, user, role)
        } else {
            self.join(by, person, role)
        };
        let reply = self.participant_reply(user);
        Ok(outcome(vec![event], reply))
    }

    /// Lets a person in who was never here.
    pub(super) fn join(&mut self, by: Actor, person: Person, role: Role) -> Event {
        let user = person.author.id;
        let participant = Participant {
            id: self.fresh_ids.pop().expect("a fresh id was asked for with each person to be added"),
            user: person.author,
            room: self.room.id,
            joined_at: self.now,
            joined_seq: self.room.head.next(),
            left_at: None,
            role,
            read_seq: Seq::START,
            visible_from: Seq::START,
        };
        let event = self.event(by, EventBody::ParticipantJoined(Box::new(participant.clone())));
        let member = Member {
            participant,
            is_active: person.is_active,
            tokens_valid_from: person.tokens_valid_from,
            is_muted: false,
            muted_until: None,
            left_willingly: false,
        };
        self.members.insert(user, member);
        event
    }

    /// Lets a person in again, as the same participant.
    pub(super) fn rejoin(&mut self, by: Actor, user: UserId, role: Role) -> Event {
        let (now, seq) = (self.now, self.room.head.next());
        let participant = self.participant_mut(user);
        participant.left_at = None;
        participant.joined_at = now;
        participant.joined_seq = seq;
        participant.role = role;
        let body = EventBody::ParticipantJoined(Box::new(participant.clone()));
        self.event(by, body)
    }

    pub(super) fn remove(&mut self, by: Actor, user: UserId) -> Result<Outcome, Refusal> {
        let leaves = by.person() == Some(user);
        if self.room.room_type == RoomType::Direct && !leaves {
            return Err(Refusal::DirectRoom);
        }
        self.present(user)?;
        if self.is_last_admin(user) {
            return Err(Refusal::LastAdmin);
        }
        let event = self.take_out(by, user);
        let reply = self.participant_reply(user);
        Ok(outcome(vec![event], reply))
    }

    pub(super) fn expel(&mut self, user: UserId) -> Result<Outcome, Refusal> {
        self.present(user)?;
        let mut events = Vec::with_capacity(2);
        if self.is_last_admin(user) {
            let heir = self
                .members
                .values()
                .filter(|member| {
                    member.participant.is_in() && member.is_active && member.participant.user.id != user
                })
                .min_by_key(|member| (member.participant.joined_seq, member.participant.id))
                .map(|member| member.participant.user.id);
            if let Some(heir) = heir {
                events.push(self.give_role(Actor::Service, heir, Role::Admin));
            }
        }
        events.push(self.take_out(Actor::Service, user));
        Ok(outcome(events, Reply::Done))
    }

    pub(super) fn take_out(&mut self, by: Actor, user: UserId) -> Event {
        let now = self.now;
        let member = self.members.get_mut(&user).expect("the caller has looked the member up");
        member.left_willingly = by.person() == Some(user);
        let participant = &mut member.participant;
        participant.left_at = Some(now);
        let body = EventBody::ParticipantLeft(Box::new(participant.clone()));
        self.event(by, body)
    }

    pub(super) fn set_role(&mut self, by: Actor, user: UserId, role: Role) -> Result<Outcome, Refusal> {
        self.present(user)?;
        if role == Role::Member && self.is_last_admin(user) {
            return Err(Refusal::LastAdmin);
        }
        let changed = self.members[&user].participant.role != role;
        let events = if changed { vec![self.give_role(by, user, role)] } else { Vec::new() };
        let reply = self.participant_reply(user);
        Ok(outcome(events, reply))
    }

    pub(super) fn give_role(&mut self, by: Actor, user: UserId, role: Role) -> Event {
        let participant = self.participant_mut(user);
        participant.role = role;
        let body = EventBody::ParticipantUpdated(Box::new(participant.clone()));
        self.event(by, body)
    }

    /// Whether the room would be without an admin, while others remain, if `user` were none.
    pub(super) fn is_last_admin(&self, user: UserId) -> bool {
        let others = || {
            self.members
                .values()
                .filter(|member| member.participant.is_in() && member.participant.user.id != user)
        };
        self.room.room_type != RoomType::Direct
            && self.members[&user].participant.role == Role::Admin
            && others().next().is_some()
            && !others().any(|member| member.participant.role == Role::Admin)
    }

    pub(super) fn participant_mut(&mut self, user: UserId) -> &mut Participant {
        &mut self.members.get_mut(&user).expect("the caller has looked the member up").participant
    }
}
