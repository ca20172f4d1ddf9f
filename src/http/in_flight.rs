//! What REST holds at once: requests of each person, and bytes of bodies and answers in all.
//!
//! A request is under way until the last part of its answer has been given to its connection, and for as long
//! its bytes count. So one who asks and doesn't read runs out of requests, not this node out of memory.

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, ResponseError as _};
use actors::domain::ids::UserId;
use actors::error::EngineError;

use super::error::ApiError;

/// Locks, so that threads seldom wait for each other.
const SHARDS: usize = 16;
/// What part of all bytes one person may have: one in so many.
const PERSONS_PART: usize = 8;
/// An answer of more bytes is given to its connection in pieces of so many, each when there is room for it;
/// a smaller one is there at once, and takes no more than an idle connection does.
const PIECE_BYTES: usize = 32 * 1024;
/// When one who has too much under way may try again.
const COME_BACK: Duration = Duration::from_secs(1);

/// What is under way on this node.
pub struct InFlight {
    people: [Mutex<HashMap<UserId, Usage>>; SHARDS],
    bytes: AtomicUsize,
    requests_max: usize,
    bytes_max: usize,
}

/// What one person has under way.
#[derive(Default)]
struct Usage {
    requests: usize,
    bytes: usize,
}

impl InFlight {
    /// Lets each person have so many requests, and all together so many bytes.
    #[must_use]
    pub fn new(requests_max: usize, bytes_max: usize) -> Arc<Self> {
        metrics::gauge!("chat_held_bytes_max").set(bytes_max as f64);
        Arc::new(Self { people: Default::default(), bytes: AtomicUsize::new(0), requests_max, bytes_max })
    }

    /// Lets a person's request in; it is under way as long as `request` and its answer live.
    ///
    /// # Errors
    /// 429: there are too many.
    pub fn enter(self: &Arc<Self>, request: &HttpRequest, user: UserId) -> Result<(), ApiError> {
        request.extensions_mut().insert(self.permit(user)?);
        Ok(())
    }

    fn permit(self: &Arc<Self>, user: UserId) -> Result<Permit, ApiError> {
        let mut people = self.shard(user);
        let usage = people.entry(user).or_default();
        if usage.requests >= self.requests_max {
            return Err(too_many());
        }
        usage.requests += 1;
        Ok(Permit(Rc::new(Held { in_flight: self.clone(), user: Some(user), bytes: Cell::new(0) })))
    }

    /// Counts the bytes of a request that is nobody's.
    fn nobody(self: &Arc<Self>) -> Permit {
        Permit(Rc::new(Held { in_flight: self.clone(), user: None, bytes: Cell::new(0) }))
    }

    fn shard(&self, user: UserId) -> MutexGuard<'_, HashMap<UserId, Usage>> {
        let shard = usize::try_from(user.0.rem_euclid(SHARDS as i64)).unwrap_or_default();
        // Nothing in here can panic half way.
        self.people[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the figures of now.
    pub fn observe(&self) {
        metrics::gauge!("chat_held_bytes").set(self.bytes.load(Ordering::Relaxed) as f64);
    }
}

/// One request that is under way.
#[derive(Clone)]
pub struct Permit(Rc<Held>);

struct Held {
    in_flight: Arc<InFlight>,
    user: Option<UserId>,
    bytes: Cell<usize>,
}

impl Permit {
    /// The one of `request`; bytes of a request that is nobody's count in all alone.
    #[must_use]
    pub fn of(request: &HttpRequest, in_flight: &Arc<InFlight>) -> Self {
        if let Some(permit) = request.extensions().get::<Self>() {
            return permit.clone();
        }
        let permit = in_flight.nobody();
        request.extensions_mut().insert(permit.clone());
        permit
    }

    /// Holds so many bytes more, until the request is done.
    ///
    /// # Errors
    /// 429: this person holds too many. 503: all together do.
    pub fn hold(&self, more: usize) -> Result<(), ApiError> {
        let Held { in_flight, user, bytes } = &*self.0;
        if in_flight.bytes.fetch_add(more, Ordering::Relaxed) + more > in_flight.bytes_max {
            in_flight.bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(too_much());
        }
        if let Some(user) = user
            && let Some(usage) = in_flight.shard(*user).get_mut(user)
        {
            if usage.bytes + more > in_flight.bytes_max / PERSONS_PART {
                in_flight.bytes.fetch_sub(more, Ordering::Relaxed);
                return Err(too_many());
            }
            usage.bytes += more;
        }
        bytes.set(bytes.get() + more);
        Ok(())
    }

