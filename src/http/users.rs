//! People: the directory that the host application feeds and everyone may search.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Actor, Change, Command, Refusal};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::person::Author;
use actors::domain::text::NAME_CHARS_MAX;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::caller::{Caller, USERNAME_CHARS_MAX};
use super::error::ApiError;
use super::fields::{Fields, FromFields, parse_id};
use super::page::{OTHERS_DEFAULT, Page, PageWanted};
use super::query::Query;
use super::rest::Rest;
use crate::store::postgres::people::{PersonRecord, PersonTold, Profile, ToldPerson};

/// The most people told at once.
const SYNC_MAX: usize = 1_000;
/// Commands of one erasure that are under way at once: enough to fill batches, few enough for others.
const ERASING_AT_ONCE: usize = 32;
/// How often it is looked for rooms that a person is in: nobody is put into one once the account has ended, so
/// that the second time finds what was on its way, and the third nothing.
const EXPULSIONS_MAX: usize = 5;
/// Messages of one erasure that are listed at once.
const ERASING_PIECE: i64 = 1_000;

/// A person, in brief.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// The address, for those who may see it; else empty.
    pub email: String,
}

impl User {
    /// A person as `caller` may see one.
    #[must_use]
    pub fn seen_by(caller: &Caller, profile: &Profile) -> Self {
        Self::without_email(&profile.author).with_email(caller.email_of(profile))
    }

    /// A person without the address.
    #[must_use]
    pub fn without_email(author: &Author) -> Self {
        Self {
            id: author.id.0,
            username: author.username.to_string(),
            full_name: author.full_name.to_string(),
            email: String::new(),
        }
    }

    fn with_email(self, email: String) -> Self {
        Self { email, ..self }
    }
}

/// A person as the host application told of one.
#[derive(Serialize, ToSchema)]
pub struct DirectoryUser {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// The address.
    pub email: String,
    /// Whether the account may do anything.
    pub is_active: bool,
    /// Whether this person sees everyone's address.
    pub is_staff: bool,
    /// Tokens issued before are void.
    pub tokens_valid_from: Option<DateTime<Utc>>,
}

impl From<&PersonRecord> for DirectoryUser {
    fn from(record: &PersonRecord) -> Self {
        let author = &record.profile.author;
        Self {
            id: author.id.0,
            username: author.username.to_string(),
            full_name: author.full_name.to_string(),
            email: record.profile.email.clone(),
            is_active: record.is_active,
            is_staff: record.is_staff,
            tokens_valid_from: record
                .tokens_valid_from
                .and_then(|second| DateTime::from_timestamp(second, 0)),
        }
    }
}

/// What the host application tells of a person; what is left out stays as it is.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct TellUser {
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 150, nullable = false)]
    username: Option<String>,
    /// The name to show.
    #[schema(max_length = 255, nullable = false)]
    full_name: Option<String>,
    /// The address.
    #[schema(max_length = 255, nullable = false)]
    email: Option<String>,
    /// Whether the account may do anything.
    #[schema(nullable = false)]
    is_active: Option<bool>,
    /// Whether this person sees everyone's address.
    #[schema(nullable = false)]
    is_staff: Option<bool>,
    /// Tokens issued before are void; null lifts that.
    tokens_valid_from: Option<super::openapi::Second>,
}

/// One of many people told at once.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct SyncUser {
    /// The person's id.
    #[schema(minimum = 1)]
    id: i64,
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 150, nullable = false)]
    username: Option<String>,
    /// The name to show.
    #[schema(max_length = 255, nullable = false)]
    full_name: Option<String>,
    /// The address.
    #[schema(max_length = 255, nullable = false)]
    email: Option<String>,
    /// Whether the account may do anything.
    #[schema(nullable = false)]
    is_active: Option<bool>,
    /// Whether this person sees everyone's address.
    #[schema(nullable = false)]
    is_staff: Option<bool>,
    /// Tokens issued before are void; null lifts that.
    tokens_valid_from: Option<super::openapi::Second>,
}

/// How many people were told of.
#[derive(Serialize, ToSchema)]
pub struct Synced {
    /// Those unknown before.
    pub created: usize,
    /// Those known before.
    pub updated: usize,
}

struct Told(ToldPerson);
struct ToldWithId(ToldPerson);

impl FromFields for Told {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", USERNAME_CHARS_MAX);
        if username.as_deref() == Some("") {
            fields.fault("username", "This field may not be blank.");
        }
        Some(Self(ToldPerson {
            id: UserId(0),
            username,
            full_name: fields.text("full_name", NAME_CHARS_MAX),
            email: fields.text("email", NAME_CHARS_MAX),
            is_active: fields.flag("is_active"),
            is_staff: fields.flag("is_staff"),
            tokens_valid_from: fields.second("tokens_valid_from"),
        }))
    }
}

impl FromFields for ToldWithId {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let id = fields.id("id");
        let id = fields.require("id", id);
        let Told(person) = Told::from_fields(fields)?;
        Some(Self(ToldPerson { id: UserId(id?), ..person }))
    }
}

/// Finds active people by their names; with a grant, those of the caller's rooms alone.
#[utoipa::path(get, path = "/api/chat/users/", tag = "people",
    params(("search" = Option<String>, Query, description = "Part of a name", max_length = 500),
        super::openapi::PageParams),
    responses((status = 200, body = Page<User>)))]
