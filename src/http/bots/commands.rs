//! Commands of bots: what a bot offers, how a user gives one, and what the bot answers.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::bot_command::{COMMANDS_MAX, DESCRIPTION_CHARS_MAX, HINT_CHARS_MAX, NAME_RULE, is_name};
use actors::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, Refusal, RoomChange,
};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::text::CONTENT_CHARS_MAX;
use actors::engine::BotCall;
use actors::error::EngineError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, REQUIRED, parse_uuid};
use crate::http::messages::view::{ApiMessage, MessagePresenter};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::params::ListCommandsParams;
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::http::users::ApiUser;
use crate::store::postgres::bots::BotCommand;

/// The most bytes of an answer token.
const TOKEN_BYTES_MAX: usize = 1_024;

/// A command that a bot offers.
#[derive(ToSchema)]
#[schema(as = SetBotCommand)]
pub struct SetBotCommandRequest {
    /// The name, as users type it behind a slash.
    #[schema(pattern = "^[a-z0-9_-]{1,32}$")]
    name: String,
    /// What it does.
    #[schema(max_length = 200, nullable = false)]
    description: Option<String>,
    /// What users type behind the name.
    #[schema(max_length = 100, nullable = false)]
    hint: Option<String>,
}

impl FromFields for SetBotCommandRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let name = read_name(fields);
        let description = fields.text("description", DESCRIPTION_CHARS_MAX);
        let hint = fields.text("hint", HINT_CHARS_MAX);
        Some(Self { name: name?, description, hint })
    }
}

/// Reads the name of a command.
fn read_name(fields: &mut Fields) -> Option<String> {
    let name = fields.text("name", CONTENT_CHARS_MAX);
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        fields.add_error("name", NAME_RULE);
    }
    fields.require("name", name)
}

/// A command of a bot.
#[derive(Serialize, ToSchema)]
#[schema(as = BotCommand)]
pub struct ApiBotCommand {
    /// The name, as users type it behind a slash.
    pub name: String,
    /// What it does; perhaps empty.
    pub description: String,
    /// What users type behind the name; perhaps empty.
    pub hint: String,
    /// The bot.
    pub bot: ApiUser,
}

/// A command that a user gives.
#[derive(ToSchema)]
#[schema(as = GiveCommand)]
pub struct GiveCommandRequest {
    /// The command's name.
    #[schema(pattern = "^[a-z0-9_-]{1,32}$")]
    name: String,
    /// What stands behind it.
    #[schema(value_type = Option<String>, max_length = 4000, nullable = false)]
    text: String,
}

impl FromFields for GiveCommandRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let name = read_name(fields);
        let text = fields.text("text", CONTENT_CHARS_MAX).unwrap_or_default();
        Some(Self { name: name?, text })
    }
}

/// What a bot answers to a command.
#[derive(ToSchema)]
#[schema(as = AnswerCommand)]
pub struct AnswerCommandRequest {
    /// The token that came with the command, within 15 minutes.
    #[schema(min_length = 1, max_length = 1024)]
    token: String,
    /// The text.
    #[schema(min_length = 1, max_length = 4000)]
    content: String,
    /// Whether it is shown to whoever gave the command alone, and not kept; no when left out.
    #[schema(value_type = Option<bool>)]
    only_to_caller: bool,
    /// What the bot calls an answer to all, so that a retry posts nothing new.
    #[schema(value_type = Option<uuid::Uuid>)]
    client_id: Option<ClientId>,
}

impl FromFields for AnswerCommandRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let token = fields.raw_text("token", TOKEN_BYTES_MAX);
        let token = fields.require("token", token);
        let content = fields.text("content", CONTENT_CHARS_MAX);
        if content.as_deref() == Some("") {
            fields.add_error("content", Refusal::Blank.to_string());
        }
        let content = fields.require("content", content);
        let only_to_caller = fields.optional_flag("only_to_caller").unwrap_or(false);
        let client_id = fields.uuid("client_id").map(ClientId);
        Some(Self { token: token?, content: content?, only_to_caller, client_id })
    }
}

