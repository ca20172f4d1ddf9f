//! The cards of messages in bodies of REST.

use actors::domain::card::{
    ButtonStyle, Card, CardBody, CardButton, CardField, CardView, ChecklistItem, PollChoice,
};
use actors::domain::ids::UserId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A message's card.
#[derive(Serialize, ToSchema)]
#[schema(as = Card)]
pub struct ApiCard {
    /// The form that it has: 1.
    pub v: u8,
    /// `card`, `checklist` or `poll`.
    pub kind: &'static str,
    /// Its title, perhaps empty.
    pub title: String,
    /// Its text, perhaps empty.
    pub text: String,
    /// Facts by their names.
    pub fields: Vec<ApiCardField>,
    /// What is to be done, on a checklist.
    pub items: Vec<ApiChecklistItem>,
    /// What can be voted for, in a poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<ApiPollChoice>>,
    /// In a poll: whether one person may vote for several of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple: Option<bool>,
    /// In a poll: whether nobody votes any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// A word about how things stand.
    pub state: Option<String>,
    /// A web address with more about it.
    pub link: Option<String>,
    /// What can be pressed, so that its author is told.
    pub buttons: Vec<ApiCardButton>,
}

/// Something to press.
#[derive(Serialize, ToSchema)]
#[schema(as = CardButton)]
pub struct ApiCardButton {
    /// Its id on the card.
    pub id: String,
    /// What it says.
    pub text: String,
    /// `primary`, `danger` or `plain`, where its author has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub style: Option<&'static str>,
}

/// A fact on a card.
#[derive(Serialize, ToSchema)]
#[schema(as = CardField)]
pub struct ApiCardField {
    /// What it is about.
    pub name: String,
    /// What is the case.
    pub value: String,
}

/// Something to be done.
#[derive(Serialize, ToSchema)]
#[schema(as = ChecklistItem)]
pub struct ApiChecklistItem {
    /// Its id on the card.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// Who ticked it; null while it isn't ticked.
    pub done_by: Option<i64>,
    /// When that was.
    pub done_at: Option<DateTime<Utc>>,
}

/// Something to vote for.
#[derive(Serialize, ToSchema)]
#[schema(as = PollChoice)]
pub struct ApiPollChoice {
    /// Its id on the card.
    pub id: String,
    /// What is voted for.
    pub text: String,
    /// How many people voted for it.
    pub votes: i64,
    /// The ids of some of them, at most 20: the first, as long as nobody takes a vote back.
    pub users: Vec<i64>,
    /// Whether the caller is among them all.
    pub mine: bool,
}

impl ApiCard {
    /// Shows `card` to `viewer`; `own` holds the viewer's own votes as far as choices don't name the viewer.
    #[must_use]
    pub fn new(card: &Card, viewer: Option<UserId>, own: &[String]) -> Self {
        let frame = CardView::from(card);
        let poll = match &card.body {
            CardBody::Poll(poll) => Some(poll),
            CardBody::Checklist { .. } | CardBody::Card => None,
        };
        let choice = |choice: &PollChoice| ApiPollChoice {
            id: choice.id.clone(),
            text: choice.text.clone(),
            votes: choice.votes,
            users: choice.users.iter().map(|user| user.0).collect(),
            mine: viewer.is_some_and(|viewer| choice.users.contains(&viewer)) || own.contains(&choice.id),
        };
        Self {
            v: frame.v,
            kind: frame.kind,
            title: frame.title.to_owned(),
            text: frame.text.to_owned(),
            fields: frame.fields.iter().map(ApiCardField::from).collect(),
            items: frame.items.iter().map(ApiChecklistItem::from).collect(),
            choices: poll.map(|poll| poll.choices.iter().map(choice).collect()),
            multiple: poll.map(|poll| poll.multiple),
            closed: poll.map(|poll| poll.closed),
            state: frame.state.map(str::to_owned),
            link: frame.link.map(str::to_owned),
            buttons: frame.buttons.iter().map(ApiCardButton::from).collect(),
        }
    }
}

impl From<&CardField> for ApiCardField {
    fn from(field: &CardField) -> Self {
        Self { name: field.name.clone(), value: field.value.clone() }
    }
}

impl From<&CardButton> for ApiCardButton {
    fn from(button: &CardButton) -> Self {
        let style = button.style.map(ButtonStyle::as_str);
        Self { id: button.id.clone(), text: button.text.clone(), style }
    }
}

impl From<&ChecklistItem> for ApiChecklistItem {
    fn from(item: &ChecklistItem) -> Self {
        Self {
            id: item.id.clone(),
            text: item.text.clone(),
            done_by: item.done_by.map(|user| user.0),
            done_at: item.done_at,
        }
    }
}

/// A card to be sent; [`Card::read`] reads it. The type documents what may be sent and is never constructed.
#[derive(ToSchema)]
#[schema(as = SendCard)]
pub struct SendCard {
    /// The form that it has: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub v: u8,
    /// What it is.
    #[schema(pattern = "^(card|checklist|poll)$")]
    pub kind: String,
    /// Its title; a `card` has this or a text.
    #[schema(max_length = 255)]
    pub title: Option<String>,
    /// Its text.
    #[schema(max_length = 4000)]
    pub text: Option<String>,
    /// Facts by their names.
    #[schema(max_items = 20)]
    pub fields: Option<Vec<ApiCardField>>,
    /// What is to be done, on a checklist: 1 to 50.
    #[schema(max_items = 50)]
    pub items: Option<Vec<SendCardEntry>>,
    /// What can be voted for, in a poll: 1 to 50.
    #[schema(max_items = 50)]
    pub choices: Option<Vec<SendCardEntry>>,
    /// In a poll: whether one person may vote for several of them.
    pub multiple: Option<bool>,
    /// A word about how things stand.
    #[schema(max_length = 40)]
    pub state: Option<String>,
    /// A web address with more about it.
    #[schema(max_length = 2048)]
    pub link: Option<String>,
    /// What can be pressed; from bots, integrations and the host application alone.
    #[schema(max_items = 10)]
    pub buttons: Option<Vec<SendCardButton>>,
}

/// A button of a card to be sent.
#[derive(ToSchema)]
#[schema(as = SendCardButton)]
pub struct SendCardButton {
    /// Its id on the card; the server makes one where it is left out.
    #[schema(max_length = 40)]
    pub id: Option<String>,
    /// What it says.
    #[schema(min_length = 1, max_length = 40)]
    pub text: String,
    /// How it stands out.
    #[schema(pattern = "^(primary|danger|plain)$")]
    pub style: Option<String>,
}

/// An item or a choice of a card to be sent.
#[derive(ToSchema)]
#[schema(as = SendCardEntry)]
pub struct SendCardEntry {
    /// Its id on the card; the server makes one where it is left out.
    #[schema(max_length = 40)]
    pub id: Option<String>,
    /// What it says.
    #[schema(min_length = 1, max_length = 500)]
    pub text: String,
}
