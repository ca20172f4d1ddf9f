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

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = notify(&state).await {
            tracing::debug!(%error, "nobody could be told; the next round tries again");
        }
    }
}

async fn notify(state: &ApiState) -> Result<(), StoreError> {
    for _ in 0..ROUNDS_MAX {
        let Some(direct_users) = state.store.notifier_work().await? else { break };
        let offline = if direct_users.is_empty() {
            BTreeSet::new()
        } else {
            state.engine.offline_among(direct_users).await
        };
        let round = state.store.notify(&offline).await?;
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
