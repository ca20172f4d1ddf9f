//! Firebase Cloud Messaging (HTTP v1): pushes to phones, those of Apple included.
//!
//! This server signs in as a service account: it exchanges a token that it has signed for one of Google's, which is
//! good for an hour.

use std::time::Duration;

use actors::domain::ids::RoomId;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::message::{Urgency, topic};
use crate::outbound::{OutboundClient, OutboundError, OutboundRequest, OutboundResponse};

/// What the endpoint of a phone's subscription begins with; its token follows.
pub const ENDPOINT_PREFIX: &str = "fcm:";
/// The most bytes of a phone's token.
pub const TOKEN_BYTES_MAX: usize = 1_500;

/// What tokens of the account may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long a token that this server signs is good.
const ASSERTION_SECONDS: i64 = 3_600;
/// How long before its end a token is replaced.
const RENEWAL: Duration = Duration::from_secs(300);
/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long no token is asked for after none was given.
const SIGN_IN_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 8_192;
/// How long a push waits for a phone that isn't connected.
const TTL: &str = "86400s";

/// Why there is no such account.
#[derive(Debug, thiserror::Error)]
pub enum FcmError {
    /// The file isn't what Google's console gives.
    #[error("it isn't the JSON of a service account: {0}")]
    Account(#[from] serde_json::Error),
    /// The key can't be used.
    #[error("its private_key can't be used: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
    /// An address in it isn't one.
    #[error("its token_uri or project_id doesn't make an address: {0}")]
    Address(#[from] url::ParseError),
}

/// The file of a service account, as Google's console gives it.
#[derive(Deserialize)]
struct AccountFile {
    project_id: String,
    private_key: String,
    client_email: String,
    token_uri: String,
}

/// What a token of this server's says.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: i64,
}

/// Whether there is a token of Google's.
enum SignIn {
    None,
    /// The header's value, and when to replace it.
    Valid(HeaderValue, DateTime<Utc>),
    /// None was given; the next try is not before this time.
    Failed(DateTime<Utc>),
}

/// Sends pushes to phones by a service account.
pub struct Fcm {
    key: EncodingKey,
    email: String,
    token_url: Url,
    send_url: Url,
    sign_in: Mutex<SignIn>,
}

impl Fcm {
    /// Reads the file of an account. `base` is where messages are sent to.
    ///
    /// # Errors
    /// [`FcmError`].
    pub fn read(file: &str, base: &Url) -> Result<Self, FcmError> {
        let AccountFile { project_id, private_key, client_email, token_uri } = serde_json::from_str(file)?;
        Ok(Self {
            key: EncodingKey::from_rsa_pem(private_key.as_bytes())?,
            email: client_email,
            token_url: Url::parse(&token_uri)?,
            send_url: base.join(&format!("/v1/projects/{project_id}/messages:send"))?,
            sign_in: Mutex::new(SignIn::None),
        })
    }

    /// Whose service it is, as the origin of subscriptions.
    #[must_use]
    pub fn origin(&self) -> String {
        self.send_url.origin().ascii_serialization()
    }

    /// Sends a message.
    pub(super) async fn send(
        &self,
        outbound: &OutboundClient,
        message: &Value,
        now: DateTime<Utc>,
    ) -> Result<OutboundResponse, OutboundError> {
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, self.authorization(outbound, now).await?),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let body = json!({"message": message}).to_string();
        let answer = outbound.send(request(self.send_url.clone(), headers, body)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            *self.sign_in.lock().await = SignIn::None;
        }
        Ok(answer)
    }

    /// Returns the header of a request. Of several pushes at once, one asks for a token, and the others wait for it.
    async fn authorization(
        &self,
        outbound: &OutboundClient,
        now: DateTime<Utc>,
    ) -> Result<HeaderValue, OutboundError> {
        let mut sign_in = self.sign_in.lock().await;
        match &*sign_in {
            SignIn::Valid(header, until) if *until > now => return Ok(header.clone()),
            SignIn::Failed(until) if *until > now => return Err(refused("no token was given a moment ago")),
            _ => {}
        }
        let asked = self.ask_for_token(outbound, now).await;
        *sign_in = match &asked {
            Ok((header, until)) => SignIn::Valid(header.clone(), *until),
            Err(error) => {
                tracing::warn!(%error, "Google gives no token for pushes to phones");
                SignIn::Failed(now + SIGN_IN_PAUSE)
            }
        };
        asked.map(|(header, _)| header)
    }

    async fn ask_for_token(
        &self,
        outbound: &OutboundClient,
        now: DateTime<Utc>,
    ) -> Result<(HeaderValue, DateTime<Utc>), OutboundError> {
        let (iat, exp) = (now.timestamp(), now.timestamp() + ASSERTION_SECONDS);
        let claims = Assertion { iss: &self.email, scope: SCOPE, aud: self.token_url.as_str(), iat, exp };
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|error| refused(&error.to_string()))?;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("assertion", &assertion)
            .finish();
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        let answer = outbound.send(request(self.token_url.clone(), headers, body)).await?;
        if !answer.status.is_success() {
            return Err(refused(&format!("it answers {}", answer.status)));
        }
        let given: TokenAnswer =
            serde_json::from_slice(&answer.body).map_err(|_| refused("its answer has no token"))?;
        let mut header = HeaderValue::try_from(format!("Bearer {}", given.access_token))
            .map_err(|_| refused("its token is no header"))?;
        header.set_sensitive(true);
        let lifetime = Duration::from_secs(u64::try_from(given.expires_in).unwrap_or_default());
        Ok((header, now + lifetime.saturating_sub(RENEWAL)))
    }
}

