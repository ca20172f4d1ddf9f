//! Bots: which of them has a command, the buttons that they send, and who presses these.

use actors::domain::card::{Card, CardRefusal};
use actors::domain::command::{
    Command, CommandOutcome, CommandReply, DraftExtras, MessageDraft, Principal, Refusal, RoomChange,
};
use actors::domain::event::EventBody;
use actors::domain::features::ButtonPress;
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::message::Message;
use actors::ports::store::Store;
use aristay_chat::auth::BotTokens;
use aristay_chat::store::postgres::integrations::NewWebhook;
use serde_json::json;
use uuid::Uuid;

use crate::plans::{read_in_sequence, reset};
use crate::webhooks::{ALL, adds, plans, sends_all};
use crate::world::{ANN, BOB, CAT, Postgres, World, add, delete, draft, on_both, posted};

const HELPER: UserId = UserId::FIRST_BOT;
const OTHER: UserId = UserId(HELPER.0 - 1);

on_both!(
    the_bot_of_a_command_is_the_first_one_in_the_room_that_has_it,
    two_bots_have_no_direct_room,
    a_button_is_pressed_once_for_each_client_id,
    people_send_no_buttons_and_bots_press_none,
    what_was_pressed_goes_with_its_message,
);

async fn has_bots(world: &World) {
    world.put_user(HELPER, "helper", true).await;
    world.put_user(OTHER, "other", true).await;
}

fn with_buttons() -> MessageDraft {
    let card = json!({"v": 1, "kind": "card", "title": "Unit 4", "buttons": [
        {"id": "accept", "text": "Accept", "style": "primary"}, {"id": "later", "text": "Later"}]});
    let card = Card::read(&card).expect("a card");
    let extras = DraftExtras { card: Some(Box::new(card.clone())), ..DraftExtras::default() };
    MessageDraft { extras, ..draft(&card.as_text()) }
}

async fn sends_buttons(world: &World, bot: UserId, room: RoomId) -> Message {
    posted(world.does(bot, room, RoomChange::Post(with_buttons())).await.unwrap())
}

fn press(message: MessageId, button: &str, client_id: Option<Uuid>) -> RoomChange {
    RoomChange::Press { message, button: button.to_owned(), client_id: client_id.map(ClientId) }
}

fn is_duplicate(outcome: &CommandOutcome) -> bool {
    matches!(outcome.reply, CommandReply::MessageChanged { is_duplicate: true, .. })
}

async fn the_bot_of_a_command_is_the_first_one_in_the_room_that_has_it(world: &World) {
    has_bots(world).await;
    let room = world.group(&[ANN, OTHER]).await;
    for (bot, name) in [(HELPER, "remind"), (OTHER, "remind"), (HELPER, "report")] {
        world.put_bot_command(bot, name).await;
    }
    let of = async |name: &str| world.store.bot_of_command(room, name).await.unwrap();
    assert_eq!((of("remind").await, of("report").await), (Some(OTHER), None));
    world.does(ANN, room, add(HELPER)).await.unwrap();
    assert_eq!((of("remind").await, of("report").await), (Some(OTHER), Some(HELPER)));
    assert_eq!(of("unknown").await, None);
    world.does(ANN, room, RoomChange::Remove { user: OTHER }).await.unwrap();
    assert_eq!(of("remind").await, Some(HELPER));
    world.put_user(HELPER, "helper", false).await;
    assert_eq!(of("remind").await, None);
    assert_eq!(world.store.bot_of_command(RoomId::new(), "remind").await.unwrap(), None);
}

async fn two_bots_have_no_direct_room(world: &World) {
    has_bots(world).await;
    assert_eq!(world.direct(HELPER, OTHER).await.err(), Some(Refusal::Forbidden));
    let room = world.direct(ANN, HELPER).await.unwrap().room;
    world.says(HELPER, room, "Good morning").await;
}

