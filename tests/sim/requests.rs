//! What a client asks for by REST, and what it sends.

use std::rc::Rc;

use actors::domain::card::{Card, CardChange};
use actors::domain::command::{
    DraftExtras, ForwardDraft, MessageDraft, MissingReplyTarget, ReadTarget, RoomChange, RoomPatch,
};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::mentions::{Mentions, MentionsEdit};
use actors::domain::message::MessageType;
use actors::domain::message_extras::Forwarded;
use actors::domain::participant::Role;
use actors::domain::room_settings::{RoomSettingsPatch, SettingInput};
use actors::domain::thread::ThreadPlace;
use actors::domain::urgency::UrgentDraft;
use actors::domain::user::UserSummary;
use chrono::DateTime;
use serde_json::{Value, json};

use crate::device::{Device, Send};
use crate::history::{End, Request};
use crate::rng::Rng;
use crate::world::{POISON, Phase, World, pass};

/// Messages that are sent together: the same at each attempt.
struct Forward {
    client_id: ClientId,
    room: RoomId,
    parts: Vec<ForwardPart>,
}

/// One of them: the copy of a message, or what is said beside the copies.
struct ForwardPart {
    source: Option<MessageId>,
    text: String,
}

impl World {
    /// Whether a client that is refused with `code` tries again. What slow mode delays is given up once all is to
    /// become quiet.
    pub(crate) fn is_retried(&self, code: &str) -> bool {
        match code {
            "unknown_outcome" | "unavailable" | "overloaded" => true,
            "rate_limited" => self.phase() < Phase::Quiet,
            _ => false,
        }
    }
}

/// Whether the store accepts it at all.
pub(crate) fn may_come(send: &Send) -> bool {
    !send.text.contains(POISON)
}

impl Device {
    /// A new message.
    pub(crate) fn new_send(&mut self, room: RoomId) -> Send {
        let client_id = ClientId(self.rng.uuid());
        let filler = match self.rng.below(20) {
            0 => "ä".repeat(self.rng.below(2_000)),
            1 => POISON.to_owned(),
            _ => "x".repeat(self.rng.below(40)),
        };
        let own = self.world.written.borrow().get(&(self.user, room)).cloned();
        let reply_to = own.filter(|_| self.rng.percent(15)).map(|own| self.rng.pick(&own));
        let card = self.rng.percent(15).then(|| self.new_card());
        let all = self.world.written_in(room);
        let thread = (!all.is_empty() && self.rng.percent(25)).then(|| ThreadPlace {
            // Few of them, so that a thread has many replies.
            root: all[self.rng.below(all.len().min(4))],
            in_timeline: self.rng.percent(30),
        });
        Send {
            client_id,
            room,
            text: format!("{} says {client_id} {filler}", self.user).trim().to_owned(),
            reply_to,
            card,
            thread,
            mentions: self.mentions(),
            urgent: self.rng.percent(4).then(UrgentDraft::default),
        }
    }

    /// Mentions for one message in three; those of users who aren't in the room are refused.
    fn mentions(&mut self) -> Mentions {
        let users = self.world.users.clone();
        match self.rng.below(12) {
            0..3 => Mentions::new(vec![self.rng.pick(&users)], false),
            3 => Mentions::new(Vec::new(), true),
            _ => Mentions::default(),
        }
    }

    fn new_card(&mut self) -> Value {
        let entries = json!([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]);
        match self.rng.below(2) {
            0 => json!({"v": 1, "kind": "checklist", "items": entries}),
            _ => json!({"v": 1, "kind": "poll", "choices": entries, "multiple": self.rng.percent(50)}),
        }
    }

    /// Uses a message as if it had a card, which many don't.
    fn card_change(&mut self, messages: &[MessageId]) -> RoomChange {
        let (id, on) = (self.rng.pick(&["a", "b"]).to_owned(), self.rng.percent(60));
        let change = match self.rng.below(20) {
            0 => CardChange::Close,
            1..10 => CardChange::Item { id, on },
            _ => CardChange::Choice { id, on },
        };
        RoomChange::ChangeCard { message: self.rng.pick(messages), change }
    }

    /// Copies of some messages, and what is said beside them. Where they come from is not the engine's to judge.
    fn new_forward(&mut self, room: RoomId) -> Forward {
        let client_id = ClientId(self.rng.uuid());
        let poisoned = self.rng.percent(5);
        let parts = (0..1 + self.rng.below(3)).map(|number| {
            let source = (number > 0).then(|| MessageId(self.rng.uuid()));
            let poison = if poisoned && number == 1 { POISON } else { "" };
            ForwardPart {
                source,
                text: format!("{} forwards {client_id} {number} {poison}", self.user).trim().to_owned(),
            }
        });
        Forward { client_id, room, parts: parts.collect() }
    }

