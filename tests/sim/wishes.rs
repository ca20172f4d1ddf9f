//! What a client wants done by calls of REST, and what it sends.

use std::rc::Rc;

use actors::domain::command::{Change, Draft, ReadTarget, StrayReply};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::message::MessageType;
use actors::domain::participant::Role;

use crate::chance::Chance;
use crate::device::{Device, Send};
use crate::history::{End, Wish};
use crate::world::{POISON, Phase, World, pass};

/// Whether sending the same again can't help.
pub(crate) fn is_final(code: &str) -> bool {
    !matches!(code, "unknown_outcome" | "unavailable" | "overloaded" | "rate_limited")
}

/// Whether the store takes it at all.
pub(crate) fn may_come(send: &Send) -> bool {
    !send.text.contains(POISON)
}

impl Device {
    /// A message that nobody has sent.
    pub(crate) fn new_send(&mut self, room: RoomId) -> Send {
        let client_id = ClientId(self.chance.uuid());
        let filler = match self.chance.below(20) {
            0 => "ä".repeat(self.chance.below(2_000)),
            1 => POISON.to_owned(),
            _ => "x".repeat(self.chance.below(40)),
        };
        let own = self.world.written.borrow().get(&(self.user, room)).cloned();
        let reply_to = own.filter(|_| self.chance.percent(15)).map(|own| self.chance.pick(&own));
        Send {
            client_id,
            room,
            text: format!("{} says {client_id} {filler}", self.user).trim().to_owned(),
            reply_to,
        }
    }

    pub(crate) fn read_by_rest(&mut self) {
        let room = self.room.unwrap_or_else(|| self.chance.pick(&self.world.rooms.clone()));
        self.by_rest(room, Change::Read(ReadTarget::Head), Wish::Other("read"));
    }

    /// Wants something done that a socket can't be asked for.
    pub(crate) fn wish_by_rest(&mut self) {
        let room = self.room.unwrap_or_else(|| self.chance.pick(&self.world.rooms.clone()));
        let user = self.chance.pick(&self.world.users.clone());
        let own = self.world.written.borrow().get(&(self.user, room)).cloned().unwrap_or_default();
        let role = if self.chance.percent(50) { Role::Admin } else { Role::Member };
        let (change, wish) = match self.chance.below(100) {
            0..25 => {
                let send = self.new_send(room);
                let (world, user, chance) = (self.world.clone(), self.user, self.chance.fork());
                actix_rt::spawn(send_by_rest(world, user, send, chance));
                return;
            }
            25..41 if !own.is_empty() => {
                let (message, text) = (self.chance.pick(&own), format!("edited {}", self.chance.uuid()));
                (Change::Edit { message, content: text.clone() }, Wish::Edit { message, text })
            }
            41..53 if !own.is_empty() => self.deletion(&own),
            53..60 => {
                let all = self.world.written_in(room);
                if all.is_empty() {
                    return;
                }
                self.deletion(&all)
            }
            60..66 => {
                let name = format!("room {}", self.chance.uuid());
                (Change::Rename { name: name.clone() }, Wish::Rename { name })
            }
            66..74 => (Change::Remove { user }, Wish::Other("remove")),
            74..88 => (Change::Add { user, role: Role::Member }, Wish::Other("add")),
            88..90 => (Change::Leave, Wish::Other("leave")),
            90..93 => (Change::SetRole { user, role }, Wish::Other("set role")),
            93..94 => (Change::Mute { muted: self.chance.percent(50), until: None }, Wish::Other("mute")),
            94..95 => (Change::Archive, Wish::Other("archive")),
            95..100 => (Change::Unarchive, Wish::Other("unarchive")),
            _ => (Change::Read(ReadTarget::Head), Wish::Other("read")),
        };
        self.by_rest(room, change, wish);
    }

    /// One's own or another's; whether that may be is the ledger's to say.
    fn deletion(&mut self, of: &[MessageId]) -> (Change, Wish) {
        let message = self.chance.pick(of);
        let reason = self.chance.percent(50).then(|| "out of place".to_owned());
        (Change::Delete { message, reason }, Wish::Delete { message })
    }

    fn by_rest(&mut self, room: RoomId, change: Change, wish: Wish) {
        let nodes = self.world.nodes();
        if nodes.is_empty() {
            return;
        }
        let (world, user, node) = (self.world.clone(), self.user, self.chance.pick(&nodes));
        actix_rt::spawn(async move {
            world.command(&node, user, room, change, wish).await;
        });
    }
}

/// Sends a message by REST, through one node after another until its end is known.
async fn send_by_rest(world: Rc<World>, user: UserId, send: Send, mut chance: Chance) {
    while world.phase() < Phase::Over {
        let nodes = world.nodes();
        if nodes.is_empty() {
            pass(chance.millis(50..200)).await;
            continue;
        }
        let node = chance.pick(&nodes);
        let draft = Draft {
            id: MessageId(chance.uuid()),
            client_id: Some(send.client_id),
            digest: Draft::digest_of(&send.text, send.reply_to, None),
            content: send.text.clone(),
            message_type: MessageType::Text,
            attachment: None,
            reply_to: send.reply_to,
            stray_reply: StrayReply::Drop,
        };
        let wish = Wish::Post { client_id: send.client_id, text: send.text.clone(), conn: None };
        match world.command(&node, user, send.room, Change::Post(draft), wish).await {
            End::Unknown => {}
            End::Refused(code) if !is_final(&code) => {}
            _ => return,
        }
        pass(chance.millis(20..600)).await;
    }
}
