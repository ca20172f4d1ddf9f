//! The one place where a command becomes events.
//!
//! A store locks the room, reads what [`Needs`] names, puts it into a [`Ledger`], lets it apply the
//! commands in order, and writes the events that come out, all in one transaction. So every rule
//! is judged on what is true at the commit, and the same on every store.

mod members;
mod opening;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::command::{Actor, Change, Command, Draft, Outcome, ReadTarget, Refusal, Reply, StrayReply};
use super::event::{Event, EventBody};
use super::ids::{ClientId, MessageId, ParticipantId, Seq, UserId};
use super::message::{DELETED_TEXT, Message, RemovedBy};
use super::participant::{Participant, Role};
use super::permission::Standing;
use super::person::Person;
use super::room::{Room, RoomType};
use super::signal::{ReadMark, Signal};

/// What a command needs to be judged, beside the room itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The place of this person in the room.
    pub member: Option<UserId>,
    /// All who are or were in the room; else, in a direct room, both are needed to post.
    pub roster: bool,
    /// This person of the directory, and a fresh participant id.
    pub person: Option<UserId>,
    /// This person of the directory, who may be of the staff.
    pub staff: Option<UserId>,
    /// This message.
    pub message: Option<MessageId>,
    /// What this person sent under this `client_id`.
    pub sent: Option<(UserId, ClientId)>,
    /// The room's newest message.
    pub newest: bool,
}

impl Command {
    /// What [`Ledger::apply`] will look at.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs { member: self.by.person(), ..Needs::default() };
        match &self.change {
            Change::Post(draft) => {
                needs.message = draft.reply_to;
                needs.sent = self.by.person().zip(draft.client_id);
            }
            Change::Edit { message, .. } | Change::Erase { message } => needs.message = Some(*message),
            Change::Delete { message, .. } => {
                needs.message = Some(*message);
                needs.staff = self.by.person();
            }
            Change::Add { user, .. } => {
                needs.roster = true;
                needs.person = Some(*user);
            }
            Change::Remove { .. } | Change::Expel { .. } | Change::Leave | Change::SetRole { .. } => {
                needs.roster = true;
            }
            Change::Read(target) => {
                needs.newest = true;
                if let ReadTarget::Message(message) = target {
                    needs.message = Some(*message);
                }
            }
            Change::Rename { .. }
            | Change::Archive
            | Change::Unarchive
            | Change::DeleteRoom
            | Change::Mute { .. } => {}
        }
        needs
    }
}

/// Someone's place in the room, with what the room itself doesn't know of that person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The place.
    pub participant: Participant,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
    /// Whether the room is muted for this person.
    pub is_muted: bool,
    /// When that lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether this person, who is out, went without being taken out.
    pub left_willingly: bool,
}

impl Member {
    /// Whether what `by` wants counts: the account is active, and its token wasn't revoked.
    fn honours(&self, by: Actor) -> bool {
        self.is_active && !by.is_void(self.tokens_valid_from)
    }
}

/// What was sent under a `client_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message as it is now.
    pub message: Message,
    /// The digest of what the client sent then.
    pub digest: [u8; 16],
}

/// A room under its lock, and what the commands of this transaction need to know of it.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The room; its `head` moves with each event.
    pub room: Room,
    /// The places that were asked for.
    pub members: HashMap<UserId, Member>,
    /// The people who were asked for.
    pub people: HashMap<UserId, Person>,
    /// The messages that were asked for, deleted ones too.
    pub messages: HashMap<MessageId, Message>,
    /// What was sent under the `client_id`s that were asked for.
    pub sent: HashMap<(UserId, ClientId), Sent>,
    /// The newest message and its position.
    pub newest: Option<(Seq, MessageId)>,
    /// Unused participant ids, one for each person who may be added.
    pub fresh_ids: Vec<ParticipantId>,
    /// The store's time of this transaction.
    pub now: DateTime<Utc>,
}

