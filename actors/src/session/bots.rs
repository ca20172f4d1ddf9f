//! Commands that a client gives to bots.

use super::SessionActor;
use crate::domain::bot_command::{self, NAME_RULE};
use crate::domain::ids::{ClientId, RoomId};
use crate::domain::text;
use crate::error::{EngineError, ErrorCode};
use crate::messages::bots::{BotCall, GiveBotCommand};
use crate::messages::room::{CommandOverloaded, CommandRateLimited};
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

impl SessionActor {
    /// Gives a command to a bot of a room. The client is told when the bot has it, or why not.
    pub(super) fn give_bot_command(
        &mut self,
        room: RoomId,
        name: String,
        text: &str,
        client_id: Option<ClientId>,
    ) {
        if !bot_command::is_name(&name) {
            return self.invalid(&format!("name: {NAME_RULE}"), room, client_id);
        }
        let text = match text::optional(text, text::CONTENT_CHARS_MAX) {
            Ok(text) => text.to_owned(),
            Err(error) => return self.invalid(&format!("text: {error}"), room, client_id),
        };
        let Some(subscriber) = self.subscriber.clone() else { return };
        let (bots, by) = (self.deps().bots.clone(), self.user);
        // Not on the context, which would keep the space for as many as were ever under way at once.
        actix::spawn(async move {
            let call = BotCall { name: name.clone(), text };
            let given = bots.ask(GiveBotCommand { room, by, call }).await;
            let frame = match given.unwrap_or(Err(EngineError::Unavailable)) {
                Ok(()) => codec::encode(&ServerFrame::CommandSent { room_id: room, name: &name, client_id }),
                Err(error) => {
                    match error.code() {
                        ErrorCode::RateLimited => subscriber.session.tell(CommandRateLimited),
                        ErrorCode::Overloaded => subscriber.session.tell(CommandOverloaded),
                        _ => {}
                    }
                    codec::engine_error(&error, Some(room), client_id)
                }
            };
            subscriber.outbox.push(frame);
        });
    }
}
