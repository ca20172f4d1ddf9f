//! Sends webhooks: the events of a room in their order, several rooms of a target at once, and no target waits for
//! another. It runs on every node; whichever claims a lane sends what is due there.
//!
//! A target is given each event until it takes it. What it doesn't take for days is given up where it takes other
//! things, and else the webhook is paused; its owner sees either, with the reason.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use actors::domain::event::Event;
use actors::domain::ids::{RoomId, Seq};
use actors::failpoint::{self, Failpoint};
use actors::ports::store::StoreError;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::backoff;
use super::event::{frame_json, webhook_id};
use super::signature::WebhookSecret;
use super::turns::Busy;
use crate::http::ApiState;
use crate::outbound::{OutboundError, OutboundRequest, OutboundResponse};
use crate::store::postgres::integrations::{Attempt, Lane, NextEvent, PendingEvent, Settlement};

/// How often a node looks for what is due.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a claim lasts without a renewal, which each event is: longer than a request and the writes around it.
const LEASE: Duration = Duration::from_secs(40);
/// Events that a lane is sent, and the time that this takes, before others of its target have their turn.
const EVENTS_PER_TURN: usize = 50;
const TURN_MAX: Duration = Duration::from_secs(20);
/// How long a target may take for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read and kept.
const ANSWER_MAX: usize = 1_024;
/// For how long an event is tried.
const PATIENCE: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// When an event is looked at again that only newer nodes know.
const UNKNOWN_EVENT_PAUSE: Duration = Duration::from_secs(60);

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
static WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The body of a request.
#[derive(Serialize)]
struct WebhookBody {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    timestamp: DateTime<Utc>,
    data: Box<RawValue>,
}

