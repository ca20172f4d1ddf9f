//! Ends memberships at their time. It runs on every node: each membership is ended under its room's lock, so that
//! whichever node comes first does it and the others find nothing left to do.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::command::{Command, Principal, Refusal, RoomChange};
use actors::domain::ids::{RoomId, UserId};
use actors::error::EngineError;
use actors::ports::store::StoreError;
use futures_util::{StreamExt as _, stream};
use tokio::time::MissedTickBehavior;

use crate::http::ApiState;

/// How often it looks for what is due: a guest is out within a second of the end.
const INTERVAL: Duration = Duration::from_millis(250);
/// Memberships ended by one round, and how many of them at a time.
const ENDED_AT_ONCE: i64 = 200;
const CONCURRENT: usize = 16;

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut rounds = tokio::time::interval(INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match state.store.ended_memberships(ENDED_AT_ONCE).await {
            Ok(ended) => end_all(&state, ended).await,
            Err(error) => {
                tracing::debug!(%error, "ended memberships can't be read; the next round tries again");
            }
        }
    }
}

async fn end_all(state: &ApiState, ended: Vec<(RoomId, UserId)>) {
    stream::iter(ended)
        .for_each_concurrent(CONCURRENT, |(room, user)| async move {
            if let Err(error) = end(state, room, user).await {
                tracing::debug!(%error, "a membership isn't ended; the next round tries again");
            }
        })
        .await;
}

async fn end(state: &ApiState, room: RoomId, user: UserId) -> Result<(), StoreError> {
    let change = RoomChange::EndMembership { user };
    match state.engine.command(Command { room, by: Principal::Service, change }).await {
        Err(EngineError::Refused(Refusal::RoomNotFound)) => {
            state.store.forget_end_of_membership(room, user).await
        }
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
        Ok(_) => Ok(()),
    }
}
