//! Limits on what REST holds at once: the requests of each user, and the bytes of all bodies and responses.
//!
//! A request is in flight until the last part of its response has been handed to the connection, and its
//! bytes count as long. A client that asks and doesn't read so runs out of requests, and not this node out
//! of memory.

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

/// The number of locks; more of them make threads wait for each other less.
const SHARDS: usize = 16;
/// The share of all bytes that one user may hold is one in so many.
const USER_SHARE: usize = 8;
/// Long pages that one user may be sent at once.
const LONG_PAGES_PER_USER: usize = 4;
/// A larger response is handed to its connection in chunks of this size, as the connection drains; a smaller
/// one is handed over at once, since it takes no more than an idle connection does.
const CHUNK_BYTES: usize = 32 * 1024;
/// When a user with too much in flight may retry.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The requests in flight on this node.
pub struct InFlight {
    users: [Mutex<HashMap<UserId, Usage>>; SHARDS],
    bytes: AtomicUsize,
    requests_max: usize,
    bytes_max: usize,
}

/// What one user has in flight.
#[derive(Default)]
struct Usage {
    requests: usize,
    bytes: usize,
}

impl InFlight {
    /// Allows each user `requests_max` requests, and all together `bytes_max` bytes.
    #[must_use]
    pub fn new(requests_max: usize, bytes_max: usize) -> Arc<Self> {
        metrics::gauge!("chat_held_bytes_max").set(bytes_max as f64);
        Arc::new(Self { users: Default::default(), bytes: AtomicUsize::new(0), requests_max, bytes_max })
    }

    /// Counts a request of a user, for as long as `request` and its response live.
    ///
    /// # Errors
    /// 429: the user has too many in flight.
    pub fn enter(self: &Arc<Self>, request: &HttpRequest, user: UserId) -> Result<(), ApiError> {
        request.extensions_mut().insert(self.permit(user)?);
        Ok(())
    }

    fn permit(self: &Arc<Self>, user: UserId) -> Result<Permit, ApiError> {
        let mut users = self.shard(user);
        let usage = users.entry(user).or_default();
        if usage.requests >= self.requests_max {
            return Err(user_limit_exceeded());
        }
        usage.requests += 1;
        Ok(Permit(Rc::new(Held { in_flight: self.clone(), user: Some(user), bytes: Cell::new(0) })))
    }

    /// Returns the permit of a request without a user, of which only the bytes count.
    fn anonymous_permit(self: &Arc<Self>) -> Permit {
        Permit(Rc::new(Held { in_flight: self.clone(), user: None, bytes: Cell::new(0) }))
    }

    fn shard(&self, user: UserId) -> MutexGuard<'_, HashMap<UserId, Usage>> {
        let shard = usize::try_from(user.0.rem_euclid(SHARDS as i64)).unwrap_or_default();
        // A poisoned lock is safe to use: no change is interrupted by a panic.
        self.users[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the gauges.
    pub fn update_gauges(&self) {
        metrics::gauge!("chat_held_bytes").set(self.bytes.load(Ordering::Relaxed) as f64);
    }
}

/// The place of one request in flight.
#[derive(Clone)]
pub struct Permit(Rc<Held>);

struct Held {
    in_flight: Arc<InFlight>,
    user: Option<UserId>,
    bytes: Cell<usize>,
}

impl Permit {
    /// Returns the permit of `request`; without a user, its bytes count towards the total only.
    #[must_use]
    pub fn of(request: &HttpRequest, in_flight: &Arc<InFlight>) -> Self {
        if let Some(permit) = request.extensions().get::<Self>() {
            return permit.clone();
        }
        let permit = in_flight.anonymous_permit();
        request.extensions_mut().insert(permit.clone());
        permit
    }

    /// Reserves more bytes, until the request is done.
    ///
    /// # Errors
    /// 429: the user holds too many. 503: all users together do.
    pub fn reserve(&self, more: usize) -> Result<(), ApiError> {
        let Held { in_flight, user, bytes } = &*self.0;
        if in_flight.bytes.fetch_add(more, Ordering::Relaxed) + more > in_flight.bytes_max {
            in_flight.bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(node_limit_exceeded());
        }
        if let Some(user) = user
            && let Some(usage) = in_flight.shard(*user).get_mut(user)
        {
            if usage.bytes + more > in_flight.bytes_max / USER_SHARE {
                in_flight.bytes.fetch_sub(more, Ordering::Relaxed);
                return Err(user_limit_exceeded());
            }
            usage.bytes += more;
        }
        bytes.set(bytes.get() + more);
        Ok(())
    }

    /// Checks, before a long page is read, that the user isn't being sent too many of them already: a page that
    /// is refused here costs nothing.
    ///
    /// # Errors
    /// 429: with a page of `page_bytes` the user would hold more than [`LONG_PAGES_PER_USER`] pages' bytes.
    pub fn check_long_page(&self, page_bytes: usize) -> Result<(), ApiError> {
        let Held { in_flight, user, .. } = &*self.0;
        let Some(user) = user else { return Ok(()) };
        let held = in_flight.shard(*user).get(user).map_or(0, |usage| usage.bytes);
        if held > (LONG_PAGES_PER_USER - 1) * page_bytes { Err(user_limit_exceeded()) } else { Ok(()) }
    }

