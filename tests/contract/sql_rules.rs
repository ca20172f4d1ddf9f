//! The rules that SQL applies by itself agree with those of the domain: what is unread, who is mentioned, what a
//! room is called, what a preview shows and who sees a message. Rooms are generated; every query that applies a rule is
//! compared with the domain's function.

mod mentions;

use std::collections::BTreeMap;

use actors::domain::ids::{FileId, MessageId, ParticipantId, RoomId, Seq, UserId};
use actors::domain::message::{self, MessageType};
use actors::domain::participant::{Participant, Role};
use actors::domain::room::{Room, RoomType, Subject};
use actors::domain::room_settings::RoomSettings;
use actors::domain::user::UserSummary;
use actors::ports::store::Store as _;
use aristay_chat::store::postgres::queries::{
    MessageAnchor, MessageDetails, MessageFilter, ParticipantFilter, RoomFilter, RoomLookup, VersionsLookup,
};
use aristay_chat::store::postgres::search::{SearchOrder, SearchRequest};
use chrono::{DateTime, Duration, SubsecRound, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::world::Postgres;

/// Rooms that are generated.
const CASES: u32 = 48;
/// Words by which names are searched; generated names consist of nothing else.
const WORDS: [&str; 8] = ["Task", "Property", "Chat", "Ann", "Élodie", "Boiler", "水管", "O'Brien"];

/// A generated room as one user, the viewer, has it.
#[derive(Clone, Debug)]
struct Case {
    room_type: RoomType,
    name: String,
    title: String,
    partner: (String, String),
    read_seq: i64,
    joined_seq: i64,
    visible_from: i64,
    unread_from: Option<i64>,
    is_muted: bool,
    /// Minutes from now until the muting ends.
    muted_for: Option<i64>,
    is_archived: bool,
    messages: Vec<CaseMessage>,
}

#[derive(Clone, Debug)]
struct CaseMessage {
    is_own: bool,
    is_deleted: bool,
    /// Whether it stands in a thread alone.
    is_aside: bool,
    message_type: MessageType,
    content: String,
    mentions_viewer: bool,
    mentions_room: bool,
    /// The number of the message that it replies to, if that is an earlier one.
    replies_to: Option<usize>,
}

fn names() -> impl Strategy<Value = String> {
    vec(select(&WORDS[..]), 0..3).prop_map(|words| words.join(" "))
}

fn messages() -> impl Strategy<Value = CaseMessage> {
    let message_type =
        prop_oneof![Just(MessageType::Text), Just(MessageType::Image), Just(MessageType::File)];
    // No NUL, which PostgreSQL can't store, and both shorter and longer than a preview.
    let content = "[a-z€漢é👍 ]{0,130}";
    let replies_to = proptest::option::of(0..12_usize);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (flags, any::<[bool; 2]>(), message_type, content, replies_to).prop_map(
        |(
            (is_own, is_deleted, is_aside),
            [mentions_viewer, mentions_room],
            message_type,
            content,
            replies_to,
        )| {
            CaseMessage {
                is_own,
                is_deleted,
                is_aside,
                message_type,
                content,
                mentions_viewer,
                mentions_room,
                replies_to,
            }
        },
    )
}

fn cases() -> impl Strategy<Value = Case> {
    let room_type = prop_oneof![
        Just(RoomType::Direct),
        Just(RoomType::Group),
        Just(RoomType::Task),
        Just(RoomType::Property)
    ];
    let names = (names(), names(), "zq[a-z]{2,6}", names());
    let marks = (0..16_i64, 1..16_i64, 0..16_i64, proptest::option::of(1..16_i64));
    let mute = (any::<bool>(), proptest::option::of(-30..30_i64), any::<bool>());
    (room_type, names, marks, mute, vec(messages(), 0..12)).prop_map(
        |(room_type, (name, title, username, full_name), marks, mute, messages)| Case {
            room_type,
            name,
            title: if matches!(room_type, RoomType::Task | RoomType::Property) {
                title
            } else {
                String::new()
            },
            partner: (username, full_name),
            read_seq: marks.0,
            joined_seq: marks.1,
            visible_from: marks.2,
            unread_from: marks.3,
            is_muted: mute.0,
            muted_for: mute.1.filter(|minutes| *minutes != 0),
            is_archived: mute.2,
            messages,
        },
    )
}

/// A case as it is stored.
struct Stored {
    viewer: UserId,
    room: Room,
    participant: Participant,
    partner: UserSummary,
    is_muted: bool,
    messages: Vec<StoredMessage>,
}

/// A message with its position, id and file.
type StoredMessage = (Seq, MessageId, Option<FileId>, CaseMessage);

impl Stored {
    fn unread(&self) -> i64 {
        self.unread_after(self.participant.unread_after())
    }

    fn unread_after(&self, after: Seq) -> i64 {
        self.unread_messages(after).count().try_into().unwrap()
    }

    fn unread_messages(&self, after: Seq) -> impl Iterator<Item = (Seq, MessageId, &CaseMessage)> {
        let all = self.messages.iter().map(|(seq, id, _, message)| (*seq, *id, message));
        all.filter(move |(seq, _, message)| {
            !message.is_own && !message.is_deleted && !message.is_aside && *seq > after
        })
    }

    fn visible(&self) -> Vec<MessageId> {
        let visible = self
            .messages
            .iter()
            .filter(|(seq, _, _, message)| !message.is_deleted && self.participant.can_see(*seq));
        visible.map(|(_, id, _, _)| *id).collect()
    }

    /// Those of the visible ones that stand in the timeline.
    fn timeline(&self) -> Vec<MessageId> {
        let timeline = self.messages.iter().filter(|(seq, _, _, message)| {
            !message.is_deleted && !message.is_aside && self.participant.can_see(*seq)
        });
        timeline.map(|(_, id, _, _)| *id).collect()
    }

    /// The messages that visible ones of the timeline reply to, and whether the viewer may see them.
    fn quotes(&self) -> Vec<(MessageId, bool)> {
        let visible = self.messages.iter().enumerate().filter(|(_, (seq, _, _, message))| {
            !message.is_deleted && !message.is_aside && self.participant.can_see(*seq)
        });
        let quoted = visible.filter_map(|(number, (_, _, _, message))| {
            self.messages.get(message.replies_to?).filter(|_| message.replies_to < Some(number))
        });
        quoted.map(|(seq, id, _, _)| (*id, self.participant.can_see(*seq))).collect()
    }

    /// The preview of the newest message of the timeline, if the viewer may see that.
    fn preview(&self) -> Option<String> {
        let (seq, _, _, newest) =
            self.messages.iter().rev().find(|(_, _, _, message)| !message.is_deleted && !message.is_aside)?;
        let preview = message::preview(newest.message_type, false, &newest.content);
        self.participant.can_see(*seq).then_some(preview)
    }

    fn display_name(&self) -> String {
        let is_direct = self.room.room_type == RoomType::Direct;
        self.room.display_name(is_direct.then_some(&*self.partner.full_name))
    }
}

impl CaseMessage {
    fn sender(&self, [viewer, other]: [UserId; 2]) -> UserId {
        if self.is_own { viewer } else { other }
    }
}

async fn store_case(client: &Client, number: i64, case: &Case) -> Stored {
    let (viewer, other) = (UserId(1_000 + 2 * number), UserId(1_001 + 2 * number));
    let now = Utc::now().trunc_subsecs(3);
    let is_direct = case.room_type == RoomType::Direct;
    let room = RoomId(Uuid::new_v4());
    let subject = match case.room_type {
        RoomType::Task => Some(Subject::Task(number)),
        RoomType::Property => Some(Subject::Property(number)),
        _ => None,
    };
    let (username, full_name) = &case.partner;
    for (id, username, full_name) in [(viewer, "viewer", ""), (other, username.as_str(), full_name.as_str())]
    {
        let insert = "INSERT INTO people (id, username, full_name) VALUES ($1, $2, $3)";
        client.execute(insert, &[&id.0, &username, &full_name]).await.unwrap();
    }
    let head = i64::try_from(case.messages.len()).unwrap() + 3;
    let at = |seq: i64| now - Duration::minutes(head - seq);
    let room = Room {
        is_blocked: false,
        is_held: false,
        id: room,
        room_type: case.room_type,
        name: case.name.clone(),
        title: case.title.clone(),
        subject,
        created_at: at(1),
        modified_at: at(head),
        created_by: None,
        archived_at: case.is_archived.then_some(now),
        is_deleted: false,
        head: Seq(head),
        settings: RoomSettings::default(),
        visible_to_all_from: Seq(case.visible_from),
    };
    let pair = is_direct.then_some((viewer.0, other.0)).unzip();
    client
        .execute(
            "INSERT INTO rooms (id, room_type, name, title, task, property, pair_low, pair_high, created_at, modified_at,
                 archived_at, head, visible_to_all_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            &[
                &room.id.0,
                &room.room_type.as_str(),
                &room.name,
                &room.title,
                &room.task(),
                &room.property(),
                &pair.0,
                &pair.1,
                &room.created_at,
                &room.modified_at,
                &room.archived_at,
                &head,
                &room.visible_to_all_from.0,
            ],
        )
        .await
        .unwrap();
    let muted_until: Option<DateTime<Utc>> =
        case.muted_for.map(|minutes| Utc::now() + Duration::minutes(minutes));
    let insert =
        "INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq, visible_from_seq, read_seq,
             is_muted, muted_until, unread_from) VALUES ($1, $2, 'member', $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let row = client
        .query_one(
            insert,
            &[
                &room.id.0,
                &viewer.0,
                &at(1),
                &case.joined_seq,
                &case.visible_from,
                &case.read_seq,
                &case.is_muted,
                &muted_until,
                &case.unread_from,
            ],
        )
        .await
        .unwrap();
    let zero = 0_i64;
    let none: Option<DateTime<Utc>> = None;
    let nowhere: Option<i64> = None;
    client
        .query_one(insert, &[&room.id.0, &other.0, &at(2), &2_i64, &zero, &zero, &false, &none, &nowhere])
        .await
        .unwrap();
    let participant = Participant {
        id: ParticipantId(row.get(0)),
        user: UserSummary::new(viewer, "viewer", ""),
        room: room.id,
        joined_at: at(1),
        joined_seq: Seq(case.joined_seq),
        left_at: None,
        role: Role::Member,
        until: None,
        read_seq: Seq(case.read_seq),
        visible_from: Seq(case.visible_from),
        unread_from: case.unread_from.map(Seq),
    };
    let mut messages: Vec<StoredMessage> = Vec::new();
    for (seq, message) in (4..).zip(&case.messages) {
        let replies_to = message.replies_to.and_then(|number| Some(messages.get(number)?.1));
        messages.push(store_message(client, &room, [viewer, other], seq, at(seq), message, replies_to).await);
    }
    let newest =
        "UPDATE rooms SET last_message_id = m.id, last_message_seq = m.seq, last_message_at = m.created_at
         FROM (SELECT * FROM messages WHERE room_id = $1 AND deleted_at IS NULL AND in_timeline
             ORDER BY seq DESC LIMIT 1) m
         WHERE rooms.id = $1";
    client.execute(newest, &[&room.id.0]).await.unwrap();
    Stored {
        viewer,
        room,
        participant,
        partner: UserSummary::new(other, username, full_name),
        is_muted: case.is_muted && case.muted_for.is_none_or(|minutes| minutes > 0),
        messages,
    }
}

async fn store_message(
    client: &Client,
    room: &Room,
    [viewer, other]: [UserId; 2],
    seq: i64,
    at: DateTime<Utc>,
    message: &CaseMessage,
    replies_to: Option<MessageId>,
) -> StoredMessage {
    let id = MessageId(Uuid::new_v4());
    let sender = message.sender([viewer, other]);
    let file = (message.message_type != MessageType::Text).then(|| FileId(Uuid::new_v4()));
    if let Some(file) = file {
        let insert =
            "INSERT INTO files (id, uploaded_by, name, size, content_type, is_image, room_id, message_id)
             VALUES ($1, $2, 'a.bin', 1, 'application/octet-stream', false, $3, $4)";
        client.execute(insert, &[&file.0, &sender.0, &room.id.0, &id.0]).await.unwrap();
    }
    let deleted_at = message.is_deleted.then_some(at);
    client
        .execute(
            "INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, file_id, created_at,
                 modified_at, deleted_at, reply_to, thread_root, in_timeline)
             VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12)",
            &[
                &room.id.0,
                &id.0,
                &seq,
                &sender.0,
                &message.message_type.as_str(),
                &message.content,
                &file.map(|file| file.0),
                &at,
                &deleted_at,
                &replies_to.map(|id| id.0),
                &message.is_aside.then_some(room.id.0),
                &!message.is_aside,
            ],
        )
        .await
        .unwrap();
    let insert = "INSERT INTO events (room_id, seq, kind, actor, message_id, at)
        VALUES ($1, $2, 'message_posted', $3, $4, $5)";
    client.execute(insert, &[&room.id.0, &seq, &sender.0, &id.0, &at]).await.unwrap();
    if !message.is_aside {
        let place = (id, Seq(seq), sender);
        mentions::store(client, room.id, place, &message.mentions(viewer), message.is_deleted).await;
    }
    (Seq(seq), id, file, message.clone())
}