/// Runs until it is dropped; what is under way is then left to other nodes.
pub async fn run(state: Data<ApiState>) {
    let mut rounds = tokio::time::interval(INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turns: JoinSet<Uuid> = JoinSet::new();
    let mut busy = Busy::default();
    loop {
        tokio::select! {
            Some(ended) = turns.join_next() => match ended {
                Ok(webhook) => busy.end(webhook),
                // A panic, which says nothing of whose turn it was.
                Err(error) => {
                    tracing::error!(%error, "a webhook's turn broke off; all of them begin anew");
                    turns.abort_all();
                    while turns.join_next().await.is_some() {}
                    busy = Busy::default();
                }
            },
            _ = rounds.tick() => match claim_due(&state, &mut busy).await {
                Ok((claim, lanes)) => {
                    for lane in lanes {
                        busy.begin(lane.webhook);
                        turns.spawn_local(take_turn(state.clone(), claim, lane));
                    }
                }
                Err(error) => tracing::debug!(%error, "webhooks can't be claimed; the next round tries again"),
            },
        }
    }
}

/// Claims what is due and can be sent now, under a claim of its own: a lane whose lease has lapsed is another one's,
/// be it of the same node.
async fn claim_due(state: &ApiState, busy: &mut Busy) -> Result<(Uuid, Vec<Lane>), StoreError> {
    let claim = Uuid::new_v4();
    let wanted = busy.free(state.store.due_webhooks().await?);
    if wanted.is_empty() {
        return Ok((claim, Vec::new()));
    }
    let lanes = state.store.claim_lanes(claim, LEASE, &wanted).await?;
    if !lanes.is_empty() {
        failpoint::pass(Failpoint::Delivering);
    }
    Ok((claim, lanes))
}

/// Sends what is due on a lane. Returns its webhook.
async fn take_turn(state: Data<ApiState>, claim: Uuid, lane: Lane) -> Uuid {
    if let Err(error) = send_lane(&state, claim, lane).await {
        tracing::debug!(%error, webhook = %lane.webhook, "a webhook's turn ends early; its claim lapses");
    }
    lane.webhook
}

async fn send_lane(state: &ApiState, claim: Uuid, lane: Lane) -> Result<(), StoreError> {
    let began = Instant::now();
    for _ in 0..EVENTS_PER_TURN {
        let goes_on = match state.store.next_event(claim, lane, PATIENCE).await? {
            NextEvent::Lost => false,
            NextEvent::NothingUntil(seq) => state.store.skip_events(claim, LEASE, lane, seq).await?,
            NextEvent::Pending(pending) => send_event(state, claim, lane, &pending).await?,
            NextEvent::Forbidden => {
                let reason = "Who set it up may not read one of its rooms any more.";
                state.store.pause_webhook(claim, lane, reason).await?;
                false
            }
        };
        if !goes_on {
            return Ok(());
        }
        if began.elapsed() >= TURN_MAX {
            break;
        }
    }
    state.store.release_lane(claim, lane, Duration::ZERO).await
}

/// Sends one event and settles what became of it. Returns whether more can be sent at once.
async fn send_event(
    state: &ApiState,
    claim: Uuid,
    lane: Lane,
    pending: &PendingEvent,
) -> Result<bool, StoreError> {
    let found = state.log.events(lane.room, Seq(pending.seq.0 - 1), 1).await?;
    let Some(event) = found.first() else {
        state.store.release_lane(claim, lane, UNKNOWN_EVENT_PAUSE).await?;
        return Ok(false);
    };
    if event.shows_since() < pending.visible_from {
        return state.store.skip_events(claim, LEASE, lane, pending.seq).await;
    }
    let began = Instant::now();
    let answer = match request(lane, event, pending) {
        Ok(request) => state.outbound.send(request).await,
        Err(error) => Err(error),
    };
    failpoint::pass(Failpoint::Delivered);
    let took = began.elapsed();
    let settlement = settlement(pending, &answer, jitter());
    report(lane.webhook, &settlement, &answer, took);
    let (status, text, error) = match &answer {
        Ok(answer) => (Some(answer.status.as_u16()), readable(&answer.body), String::new()),
        Err(error) => (None, String::new(), error.to_string()),
    };
    let attempt = Attempt {
        seq: pending.seq,
        kind: &pending.kind,
        message: pending.message,
        url: &pending.url,
        took,
        status,
        answer: &text,
        error: &error,
    };
    state.store.settle_delivery(claim, LEASE, lane, &attempt, &settlement).await
}

/// Builds the request of an event, signed for this attempt.
fn request(lane: Lane, event: &Event, pending: &PendingEvent) -> Result<OutboundRequest, OutboundError> {
    let unusable = |what: &str| OutboundError::Forbidden(format!("the {what} can't be used"));
    let url = Url::parse(&pending.url).map_err(|_| unusable("address"))?;
    let body = WebhookBody {
        kind: event.body.kind().frame_type(),
        room_id: event.room,
        seq: event.seq,
        timestamp: event.at,
        data: frame_json(event),
    };
    let body = serde_json::to_vec(&body).expect("plain data");
    let (id, timestamp) = (webhook_id(lane.webhook, event.room, event.seq), Utc::now().timestamp());
    let signatures: Vec<String> = pending
        .secrets
        .iter()
        .map(|secret| WebhookSecret::from_bytes(secret.clone()).sign(&id, timestamp, &body))
        .collect();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unusable("signature"));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (WEBHOOK_ID.clone(), value(&id)?),
        (WEBHOOK_TIMESTAMP.clone(), HeaderValue::from(timestamp)),
        (WEBHOOK_SIGNATURE.clone(), value(&signatures.join(" "))?),
    ];
    Ok(OutboundRequest {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter(headers),
        body: Bytes::from(body),
        deadline: ANSWER_WITHIN,
        answer_max: ANSWER_MAX,
        redirects_max: 0,
    })
}

/// What follows from an answer, or from there being none.
fn settlement(
    pending: &PendingEvent,
    answer: &Result<OutboundResponse, OutboundError>,
    jitter: f64,
) -> Settlement {
    let status = answer.as_ref().ok().map(|answer| answer.status);
    if status.is_some_and(|status| status.is_success()) {
        return Settlement::Delivered { is_back: pending.is_outage };
    }
    if status == Some(StatusCode::GONE) {
        return Settlement::End;
    }
    if !pending.is_exhausted {
        let retry_after = answer.as_ref().ok().and_then(retry_after);
        return Settlement::Retry(backoff::pause(pending.attempts.saturating_add(1), jitter, retry_after));
    }
    if pending.is_target_alive {
        return Settlement::GivenUp;
    }
    let last = match answer {
        Ok(answer) => format!("The last answer was {}.", answer.status),
        Err(error) => format!("The last attempt: {error}."),
    };
    Settlement::Pause(format!("The target has taken nothing for days. {last}"))
}