    pub(crate) fn read_by_rest(&mut self) {
        let room = self.room.unwrap_or_else(|| self.rng.pick(&self.world.rooms.clone()));
        self.by_rest(room, RoomChange::Read(ReadTarget::Head), Request::Other("read"));
    }

    /// Asks for something that sockets don't offer.
    pub(crate) fn request_by_rest(&mut self) {
        let room = self.room.unwrap_or_else(|| self.rng.pick(&self.world.rooms.clone()));
        let user = self.rng.pick(&self.world.users.clone());
        let own = self.world.written.borrow().get(&(self.user, room)).cloned().unwrap_or_default();
        let role = if self.rng.percent(50) { Role::Admin } else { Role::Member };
        let (change, request) = match self.rng.below(110) {
            0..20 => {
                let send = self.new_send(room);
                let (world, user, rng) = (self.world.clone(), self.user, self.rng.fork());
                actix_rt::spawn(send_by_rest(world, user, send, rng));
                return;
            }
            20..25 => {
                let forward = self.new_forward(room);
                let (world, user, rng) = (self.world.clone(), self.user, self.rng.fork());
                actix_rt::spawn(forward_by_rest(world, user, forward, rng));
                return;
            }
            25..41 if !own.is_empty() => {
                let (message, text) = (self.rng.pick(&own), format!("edited {}", self.rng.uuid()));
                let Mentions { users, room } = self.mentions();
                let mentions = MentionsEdit {
                    users: self.rng.percent(50).then_some(users),
                    room: self.rng.percent(50).then_some(room),
                };
                let edit = RoomChange::Edit { message, content: Some(text.clone()), mentions };
                (edit, Request::Edit { message, text })
            }
            41..53 if !own.is_empty() => self.deletion(&own),
            53..58 => {
                let all = self.world.written_in(room);
                if all.is_empty() {
                    return;
                }
                self.deletion(&all)
            }
            58..60 => {
                let all = self.world.written_in(room);
                if all.is_empty() {
                    return;
                }
                let message = all[self.rng.below(all.len().min(3))];
                if self.rng.percent(40) {
                    // Most of them aren't urgent.
                    let message = self.rng.pick(&all);
                    (RoomChange::Acknowledge { message }, Request::Other("acknowledge"))
                } else {
                    (RoomChange::Pin { message, pinned: self.rng.percent(60) }, Request::Other("pin"))
                }
            }
            60..63 => {
                let all = self.world.written_in(room);
                if all.is_empty() {
                    return;
                }
                // Few messages and emojis, so that many meet at the same.
                let message = all[self.rng.below(all.len().min(3))];
                let emoji = self.rng.pick(&["\u{1f44d}", "\u{1f389}"]);
                (RoomChange::React { message, emoji, on: self.rng.percent(60) }, Request::Other("react"))
            }
            63..65 | 100..110 => {
                let all = self.world.written_in(room);
                if all.is_empty() {
                    return;
                }
                (self.card_change(&all), Request::Other("change card"))
            }
            65..66 => {
                let name = format!("room {}", self.rng.uuid());
                (RoomPatch::named(name.clone()).into(), Request::Rename { name })
            }
            66..69 => (self.new_settings(), Request::Other("settings")),
            69..74 => (RoomChange::Remove { user }, Request::Other("remove")),
            74..88 => {
                let entering = if role == Role::Admin { Role::Guest } else { Role::Member };
                (RoomChange::Add { user, terms: entering.into() }, Request::Other("add"))
            }
            88..90 => (RoomChange::Leave, Request::Other("leave")),
            90..93 => (RoomChange::SetRole { user, role }, Request::Other("set role")),
            93..94 => (RoomChange::Mute { muted: self.rng.percent(50), until: None }, Request::Other("mute")),
            94..95 => (RoomChange::Archive, Request::Other("archive")),
            95..100 => (RoomChange::Unarchive, Request::Other("unarchive")),
            _ => (RoomChange::Read(ReadTarget::Head), Request::Other("read")),
        };
        self.by_rest(room, change, request);
    }