impl Ledger {
    /// A ledger that knows the room alone.
    #[must_use]
    pub fn new(room: Room, now: DateTime<Utc>) -> Self {
        Self {
            room,
            members: HashMap::new(),
            people: HashMap::new(),
            messages: HashMap::new(),
            sent: HashMap::new(),
            newest: None,
            fresh_ids: Vec::new(),
            now,
        }
    }

    /// Judges one command and, where it may be, carries it out.
    ///
    /// # Errors
    /// A [`Refusal`] leaves the ledger as it was.
    pub fn apply(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        if self.room.is_deleted {
            return Err(Refusal::RoomNotFound);
        }
        if let Change::Post(draft) = &command.change
            && let Some(first) = self.sent_before(command.by, draft)?
        {
            return Ok(Outcome { events: Vec::new(), signal: None, reply: first });
        }
        self.permit(command)?;
        match &command.change {
            Change::Post(draft) => self.post(command.by, draft),
            Change::Edit { message, content } => self.edit(command.by, *message, content),
            Change::Delete { message, reason } => self.delete(command.by, *message, reason.clone()),
            Change::Erase { message } => self.erase(command.by, *message),
            Change::Add { user, role } => self.add(command.by, *user, *role),
            Change::Remove { user } => self.remove(command.by, *user),
            Change::Expel { user } => self.expel(*user),
            Change::Leave => match command.by.person() {
                Some(user) => self.remove(command.by, user),
                None => Err(Refusal::Forbidden),
            },
            Change::SetRole { user, role } => self.set_role(command.by, *user, *role),
            Change::Rename { name } => Ok(self.update_room(command.by, |room, _| room.name.clone_from(name))),
            Change::Archive => Ok(self.update_room(command.by, |room, now| {
                room.archived_at.get_or_insert(now);
            })),
            Change::Unarchive => Ok(self.update_room(command.by, |room, _| room.archived_at = None)),
            Change::DeleteRoom => {
                self.room.is_deleted = true;
                let event = self.event(command.by, EventBody::RoomDeleted);
                Ok(outcome(vec![event], Reply::Done))
            }
            Change::Read(target) => self.read(command.by, *target),
            Change::Mute { muted, until } => self.mute(command.by, *muted, *until),
        }
    }

    /// The answer to a message that was sent under the same `client_id` before. It stays true for one who
    /// has left the room, but an outsider isn't shown what became of the message since, or of the one that it
    /// answers.
    fn sent_before(&self, by: Actor, draft: &Draft) -> Result<Option<Reply>, Refusal> {
        let (Some(client_id), Some(user)) = (draft.client_id, by.person()) else { return Ok(None) };
        match self.sent.get(&(user, client_id)) {
            None => Ok(None),
            Some(sent) if sent.digest != draft.digest => Err(Refusal::ClientIdConflict),
            Some(Sent { message, .. }) if self.standing(by) == Standing::Outsider => {
                let (message, seq, created_at) = (message.id, message.seq, message.created_at);
                Ok(Some(Reply::SentBefore { message, seq, created_at }))
            }
            Some(sent) => {
                Ok(Some(Reply::Posted { message: Box::new(sent.message.clone()), duplicate: true }))
            }
        }
    }

    fn permit(&self, command: &Command) -> Result<(), Refusal> {
        let (standing, room_type) = (self.standing(command.by), self.room.room_type);
        let is_staff = self.is_staff(command);
        if standing == Standing::Outsider && !is_staff {
            return Err(Refusal::NotParticipant);
        }
        let is_own = match &command.change {
            Change::Delete { message, .. } => {
                let sender = self.live_message(*message)?.sender.id;
                standing != Standing::Outsider && Some(sender) == command.by.person()
            }
            _ => true,
        };
        let deed = command.change.deed(is_own);
        let may = standing.may(deed, room_type) || (is_staff && Standing::Staff.may(deed, room_type));
        if !may {
            return Err(Refusal::Forbidden);
        }
        if self.room.archived_at.is_some() && command.change.needs_open_room() {
            return Err(Refusal::Archived);
        }
        Ok(())
    }

