//! The query parameters of every route: each struct is what the route documents and what it reads.
//!
//! `page` and `page_size` are [`Pagination`](super::page::Pagination). A comment on a field is the
//! parameter's description in the OpenAPI document.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::MessageType;
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use actors::domain::text::TextError;
use chrono::{DateTime, Utc};
use utoipa::IntoParams;

use super::error::ApiError;
use super::page::{MESSAGES_PER_PAGE, PAGE_SIZE_MAX};
use super::query::{FromQuery, QueryFields};
use super::schema::{MessageTypeParam, Number, RoomTypeParam, SeqParam};
use crate::files::PreviewSize;
use crate::store::postgres::ChangesCursor;
use crate::store::postgres::queries::{
    MessageAnchor, MessageFilter, ParticipantFilter, RoomCursor, RoomFilter, RoomOrder,
};
use crate::store::postgres::reports::ReportState;
use crate::store::postgres::search::{Has, SearchLanguages, SearchOrder, SearchRequest, is_cjk};

/// Events in one response when the client names no limit.
const EVENTS_DEFAULT: usize = 100;
/// The most events in one response.
pub(crate) const EVENTS_MAX: usize = 1_000;
/// Changes of all rooms in one response when the client names no limit.
const CHANGES_DEFAULT: usize = 100;
/// The most changes of all rooms in one response.
const CHANGES_MAX: usize = 500;
/// The fewest code points to search for, unless one of them is Chinese, Japanese or Korean.
const SEARCH_CHARS_MIN: usize = 2;

/// The query of `GET /api/chat/rooms/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRoomsParams {
    #[param(value_type = Option<RoomTypeParam>)]
    room_type: Option<RoomType>,
    /// Part of a name
    #[param(max_length = 500)]
    search: Option<String>,
    is_active: Option<bool>,
    include_archived: Option<bool>,
    /// `modified_at`, `created_at`, `-modified_at` or `-created_at`
    #[param(value_type = Option<String>)]
    ordering: RoomOrder,
    /// `next_cursor` of the page before; in place of `page`
    #[param(value_type = Option<String>, max_length = 4096)]
    pub(crate) cursor: Option<RoomCursor>,
}

impl FromQuery for ListRoomsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self {
            room_type: fields.choice("room_type", RoomType::parse),
            search: fields.search("search"),
            is_active: fields.flag("is_active"),
            include_archived: fields.flag("include_archived"),
            ordering: match fields.raw("ordering").as_deref() {
                Some("modified_at") => RoomOrder::EarliestActivity,
                Some("created_at") => RoomOrder::Oldest,
                Some("-created_at") => RoomOrder::Newest,
                _ => RoomOrder::LatestActivity,
            },
            cursor: fields.choice("cursor", |cursor| {
                cursor.parse().ok().filter(|cursor: &RoomCursor| cursor.is_usable(Utc::now()))
            }),
        }
    }
}

impl ListRoomsParams {
    /// Returns the filter; archived rooms are left out unless they are asked for.
    pub(crate) fn filter(&self) -> RoomFilter {
        let includes_archived = self.include_archived.unwrap_or(false);
        RoomFilter {
            room_type: self.room_type,
            search: self.search.clone(),
            is_active: self.is_active.or((!includes_archived).then_some(true)),
            order: self.ordering,
        }
    }
}

/// The query of `GET /api/chat/rooms/{id}/events/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEventsParams {
    /// The events after this `seq`
    #[param(value_type = Option<SeqParam>)]
    pub(crate) since: Seq,
    /// How many, 1,000 at most
    #[param(value_type = Option<Number>)]
    pub(crate) limit: usize,
}

impl FromQuery for ListEventsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self {
            since: Seq(fields.seq("since").unwrap_or(0)),
            limit: fields.count("limit", EVENTS_DEFAULT, EVENTS_MAX),
        }
    }
}

/// The query of `GET /api/chat/changes/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListChangesParams {
    /// `cursor` of the page before; without it, from the start
    #[param(value_type = Option<String>)]
    pub(crate) cursor: Option<ChangesCursor>,
    /// How many, 500 at most
    #[param(value_type = Option<Number>)]
    pub(crate) limit: usize,
}

