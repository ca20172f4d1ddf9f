//! Sends pushes whose rows are due. It runs on every node, and whichever comes first sends a push.
//!
//! A push service that is slow or down has a bounded share of what is under way, so the others don't wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::Data;
use actors::failpoint::{self, Failpoint};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Url};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::message::{Urgency, text_of, topic, withdrawal_of};
use super::{encryption, fcm};
use crate::http::ApiState;
use crate::outbound::{OutboundError, OutboundRequest, OutboundResponse};
use crate::store::postgres::notifications::{ClaimedPush, PushOutcome};

/// How often the sender looks for what is due.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long one push may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a push is this node's to send: longer than sending it takes.
const LEASE: Duration = Duration::from_secs(30);
/// Pushes under way at once.
const IN_FLIGHT_MAX: usize = 64;
/// Pushes claimed at once, and the number to one service from which on no more are claimed for it.
const CLAIMED_AT_ONCE: usize = 16;
/// How long a push service keeps a push for a browser that isn't connected.
const TTL_SECONDS: u32 = 24 * 60 * 60;
/// The age from which, and the number of attempts after which a push is given up.
const AGE_MAX: Duration = Duration::from_secs(4 * 60 * 60);
const ATTEMPTS_MAX: u32 = 8;
/// The pause after the first failure, which doubles with each, and the longest pause.
const BACKOFF_MIN: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);
/// Push services whose browsers end a subscription by which they are sent what shows nothing.
const NEVER_SILENT: [&str; 1] = ["https://web.push.apple.com"];
/// The pause after a failure of this server's own.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read: nothing in it matters.
const ANSWER_BYTES_MAX: usize = 1_024;

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// What came of trying to send a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// The push is settled.
    Settled(PushOutcome),
    /// The subscription is no longer good.
    SubscriptionEnded,
    /// Another try may succeed, after this time at the earliest.
    Retry(Option<Duration>),
}

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut in_flight = FuturesUnordered::new();
    // The number of pushes under way to each service.
    let mut by_origin: BTreeMap<String, usize> = BTreeMap::new();
    let mut has_more = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => has_more = true,
            Some(origin) = next(&mut in_flight), if !in_flight.is_empty() => end_flight(&mut by_origin, &origin),
        }
        while has_more && in_flight.len() + CLAIMED_AT_ONCE <= IN_FLIGHT_MAX {
            // One claim each time, so that whoever sent an older content of a row doesn't settle the newer one.
            let claim = Uuid::new_v4();
            let claimed = claim_due(&state, claim, &by_origin).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "pushes can't be claimed; the next round tries again");
                Vec::new()
            });
            has_more = claimed.len() == CLAIMED_AT_ONCE;
            for push in claimed {
                *by_origin.entry(push.origin.clone()).or_default() += 1;
                in_flight.push(deliver(state.clone(), claim, push));
            }
        }
    }
}

/// Waits for the next push that is settled. Returns the service that it went to.
async fn next(in_flight: &mut FuturesUnordered<impl Future<Output = String>>) -> Option<String> {
    in_flight.next().await
}

fn end_flight(by_origin: &mut BTreeMap<String, usize>, origin: &str) {
    if let Some(count) = by_origin.get_mut(origin) {
        *count -= 1;
        if *count == 0 {
            by_origin.remove(origin);
        }
    }
}

async fn claim_due(
    state: &ApiState,
    claim: Uuid,
    by_origin: &BTreeMap<String, usize>,
) -> Result<Vec<ClaimedPush>, StoreError> {
    let busy = by_origin.iter().filter(|(_, count)| **count >= CLAIMED_AT_ONCE);
    let busy: Vec<String> = busy.map(|(origin, _)| origin.clone()).collect();
    let limit = i64::try_from(CLAIMED_AT_ONCE).unwrap_or(i64::MAX);
    let claimed = state.store.claim_pushes(claim, LEASE, limit, &busy).await?;
    if !claimed.is_empty() {
        failpoint::pass(Failpoint::Pushing);
    }
    Ok(claimed)
}

/// Sends a push and settles it. Returns the service that it went to.
async fn deliver(state: Data<ApiState>, claim: Uuid, push: ClaimedPush) -> String {
    let attempt = attempt(&state, &push).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "a push can't be made; it is tried again");
        Attempt::Retry(Some(STORE_PAUSE))
    });
    let (outcome, settled) = match settle(attempt, &push) {
        Some(outcome) => (name_of(outcome), state.store.settle_push(claim, &push, outcome).await),
        None => ("ended", state.store.end_push_subscription(push.subscription).await),
    };
    metrics::counter!("chat_pushes_total", "outcome" => outcome).increment(1);
    if let Err(error) = settled {
        tracing::debug!(%error, "a push isn't settled; its claim lapses");
    }
    push.origin
}