    fn standing(&self, by: Actor) -> Standing {
        let Some(user) = by.person() else { return Standing::Service };
        match self.members.get(&user) {
            Some(member) if member.honours(by) && member.participant.is_in() => {
                Standing::Participant(member.participant.role)
            }
            _ => Standing::Outsider,
        }
    }

    /// Whether the one who wants it is of the staff, where that may matter.
    fn is_staff(&self, command: &Command) -> bool {
        if !matches!(command.change, Change::Delete { .. }) {
            return false;
        }
        let person = command.by.person().and_then(|user| self.people.get(&user));
        person.is_some_and(|person| {
            person.is_staff && person.is_active && !command.by.is_void(person.tokens_valid_from)
        })
    }

    fn post(&mut self, by: Actor, draft: &Draft) -> Result<Outcome, Refusal> {
        let sender = by.person().ok_or(Refusal::Forbidden)?;
        if draft.content.is_empty() && draft.attachment.is_none() {
            return Err(Refusal::Blank);
        }
        let answered = draft
            .reply_to
            .and_then(|id| self.messages.get(&id))
            .filter(|message| message.deleted_at.is_none());
        let reply_to = match (draft.reply_to, answered) {
            (Some(_), None) if draft.stray_reply == StrayReply::Refuse => return Err(Refusal::StrayReply),
            (_, answered) => answered.map(Message::quote),
        };
        let author = self.members[&sender].participant.user.clone();
        let mut events = Vec::with_capacity(1);
        if self.room.room_type == RoomType::Direct {
            let partner = self.members.values().find(|member| member.participant.user.id != sender);
            if let Some(partner) = partner.filter(|partner| partner.is_active && !partner.participant.is_in())
            {
                let user = partner.participant.user.id;
                events.push(self.rejoin(by, user, Role::Member));
            }
        }
        let seq = self.room.head.next();
        let message = Message {
            id: draft.id,
            room: self.room.id,
            seq,
            rev: seq,
            sender: author,
            message_type: draft.message_type,
            content: draft.content.clone(),
            attachment: draft.attachment.clone(),
            reply_to,
            created_at: self.now,
            modified_at: self.now,
            edited_at: None,
            deleted_at: None,
            removed_by: None,
            client_id: draft.client_id,
        };
        events.push(self.event(by, EventBody::MessagePosted(Box::new(message.clone()))));
        self.newest = Some((seq, message.id));
        if let Some(client_id) = draft.client_id {
            self.sent.insert((sender, client_id), Sent { message: message.clone(), digest: draft.digest });
        }
        self.messages.insert(message.id, message.clone());
        Ok(outcome(events, Reply::Posted { message: Box::new(message), duplicate: false }))
    }

    fn edit(&mut self, by: Actor, id: MessageId, content: &str) -> Result<Outcome, Refusal> {
        let message = self.own_message(by, id)?;
        if content.is_empty() && message.attachment.is_none() {
            return Err(Refusal::Blank);
        }
        let mut message = message.clone();
        message.content = content.to_owned();
        message.rev = self.room.head.next();
        message.modified_at = self.now;
        message.edited_at = Some(self.now);
        let event = self.event(by, EventBody::MessageEdited(Box::new(message.clone())));
        self.remember(&message);
        Ok(outcome(vec![event], Reply::Edited(Box::new(message))))
    }

    fn delete(&mut self, by: Actor, id: MessageId, reason: Option<String>) -> Result<Outcome, Refusal> {
        let is_author = Some(self.live_message(id)?.sender.id) == by.person();
        let removed_by = if is_author { RemovedBy::Author } else { RemovedBy::Moderator };
        self.take_away(by, id, removed_by, reason)
    }

    fn erase(&mut self, by: Actor, id: MessageId) -> Result<Outcome, Refusal> {
        self.take_away(by, id, RemovedBy::Author, None)
    }

    fn take_away(
        &mut self,
        by: Actor,
        id: MessageId,
        removed_by: RemovedBy,
        reason: Option<String>,
    ) -> Result<Outcome, Refusal> {
        let mut message = self.live_message(id)?.clone();
        message.content = DELETED_TEXT.to_owned();
        message.attachment = None;
        message.rev = self.room.head.next();
        message.modified_at = self.now;
        message.deleted_at = Some(self.now);
        message.removed_by = Some(removed_by);
        let (sent, sender) = (message.seq, message.sender.id);
        let body = EventBody::MessageDeleted { message: id, sent, sender, removed_by, reason };
        let event = self.event(by, body);
        self.remember(&message);
        Ok(outcome(vec![event], Reply::Done))
    }

