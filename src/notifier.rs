//! Tells users of what they haven't read in time, and withdraws what they read. It runs on every node, and one at a time
//! does it.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::web::Data;
use actors::ports::store::StoreError;
use tokio::time::MissedTickBehavior;

use crate::http::ApiState;

/// How often the notifier looks for what is due or was read.
const INTERVAL: Duration = Duration::from_millis(500);
/// Rounds without a pause: after these, others have a turn.
const ROUNDS_MAX: usize = 50;
/// Failures in a row, the last ones with one room alone, after which that room waits.
const FAILURES_MAX: u32 = 6;

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    loop {
        ticks.tick().await;
        let Err(error) = notify(&state, failures > 0).await else {
            failures = 0;
            continue;
        };
        tracing::debug!(%error, "nobody could be told; the next round tries again");
        failures += 1;
        if failures >= FAILURES_MAX
            && let Ok(Some(room)) = state.store.postpone_first_room().await
        {
            tracing::error!(%error, room = %room.0, "a room's messages can't be decided about; it waits a minute");
            failures = 0;
        }
    }
}

/// Tells of all that is due. After a failure the rooms are taken one by one.
async fn notify(state: &ApiState, one_by_one: bool) -> Result<(), StoreError> {
    for _ in 0..ROUNDS_MAX {
        let Some(direct_users) = state.store.notifier_work().await? else { break };
        let offline = if direct_users.is_empty() {
            BTreeSet::new()
        } else {
            state.engine.offline_among(direct_users).await
        };
        let round = match one_by_one {
            true => state.store.notify_of_one_room(&offline).await?,
            false => state.store.notify(&offline).await?,
        };
        let told = u64::try_from(round.heads.len()).unwrap_or(u64::MAX);
        metrics::counter!("chat_notified_users_total").increment(told);
        for (user, head) in round.heads {
            state.engine.personal_log_grown(user, head);
        }
        if !round.has_more {
            break;
        }
    }
    Ok(())
}
