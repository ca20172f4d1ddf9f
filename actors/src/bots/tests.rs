//! Commands on their way to bots and back, on one node and on two.

use std::time::Duration;

use serde_json::json;

use crate::domain::card::Card;
use crate::domain::command::{DraftExtras, MessageDraft, Refusal, RoomChange};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::user::UserSummary;
use crate::engine::BotCall;
use crate::error::EngineError;
use crate::memory::broker::EnvelopeFate;
use crate::memory::engine::{Client, MemoryEngine};
use crate::setup::{
    ANN, BOB, CAROL, SOON, Setup, change, does, hears_within, held, opens_inbox, opens_room, pass, paused,
    post,
};

const HELPER: UserId = UserId::FIRST_BOT;
/// By then whoever gives a command has an answer.
const PROMISED: Duration = Duration::from_secs(3);

/// A setup with a bot in a room of two, which has the command `remind`.
async fn with_bot() -> (Setup, RoomId) {
    let setup = Setup::new();
    setup.store.put_user(UserSummary::new(HELPER, "helper", "Helper"), true);
    setup.store.put_bot_command(HELPER, "remind");
    let room = setup.room(&[ANN, BOB, HELPER]).await;
    (setup, room)
}

async fn gives(node: &MemoryEngine, by: UserId, room: RoomId, name: &str) -> Result<(), EngineError> {
    let call = BotCall { name: name.to_owned(), text: "me at nine".to_owned() };
    node.handle.give_bot_command(room, by, call).await
}