    /// Holds them however many there are.
    fn hold_anyway(&self, more: usize) {
        let Held { in_flight, user, bytes } = &*self.0;
        in_flight.bytes.fetch_add(more, Ordering::Relaxed);
        if let Some(user) = user
            && let Some(usage) = in_flight.shard(*user).get_mut(user)
        {
            usage.bytes += more;
        }
        bytes.set(bytes.get() + more);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(self.bytes.get(), Ordering::Relaxed);
        let Some(user) = self.user else { return };
        let mut people = self.in_flight.shard(user);
        if let Some(usage) = people.get_mut(&user) {
            usage.requests -= 1;
            usage.bytes -= self.bytes.get();
            if usage.requests == 0 {
                people.remove(&user);
            }
        }
    }
}

fn too_many() -> ApiError {
    metrics::counter!("chat_requests_refused_total", "reason" => "person").increment(1);
    ApiError::rate_limited(COME_BACK)
}

fn too_much() -> ApiError {
    metrics::counter!("chat_requests_refused_total", "reason" => "bytes").increment(1);
    EngineError::Unavailable.into()
}

/// Passes a request on, and holds its place and its answer's bytes until that answer was taken.
///
/// # Errors
/// What the handler's answer fails with.
pub async fn hold(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_read = request.method() == Method::GET;
    let answer = next.call(request).await?;
    let permit = answer.request().extensions_mut().remove::<Permit>();
    let Some(permit) = permit else { return Ok(answer) };
    let mut refused = None;
    let answer = answer.map_body(|_, body| match body.try_into_bytes() {
        Ok(whole) if whole.len() <= PIECE_BYTES => BoxBody::new(whole),
        Ok(whole) if is_read => match permit.hold(whole.len()) {
            Ok(()) => BoxBody::new(Answer::Whole { left: whole, _permit: permit }),
            Err(error) => {
                refused = Some(error);
                BoxBody::new(Bytes::new())
            }
        },
        // It tells of what is done, and is not as long as reading can make one.
        Ok(whole) => {
            permit.hold_anyway(whole.len());
            BoxBody::new(Answer::Whole { left: whole, _permit: permit })
        }
        // What it is made of comes piece by piece already.
        Err(body) => BoxBody::new(Answer::Stream { body, _permit: permit }),
    });
    Ok(match refused {
        Some(error) => answer.into_response(error.error_response()),
        None => answer,
    })
}

/// An answer's body, with the place that it takes.
enum Answer {
    Whole { left: Bytes, _permit: Permit },
    Stream { body: BoxBody, _permit: Permit },
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        match self {
            Self::Whole { left, .. } => BodySize::Sized(left.len() as u64),
            Self::Stream { body, .. } => body.size(),
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match self.get_mut() {
            Self::Whole { left, .. } if left.is_empty() => Poll::Ready(None),
            Self::Whole { left, .. } => Poll::Ready(Some(Ok(left.split_to(left.len().min(PIECE_BYTES))))),
            Self::Stream { body, .. } => body.as_pin_mut().poll_next(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actors::domain::ids::UserId;

    use super::{ApiError, InFlight, Permit};

    fn code(refused: Result<impl Sized, ApiError>) -> u16 {
        actix_web::ResponseError::status_code(&refused.err().expect("a refusal")).as_u16()
    }

    fn held(in_flight: &Arc<InFlight>) -> usize {
        in_flight.bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn a_person_has_so_many_requests_at_once_and_nobody_elses_count() {
        let in_flight = InFlight::new(2, 1_000);
        let mut own: Vec<Permit> = (0..2).map(|_| in_flight.permit(UserId(1)).expect("a place")).collect();
        assert_eq!(code(in_flight.permit(UserId(1))), 429);
        assert!(in_flight.permit(UserId(17)).is_ok(), "of the same shard");
        let shared = own[0].clone();
        own.clear();
        assert!(in_flight.permit(UserId(1)).is_ok());
        drop(shared);
        assert!(in_flight.people.iter().all(|people| people.lock().expect("a lock").is_empty()));
    }

    #[test]
    fn a_person_holds_a_part_of_the_bytes_and_all_together_no_more_than_there_are() {
        let in_flight = InFlight::new(100, 800);
        let permits: Vec<Permit> =
            (0..8).map(|user| in_flight.permit(UserId(user)).expect("a place")).collect();
        assert_eq!(permits[0].hold(60), Ok(()));
        assert_eq!(code(permits[0].hold(41)), 429);
        assert_eq!(code(in_flight.permit(UserId(0)).expect("a place").hold(41)), 429, "in another request");
        for permit in &permits[1..] {
            assert_eq!(permit.hold(100), Ok(()));
        }
        let nobody = in_flight.nobody();
        assert_eq!(nobody.hold(40), Ok(()));
        assert_eq!(code(permits[0].hold(1)), 503);
        assert_eq!(held(&in_flight), 800);
        drop((permits, nobody));
        assert_eq!(held(&in_flight), 0);
    }
}