/// What an attempt means for its push; none if it means the end of its subscription.
fn settle(attempt: Attempt, push: &ClaimedPush) -> Option<PushOutcome> {
    match attempt {
        Attempt::Settled(outcome) => Some(outcome),
        Attempt::SubscriptionEnded => None,
        Attempt::Retry(_) if push.attempts >= ATTEMPTS_MAX || push.age >= AGE_MAX => {
            Some(PushOutcome::Failed)
        }
        Attempt::Retry(at_least) => {
            let doublings = push.attempts.saturating_sub(1).min(16);
            let backoff = BACKOFF_MIN * 2_u32.pow(doublings);
            Some(PushOutcome::Postponed(at_least.unwrap_or(backoff).min(BACKOFF_MAX)))
        }
    }
}

fn name_of(outcome: PushOutcome) -> &'static str {
    match outcome {
        PushOutcome::Sent => "sent",
        PushOutcome::Cancelled => "cancelled",
        PushOutcome::Failed => "failed",
        PushOutcome::Postponed(_) => "postponed",
    }
}

async fn attempt(state: &ApiState, push: &ClaimedPush) -> anyhow::Result<Attempt> {
    if !push.is_authorized {
        return Ok(Attempt::SubscriptionEnded);
    }
    if !may_be_sent(push) {
        return Ok(Attempt::Settled(PushOutcome::Cancelled));
    }
    let (shown, badge) = state.store.push_content(push.user, push.notification).await?;
    let (text, urgency) = match &shown {
        Some(notification) if !push.is_withdrawal => {
            (text_of(notification, badge), Urgency::of(notification.rule))
        }
        None if !push.is_withdrawal => return Ok(Attempt::Settled(PushOutcome::Cancelled)),
        _ => (withdrawal_of(push.notification, push.room, badge), Urgency::Normal),
    };
    if let Some(token) = push.endpoint.strip_prefix(fcm::ENDPOINT_PREFIX) {
        // Without an account, the pushes of phones wait for one as for a service that is down.
        let Some(account) = &state.fcm else { return Ok(Attempt::Retry(None)) };
        let message = fcm::message_of(token, push.room, &text, urgency);
        let now = Utc::now();
        return Ok(judge_fcm(account.send(&state.outbound, &message, now).await, now));
    }
    let Ok(body) = encryption::seal(&push.p256dh, &push.auth, &text) else {
        return Ok(Attempt::SubscriptionEnded);
    };
    let request = OutboundRequest {
        method: Method::POST,
        url: Url::parse(&push.endpoint)?,
        headers: headers(state, push, urgency)?,
        body: body.into(),
        deadline: DEADLINE,
        answer_max: ANSWER_BYTES_MAX,
        redirects_max: 0,
    };
    Ok(judge(state.outbound.send(request).await, Utc::now()))
}

/// Whether the push's service takes it without harm to the subscription.
fn may_be_sent(push: &ClaimedPush) -> bool {
    !push.is_withdrawal || !NEVER_SILENT.contains(&push.origin.as_str())
}

fn headers(state: &ApiState, push: &ClaimedPush, urgency: Urgency) -> anyhow::Result<HeaderMap> {
    let contact = state.settings.push_contact.as_deref();
    let authorization = state.vapid.authorization(&push.origin, contact, Utc::now())?;
    let mut authorization = HeaderValue::try_from(authorization)?;
    authorization.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, authorization),
        (CONTENT_ENCODING, HeaderValue::from_static("aes128gcm")),
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (TTL, HeaderValue::from(TTL_SECONDS)),
        (URGENCY, HeaderValue::from_static(urgency.as_str())),
        (TOPIC, HeaderValue::try_from(topic(push.room))?),
    ]))
}

/// What a push service's answer means.
fn judge(answer: Result<OutboundResponse, OutboundError>, now: DateTime<Utc>) -> Attempt {
    let answer = match answer {
        Ok(answer) => answer,
        Err(OutboundError::Forbidden(_)) => return Attempt::Settled(PushOutcome::Failed),
        Err(OutboundError::TimedOut | OutboundError::Unreachable(_)) => return Attempt::Retry(None),
    };
    match answer.status.as_u16() {
        200..=299 => Attempt::Settled(PushOutcome::Sent),
        404 | 410 => Attempt::SubscriptionEnded,
        429 | 500..=599 => Attempt::Retry(retry_after(&answer.headers, now)),
        _ => Attempt::Settled(PushOutcome::Failed),
    }
}

/// What FCM's answer means.
fn judge_fcm(answer: Result<OutboundResponse, OutboundError>, now: DateTime<Utc>) -> Attempt {
    match answer {
        Ok(answer) if fcm::ends_subscription(&answer) => Attempt::SubscriptionEnded,
        // Its token had ended; the next attempt asks for another.
        Ok(answer) if answer.status.as_u16() == 401 => Attempt::Retry(None),
        Ok(answer) if answer.status.as_u16() == 404 => Attempt::Settled(PushOutcome::Failed),
        answer => judge(answer, now),
    }
}

/// Reads how long a service asks to wait, from seconds or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let given = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = given.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| (DateTime::parse_from_rfc2822(given).ok()?.to_utc() - now).to_std().ok())
}

