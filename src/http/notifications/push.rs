//! Web Push: the key that browsers subscribe with, and their subscriptions.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::state::ApiState;
use crate::outbound::OutboundError;
use crate::push::{AUTH_BYTES, is_public_key};
use crate::store::postgres::notifications::NewPushSubscription;

/// The most bytes of an endpoint.
const ENDPOINT_BYTES_MAX: usize = 2_000;

/// The key of this server's pushes.
#[derive(Serialize, ToSchema)]
#[schema(as = PushKey)]
pub struct ApiPushKey {
    /// What `applicationServerKey` takes: an uncompressed point in Base64 for URLs.
    pub public_key: String,
}

/// A subscription.
#[derive(Serialize, ToSchema)]
#[schema(as = PushSubscription)]
pub struct ApiPushSubscription {
    /// The subscription's id.
    pub id: Uuid,
}

/// The keys of a browser.
#[derive(ToSchema)]
#[schema(as = PushKeys)]
pub struct PushKeysRequest {
    /// The public key, in Base64 for URLs.
    #[schema(value_type = String)]
    p256dh: Vec<u8>,
    /// The secret of 16 bytes, in Base64 for URLs.
    #[schema(value_type = String)]
    auth: Vec<u8>,
}

/// What a browser's `PushSubscription.toJSON()` gives.
#[derive(ToSchema)]
#[schema(as = AddPushSubscription)]
pub struct AddPushSubscriptionRequest {
    /// Where to send pushes, by https.
    #[schema(value_type = String, max_length = 2000)]
    endpoint: Url,
    /// The keys.
    keys: PushKeysRequest,
}

impl FromFields for AddPushSubscriptionRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let given = fields.raw_text("endpoint", ENDPOINT_BYTES_MAX);
        let given = fields.require("endpoint", given);
        let endpoint = given.and_then(|given| {
            let parsed = Url::parse(&given).ok().filter(|url| url.as_str().len() <= ENDPOINT_BYTES_MAX);
            if parsed.is_none() {
                fields.add_error("endpoint", "Enter a valid URL.");
            }
            parsed
        });
        let keys = fields.parsed("keys", parse_keys);
        let keys = fields.require("keys", keys);
        Some(Self { endpoint: endpoint?, keys: keys? })
    }
}

fn parse_keys(value: &Value) -> Result<PushKeysRequest, &'static str> {
    let bytes = |name: &str| {
        let text = value.get(name)?.as_str()?;
        BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
    };
    let p256dh = bytes("p256dh").filter(|key| is_public_key(key));
    let p256dh = p256dh.ok_or("p256dh: a public key of P-256 in Base64 for URLs is required.")?;
    let auth = bytes("auth").filter(|auth| auth.len() == AUTH_BYTES);
    Ok(PushKeysRequest { p256dh, auth: auth.ok_or("auth: 16 bytes in Base64 for URLs are required.")? })
}

/// Shows the key with which a browser subscribes to this server's pushes.
#[utoipa::path(get, path = "/api/chat/push/key/", tag = "notifications",
    responses((status = 200, body = ApiPushKey)))]
pub async fn key(state: Data<ApiState>, caller: Caller) -> Result<Json<ApiPushKey>, ApiError> {
    caller.user_id()?;
    Ok(Json(ApiPushKey { public_key: state.vapid.public_key() }))
}

/// Has the caller's notifications pushed to a browser, which ends with the caller's sign-in. The newest 20 browsers
/// of a user are kept.
#[utoipa::path(post, path = "/api/chat/push/subscriptions/", tag = "notifications",
    request_body = AddPushSubscriptionRequest, responses((status = 201, body = ApiPushSubscription)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    let AddPushSubscriptionRequest { endpoint, keys } = body.object().await?;
    if let Err(OutboundError::Forbidden(problem)) = state.outbound.judge(&endpoint) {
        return Err(ApiError::field("endpoint", format!("This can't be called: {problem}.")));
    }
    let origin = endpoint.origin().ascii_serialization();
    let subscription = NewPushSubscription {
        endpoint: endpoint.as_str(),
        origin: &origin,
        p256dh: &keys.p256dh,
        auth: &keys.auth,
        // Who signs in elsewhere signs out there, too.
        family: caller.family().filter(|_| state.token_issuer.is_some()),
    };
    let id = state.store.add_push_subscription(user, subscription).await?;
    Ok(HttpResponse::Created().json(ApiPushSubscription { id }))
}

/// Ends the pushes to one of the caller's browsers.
#[utoipa::path(delete, path = "/api/chat/push/subscriptions/{id}/", tag = "notifications",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = (caller.user_id()?, parse_uuid(&id).ok_or_else(ApiError::not_found)?);
    if state.store.delete_push_subscription(user, id).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::not_found())
    }
}