/// The token of the next command that a bot gets.
async fn next_token(bot: &mut Client) -> String {
    let command = hears_within(bot, "command", SOON).await.expect("a command");
    command["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_command_reaches_its_bot_and_nobody_else() {
    paused(async {
        let (setup, room) = with_bot().await;
        let node = setup.node();
        let (mut ann, mut bob) = (opens_inbox(&node, ANN).await, opens_room(&node, BOB, room).await);
        let (mut bot, mut second) = (opens_inbox(&node, HELPER).await, opens_inbox(&node, HELPER).await);
        assert_eq!(gives(&node, ANN, room, "remind").await, Ok(()));
        let command = hears_within(&mut bot, "command", SOON).await.expect("a command");
        assert_eq!(
            command,
            json!({"type": "command", "room_id": room, "name": "remind", "text": "me at nine", "user_id": ANN,
                "token": command["token"]})
        );
        assert_eq!(hears_within(&mut second, "command", SOON).await.as_ref(), Some(&command));
        for other in [&mut ann, &mut bob] {
            assert_eq!(hears_within(other, "command", SOON).await, None);
        }
        assert!(setup.texts(room).await.is_empty(), "nothing is posted");
        assert_eq!(held(&node, "calls of bots").await, 0);
    });
}

#[test]
fn a_command_on_a_socket_is_answered_on_it() {
    paused(async {
        let (setup, room) = with_bot().await;
        let node = setup.node();
        let mut ann = opens_room(&node, ANN, room).await;
        let client_id = "0190a000-0000-7000-8000-000000000009";
        let frame = |name: &str| json!({"type": "command", "name": name, "client_id": client_id});
        ann.sends(&frame("remind"));
        let error = hears_within(&mut ann, "error", SOON).await.expect("the bot isn't there");
        assert_eq!((&error["code"], &error["client_id"]), (&json!("unavailable"), &json!(client_id)));
        let mut bot = opens_inbox(&node, HELPER).await;
        ann.sends(&frame("remind"));
        let sent = hears_within(&mut ann, "command_sent", SOON).await.expect("the bot has it");
        assert_eq!(
            sent,
            json!({"type": "command_sent", "room_id": room, "name": "remind", "client_id": client_id})
        );
        assert_eq!(hears_within(&mut bot, "command", SOON).await.expect("a command")["text"], "");
        for (name, code) in [("unknown", "not_found"), ("Remind", "invalid"), ("", "invalid")] {
            ann.sends(&frame(name));
            let error = hears_within(&mut ann, "error", SOON).await.expect("a refusal");
            assert_eq!((&error["code"], &error["room_id"]), (&json!(code), &json!(room)), "{name}");
        }
    });
}

#[test]
fn who_may_not_give_a_command_is_told_so() {
    paused(async {
        let (setup, room) = with_bot().await;
        let node = setup.node();
        let mut bot = opens_inbox(&node, HELPER).await;
        let refused = |refusal| Err(EngineError::Refused(refusal));
        assert_eq!(gives(&node, CAROL, room, "remind").await, refused(Refusal::NotParticipant));
        assert_eq!(gives(&node, HELPER, room, "remind").await, refused(Refusal::Forbidden));
        assert_eq!(gives(&node, ANN, room, "report").await, refused(Refusal::BotCommandNotFound));
        does(&node, change(room, ANN, RoomChange::Archive)).await;
        assert_eq!(gives(&node, ANN, room, "remind").await, refused(Refusal::Archived));
        assert_eq!(hears_within(&mut bot, "command", SOON).await, None);
        does(&node, change(room, ANN, RoomChange::Unarchive)).await;
        let mut limited = None;
        for _ in 0..200 {
            if let Err(error) = gives(&node, ANN, room, "remind").await {
                limited = Some(error);
                break;
            }
        }
        assert!(matches!(limited, Some(EngineError::RateLimited { .. })), "{limited:?}");
        assert_eq!(gives(&node, BOB, room, "remind").await, Ok(()), "others have budgets of their own");
    });
}

#[test]
fn a_bot_at_another_node_gets_it_and_one_that_is_nowhere_is_missed_in_time() {
    paused(async {
        let (setup, room) = with_bot().await;
        let (node, far) = (setup.linked_node(1), setup.linked_node(2));
        pass(SOON).await;
        let since = node.clock.now();
        assert_eq!(gives(&node, ANN, room, "remind").await, Err(EngineError::BotUnavailable));
        assert!(node.clock.now() - since < PROMISED);
        let mut bot = opens_inbox(&far, HELPER).await;
        pass(SOON).await;
        let since = node.clock.now();
        assert_eq!(gives(&node, ANN, room, "remind").await, Ok(()));
        assert!(node.clock.now() - since < SOON);
        let command = hears_within(&mut bot, "command", SOON).await.expect("a command");
        assert_eq!((&command["user_id"], &command["name"]), (&json!(ANN), &json!("remind")));
        // Hints may be lost; then it isn't known whether the bot has it.
        setup.hub.set_filter(Some(Box::new(|_, _, _| EnvelopeFate::Drop)));
        assert_eq!(gives(&node, ANN, room, "remind").await, Err(EngineError::BotUnavailable));
        for node in [&node, &far] {
            assert_eq!(held(node, "calls of bots").await, 0);
        }
    });
}

#[test]
fn an_answer_to_the_caller_alone_reaches_all_devices_and_is_not_kept() {
    paused(async {
        let (setup, room) = with_bot().await;
        let (node, far) = (setup.linked_node(1), setup.linked_node(2));
        let mut bot = opens_inbox(&node, HELPER).await;
        let (mut near, mut phone) = (opens_inbox(&node, ANN).await, opens_inbox(&far, ANN).await);
        let mut bob = opens_inbox(&far, BOB).await;
        pass(SOON).await;
        assert_eq!(gives(&node, ANN, room, "remind").await, Ok(()));
        let token = next_token(&mut bot).await;
        assert_eq!(node.handle.given_command(&token, ANN), None, "it is the bot's");
        // Any node reads it.
        let given = far.handle.given_command(&token, HELPER).expect("it is valid");
        assert_eq!(far.handle.answer_caller(given.clone(), "I will".to_owned()).await, Ok(()));
        let expected = json!({"type": "command_answer", "room_id": room, "name": "remind", "user_id": HELPER,
            "content": "I will"});
        for device in [&mut near, &mut phone] {
            assert_eq!(hears_within(device, "command_answer", SOON).await.as_ref(), Some(&expected));
        }
        assert_eq!(hears_within(&mut bob, "command_answer", SOON).await, None);
        assert!(setup.texts(room).await.is_empty());
        does(&node, change(room, ANN, RoomChange::Remove { user: HELPER })).await;
        let refused = node.handle.answer_caller(given, "too late".to_owned()).await;
        assert_eq!(refused, Err(EngineError::Refused(Refusal::NotParticipant)));
        pass(Duration::from_secs(15 * 60)).await;
        assert_eq!(node.handle.given_command(&token, HELPER), None, "its time is over");
    });
}

#[test]
fn a_bot_is_told_of_its_buttons_without_being_subscribed() {
    paused(async {
        let (setup, room) = with_bot().await;
        let (node, far) = (setup.linked_node(1), setup.linked_node(2));
        let mut bot = opens_inbox(&far, HELPER).await;
        pass(SOON).await;
        let card =
            json!({"v": 1, "kind": "card", "title": "Unit 4", "buttons": [{"id": "yes", "text": "Yes"}]});
        let card = Card::read(&card).expect("a card");
        let command = post(room, HELPER, "Unit 4");
        let RoomChange::Post(draft) = command.change else { panic!("it posts") };
        let message = draft.id;
        let extras = DraftExtras { card: Some(Box::new(card)), ..DraftExtras::default() };
        does(&node, change(room, HELPER, RoomChange::Post(MessageDraft { extras, ..draft }))).await;
        let press = RoomChange::Press { message, button: "yes".to_owned(), client_id: None };
        does(&node, change(room, BOB, press)).await;
        let told = hears_within(&mut bot, "card_action", SOON).await.expect("it is told");
        assert_eq!(
            told,
            json!({"type": "card_action", "room_id": room, "seq": told["seq"], "message_id": message,
                "action": "yes", "user_id": BOB})
        );
    });
}