pub async fn list(
    request: HttpRequest,
    rest: Data<Rest>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Page<User>>, ApiError> {
    let part = query.search("search").unwrap_or_default();
    query.finish()?;
    let wanted = PageWanted::read(&query, OTHERS_DEFAULT)?;
    let (count, people) =
        rest.store.people_named(caller.people_scope(), &part, wanted.limit(), wanted.offset()).await?;
    let people = people.iter().map(User::without_email).collect();
    Ok(Json(wanted.of(&request, &query, count, people)?))
}

/// Tells who one is.
#[utoipa::path(get, path = "/api/chat/users/me/", tag = "people", responses((status = 200, body = User)))]
pub async fn me(caller: Caller) -> Result<Json<User>, ApiError> {
    Ok(Json(User::seen_by(&caller, &caller.person()?.profile)))
}

/// Takes over what the host application tells of one person; service tokens only.
#[utoipa::path(put, path = "/api/chat/users/{id}/", tag = "people",
    params(("id" = i64, Path, minimum = 1)), request_body = TellUser,
    responses((status = 200, body = DirectoryUser)))]
pub async fn put(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<Json<DirectoryUser>, ApiError> {
    caller.require_service()?;
    let id = parse_id(&id).map(UserId).ok_or_else(ApiError::not_found)?;
    let Told(person) = body.object().await?;
    let told = tell(&rest, vec![ToldPerson { id, ..person }]).await?;
    told.first().map(|told| Json(DirectoryUser::from(&told.record))).ok_or_else(ApiError::not_found)
}

/// Takes over what the host application tells of many people; service tokens only.
#[utoipa::path(post, path = "/api/chat/users/sync/", tag = "people", request_body = Vec<SyncUser>,
    responses((status = 200, body = Synced)))]
pub async fn sync(rest: Data<Rest>, caller: Caller, body: Body) -> Result<Json<Synced>, ApiError> {
    caller.require_service()?;
    let people: Vec<ToldWithId> = body.list(SYNC_MAX).await?;
    let mut people: Vec<ToldPerson> = people.into_iter().map(|ToldWithId(person)| person).collect();
    // Of one told twice the later counts.
    people.reverse();
    let mut seen = std::collections::HashSet::new();
    people.retain(|person| seen.insert(person.id));
    let told = tell(&rest, people).await?;
    let created = told.iter().filter(|told| told.created).count();
    let kept_erased = told.iter().filter(|told| told.is_erased).count();
    Ok(Json(Synced { created, updated: told.len() - created - kept_erased }))
}

/// Ends a person's account for good; service tokens only.
#[utoipa::path(delete, path = "/api/chat/users/{id}/", tag = "people",
    params(("id" = i64, Path, minimum = 1),
        ("texts" = Option<bool>, Query, description = "Whether all texts and files go too")),
    responses((status = 204)))]
pub async fn delete(
    rest: Data<Rest>,
    caller: Caller,
    id: Path<String>,
    mut query: Query,
) -> Result<HttpResponse, ApiError> {
    caller.require_service()?;
    let id = parse_id(&id).map(UserId).ok_or_else(ApiError::not_found)?;
    let texts_too = query.flag("texts").unwrap_or(false);
    query.finish()?;
    // First of all nothing more is accepted from this person; all that follows may be done again.
    let erased = rest.store.erase_person(id).await?.ok_or_else(ApiError::not_found)?;
    rest.engine.person_changed(erased.as_change());
    // A message that is being stored holds its room, and so is there when the person is out of it.
    expel(&rest, id).await?;
    if texts_too {
        erase_texts(&rest, id).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn tell(rest: &Rest, people: Vec<ToldPerson>) -> Result<Vec<PersonTold>, ApiError> {
    let told = rest.store.told(&people).await?;
    for person in told.iter().filter(|told| told.right_changed || told.renamed) {
        rest.engine.person_changed(person.record.as_change());
    }
    Ok(told)
}

/// Takes a person out of all rooms, also of one that a batch put the person into meanwhile.
async fn expel(rest: &Rest, user: UserId) -> Result<(), ApiError> {
    for _ in 0..EXPULSIONS_MAX {
        let rooms = rest.store.rooms_of(user).await?;
        if rooms.is_empty() {
            return Ok(());
        }
        carry_out(rest, rooms.into_iter().map(|room| (room, Change::Expel { user })).collect()).await?;
    }
    tracing::warn!(%user, "a person who is erased is put into rooms again and again");
    Err(EngineError::Unavailable.into())
}

/// Erases what one who is out of all rooms has written, by pieces: what is done stays done.
async fn erase_texts(rest: &Rest, user: UserId) -> Result<(), ApiError> {
    let mut after = (RoomId(Uuid::nil()), Seq::START);
    loop {
        let piece = rest.store.messages_by(user, after, ERASING_PIECE).await?;
        let Some((room, seq, _)) = piece.last() else { break };
        after = (*room, *seq);
        let deletions = piece.iter().map(|(room, _, message)| (*room, Change::Erase { message: *message }));
        carry_out(rest, deletions.collect()).await?;
    }
    Ok(rest.store.erase_texts_of_deleted_rooms(user).await?)
}

/// Carries out changes by the host application; what is done already is no error.
async fn carry_out(rest: &Rest, changes: Vec<(RoomId, Change)>) -> Result<(), ApiError> {
    let commands = changes.into_iter().map(|(room, change)| {
        let engine = rest.engine.clone();
        async move {
            match engine.command(Command { room, by: Actor::Service, change }).await {
                Ok(_)
                | Err(EngineError::Refused(
                    Refusal::RoomNotFound | Refusal::MessageNotFound | Refusal::ParticipantNotFound,
                )) => Ok(()),
                Err(error) => Err(ApiError::from(error)),
            }
        }
    });
    stream::iter(commands).buffer_unordered(ERASING_AT_ONCE).try_collect().await
}
