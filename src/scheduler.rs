//! Does what users have asked for at its time: reminds them of messages, and sends what they wrote before. It runs on
//! every node, and whichever comes first does it, once.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, Principal, Refusal, RoomChange,
};
use actors::domain::ids::MessageId;
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::error::EngineError;
use actors::failpoint::{self, Failpoint};
use actors::ports::store::StoreError;
use futures_util::{StreamExt as _, stream};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::http::ApiState;
use crate::store::postgres::personal::{ClaimedMessage, Sending};

/// How often the scheduler looks for what is due.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a message is this node's to send: longer than the engine takes to answer. What isn't settled then,
/// because this node died or its outcome is unknown, another node sends under the same `client_id`.
const LEASE: Duration = Duration::from_secs(15);
/// Messages claimed at once, and how many of them are sent at a time.
const CLAIMED_AT_ONCE: i64 = 100;
const SENT_AT_ONCE: usize = 16;
/// When a message is tried again that the server couldn't take.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let claim = Uuid::new_v4();
    let mut rounds = tokio::time::interval(INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = fire_reminders(&state).await {
            tracing::debug!(%error, "reminders can't be fired; the next round tries again");
        }
        if let Err(error) = send_due(&state, claim).await {
            tracing::debug!(%error, "scheduled messages can't be claimed; the next round tries again");
        }
    }
}

async fn fire_reminders(state: &ApiState) -> Result<(), StoreError> {
    for (user, head) in state.store.fire_reminders().await? {
        state.engine.personal_log_grown(user, head);
    }
    Ok(())
}

/// Sends the messages whose time has come, in the name of this node's `claim`.
async fn send_due(state: &ApiState, claim: Uuid) -> Result<(), StoreError> {
    let claimed = state.store.claim_scheduled(claim, LEASE, CLAIMED_AT_ONCE).await?;
    if claimed.is_empty() {
        return Ok(());
    }
    failpoint::pass(Failpoint::Scheduled);
    stream::iter(claimed)
        .for_each_concurrent(SENT_AT_ONCE, |message| async move {
            if let Err(error) = send(state, claim, &message).await {
                tracing::debug!(%error, "a scheduled message isn't settled; its claim lapses");
            }
        })
        .await;
    Ok(())
}

async fn send(state: &ApiState, claim: Uuid, message: &ClaimedMessage) -> Result<(), StoreError> {
    let ClaimedMessage { user, scheduled } = message;
    let draft = MessageDraft {
        id: MessageId::new(),
        client_id: Some(scheduled.client_id),
        digest: MessageDraft::digest_of(&scheduled.content, scheduled.reply_to, None),
        content: scheduled.content.clone(),
        message_type: MessageType::Text,
        attachment: None,
        reply_to: scheduled.reply_to,
        // Its user isn't there to be asked.
        missing_reply_target: MissingReplyTarget::Ignore,
        extras: DraftExtras::default(),
        mentions: Mentions::default(),
    };
    let (room, by) = (scheduled.room, Principal::User(*user));
    let posted = state.engine.command(Command { room, by, change: RoomChange::Post(draft) }).await;
    let sending = match posted {
        Ok(CommandReply::Posted { message, .. }) => Sending::Sent(message.id),
        Ok(CommandReply::AlreadyPosted { message, .. }) => Sending::Sent(message),
        Err(EngineError::Refused(Refusal::TooSoon { retry_after })) => {
            Sending::Postponed(retry_after.max(RETRY_AFTER))
        }
        Err(EngineError::Refused(refusal)) => Sending::Failed(refusal.code()),
        Err(EngineError::RateLimited { retry_after }) => Sending::Postponed(retry_after.max(RETRY_AFTER)),
        Err(EngineError::Overloaded | EngineError::Unavailable | EngineError::BotUnavailable) => {
            Sending::Postponed(RETRY_AFTER)
        }
        // Perhaps it was sent. Once the claim has lapsed, trying again tells.
        Ok(_) | Err(EngineError::OutcomeUnknown) => return Ok(()),
    };
    if let Some(head) = state.store.settle_scheduled(claim, message, sending).await? {
        state.engine.personal_log_grown(*user, head);
    }
    Ok(())
}