async fn a_button_is_pressed_once_for_each_client_id(world: &World) {
    has_bots(world).await;
    let room = world.group(&[ANN, BOB, HELPER]).await;
    let message = sends_buttons(world, HELPER, room).await;
    let press_id = Some(Uuid::new_v4());
    let pressed = world.does(BOB, room, press(message.id, "accept", press_id)).await.unwrap();
    let EventBody::CardAction(told) = &pressed.events[0].body else { panic!("{pressed:?}") };
    let expected = ButtonPress { message: message.id, author: HELPER, user: BOB, button: "accept".into() };
    assert_eq!(**told, expected);
    let again = world.does(BOB, room, press(message.id, "accept", press_id)).await.unwrap();
    assert!(again.events.is_empty() && is_duplicate(&again));
    // Another user's, another one's own, and those without a name are presses of their own.
    for (user, client_id) in [(ANN, press_id), (BOB, Some(Uuid::new_v4())), (BOB, None), (BOB, None)] {
        let pressed = world.does(user, room, press(message.id, "accept", client_id)).await.unwrap();
        assert_eq!(pressed.events.len(), 1);
    }
    // Two at once are one, too.
    let twice = Some(Uuid::new_v4());
    let command = || Command { room, by: Principal::User(BOB), change: press(message.id, "later", twice) };
    let outcomes = world.append(vec![command(), command()], true).await.unwrap();
    let events: usize = outcomes.into_iter().flatten().map(|outcome| outcome.unwrap().events.len()).sum();
    assert_eq!(events, 1);
    let log = world.log(room).await;
    let replayed = log.iter().find(|event| event.seq == pressed.events[0].seq).unwrap();
    assert_eq!(*replayed, pressed.events[0], "a replay tells the same");
    let unknown = world.does(BOB, room, press(message.id, "never", None)).await;
    assert_eq!(unknown.err(), Some(Refusal::Card(CardRefusal::UnknownButton)));
    let plain = world.says(HELPER, room, "no card").await;
    let refused = world.does(BOB, room, press(plain.id, "accept", None)).await;
    assert_eq!(refused.err(), Some(Refusal::Card(CardRefusal::NoCard)));
}

async fn people_send_no_buttons_and_bots_press_none(world: &World) {
    has_bots(world).await;
    let room = world.group(&[ANN, HELPER, OTHER]).await;
    let refused = world.does(ANN, room, RoomChange::Post(with_buttons())).await;
    assert_eq!(refused.err(), Some(Refusal::Card(CardRefusal::ButtonsFromPerson)));
    let message = sends_buttons(world, HELPER, room).await;
    for bot in [HELPER, OTHER] {
        let refused = world.does(bot, room, press(message.id, "accept", None)).await;
        assert_eq!(refused.err(), Some(Refusal::Forbidden));
    }
    let refused = world.does(CAT, room, press(message.id, "accept", None)).await;
    assert_eq!(refused.err(), Some(Refusal::NotParticipant));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    let refused = world.does(ANN, room, press(message.id, "accept", None)).await;
    assert_eq!(refused.err(), Some(Refusal::Archived));
}

async fn what_was_pressed_goes_with_its_message(world: &World) {
    has_bots(world).await;
    let room = world.group(&[ANN, HELPER]).await;
    let message = sends_buttons(world, HELPER, room).await;
    world.does(ANN, room, press(message.id, "accept", Some(Uuid::new_v4()))).await.unwrap();
    world.does(HELPER, room, delete(&message)).await.unwrap();
    let refused = world.does(ANN, room, press(message.id, "accept", None)).await;
    assert_eq!(refused.err(), Some(Refusal::MessageNotFound));
}

#[tokio::test]
async fn a_webhook_is_sent_what_was_pressed() {
    let world = World::postgres().await;
    has_bots(&world).await;
    let room = world.group(&[ANN, BOB, HELPER]).await;
    let store = &world.database().store;
    let webhook = adds(store, NewWebhook { kinds: &["card_action"], ..ALL }).await;
    let message = sends_buttons(&world, HELPER, room).await;
    let press_id = Some(Uuid::new_v4());
    let pressed = world.does(BOB, room, press(message.id, "accept", press_id)).await.unwrap();
    world.does(BOB, room, press(message.id, "accept", press_id)).await.unwrap();
    plans(&world, &[room]).await;
    assert_eq!(sends_all(store, &webhook).await, [(room, pressed.events[0].seq.0)]);
}