/// Compares one value of a query with that of the domain.
macro_rules! same {
    ($query:literal, $found:expr, $expected:expr) => {
        prop_assert_eq!($found, $expected, $query)
    };
}

async fn check_unread(postgres: &Postgres, stored: &Stored) -> Result<(), TestCaseError> {
    let (store, viewer, room) = (&postgres.store, stored.viewer, stored.room.id);
    let unread = stored.unread();
    let inbox = store.inbox(viewer, Some(&[room])).await.unwrap().remove(0);
    same!("inbox", inbox.unread, unread);
    same!("inbox", inbox.unread_after, stored.participant.unread_after());
    let snapshot = store.snapshot(room, &[viewer], false).await.unwrap().unwrap();
    same!("snapshot", snapshot.admitted_users[0].unread, unread);
    same!("stats", store.room_stats(Some(viewer), room).await.unwrap().unread_count, unread);
    let rooms = store.unread_rooms(viewer).await.unwrap();
    same!("unread rooms", (rooms[0].unread, rooms.len()), (unread, 1));
    let page = store.room_page(viewer, &RoomFilter::default(), 5, 0).await.unwrap();
    same!("room list", page.rooms[0].unread, unread);
    let filter = ParticipantFilter { user: Some(viewer), ..ParticipantFilter::default() };
    let (_, participants) = store.participant_page(Some(viewer), false, &filter, 5, 0).await.unwrap();
    same!("participants", participants[0].unread, unread);
    // Others see it by the read mark alone.
    let (_, participants) =
        store.participant_page(Some(stored.partner.id), false, &filter, 5, 0).await.unwrap();
    same!(
        "participants of others",
        participants[0].unread,
        stored.unread_after(stored.participant.unread_after_mark())
    );
    let counts = !stored.is_muted && stored.room.archived_at.is_none();
    same!("inbox muting", (inbox.is_muted, inbox.counts_toward_total()), (stored.is_muted, counts));
    same!("unread rooms muting", rooms[0].counts_toward_total, counts);
    same!("room list muting", page.rooms[0].is_muted, stored.is_muted);
    same!("participants muting", participants[0].is_muted, stored.is_muted);
    Ok(())
}

