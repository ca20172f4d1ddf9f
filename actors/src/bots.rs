//! Commands of bots on their way: from a user to the bot's sockets on any node, and an answer back to that user alone.
//!
//! Nothing of this is stored. A frame goes to the sockets here and, through the relay, to those of other nodes, which
//! say that they have taken it. Who hears of none within [`limits::BOT_CALL_TIMEOUT`] is told that the bot isn't
//! connected.

#[cfg(all(test, feature = "memory"))]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, Context, Handler, MessageResult, ResponseActFuture};
use tokio::sync::oneshot;

use crate::domain::command::Refusal;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::rate::Budget;
use crate::error::EngineError;
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::Bounded;
use crate::messages::bots::{AnswerCaller, BotCall, CallTaken, GiveBotCommand, UserFrameRelay, UserSockets};
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::inbox::PushUserFrame;
use crate::messages::relay::PublishUserFrame;
use crate::ports::clock::Clock;
use crate::ports::store::{RoomSnapshot, Store};
use crate::protocol::answer_token::GivenCommand;
use crate::protocol::codec;
use crate::protocol::envelope::{EnvelopeKey, UserFrame};
use crate::protocol::server::ServerFrame;

/// What the actor works with.
#[derive(Clone)]
pub(crate) struct BotsDependencies {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    /// Seals answer tokens.
    pub(crate) key: EnvelopeKey,
    /// Whether there may be other nodes.
    pub(crate) has_broker: bool,
    pub(crate) inbox: Arc<dyn UserSockets>,
    pub(crate) relay: Arc<dyn UserFrameRelay>,
}

/// See the [module](self).
pub(crate) struct BotsActor {
    deps: BotsDependencies,
    /// What each user may still ask of bots, and each bot answer to single users.
    budgets: BTreeMap<UserId, Budget>,
    prune_budgets_at: usize,
    next_call: u64,
    /// Calls under way, by their numbers.
    calls: BTreeMap<u64, oneshot::Sender<()>>,
}

type BotFuture = ResponseActFuture<BotsActor, Result<(), EngineError>>;

impl BotsActor {
    /// An actor without calls.
    pub(crate) fn new(deps: BotsDependencies) -> Self {
        Self {
            deps,
            budgets: BTreeMap::new(),
            prune_budgets_at: limits::BOT_BUDGETS_MIN,
            next_call: 0,
            calls: BTreeMap::new(),
        }
    }

    /// Takes one from the budget of a user, or of a bot.
    fn take(&mut self, user: UserId) -> Result<(), EngineError> {
        let now = self.deps.clock.now();
        if self.budgets.len() >= self.prune_budgets_at {
            self.budgets.retain(|_, budget| !budget.is_full(now));
            self.prune_budgets_at = (self.budgets.len() * 2).max(limits::BOT_BUDGETS_MIN);
        }
        let budget = self.budgets.entry(user).or_default();
        budget
            .take(self.deps.limits.messages, now)
            .map_err(|retry_after| EngineError::RateLimited { retry_after })
    }
}

impl Actor for BotsActor {
    type Context = Context<Self>;
}

impl Bounded for BotsActor {
    const MAILBOX: MailboxBound = limits::BOTS_MAILBOX;
}

impl Handler<GiveBotCommand> for BotsActor {
    type Result = BotFuture;

    fn handle(
        &mut self,
        GiveBotCommand { room, by, call }: GiveBotCommand,
        _: &mut Self::Context,
    ) -> BotFuture {
        // A bot that answers with a command would keep others busy, and they it.
        if by.is_bot() {
            return Box::pin(actix::fut::ready(Err(Refusal::Forbidden.into())));
        }
        if self.calls.len() >= limits::BOT_CALLS_MAX {
            return Box::pin(actix::fut::ready(Err(EngineError::Overloaded)));
        }
        if let Err(error) = self.take(by) {
            return Box::pin(actix::fut::ready(Err(error)));
        }
        let number = self.next_call;
        self.next_call += 1;
        let (taken, is_taken) = oneshot::channel();
        self.calls.insert(number, taken);
        let deps = self.deps.clone();
        let give = async move {
            let given = deps.give(room, by, call, number, is_taken);
            tokio::time::timeout(limits::BOT_CALL_TIMEOUT, given)
                .await
                .unwrap_or(Err(EngineError::BotUnavailable))
        };
        Box::pin(actix::fut::wrap_future::<_, Self>(give).map(move |given, this, _| {
            this.calls.remove(&number);
            given
        }))
    }
}