/// The pause that a target asks for, in seconds; a date is ignored, as clocks differ.
fn retry_after(answer: &OutboundResponse) -> Option<Duration> {
    let seconds = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The text of a body as the database can keep it.
fn readable(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', "\u{fffd}")
}

/// A random number from 0 to 1.
fn jitter() -> f64 {
    f64::from(OsRng.next_u32()) / f64::from(u32::MAX)
}

fn report(
    webhook: Uuid,
    settlement: &Settlement,
    answer: &Result<OutboundResponse, OutboundError>,
    took: Duration,
) {
    let outcome = match settlement {
        Settlement::Delivered { .. } => "delivered",
        Settlement::Retry(_) => "retry",
        Settlement::GivenUp => "given_up",
        Settlement::Pause(_) => "paused",
        Settlement::End => "ended",
    };
    metrics::counter!("chat_webhook_attempts_total", "outcome" => outcome).increment(1);
    metrics::histogram!("chat_webhook_seconds").record(took.as_secs_f64());
    let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
    match settlement {
        Settlement::Delivered { .. } => {}
        Settlement::Retry(pause) => {
            let seconds = pause.as_secs();
            tracing::debug!(%webhook, status, seconds, "a webhook's target didn't take an event");
        }
        Settlement::GivenUp | Settlement::Pause(_) | Settlement::End => {
            tracing::warn!(%webhook, status, outcome, "a webhook's target doesn't take its events");
        }
    }
}

#[cfg(test)]
mod tests {
    use actors::domain::ids::MessageId;

    use super::*;

    fn pending() -> PendingEvent {
        PendingEvent {
            seq: Seq(7),
            kind: "message_posted".into(),
            message: Some(MessageId(Uuid::nil())),
            url: "https://example.com/hook".into(),
            secrets: vec![vec![1; 32]],
            visible_from: Seq(0),
            attempts: 0,
            is_exhausted: false,
            is_target_alive: false,
            is_outage: false,
        }
    }

    fn answer(status: u16, headers: HeaderMap) -> Result<OutboundResponse, OutboundError> {
        Ok(OutboundResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: Bytes::new(),
            is_cut: false,
            url: Url::parse("https://example.com/hook").expect("a URL"),
        })
    }

    fn judge(pending: &PendingEvent, answer: &Result<OutboundResponse, OutboundError>) -> Settlement {
        settlement(pending, answer, 0.0)
    }

    #[test]
    fn an_answer_decides_what_follows() {
        let plain = |status| answer(status, HeaderMap::new());
        for taken in [200, 201, 202, 204] {
            assert_eq!(judge(&pending(), &plain(taken)), Settlement::Delivered { is_back: false });
        }
        assert_eq!(judge(&pending(), &plain(410)), Settlement::End);
        let retry = |seconds| Settlement::Retry(Duration::from_secs(seconds));
        for refused in [301, 307, 400, 401, 404, 429, 500, 503] {
            assert_eq!(judge(&pending(), &plain(refused)), retry(5), "{refused}");
        }
        let later =
            |value| answer(503, HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]));
        assert_eq!(judge(&pending(), &later("90")), retry(90));
        assert_eq!(judge(&pending(), &later("Wed, 21 Oct 2026 07:28:00 GMT")), retry(5));
        for error in [OutboundError::TimedOut, OutboundError::Unreachable("x".into())] {
            assert_eq!(judge(&PendingEvent { attempts: 3, ..pending() }, &Err(error)), retry(135));
        }
    }

    #[test]
    fn what_is_refused_for_days_is_given_up_or_pauses_the_webhook() {
        let exhausted = PendingEvent { attempts: 14, is_exhausted: true, ..pending() };
        let alive = PendingEvent { is_target_alive: true, ..exhausted.clone() };
        let refused = answer(500, HeaderMap::new());
        assert_eq!(judge(&alive, &refused), Settlement::GivenUp);
        let Settlement::Pause(reason) = judge(&exhausted, &refused) else { panic!("it pauses") };
        assert_eq!(
            reason,
            "The target has taken nothing for days. The last answer was 500 Internal Server Error."
        );
        let taken = answer(200, HeaderMap::new());
        assert_eq!(judge(&exhausted, &taken), Settlement::Delivered { is_back: false });
        let back = PendingEvent { is_outage: true, ..pending() };
        assert_eq!(judge(&back, &taken), Settlement::Delivered { is_back: true });
    }
}
