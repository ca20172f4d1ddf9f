//! Keeps what is searched up with what is said, beside everything else and giving way to it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::postgres::PostgresStore;

/// The pause when all is taken in: a search looks through what came meanwhile by itself.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of one round.
const EVENTS_MAX: i64 = 2_000;
/// The share of the time, one of so many, that it works when it is behind: sends come first.
const SHARE: u32 = 4;

/// Works until it is dropped.
pub async fn keep_up(store: PostgresStore) {
    loop {
        let begin = Instant::now();
        let pause = match store.take_in_texts(EVENTS_MAX).await {
            Ok(taken) => {
                metrics::counter!("chat_texts_taken_in_total").increment(taken.unsigned_abs());
                if taken * 2 > EVENTS_MAX { begin.elapsed() * (SHARE - 1) } else { PAUSE }
            }
            Err(error) => {
                tracing::debug!(%error, "texts were not taken in; the next round tries again");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}