#[cfg(test)]
mod tests {
    use actors::domain::ids::{RoomId, UserId};
    use reqwest::StatusCode;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Attempt {
        let headers = retry_after.map(|value| (RETRY_AFTER, HeaderValue::from_static(value)));
        let response = OutboundResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::from_iter(headers),
            body: bytes::Bytes::new(),
            is_cut: false,
            url: Url::parse("https://push.example/").expect("a URL"),
        };
        judge(Ok(response), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn answers_mean_what_the_rfc_says() {
        assert_eq!(answer(201, None), Attempt::Settled(PushOutcome::Sent));
        for gone in [404, 410] {
            assert_eq!(answer(gone, None), Attempt::SubscriptionEnded);
        }
        for refused in [301, 400, 403, 413] {
            assert_eq!(answer(refused, Some("9")), Attempt::Settled(PushOutcome::Failed));
        }
        assert_eq!(answer(429, Some("9")), Attempt::Retry(Some(Duration::from_secs(9))));
        assert_eq!(
            answer(503, Some("Thu, 01 Jan 1970 00:01:00 GMT")),
            Attempt::Retry(Some(Duration::from_secs(60)))
        );
        for nonsense in [None, Some("soon"), Some("-1")] {
            assert_eq!(answer(500, nonsense), Attempt::Retry(None));
        }
        let forbidden = judge(Err(OutboundError::Forbidden(String::new())), DateTime::UNIX_EPOCH);
        assert_eq!(forbidden, Attempt::Settled(PushOutcome::Failed));
        assert_eq!(judge(Err(OutboundError::TimedOut), DateTime::UNIX_EPOCH), Attempt::Retry(None));
    }

    #[test]
    fn fcm_says_by_codes_when_a_phone_is_gone() {
        let says = |status, body: &'static str| {
            let response = OutboundResponse {
                status: StatusCode::from_u16(status).expect("a status"),
                headers: HeaderMap::new(),
                body: bytes::Bytes::from_static(body.as_bytes()),
                is_cut: false,
                url: Url::parse("https://fcm.googleapis.com/").expect("a URL"),
            };
            judge_fcm(Ok(response), DateTime::UNIX_EPOCH)
        };
        assert_eq!(says(200, "{}"), Attempt::Settled(PushOutcome::Sent));
        assert_eq!(says(404, r#"{"errorCode": "UNREGISTERED"}"#), Attempt::SubscriptionEnded);
        assert_eq!(says(403, r#"{"errorCode": "SENDER_ID_MISMATCH"}"#), Attempt::SubscriptionEnded);
        // The account's own faults end nobody's subscription.
        assert_eq!(says(404, "<html>"), Attempt::Settled(PushOutcome::Failed));
        assert_eq!(says(403, "PERMISSION_DENIED"), Attempt::Settled(PushOutcome::Failed));
        assert_eq!(says(401, "UNAUTHENTICATED"), Attempt::Retry(None));
        assert_eq!(says(503, "UNAVAILABLE"), Attempt::Retry(None));
    }

    fn push(attempts: u32, age: u64) -> ClaimedPush {
        ClaimedPush {
            subscription: Uuid::nil(),
            user: UserId(1),
            room: RoomId(Uuid::nil()),
            notification: Uuid::nil(),
            is_withdrawal: false,
            attempts,
            age: Duration::from_secs(age),
            endpoint: String::new(),
            origin: String::new(),
            p256dh: Vec::new(),
            auth: Vec::new(),
            is_authorized: true,
        }
    }

    #[test]
    fn a_service_that_ends_silent_subscriptions_is_sent_no_withdrawal() {
        let to = |origin: &str, is_withdrawal| ClaimedPush {
            origin: origin.to_owned(),
            is_withdrawal,
            ..push(1, 0)
        };
        assert!(may_be_sent(&to("https://push.example", true)));
        assert!(may_be_sent(&to("https://web.push.apple.com", false)));
        assert!(!may_be_sent(&to("https://web.push.apple.com", true)));
    }

    #[test]
    fn pauses_double_and_end() {
        let pause = |attempts, at_least: Option<u64>| {
            settle(Attempt::Retry(at_least.map(Duration::from_secs)), &push(attempts, 0))
        };
        let postponed = |seconds| Some(PushOutcome::Postponed(Duration::from_secs(seconds)));
        assert_eq!(
            (pause(1, None), pause(2, None), pause(7, None)),
            (postponed(5), postponed(10), postponed(320))
        );
        assert_eq!(pause(1, Some(90)), postponed(90));
        assert_eq!(pause(1, Some(1_000_000)), postponed(3_600), "nobody waits longer than an hour");
        assert_eq!(pause(ATTEMPTS_MAX, Some(1)), Some(PushOutcome::Failed));
        assert_eq!(settle(Attempt::Retry(None), &push(1, 4 * 3_600)), Some(PushOutcome::Failed));
        assert_eq!(settle(Attempt::SubscriptionEnded, &push(1, 0)), None);
    }
}