impl FromQuery for ListChangesParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self {
            cursor: fields.choice("cursor", |cursor| cursor.parse().ok()),
            limit: fields.count("limit", CHANGES_DEFAULT, CHANGES_MAX),
        }
    }
}

/// The query of `GET /api/chat/notifications/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListNotificationsParams {
    /// `true`: only what isn't read; `false`: only what is
    pub(crate) unread: Option<bool>,
}

impl FromQuery for ListNotificationsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self { unread: fields.flag("unread") }
    }
}

/// The query of `GET /api/chat/messages/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMessagesParams {
    #[param(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    #[param(value_type = Option<MessageTypeParam>)]
    message_type: Option<MessageType>,
    #[param(value_type = Option<i64>)]
    sender: Option<UserId>,
    #[param(max_length = 500)]
    pub(crate) search: Option<String>,
    /// A message: the thread of which it is the root or a reply, oldest first
    #[param(value_type = Option<Uuid>)]
    pub(crate) thread: Option<MessageId>,
    /// `me`: only those that mention the caller
    #[param(value_type = Option<String>, pattern = "^(me)?$")]
    mentions: Option<()>,
    /// Only those that count as unread for the caller
    #[param(value_type = Option<bool>)]
    unread: bool,
    /// `created_at` for the oldest first
    ordering: Option<String>,
    /// With `room` or `thread`: the newest before this `seq`
    #[param(value_type = Option<SeqParam>)]
    before: Option<Seq>,
    /// With `room` or `thread`: the oldest after this `seq`
    #[param(value_type = Option<SeqParam>)]
    after: Option<Seq>,
    /// With `room` or `thread`: how many, 100 at most
    #[param(value_type = Option<Number>)]
    pub(crate) limit: usize,
    /// Whether a slice of a room is asked for, and not a numbered page.
    #[param(ignore)]
    pub(crate) is_slice: bool,
}

impl FromQuery for ListMessagesParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        let is_slice = ["before", "after", "limit"].iter().any(|name| fields.has(name));
        let thread = fields.uuid("thread").map(MessageId);
        if is_slice && !fields.has("thread") {
            fields.require("room");
        }
        let search = fields.search("search");
        if thread.is_some() && search.is_some() {
            fields.add_error("search", "Not together with thread.");
        }
        if is_slice && search.is_some() {
            fields.add_error("search", "Not together with before, after or limit.");
        }
        let mentions = fields.choice("mentions", |of| (of == "me").then_some(()));
        let unread = fields.flag("unread").unwrap_or(false);
        if search.is_some() && (mentions.is_some() || unread) {
            fields.add_error("search", "Not together with mentions or unread.");
        }
        let (before, after) = (fields.seq("before").map(Seq), fields.seq("after").map(Seq));
        if before.is_some() && after.is_some() {
            fields.add_error("after", "Only one of before and after may be given.");
        }
        Self {
            room: fields.uuid("room").map(RoomId),
            message_type: fields.choice("message_type", MessageType::parse),
            sender: fields.id("sender").map(UserId),
            search,
            thread,
            mentions,
            unread,
            ordering: fields.raw("ordering"),
            before,
            after,
            limit: fields.count("limit", MESSAGES_PER_PAGE, PAGE_SIZE_MAX),
            is_slice,
        }
    }
}

impl ListMessagesParams {
    pub(crate) fn filter(&self) -> MessageFilter {
        MessageFilter {
            room: self.room,
            message_type: self.message_type,
            sender: self.sender,
            mentions_viewer: self.mentions.is_some(),
            unread: self.unread,
            oldest_first: self.ordering.as_deref() == Some("created_at"),
        }
    }

    /// Returns the search for `text` among the messages of the list.
    pub(crate) fn search(&self, text: &str, languages: &SearchLanguages) -> SearchRequest {
        let MessageFilter { room, message_type, sender, oldest_first, .. } = self.filter();
        SearchRequest {
            query: text.to_owned(),
            is_plain: true,
            room,
            message_type,
            sender,
            order: if oldest_first { SearchOrder::Oldest } else { SearchOrder::Newest },
            languages: languages.clone(),
            ..SearchRequest::default()
        }
    }