fn refused(problem: &str) -> OutboundError {
    OutboundError::Unreachable(problem.to_owned())
}

fn request(url: Url, headers: HeaderMap, body: String) -> OutboundRequest {
    OutboundRequest {
        method: Method::POST,
        url,
        headers,
        body: body.into(),
        deadline: DEADLINE,
        answer_max: ANSWER_BYTES_MAX,
        redirects_max: 0,
    }
}

/// Whether an answer says that the phone's token is no longer good: the application is gone from it, or its token is of
/// another project.
pub(super) fn ends_subscription(answer: &OutboundResponse) -> bool {
    let says = |code: &str| answer.body.windows(code.len()).any(|bytes| bytes == code.as_bytes());
    match answer.status.as_u16() {
        404 => says("UNREGISTERED") || says("NOT_FOUND"),
        403 => says("SENDER_ID_MISMATCH"),
        _ => false,
    }
}

/// Makes of the text of a push what FCM takes. Texts are the same as in browsers; a push without a title shows nothing.
pub(super) fn message_of(token: &str, room: RoomId, text: &[u8], urgency: Urgency) -> Value {
    let text: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    let (title, badge) = (text.get("title"), text.get("badge").cloned().unwrap_or_default());
    let is_shown = title.is_some();
    let topic = topic(room);
    let mut message = json!({
        "token": token,
        "data": data_of(&text),
        "android": {
            "collapse_key": &topic,
            "priority": if urgency == Urgency::High { "HIGH" } else { "NORMAL" },
            "ttl": TTL,
        },
        "apns": {
            "headers": {
                "apns-collapse-id": &topic,
                "apns-priority": if is_shown { "10" } else { "5" },
            },
            "payload": {"aps": {"badge": badge, "thread-id": &topic}},
        },
    });
    if is_shown {
        message["notification"] = json!({"title": title, "body": text.get("body")});
        // A newer notification of the room takes the place of the one that is shown.
        message["android"]["notification"] = json!({"tag": &topic});
    } else {
        message["apns"]["payload"]["aps"]["content-available"] = 1.into();
    }
    message
}

/// What the application on the phone gets beside what is shown: strings alone, as FCM wants them.
fn data_of(text: &Map<String, Value>) -> Map<String, Value> {
    let mut data = Map::new();
    for (name, value) in text.iter().filter(|(name, _)| !["title", "body"].contains(&name.as_str())) {
        let value = match value {
            Value::String(value) => value.clone(),
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        };
        data.insert(name.clone(), value.into());
    }
    data
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ROOM: RoomId = RoomId(Uuid::from_u128(7));

    fn made_of(text: &Value, urgency: Urgency) -> Value {
        message_of("t", ROOM, text.to_string().as_bytes(), urgency)
    }

    #[test]
    fn what_is_told_is_shown_in_place_of_what_was_told_before() {
        let text = json!({"type": "notification", "title": "Boiler", "body": "Ann: hi", "seq": 4, "urgent": false,
            "badge": 2});
        let message = made_of(&text, Urgency::High);
        assert_eq!(message["notification"], json!({"title": "Boiler", "body": "Ann: hi"}));
        assert_eq!(
            message["data"],
            json!({"type": "notification", "seq": "4", "urgent": "false", "badge": "2"})
        );
        assert_eq!(message["android"]["priority"], "HIGH");
        assert_eq!(message["android"]["notification"]["tag"], message["android"]["collapse_key"]);
        assert_eq!(message["apns"]["payload"]["aps"]["badge"], 2);
    }

    #[test]
    fn what_is_taken_back_shows_nothing() {
        let message =
            made_of(&json!({"type": "notification_gone", "ids": ["a"], "badge": 0}), Urgency::Normal);
        assert_eq!(message.get("notification"), None);
        assert_eq!(message["data"]["ids"], "a");
        assert_eq!(message["apns"]["headers"]["apns-priority"], "5");
        assert_eq!(message["apns"]["payload"]["aps"]["content-available"], 1);
    }

    #[test]
    fn an_account_is_read_with_its_faults() {
        let base = Url::parse("https://fcm.googleapis.com").expect("a URL");
        assert!(matches!(Fcm::read("{}", &base), Err(FcmError::Account(_))));
        let account = json!({"project_id": "p", "private_key": "none", "client_email": "e",
            "token_uri": "https://oauth2.googleapis.com/token"});
        assert!(matches!(Fcm::read(&account.to_string(), &base), Err(FcmError::Key(_))));
    }
}
