//! Pushes: the key that browsers subscribe with, and the subscriptions of browsers and phones.

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
use crate::http::fields::{Fields, FromFields, REQUIRED, parse_uuid};
use crate::http::state::ApiState;
use crate::outbound::OutboundError;
use crate::push::{AUTH_BYTES, FCM_ENDPOINT_PREFIX, FCM_TOKEN_BYTES_MAX, is_public_key};
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
#[derive(Default, ToSchema)]
#[schema(as = PushKeys)]
pub struct PushKeysRequest {
    /// The public key, in Base64 for URLs.
    #[schema(value_type = String)]
    p256dh: Vec<u8>,
    /// The secret of 16 bytes, in Base64 for URLs.
    #[schema(value_type = String)]
    auth: Vec<u8>,
}

/// What a browser's `PushSubscription.toJSON()` gives, or the token of a phone.
#[derive(ToSchema)]
#[schema(as = AddPushSubscription)]
pub struct AddPushSubscriptionRequest {
    /// Where to send pushes to a browser, by https.
    #[schema(value_type = Option<String>, max_length = 2000)]
    endpoint: Option<Url>,
    /// The browser's keys.
    keys: Option<PushKeysRequest>,
    /// The token of Firebase Cloud Messaging of an application on a phone, in place of the other two.
    #[schema(max_length = 1500)]
    fcm_token: Option<String>,
}

impl FromFields for AddPushSubscriptionRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        if fields.has("fcm_token") {
            let fcm_token = fields.raw_text("fcm_token", FCM_TOKEN_BYTES_MAX);
            let fcm_token = fields.require("fcm_token", fcm_token)?;
            if fcm_token.is_empty() || !fcm_token.bytes().all(|byte| byte.is_ascii_graphic()) {
                fields.add_error("fcm_token", "Enter a token of Firebase Cloud Messaging.");
            }
            return Some(Self { endpoint: None, keys: None, fcm_token: Some(fcm_token) });
        }
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
        Some(Self { endpoint: Some(endpoint?), keys: Some(keys?), fcm_token: None })
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

/// Has the caller's notifications pushed to a browser or a phone, which ends with the caller's sign-in. The newest 20
/// of a user are kept.
#[utoipa::path(post, path = "/api/chat/push/subscriptions/", tag = "notifications",
    request_body = AddPushSubscriptionRequest, responses((status = 201, body = ApiPushSubscription)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    let request: AddPushSubscriptionRequest = body.object().await?;
    let (endpoint, origin) = request.address(&state)?;
    let keys = request.keys.unwrap_or_default();
    let subscription = NewPushSubscription {
        endpoint: &endpoint,
        origin: &origin,
        p256dh: &keys.p256dh,
        auth: &keys.auth,
        // Who signs in elsewhere signs out there, too.
        family: caller.family().filter(|_| state.token_issuer.is_some()),
    };
    let id = state.store.add_push_subscription(user, subscription).await?;
    Ok(HttpResponse::Created().json(ApiPushSubscription { id }))
}

impl AddPushSubscriptionRequest {
    /// Where to send pushes, and whose service that is.
    fn address(&self, state: &ApiState) -> Result<(String, String), ApiError> {
        if let Some(token) = &self.fcm_token {
            let account = state.fcm.as_ref();
            let account = account
                .ok_or_else(|| ApiError::field("fcm_token", "This server sends no pushes to phones."))?;
            return Ok((format!("{FCM_ENDPOINT_PREFIX}{token}"), account.origin()));
        }
        let endpoint = self.endpoint.as_ref().ok_or_else(|| ApiError::field("endpoint", REQUIRED))?;
        if let Err(OutboundError::Forbidden(problem)) = state.outbound.judge(endpoint) {
            return Err(ApiError::field("endpoint", format!("This can't be called: {problem}.")));
        }
        Ok((endpoint.as_str().to_owned(), endpoint.origin().ascii_serialization()))
    }
}

/// Ends the pushes to one of the caller's browsers or phones.
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