    /// Settings of a room: closed or open, slow or not, with its history or without.
    fn new_settings(&mut self) -> RoomChange {
        let mut settings = [
            ("posting", SettingInput::Text(self.rng.pick(&["everyone", "everyone", "admins"]).into())),
            ("slow_mode_seconds", SettingInput::Number(self.rng.pick(&[0, 0, 1, 3]))),
            ("history", SettingInput::Text(self.rng.pick(&["all", "joined"]).into())),
            ("description", SettingInput::Text(format!("of {}", self.rng.below(100)).into())),
        ];
        let kept = self.rng.below(settings.len());
        settings[kept].0 = "";
        let settings = RoomSettingsPatch::read(|setting| {
            let found = settings.iter().find(|(name, _)| *name == setting.name);
            found.map(|(_, value)| value.clone())
        });
        RoomPatch { name: None, settings }.into()
    }

    /// One's own message or another's; the aggregate judges whether that is allowed.
    fn deletion(&mut self, of: &[MessageId]) -> (RoomChange, Request) {
        let message = self.rng.pick(of);
        let reason = self.rng.percent(50).then(|| "out of place".to_owned());
        (RoomChange::Delete { message, reason }, Request::Delete { message })
    }

    fn by_rest(&mut self, room: RoomId, change: RoomChange, request: Request) {
        let nodes = self.world.nodes();
        if nodes.is_empty() {
            return;
        }
        let (world, user, node) = (self.world.clone(), self.user, self.rng.pick(&nodes));
        actix_rt::spawn(async move {
            world.command(&node, user, room, change, request).await;
        });
    }
}

/// Sends a message by REST, through one node after another, until its outcome is known.
async fn send_by_rest(world: Rc<World>, user: UserId, send: Send, mut rng: Rng) {
    while world.phase() < Phase::Over {
        let nodes = world.nodes();
        if nodes.is_empty() {
            pass(rng.millis(50..200)).await;
            continue;
        }
        let node = rng.pick(&nodes);
        let card = send.card.as_ref().map(|card| Box::new(Card::read(card).expect("it is one")));
        let extras = DraftExtras { card, thread: send.thread, urgent: send.urgent, ..DraftExtras::default() };
        let draft = MessageDraft {
            id: MessageId(rng.uuid()),
            client_id: Some(send.client_id),
            digest: extras.add_to(MessageDraft::digest_of(&send.text, send.reply_to, None)),
            content: send.text.clone(),
            message_type: MessageType::Text,
            attachment: None,
            reply_to: send.reply_to,
            missing_reply_target: MissingReplyTarget::Ignore,
            extras,
            mentions: Mentions::default(),
        }
        .mentioning(send.mentions.clone());
        let request = Request::Post { client_id: send.client_id, text: send.text.clone(), conn: None };
        match world.command(&node, user, send.room, RoomChange::Post(draft), request).await {
            End::Unknown => {}
            End::Refused(code) if world.is_retried(&code) => {}
            _ => return,
        }
        pass(rng.millis(20..600)).await;
    }
}

/// Forwards by REST, through one node after another, until the outcome is known.
async fn forward_by_rest(world: Rc<World>, user: UserId, forward: Forward, mut rng: Rng) {
    let Forward { client_id, room, parts } = forward;
    let client_ids: Vec<ClientId> = parts.iter().map(|part| client_id.of_part(room, part.source)).collect();
    while world.phase() < Phase::Over {
        let nodes = world.nodes();
        if nodes.is_empty() {
            pass(rng.millis(50..200)).await;
            continue;
        }
        let node = rng.pick(&nodes);
        let drafts = parts.iter().zip(&client_ids).map(|(ForwardPart { source, text }, client_id)| {
            let draft = MessageDraft {
                id: MessageId(rng.uuid()),
                client_id: Some(*client_id),
                digest: source
                    .map_or_else(|| MessageDraft::digest_of(text, None, None), MessageDraft::digest_of_copy),
                content: text.clone(),
                message_type: MessageType::Text,
                attachment: None,
                reply_to: None,
                missing_reply_target: MissingReplyTarget::Reject,
                extras: DraftExtras::default(),
                mentions: Mentions::default(),
            };
            let origin = source.map(|message| Forwarded {
                sender: UserSummary::erased(user),
                created_at: DateTime::UNIX_EPOCH,
                room,
                message,
            });
            ForwardDraft { draft, origin }
        });
        let change = RoomChange::Forward(drafts.collect());
        let request = Request::Forward { client_ids: client_ids.clone() };
        match world.command(&node, user, room, change, request).await {
            End::Unknown => {}
            End::Refused(code) if world.is_retried(&code) => {}
            _ => return,
        }
        pass(rng.millis(20..600)).await;
    }
}