impl Handler<AnswerCaller> for BotsActor {
    type Result = BotFuture;

    fn handle(&mut self, AnswerCaller { given, content }: AnswerCaller, _: &mut Self::Context) -> BotFuture {
        if let Err(error) = self.take(given.bot) {
            return Box::pin(actix::fut::ready(Err(error)));
        }
        let deps = self.deps.clone();
        Box::pin(actix::fut::wrap_future::<_, Self>(async move { deps.answer(&given, &content).await }))
    }
}

impl Handler<CallTaken> for BotsActor {
    type Result = ();

    fn handle(&mut self, CallTaken { call }: CallTaken, _: &mut Self::Context) {
        if let Some(taken) = self.calls.remove(&call) {
            let _late = taken.send(());
        }
    }
}

impl Handler<CountResources> for BotsActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts = vec![("calls of bots", self.calls.len())];
        MessageResult(counts)
    }
}

impl BotsDependencies {
    /// Gives a command to its bot, and waits until a socket has taken it.
    async fn give(
        &self,
        room: RoomId,
        by: UserId,
        call: BotCall,
        number: u64,
        is_taken: oneshot::Receiver<()>,
    ) -> Result<(), EngineError> {
        let bot = self.find_bot(room, by, &call.name).await?;
        let given = GivenCommand { room, bot, user: by, name: call.name };
        let token = given.to_token(&self.key, self.clock.date());
        let GivenCommand { name, .. } = &given;
        let frame =
            ServerFrame::Command { room_id: room, name, text: &call.text, user_id: by, token: &token };
        if self.send(bot, &frame, Some(number)).await {
            return Ok(());
        }
        if !self.has_broker {
            return Err(EngineError::BotUnavailable);
        }
        is_taken.await.map_err(|_| EngineError::BotUnavailable)
    }

    /// Finds the bot that has a command in a room where `by` may give it.
    async fn find_bot(&self, room: RoomId, by: UserId, name: &str) -> Result<UserId, EngineError> {
        let snapshot = self.room_of(room, &[by]).await?;
        if snapshot.room.archived_at.is_some() {
            return Err(Refusal::Archived.into());
        }
        let bot = self.store.bot_of_command(room, name).await.map_err(|_| EngineError::Unavailable)?;
        Ok(bot.ok_or(Refusal::BotCommandNotFound)?)
    }

    /// Shows an answer to whoever gave the command, if both are still in the room.
    async fn answer(&self, given: &GivenCommand, content: &str) -> Result<(), EngineError> {
        let GivenCommand { room, bot, user, name } = given;
        self.room_of(*room, &[*bot, *user]).await?;
        let frame = ServerFrame::CommandAnswer { room_id: *room, name, user_id: *bot, content };
        self.send(*user, &frame, None).await;
        Ok(())
    }

    /// A room that all of these users are in.
    async fn room_of(&self, room: RoomId, users: &[UserId]) -> Result<RoomSnapshot, EngineError> {
        let snapshot = self.store.snapshot(room, users, false).await.map_err(|_| EngineError::Unavailable)?;
        let are_in = |snapshot: &RoomSnapshot| snapshot.admitted_users.len() == users.len();
        Ok(snapshot.filter(are_in).ok_or(Refusal::NotParticipant)?)
    }

    /// Sends a frame to a user's sockets for all rooms, on every node. Returns whether one here has taken it.
    async fn send(&self, user: UserId, frame: &ServerFrame<'_>, call: Option<u64>) -> bool {
        let json = String::from_utf8(codec::encode_json(frame)).unwrap_or_default();
        let frame = UserFrame { user, json, call };
        if self.has_broker {
            self.relay.tell(PublishUserFrame(frame.clone()));
        }
        let taken = self.inbox.ask(PushUserFrame { user, json: frame.json }).await;
        taken.is_ok_and(|sockets| sockets > 0)
    }
}
