//! Keeps what is searched up with what is said, beside everything else and giving way to it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::store::postgres::PostgresStore;

/// The pause when all is taken in: a search looks through what came meanwhile by itself.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of one round.
const EVENTS_MAX: i64 = 2_000;
/// Texts of an earlier version that are folded at once: a tenth of a second.
const FOLDED_AT_ONCE: i64 = 500;
/// The share of the time, one of so many, that it works when it is behind: sends come first.
const SHARE: u32 = 4;

/// Works until it is dropped.
pub async fn keep_up(store: PostgresStore) {
    let mut earlier = Some((Uuid::nil(), Uuid::nil()));
    loop {
        let begin = Instant::now();
        let pause = match work(&store, &mut earlier).await {
            Ok(true) => begin.elapsed() * (SHARE - 1),
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::debug!(%error, "texts were not taken in; the next round tries again");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// Takes in what is new, and where that is little, some of what an earlier version took in; whether there
/// is more to do at once.
async fn work(
    store: &PostgresStore,
    earlier: &mut Option<(Uuid, Uuid)>,
) -> Result<bool, actors::ports::store::StoreError> {
    let taken = store.take_in_texts(EVENTS_MAX).await?;
    metrics::counter!("chat_texts_taken_in_total").increment(taken.unsigned_abs());
    if taken * 2 > EVENTS_MAX {
        return Ok(true);
    }
    if let Some(place) = *earlier {
        *earlier = store.fold_earlier_texts(place, FOLDED_AT_ONCE).await?;
        return Ok(earlier.is_some_and(|reached| reached != place));
    }
    Ok(false)
}