async fn check_names_and_previews(postgres: &Postgres, stored: &Stored) -> Result<(), TestCaseError> {
    let (store, viewer, room) = (&postgres.store, stored.viewer, stored.room.id);
    let name = stored.display_name();
    let inbox = store.inbox(viewer, Some(&[room])).await.unwrap().remove(0);
    same!("inbox name", &inbox.display_name, &name);
    let RoomLookup::Found(details) = store.room_details(Some(viewer), false, room).await.unwrap() else {
        return Err(TestCaseError::fail("the viewer is in the room"));
    };
    let is_direct = stored.room.room_type == RoomType::Direct;
    let partner = details.partner.filter(|_| is_direct);
    same!("room name", &details.room.display_name(partner.as_deref()), &name);
    // The list is searched by the name that SQL computes.
    let id = stored.room.id.0.simple().to_string();
    for word in WORDS.iter().copied().chain([&id[..8], &stored.partner.username]) {
        let filter = RoomFilter { search: Some(word.to_owned()), ..RoomFilter::default() };
        let count = store.room_page(viewer, &filter, 5, 0).await.unwrap().count;
        same!(
            "name searched",
            (word, count),
            (word, i64::from(name.to_lowercase().contains(&word.to_lowercase())))
        );
    }
    let preview = stored.preview();
    let expected = preview.clone().unwrap_or_else(|| "No messages yet".to_owned());
    same!("inbox preview", inbox.last_message_preview, expected);
    same!("inbox sender", inbox.last_message_sender.is_some(), preview.is_some());
    let page = store.room_page(viewer, &RoomFilter::default(), 5, 0).await.unwrap();
    let listed = page.rooms[0].last_message.clone();
    same!("list preview", listed.as_ref().map(|(preview, _, _)| preview), preview.as_ref());
    let time = listed.map_or(stored.room.created_at, |(_, at, _)| at);
    same!("inbox time", inbox.last_message_time, time);
    same!("room's newest", details.last_message.is_some(), preview.is_some());
    Ok(())
}