/// Returns the bot that is calling.
fn bot(caller: &Caller) -> Result<UserId, ApiError> {
    let user = caller.user_id()?;
    if user.is_bot() && !caller.is_service() { Ok(user) } else { Err(ApiError::forbidden()) }
}

/// Replaces the commands of the bot that is calling; 100 at most.
#[utoipa::path(put, path = "/api/chat/commands/", tag = "bots", request_body = Vec<SetBotCommandRequest>,
    responses((status = 204)))]
pub async fn put(state: Data<ApiState>, caller: Caller, body: RequestBody) -> Result<HttpResponse, ApiError> {
    let bot = bot(&caller)?;
    let requests: Vec<SetBotCommandRequest> = body.list(COMMANDS_MAX).await?;
    let mut names = BTreeSet::new();
    if let Some(twice) = requests.iter().find(|request| !names.insert(request.name.as_str())) {
        return Err(ApiError::field("name", format!("{} is named twice.", twice.name)));
    }
    let commands: Vec<BotCommand> = requests
        .into_iter()
        .map(|SetBotCommandRequest { name, description, hint }| BotCommand {
            name,
            description: description.unwrap_or_default(),
            hint: hint.unwrap_or_default(),
        })
        .collect();
    state.store.set_bot_commands(bot, &commands).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the commands of the bots in one of the caller's rooms, by their names.
#[utoipa::path(get, path = "/api/chat/commands/", tag = "bots", params(ListCommandsParams, Pagination),
    responses((status = 200, body = Page<ApiBotCommand>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiBotCommand>>, ApiError> {
    let ListCommandsParams { room } = query.read()?;
    let room = room.ok_or_else(|| ApiError::field("room", REQUIRED))?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let (count, commands) = state.store.bot_commands(caller.user_id()?, room, limit, offset).await?;
    let commands = commands.into_iter().map(|(bot, BotCommand { name, description, hint })| ApiBotCommand {
        name,
        description,
        hint,
        bot: ApiUser::without_email(&bot),
    });
    Ok(Json(pagination.page(&request, &query, count, commands.collect())?))
}

/// Gives a command to the bot of a room that has it: of several, to the one that joined first. Nothing is posted.
#[utoipa::path(post, path = "/api/chat/rooms/{id}/commands/", tag = "bots",
    params(("id" = uuid::Uuid, Path)), request_body = GiveCommandRequest,
    responses((status = 202, description = "The bot has it")))]
pub async fn give(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let room = parse_uuid(&id).map(RoomId).ok_or_else(ApiError::not_found)?;
    let user = caller.user_id()?;
    let GiveCommandRequest { name, text } = body.object().await?;
    state.engine.give_bot_command(room, user, BotCall { name, text }).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Answers a command that the bot which is calling was given: with a message in the room, or to whoever gave it alone.
#[utoipa::path(post, path = "/api/chat/commands/answer/", tag = "bots", request_body = AnswerCommandRequest,
    responses((status = 201, body = ApiMessage),
        (status = 200, body = ApiMessage, description = "The same `client_id` was sent before"),
        (status = 204, description = "It was shown to whoever gave the command")))]
pub async fn answer(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let bot = bot(&caller)?;
    let AnswerCommandRequest { token, content, only_to_caller, client_id } = body.object().await?;
    let given = state.engine.given_command(&token, bot);
    let given = given.ok_or_else(|| ApiError::field("token", "This token isn't valid, or not any more."))?;
    if only_to_caller {
        state.engine.answer_caller(given, content).await?;
        return Ok(HttpResponse::NoContent().finish());
    }
    let draft = MessageDraft {
        id: MessageId::new(),
        client_id,
        digest: MessageDraft::digest_of(&content, None, None),
        content,
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        missing_reply_target: MissingReplyTarget::Reject,
        extras: DraftExtras::default(),
        mentions: Mentions::default(),
    };
    let change = RoomChange::Post(draft);
    let command = Command { room: given.room, by: caller.token_holder()?, change };
    let CommandReply::Posted { message, duplicate } = state.engine.command(command).await? else {
        return Err(EngineError::OutcomeUnknown.into());
    };
    let body = MessagePresenter::new(&request, &state, &caller).present_sent(&message);
    let mut response = if duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(body))
}