    /// Reserves more bytes, beyond the limits too.
    fn reserve_unchecked(&self, more: usize) {
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
        let mut users = self.in_flight.shard(user);
        if let Some(usage) = users.get_mut(&user) {
            usage.requests -= 1;
            usage.bytes -= self.bytes.get();
            if usage.requests == 0 {
                users.remove(&user);
            }
        }
    }
}

fn user_limit_exceeded() -> ApiError {
    metrics::counter!("chat_requests_refused_total", "reason" => "user").increment(1);
    ApiError::rate_limited(RETRY_AFTER)
}

fn node_limit_exceeded() -> ApiError {
    metrics::counter!("chat_requests_refused_total", "reason" => "bytes").increment(1);
    EngineError::Unavailable.into()
}

/// Middleware: keeps a request's permit, and reserves the bytes of its response, until that was handed over.
///
/// # Errors
/// As the next service.
pub async fn track(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_read = request.method() == Method::GET;
    let response = next.call(request).await?;
    let permit = response.request().extensions_mut().remove::<Permit>();
    let Some(permit) = permit else { return Ok(response) };
    let mut refusal = None;
    let response = response.map_body(|_, body| match body.try_into_bytes() {
        Ok(whole) if whole.len() <= CHUNK_BYTES => BoxBody::new(whole),
        Ok(whole) if is_read => match permit.reserve(whole.len()) {
            Ok(()) => BoxBody::new(TrackedBody::Whole { left: whole, _permit: permit }),
            Err(error) => {
                refusal = Some(error);
                BoxBody::new(Bytes::new())
            }
        },
        // A write must be answered once it is done; its response is short, unlike that of a read.
        Ok(whole) => {
            permit.reserve_unchecked(whole.len());
            BoxBody::new(TrackedBody::Whole { left: whole, _permit: permit })
        }
        // A stream is handed over in chunks already.
        Err(body) => BoxBody::new(TrackedBody::Stream { body, _permit: permit }),
    });
    Ok(match refusal {
        Some(error) => response.into_response(error.error_response()),
        None => response,
    })
}

/// The body of a response, with the permit of its request.
enum TrackedBody {
    Whole { left: Bytes, _permit: Permit },
    Stream { body: BoxBody, _permit: Permit },
}

impl MessageBody for TrackedBody {
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
            Self::Whole { left, .. } => Poll::Ready(Some(Ok(left.split_to(left.len().min(CHUNK_BYTES))))),
            Self::Stream { body, .. } => body.as_pin_mut().poll_next(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actors::domain::ids::UserId;

    use super::{ApiError, InFlight, Permit};

    fn code(result: Result<impl Sized, ApiError>) -> u16 {
        actix_web::ResponseError::status_code(&result.err().expect("a refusal")).as_u16()
    }

    fn held(in_flight: &Arc<InFlight>) -> usize {
        in_flight.bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn a_user_has_a_limit_of_requests_that_other_users_do_not_share() {
        let in_flight = InFlight::new(2, 1_000);
        let mut own: Vec<Permit> = (0..2).map(|_| in_flight.permit(UserId(1)).expect("a place")).collect();
        assert_eq!(code(in_flight.permit(UserId(1))), 429);
        assert!(in_flight.permit(UserId(17)).is_ok(), "of the same shard");
        let shared = own[0].clone();
        own.clear();
        assert!(in_flight.permit(UserId(1)).is_ok());
        drop(shared);
        assert!(in_flight.users.iter().all(|users| users.lock().expect("a lock").is_empty()));
    }

    #[test]
    fn a_user_is_sent_four_long_pages_at_once() {
        let in_flight = InFlight::new(100, 8_000);
        let permit = in_flight.permit(UserId(1)).expect("a place");
        assert_eq!(permit.reserve(300), Ok(()));
        assert_eq!(permit.check_long_page(100), Ok(()), "three of them, with room for a fourth");
        assert_eq!(permit.reserve(1), Ok(()));
        assert_eq!(code(permit.check_long_page(100)), 429);
        assert_eq!(in_flight.permit(UserId(2)).expect("a place").check_long_page(100), Ok(()));
        assert_eq!(in_flight.anonymous_permit().check_long_page(100), Ok(()));
    }

    #[test]
    fn a_user_holds_a_share_of_the_bytes_and_all_together_no_more_than_the_limit() {
        let in_flight = InFlight::new(100, 800);
        let permits: Vec<Permit> =
            (0..8).map(|user| in_flight.permit(UserId(user)).expect("a place")).collect();
        assert_eq!(permits[0].reserve(60), Ok(()));
        assert_eq!(code(permits[0].reserve(41)), 429);
        assert_eq!(
            code(in_flight.permit(UserId(0)).expect("a place").reserve(41)),
            429,
            "in another request"
        );
        for permit in &permits[1..] {
            assert_eq!(permit.reserve(100), Ok(()));
        }
        let anonymous = in_flight.anonymous_permit();
        assert_eq!(anonymous.reserve(40), Ok(()));
        assert_eq!(code(permits[0].reserve(1)), 503);
        assert_eq!(held(&in_flight), 800);
        drop((permits, anonymous));
        assert_eq!(held(&in_flight), 0);
    }
}