/// The messages that these reply to, and whether they are shown.
fn quotes(messages: &[MessageDetails]) -> Vec<(MessageId, bool)> {
    let quotes = messages.iter().filter_map(|shown| shown.message.reply_to.as_ref());
    quotes.map(|quote| (quote.id, quote.shown.is_some())).collect()
}

async fn check_visibility(postgres: &Postgres, stored: &Stored) -> Result<(), TestCaseError> {
    let (store, viewer, room) = (&postgres.store, stored.viewer, stored.room.id);
    let visible = stored.visible();
    let filter = MessageFilter { room: Some(room), oldest_first: true, ..MessageFilter::default() };
    let page = store.message_page(viewer, &filter, 50, 0).await.unwrap();
    let shown: Vec<_> = page.messages.iter().map(|shown| shown.message.id).collect();
    let timeline = stored.timeline();
    same!("page", (&shown, page.count), (&timeline, i64::try_from(timeline.len()).unwrap()));
    same!("quotes", quotes(&page.messages), stored.quotes());
    let stats = store.room_stats(Some(viewer), room).await.unwrap();
    same!("stats", stats.message_count, page.count);
    let slice = store.message_slice(viewer, &filter, MessageAnchor::After(Seq(0)), 50).await.unwrap();
    same!("quotes of a slice", quotes(&slice.messages), stored.quotes());
    let shown: Vec<_> = slice.messages.iter().map(|shown| shown.message.id).collect();
    same!("slice", &shown, &timeline);
    for (_, id, file, _) in &stored.messages {
        let is_visible = visible.contains(id);
        same!("message", store.message(viewer, *id).await.unwrap().is_some(), is_visible);
        let versions = store.message_versions(viewer, *id, 10).await.unwrap();
        same!("versions", versions != VersionsLookup::NotFound, is_visible);
        if let Some(file) = file {
            let found = store.visible_file(viewer, *file, None).await.unwrap();
            same!("file", found.is_some(), is_visible);
        }
    }
    // Every message that contains the sign is found.
    let contents: BTreeMap<MessageId, bool> =
        stored.messages.iter().map(|(_, id, _, message)| (*id, message.content.contains('€'))).collect();
    let (query, order) = ("€".to_owned(), SearchOrder::Oldest);
    let request = SearchRequest { query, room: Some(room), order, ..SearchRequest::default() };
    let found = store.search_messages(viewer, &request, 50, 0).await.unwrap();
    let found: Vec<_> = found.page.messages.iter().map(|found| found.message.id).collect();
    let expected: Vec<_> = visible.iter().copied().filter(|id| contents[id]).collect();
    same!("search", found, expected);
    Ok(())
}

#[test]
fn sql_and_the_domain_agree_on_unread_mentions_names_previews_and_visibility() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (postgres, client) = runtime.block_on(async {
        let postgres = Postgres::new().await;
        let client = postgres.database.client().await;
        (postgres, client)
    });
    let number = std::cell::Cell::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&cases(), |case| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let stored = store_case(&client, number.get(), &case).await;
            check_unread(&postgres, &stored).await?;
            mentions::check(&postgres, &stored).await?;
            check_names_and_previews(&postgres, &stored).await?;
            check_visibility(&postgres, &stored).await
        })
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}
