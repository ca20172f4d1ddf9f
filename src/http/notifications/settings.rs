//! How the caller wants to be told.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json};
use actors::domain::notifications::quiet::{QuietHours, WeekDays, zone};
use actors::domain::notifications::settings::{
    DELAY_SECONDS_DEFAULT, DELAY_SECONDS_MAX, EMAIL_MINUTES_MAX, KEYWORD_CHARS_MAX, KEYWORDS_MAX,
    NotificationSettings,
};
use actors::domain::text;
use chrono::NaiveTime;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;

/// The caller's settings.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationSettings)]
pub struct ApiNotificationSettings {
    /// When the caller isn't told of anything; null for never.
    pub quiet: Option<ApiQuietHours>,
    /// How long the caller has to read a message before being told of it.
    #[schema(maximum = 3600)]
    pub delay_seconds: u32,
    /// Words of which the caller is told as of a mention.
    #[schema(max_items = 20)]
    pub keywords: Vec<String>,
    /// When the caller wants a mail; null for never.
    pub email: Option<ApiEmailSettings>,
    /// Whether notifications leave out what a message says.
    pub hide_text: bool,
}

/// Quiet hours.
#[derive(Serialize, ToSchema)]
#[schema(as = QuietHours)]
pub struct ApiQuietHours {
    /// When they begin, as `22:00`.
    pub from: String,
    /// When they end: on the next day, unless that is later than `from`.
    pub to: String,
    /// The days on which they begin: `mon`, `tue` … `sun`.
    pub days: Vec<&'static str>,
    /// The time zone, such as `Europe/Berlin`.
    pub timezone: &'static str,
}

/// When a mail is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = EmailSettings)]
pub struct ApiEmailSettings {
    /// After how many minutes without reading.
    #[schema(minimum = 1, maximum = 10080)]
    pub after_minutes: u32,
}

impl From<NotificationSettings> for ApiNotificationSettings {
    fn from(settings: NotificationSettings) -> Self {
        Self {
            quiet: settings.quiet.as_ref().map(ApiQuietHours::from),
            delay_seconds: settings.delay_seconds,
            keywords: settings.keywords,
            email: settings.email_after_minutes.map(|after_minutes| ApiEmailSettings { after_minutes }),
            hide_text: settings.hides_text,
        }
    }
}

impl From<&QuietHours> for ApiQuietHours {
    fn from(quiet: &QuietHours) -> Self {
        let shown = |time: NaiveTime| time.format("%H:%M").to_string();
        Self {
            from: shown(quiet.from),
            to: shown(quiet.to),
            days: quiet.days.names(),
            timezone: quiet.zone.name(),
        }
    }
}

/// What is to be changed; what isn't given stays as it is, and null sets the default.
#[derive(ToSchema)]
#[schema(as = PutNotificationSettings)]
pub struct PutNotificationSettingsRequest {
    /// `{from, to, days?, timezone}`; all days if they aren't given.
    #[schema(value_type = Option<ApiQuietHours>)]
    quiet: Option<Option<QuietHours>>,
    /// Seconds.
    #[schema(value_type = Option<u32>, maximum = 3600)]
    delay_seconds: Option<u32>,
    /// Words, each of at most 50 characters.
    #[schema(max_items = 20)]
    keywords: Option<Vec<String>>,
    /// `{after_minutes}`.
    #[schema(value_type = Option<ApiEmailSettings>)]
    email: Option<Option<u32>>,
    /// Whether notifications leave out what a message says.
    hide_text: Option<bool>,
}

impl FromFields for PutNotificationSettingsRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let delay_seconds = match fields.is_null("delay_seconds") {
            true => Some(DELAY_SECONDS_DEFAULT),
            false => {
                fields.number("delay_seconds", DELAY_SECONDS_MAX).and_then(|delay| u32::try_from(delay).ok())
            }
        };
        let hide_text = match fields.is_null("hide_text") {
            true => Some(false),
            false => fields.flag("hide_text"),
        };
        Some(Self {
            quiet: nullable(fields, "quiet", parse_quiet),
            delay_seconds,
            keywords: nullable(fields, "keywords", parse_keywords).map(Option::unwrap_or_default),
            email: nullable(fields, "email", parse_email),
            hide_text,
        })
    }
}