    /// Returns the position that a slice starts from.
    pub(crate) fn anchor(&self) -> MessageAnchor {
        match (self.before, self.after) {
            (Some(seq), _) => MessageAnchor::Before(seq),
            (_, Some(seq)) => MessageAnchor::After(seq),
            _ => MessageAnchor::Newest,
        }
    }

    /// Whether a slice lists its oldest message first; without `ordering` it leads away from its anchor.
    pub(crate) fn is_ascending(&self) -> bool {
        match self.ordering.as_deref() {
            Some("created_at") => true,
            Some("-created_at") => false,
            _ => matches!(self.anchor(), MessageAnchor::After(_)),
        }
    }
}

/// The query of `GET /api/chat/threads/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListThreadsParams {
    #[param(value_type = Option<Uuid>)]
    pub(crate) room: Option<RoomId>,
}

impl FromQuery for ListThreadsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self { room: fields.uuid("room").map(RoomId) }
    }
}

/// The query of `GET /api/chat/messages/search/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchMessagesParams {
    /// Words, "phrases" and filters (`from:`, `in:`, `has:`, `before:`, `after:`, `mentions:me`); one sign of Chinese,
    /// Japanese or Korean is enough. May be left out beside a filter
    #[param(value_type = Option<String>, min_length = 2, max_length = 500)]
    q: Result<Option<String>, TextError>,
    #[param(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// Name or id of the sender; `me`
    #[param(max_length = 500)]
    from: Option<String>,
    /// `image`, `file` (any attachment) or `link`; several, separated by commas, must all be there
    #[param(value_type = Option<String>)]
    has: Vec<Has>,
    /// Sent before this time or date
    #[param(value_type = Option<String>)]
    before: Option<DateTime<Utc>>,
    /// Sent after this time or date
    #[param(value_type = Option<String>)]
    after: Option<DateTime<Utc>>,
    /// `me`: messages that mention the caller
    #[param(value_type = Option<String>)]
    mentions: Option<bool>,
    /// `relevance` unless it is `newest`
    #[param(value_type = Option<String>)]
    sort: Option<SearchOrder>,
    #[param(ignore)]
    message_type: Option<MessageType>,
    #[param(ignore)]
    sender: Option<UserId>,
}

impl FromQuery for SearchMessagesParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        let is_oldest_first = fields.raw("ordering").as_deref() == Some("created_at");
        let sort = fields.choice("sort", |name| match name {
            "relevance" => Some(SearchOrder::Relevance),
            "newest" => Some(SearchOrder::Newest),
            _ => None,
        });
        Self {
            q: fields.try_search("q"),
            room: fields.uuid("room").map(RoomId),
            from: fields.search("from"),
            has: fields
                .choice("has", |names| names.split(',').map(|name| Has::parse(name.trim())).collect())
                .unwrap_or_default(),
            before: fields.time("before"),
            after: fields.time("after"),
            mentions: fields.choice("mentions", |name| (name == "me").then_some(true)),
            sort: sort.or_else(|| is_oldest_first.then_some(SearchOrder::Oldest)),
            message_type: fields.choice("message_type", MessageType::parse),
            sender: fields.id("sender").map(UserId),
        }
    }
}

impl SearchMessagesParams {
    /// Returns what is searched.
    ///
    /// # Errors
    /// 400 under `error`: the text is too short or no valid text, or there is neither a text nor a filter.
    pub(crate) fn request(self, languages: &SearchLanguages) -> Result<SearchRequest, ApiError> {
        let text = self.q.map_err(|_| ApiError::ErrorMessage("Search query is not valid".to_owned()))?;
        let is_filtered = self.from.is_some()
            || !self.has.is_empty()
            || self.before.or(self.after).is_some()
            || self.mentions.is_some();
        let is_enough = match &text {
            Some(text) => text.chars().count() >= SEARCH_CHARS_MIN || text.chars().any(is_cjk),
            None => is_filtered,
        };
        if !is_enough {
            return Err(ApiError::ErrorMessage("Search query must be at least 2 characters".to_owned()));
        }
        Ok(SearchRequest {
            query: text.unwrap_or_default(),
            is_plain: false,
            room: self.room,
            message_type: self.message_type,
            sender: self.sender,
            from: self.from,
            has: self.has,
            before: self.before,
            after: self.after,
            mentions_me: self.mentions.unwrap_or(false),
            order: self.sort.unwrap_or_default(),
            languages: languages.clone(),
        })
    }
}

