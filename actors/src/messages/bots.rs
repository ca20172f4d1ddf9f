//! Messages of the bots actor: commands to bots, and what they answer.

use actix::Message;

use crate::domain::ids::{RoomId, UserId};
use crate::error::EngineError;
use crate::mailbox::{Ask, Tell, mailbox};
use crate::messages::inbox::PushUserFrame;
use crate::messages::relay::PublishUserFrame;
use crate::protocol::answer_token::GivenCommand;

mailbox! {
    /// The bots actor, as sessions use it.
    BotCommands: Ask<GiveBotCommand>,
}

mailbox! {
    /// The inbox actor, as the bots actor uses it.
    UserSockets: Ask<PushUserFrame>,
}

mailbox! {
    /// The relay, as the bots actor uses it.
    UserFrameRelay: Tell<PublishUserFrame>,
}

/// Gives a command to the bot of a room that has it. Answered once a socket of the bot has it.
#[derive(Message)]
#[rtype(result = "Result<(), EngineError>")]
pub(crate) struct GiveBotCommand {
    pub(crate) room: RoomId,
    /// Who gives it; in the room, or it is refused.
    pub(crate) by: UserId,
    pub(crate) call: BotCall,
}

/// What a user wants of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotCall {
    /// The command's name.
    pub name: String,
    /// What stands behind it, trimmed and checked; perhaps empty.
    pub text: String,
}

/// Shows a bot's answer to whoever gave the command, and to nobody else.
#[derive(Message)]
#[rtype(result = "Result<(), EngineError>")]
pub(crate) struct AnswerCaller {
    pub(crate) given: GivenCommand,
    /// The text, trimmed and checked.
    pub(crate) content: String,
}

/// A socket at another node has taken the frame of a call.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CallTaken {
    pub(crate) call: u64,
}