#[tokio::test]
async fn a_bot_has_one_token_until_it_ends() {
    let postgres = Postgres::new().await;
    let store = &postgres.store;
    let bot = store.add_bot("helper", "Helper", b"one", Some(ANN)).await.unwrap().unwrap();
    let id = bot.summary.id;
    assert_eq!((id, bot.is_active, bot.owner), (UserId::FIRST_BOT, true, Some(ANN)));
    let first = store.bot_token(b"one").await.unwrap().unwrap();
    assert_eq!(first.bot, id);
    // Each token is a second later than the one before, so that sockets of that one end.
    let mut earlier = first.issued_at;
    for hash in [b"two", b"six"] {
        let access = store.replace_bot_token(id, hash).await.unwrap().unwrap();
        let token = store.bot_token(hash).await.unwrap().unwrap();
        assert!(token.issued_at > earlier && access.accepts(token.issued_at) && !access.accepts(earlier));
        earlier = token.issued_at;
    }
    assert_eq!(store.bot_token(b"one").await.unwrap(), None);
    assert_eq!(store.bot_token(b"two").await.unwrap(), None);
    let ended = store.end_bot(id).await.unwrap().unwrap();
    assert!(!ended.accepts(earlier));
    assert_eq!(store.bot_token(b"six").await.unwrap(), None);
    assert_eq!(store.replace_bot_token(id, b"new").await.unwrap(), None, "it doesn't come back");
    assert_eq!(store.end_bot(UserId(id.0 - 7)).await.unwrap(), None);
    let (count, bots) = store.bots(10, 0).await.unwrap();
    assert_eq!((count, bots[0].is_active), (1, false));
}

#[tokio::test]
async fn what_is_asked_of_bots_reads_no_table_in_sequence() {
    const SEED: &str = "
        INSERT INTO people (id, username)
            SELECT n, 'user' || n FROM generate_series(1, 20000) n
            UNION ALL SELECT -1000000000 - n, 'bot' || n FROM generate_series(0, 5000) n;
        INSERT INTO bots (user_id, token_hash, token_issued_at)
            SELECT id, decode(md5('t' || id), 'hex'), 1 FROM people WHERE id < 0;
        INSERT INTO bot_commands (bot_id, name, description, hint)
            SELECT user_id, 'c' || k, '', '' FROM bots, generate_series(1, 10) k;
        INSERT INTO rooms (id, room_type, created_at, modified_at, head)
            SELECT md5('room' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, 20000) n;
        INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
            SELECT md5('room' || n)::uuid, n, 'member', now(), 1 FROM generate_series(1, 20000) n
            UNION ALL SELECT md5('room1')::uuid, n, 'member', now(), 1 FROM generate_series(2, 5000) n
            UNION ALL SELECT md5('room' || 1 + n % 20000)::uuid, -1000000000 - n, 'member', now(), 1
                FROM generate_series(0, 5000) n;
        ANALYZE;";
    let postgres = Postgres::new().await;
    postgres.database.run(SEED).await;
    let store = postgres.second_node().await;
    let client = postgres.database.client().await;
    let room = RoomId(client.query_one("SELECT md5('room1')::uuid", &[]).await.unwrap().get(0));
    reset(&postgres).await;
    // Often enough that the planner switches to generic plans.
    for _ in 0..8 {
        assert_eq!(store.bot_of_command(room, "c7").await.unwrap(), Some(HELPER));
        assert_eq!(store.bot_commands(UserId(1), room, 5, 0).await.unwrap().0, 10);
        assert_eq!(store.bot_token(&[7; 32]).await.unwrap(), None);
    }
    let tables = ["participants", "people", "rooms", "bots", "bot_commands"];
    let read = read_in_sequence(&postgres, store, &tables).await;
    assert!(read.is_empty(), "{read:?}");
}