    fn live_message(&self, id: MessageId) -> Result<&Message, Refusal> {
        self.messages.get(&id).filter(|message| message.deleted_at.is_none()).ok_or(Refusal::MessageNotFound)
    }

    fn own_message(&self, by: Actor, id: MessageId) -> Result<&Message, Refusal> {
        let message = self.live_message(id)?;
        if Some(message.sender.id) == by.person() { Ok(message) } else { Err(Refusal::Forbidden) }
    }

    /// Keeps what later commands of this transaction may see of a changed message.
    fn remember(&mut self, message: &Message) {
        self.messages.insert(message.id, message.clone());
        if let Some(client_id) = message.client_id
            && let Some(sent) = self.sent.get_mut(&(message.sender.id, client_id))
        {
            sent.message = message.clone();
        }
    }

    fn read(&mut self, by: Actor, target: ReadTarget) -> Result<Outcome, Refusal> {
        let user = by.person().ok_or(Refusal::Forbidden)?;
        let (up_to, message) = match target {
            ReadTarget::Head => (self.room.head, self.newest.map(|(_, id)| id)),
            ReadTarget::Message(id) => (self.live_message(id)?.seq, Some(id)),
        };
        let at = self.now;
        let participant = self.participant_mut(user);
        if up_to <= participant.read_seq {
            return Ok(outcome(Vec::new(), Reply::Done));
        }
        participant.read_seq = up_to;
        let signal = Some(Signal::Read(ReadMark { user, up_to, message, at }));
        Ok(Outcome { events: Vec::new(), signal, reply: Reply::Done })
    }

    fn mute(&mut self, by: Actor, muted: bool, until: Option<DateTime<Utc>>) -> Result<Outcome, Refusal> {
        let user = by.person().ok_or(Refusal::Forbidden)?;
        let member = self.members.get_mut(&user).ok_or(Refusal::NotParticipant)?;
        member.is_muted = muted;
        member.muted_until = until.filter(|_| muted);
        let reply = self.participant_reply(user);
        Ok(Outcome { events: Vec::new(), signal: Some(Signal::Muted { user }), reply })
    }

    fn present(&self, user: UserId) -> Result<(), Refusal> {
        match self.members.get(&user) {
            Some(member) if member.participant.is_in() => Ok(()),
            _ => Err(Refusal::ParticipantNotFound),
        }
    }

    fn participant_reply(&self, user: UserId) -> Reply {
        Reply::Participant(Box::new(self.members[&user].participant.clone()))
    }

    /// Changes the room; where that leaves it as it was, nothing has happened.
    fn update_room(&mut self, by: Actor, change: impl FnOnce(&mut Room, DateTime<Utc>)) -> Outcome {
        let before = self.room.clone();
        change(&mut self.room, self.now);
        if self.room == before {
            return outcome(Vec::new(), Reply::Room(Box::new(before)));
        }
        let mut room = self.room.clone();
        room.head = room.head.next();
        room.modified_at = self.now;
        let event = self.event(by, EventBody::RoomUpdated(Box::new(room.clone())));
        outcome(vec![event], Reply::Room(Box::new(room)))
    }

    fn event(&mut self, by: Actor, body: EventBody) -> Event {
        self.room.head = self.room.head.next();
        // What was said before is no new activity: an edit or a deletion doesn't move the room in lists.
        if !matches!(body, EventBody::MessageEdited(_) | EventBody::MessageDeleted { .. }) {
            self.room.modified_at = self.now;
        }
        Event { room: self.room.id, seq: self.room.head, at: self.now, by: by.person(), body }
    }
}

fn outcome(events: Vec<Event>, reply: Reply) -> Outcome {
    Outcome { events, signal: None, reply }
}