/// The query of `GET /api/chat/participants/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParticipantsParams {
    #[param(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    #[param(value_type = Option<i64>)]
    user: Option<UserId>,
    is_admin: Option<bool>,
    /// `admin`, `member` or `guest`
    #[param(value_type = Option<String>, pattern = "^(admin|member|guest|)$")]
    role: Option<Role>,
}

impl FromQuery for ListParticipantsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self {
            room: fields.uuid("room").map(RoomId),
            user: fields.id("user").map(UserId),
            is_admin: fields.flag("is_admin"),
            role: fields.choice("role", Role::named),
        }
    }
}

impl From<ListParticipantsParams> for ParticipantFilter {
    fn from(params: ListParticipantsParams) -> Self {
        let ListParticipantsParams { room, user, is_admin, role } = params;
        Self { room, user, is_admin, role }
    }
}

/// The query of `GET /api/chat/invitations/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListInvitationsParams {
    // `None` only where an error was added.
    #[param(value_type = Uuid)]
    pub(crate) room: Option<RoomId>,
}

impl FromQuery for ListInvitationsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        fields.require("room");
        Self { room: fields.uuid("room").map(RoomId) }
    }
}

/// The query of `GET /api/chat/typing/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListTypingParams {
    // `None` only where an error was added.
    #[param(value_type = Uuid)]
    pub(crate) room: Option<RoomId>,
}

impl FromQuery for ListTypingParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        fields.require("room");
        Self { room: fields.uuid("room").map(RoomId) }
    }
}

/// The query of `GET /api/chat/commands/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListCommandsParams {
    // `None` only where an error was added.
    #[param(value_type = Uuid)]
    pub(crate) room: Option<RoomId>,
}

impl FromQuery for ListCommandsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        fields.require("room");
        Self { room: fields.uuid("room").map(RoomId) }
    }
}

/// The query of `GET /api/chat/users/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchUsersParams {
    /// Part of a name
    #[param(max_length = 500)]
    pub(crate) search: Option<String>,
}

impl FromQuery for SearchUsersParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self { search: fields.search("search") }
    }
}

/// The query of `GET /api/chat/reports/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListReportsParams {
    /// `open`, `resolved` or `dismissed`: those alone
    #[param(value_type = Option<String>)]
    pub(crate) state: Option<ReportState>,
}

impl FromQuery for ListReportsParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self { state: fields.choice("state", ReportState::parse) }
    }
}

/// The query of `DELETE /api/chat/users/{id}/`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteUserParams {
    /// Whether all texts and files go too
    #[param(value_type = Option<bool>)]
    pub(crate) texts: bool,
}

impl FromQuery for DeleteUserParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        Self { texts: fields.flag("texts").unwrap_or(false) }
    }
}

/// The query of `GET /api/chat/files/{id}/`: a signature, in place of a token.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileParams {
    pub(crate) u: Option<String>,
    pub(crate) exp: Option<String>,
    pub(crate) sig: Option<String>,
    /// `small` or `large` for a picture of at most 320 or 1,280 pixels on each side, a JPEG; `original`, which any file
    /// is without it, and a picture that isn't larger.
    #[param(value_type = Option<String>, pattern = "^(small|large|original)$")]
    pub(crate) size: Option<FileSize>,
}

/// In which size a picture is asked for.
#[derive(Clone, Copy)]
pub(crate) enum FileSize {
    Original,
    Preview(PreviewSize),
}

impl FromQuery for FileParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        let parse = |name: &str| match name {
            "small" => Some(FileSize::Preview(PreviewSize::Small)),
            "large" => Some(FileSize::Preview(PreviewSize::Large)),
            "original" => Some(FileSize::Original),
            _ => None,
        };
        let size = fields.choice("size", parse);
        Self { u: fields.raw("u"), exp: fields.raw("exp"), sig: fields.raw("sig"), size }
    }
}