/// Reads a field that may be null: `None` if it isn't given, `Some(None)` for null.
fn nullable<T>(
    fields: &mut Fields,
    name: &'static str,
    parse: fn(&Value) -> Result<T, String>,
) -> Option<Option<T>> {
    if fields.is_null(name) { Some(None) } else { fields.parsed(name, parse).map(Some) }
}

fn parse_quiet(value: &Value) -> Result<QuietHours, String> {
    let Value::Object(given) = value else {
        return Err("Expected an object with from, to, days and timezone.".to_owned());
    };
    let (from, to) = (parse_time(given, "from")?, parse_time(given, "to")?);
    if from == to {
        return Err("from and to may not be the same time.".to_owned());
    }
    let name = given.get("timezone").and_then(Value::as_str);
    let name = name.ok_or("timezone: a name such as Europe/Berlin is required.")?;
    let zone = zone(name).ok_or("timezone: this is no name of the IANA time zone database.")?;
    Ok(QuietHours { from, to, days: parse_days(given.get("days"))?, zone })
}

fn parse_time(given: &Map<String, Value>, name: &str) -> Result<NaiveTime, String> {
    let text = given.get(name).and_then(Value::as_str).unwrap_or_default();
    let parsed =
        ["%H:%M", "%H:%M:%S"].into_iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok());
    parsed.ok_or_else(|| format!("{name}: a time such as 22:00 is required."))
}

fn parse_days(given: Option<&Value>) -> Result<WeekDays, String> {
    let problem = || format!("days: a list of at least one of {} is required.", WeekDays::NAMES.join(", "));
    let days = match given {
        None | Some(Value::Null) => return Ok(WeekDays::ALL),
        Some(Value::Array(days)) => days.iter().map(Value::as_str).collect::<Option<Vec<&str>>>(),
        Some(_) => None,
    };
    days.and_then(WeekDays::parse).filter(|days| !days.is_empty()).ok_or_else(problem)
}

fn parse_keywords(value: &Value) -> Result<Vec<String>, String> {
    let Value::Array(given) = value else { return Err("Expected a list of words.".to_owned()) };
    if given.len() > KEYWORDS_MAX {
        return Err(format!("Ensure this field has no more than {KEYWORDS_MAX} elements."));
    }
    let mut seen = BTreeSet::new();
    let mut keywords = Vec::with_capacity(given.len());
    for keyword in given {
        let keyword = keyword.as_str().ok_or("Expected a list of words.")?;
        let keyword = text::content(keyword, KEYWORD_CHARS_MAX).map_err(|error| error.to_string())?;
        if seen.insert(keyword.to_lowercase()) {
            keywords.push(keyword.to_owned());
        }
    }
    Ok(keywords)
}

fn parse_email(value: &Value) -> Result<u32, String> {
    let minutes =
        value.get("after_minutes").and_then(Value::as_u64).and_then(|minutes| u32::try_from(minutes).ok());
    minutes
        .filter(|minutes| (1..=EMAIL_MINUTES_MAX).contains(minutes))
        .ok_or_else(|| format!("after_minutes: a number from 1 to {EMAIL_MINUTES_MAX} is required."))
}

/// Shows how the caller wants to be told.
#[utoipa::path(get, path = "/api/chat/notifications/settings/", tag = "notifications",
    responses((status = 200, body = ApiNotificationSettings)))]
pub async fn get(state: Data<ApiState>, caller: Caller) -> Result<Json<ApiNotificationSettings>, ApiError> {
    Ok(Json(state.store.notification_settings(caller.user_id()?).await?.into()))
}

/// Changes how the caller wants to be told, from what waits to be told on.
#[utoipa::path(put, path = "/api/chat/notifications/settings/", tag = "notifications",
    request_body = PutNotificationSettingsRequest, responses((status = 200, body = ApiNotificationSettings)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ApiNotificationSettings>, ApiError> {
    let user = caller.user_id()?;
    let given: PutNotificationSettingsRequest = body.object().await?;
    let before = state.store.notification_settings(user).await?;
    let settings = NotificationSettings {
        quiet: given.quiet.unwrap_or(before.quiet),
        delay_seconds: given.delay_seconds.unwrap_or(before.delay_seconds),
        keywords: given.keywords.unwrap_or(before.keywords),
        email_after_minutes: given.email.unwrap_or(before.email_after_minutes),
        hides_text: given.hide_text.unwrap_or(before.hides_text),
    };
    state.store.put_notification_settings(user, &settings).await?;
    Ok(Json(settings.into()))
}
