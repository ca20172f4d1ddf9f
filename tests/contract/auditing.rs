//! The audit log: an entry for each thing done, once, and a chain in which no change stays hidden.

use std::time::Duration;

use actors::domain::command::{RoomChange, RoomPatch};
use actors::domain::ids::UserId;
use actors::domain::participant::Role;
use aristay_chat::consumers::{AuditWriter, catch_up};
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::record::audit::{AuditEntry, AuditKind, NewAuditEntry};
use aristay_chat::store::postgres::record::audit_page::{AuditAnchor, AuditFilter};
use aristay_chat::store::postgres::record::audit_verification::{AuditFault, NotedEntry};
use aristay_chat::store::postgres::users::UserUpsert;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{ANN, BOB, CAT, Postgres, World, delete};

async fn entries(store: &PostgresStore) -> Vec<AuditEntry> {
    store.audit_page(AuditFilter::default(), AuditAnchor::After(0), 1_000).await.unwrap()
}

/// Adds entries for all that is in the logs. Transactions of other tests, which share the cluster, may hold it up.
async fn consumes(store: &PostgresStore) {
    let consumed = async {
        loop {
            catch_up(store, &AuditWriter).await.unwrap();
            let all = store.consumers().await.unwrap();
            if all.iter().any(|consumer| consumer.name == "audit" && consumer.behind == 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), consumed).await.expect("the log is consumed");
}

fn entry(actor: UserId, data: Value) -> NewAuditEntry {
    NewAuditEntry::of(AuditKind::WebhookAdded, Some(actor), data)
}

#[tokio::test]
async fn what_is_done_in_rooms_has_one_entry_each_however_often_the_log_is_read() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let room = world.group(&[ANN, BOB, CAT]).await;
    let (insult, own) = (world.says(BOB, room, "an insult").await, world.says(BOB, room, "mine").await);
    let removal = RoomChange::Delete { message: insult.id, reason: Some("abuse".into()) };
    world.does(ANN, room, removal).await.unwrap();
    world.does(BOB, room, delete(&own)).await.unwrap();
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
    world.does(ANN, room, RoomPatch::named("Roof").into()).await.unwrap();
    world.does(BOB, room, RoomChange::Remove { user: CAT }).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    consumes(store).await;

    let found = entries(store).await;
    let told: Vec<_> = found
        .iter()
        .map(|entry| (entry.kind.as_str(), entry.actor.unwrap(), entry.user, entry.data.as_str()))
        .collect();
    let (ann, bob, cat) = (ANN.0, BOB.0, CAT.0);
    let message = json!({"message": insult.id, "reason": "abuse"}).to_string();
    let renamed = json!({"changed": {"name": null}}).to_string();
    assert_eq!(
        told,
        [
            ("participant_added", ann, Some(bob), r#"{"role":"member"}"#),
            ("participant_added", ann, Some(cat), r#"{"role":"member"}"#),
            ("message_deleted", ann, Some(bob), message.as_str()),
            ("participant_changed", ann, Some(bob), r#"{"role":"admin"}"#),
            ("room_updated", ann, None, renamed.as_str()),
            ("participant_removed", bob, Some(cat), "{}"),
            ("room_deleted", ann, None, "{}"),
        ]
    );
    assert!(found.iter().all(|entry| entry.room == Some(room.0) && entry.seq.is_some()));
    assert!(store.rebuild_consumer("audit").await.unwrap());
    consumes(store).await;
    assert_eq!(entries(store).await, found);
    assert_eq!(store.verify_audit_log(None).await.unwrap().unwrap().id, 7);
}

#[tokio::test]
async fn of_accounts_changes_of_rights_are_recorded_without_names() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let change = |is_staff| UserUpsert {
        id: BOB,
        username: Some("robert".into()),
        full_name: None,
        email: None,
        is_active: None,
        is_staff,
        tokens_valid_from: None,
        is_guest: None,
    };
    store.upsert_users(&[change(Some(true))]).await.unwrap();
    store.upsert_users(&[change(Some(true))]).await.unwrap();
    store.erase_user(BOB).await.unwrap();
    let found = entries(store).await;
    let told: Vec<_> =
        found.iter().map(|entry| (entry.kind.as_str(), entry.actor, entry.data.as_str())).collect();
    let changed = json!({"changed": {"is_staff": [false, true], "profile": null}}).to_string();
    assert_eq!(told, [("user_changed", None, changed.as_str()), ("user_erased", None, "{}")]);
}

#[tokio::test]
async fn many_writers_make_one_chain() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    let writes = (0..20).map(|n| {
        let store = if n % 2 == 0 { &postgres.store } else { &other };
        store.add_audit_entry(entry(ANN, json!({ "n": n })))
    });
    for written in join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(postgres.store.verify_audit_log(None).await.unwrap().unwrap().id, 20);
}

#[tokio::test]
async fn entries_are_neither_changed_nor_deleted() {
    let postgres = Postgres::new().await;
    postgres.store.add_audit_entry(entry(ANN, json!({}))).await.unwrap();
    let client = postgres.database.client().await;
    for sql in ["UPDATE audit_log SET actor_id = 2", "DELETE FROM audit_log", "TRUNCATE audit_log"] {
        let refused = client.batch_execute(sql).await.unwrap_err();
        assert!(refused.as_db_error().unwrap().message().contains("neither changed nor deleted"), "{sql}");
    }
}

#[tokio::test]
async fn what_was_changed_removed_or_moved_behind_the_servers_back_is_found() {
    let postgres = Postgres::new().await;
    let store = &postgres.store;
    for n in 0..5 {
        store.add_audit_entry(entry(ANN, json!({ "n": n }))).await.unwrap();
    }
    let last = store.verify_audit_log(None).await.unwrap().unwrap();
    // What someone can write who knows how entries are hashed.
    let found = entries(store).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let forged = |id: usize| {
        let forged = AuditEntry { actor: Some(BOB.0), ..found[id - 1].clone() };
        let hash = hex(&forged.expected_hash());
        format!("UPDATE audit_log SET actor_id = {BOB}, hash = decode('{hash}', 'hex') WHERE id = {id}")
    };
    postgres
        .database
        .run("ALTER TABLE audit_log DISABLE TRIGGER USER; CREATE TABLE kept AS SELECT * FROM audit_log")
        .await;
    for (sql, fault) in [
        ("UPDATE audit_log SET data = '{}' WHERE id = 3".to_owned(), AuditFault::Changed(3)),
        ("UPDATE audit_log SET at = at + interval '1 us' WHERE id = 3".to_owned(), AuditFault::Changed(3)),
        ("DELETE FROM audit_log WHERE id IN (2, 3)".to_owned(), AuditFault::Missing(2, 3)),
        ("DELETE FROM audit_log WHERE id = 5".to_owned(), AuditFault::Missing(5, 5)),
        (
            "UPDATE audit_log SET id = -2 WHERE id = 2; UPDATE audit_log SET id = 2 WHERE id = 3;
             UPDATE audit_log SET id = 3 WHERE id = -2"
                .to_owned(),
            AuditFault::Changed(2),
        ),
        (forged(2), AuditFault::Moved(3)),
        (forged(5), AuditFault::NotLast(5)),
    ] {
        postgres.database.run(&sql).await;
        assert_eq!(store.verify_audit_log(None).await.unwrap(), Err(fault), "{sql}");
        postgres.database.run("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept").await;
        assert_eq!(store.verify_audit_log(None).await.unwrap(), Ok(last.clone()), "{sql}");
    }
    // Who cuts the log off, its end included, is found by what was noted.
    assert_eq!(store.verify_audit_log(Some(&last)).await.unwrap(), Ok(last.clone()));
    let cut = "DELETE FROM audit_log WHERE id > 3;
        UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit_log WHERE id = 3)";
    postgres.database.run(cut).await;
    assert_eq!(store.verify_audit_log(None).await.unwrap().unwrap().id, 3);
    assert_eq!(store.verify_audit_log(Some(&last)).await.unwrap(), Err(AuditFault::Missing(4, 5)));
    let other = NotedEntry { id: 2, hash: last.hash };
    assert_eq!(store.verify_audit_log(Some(&other)).await.unwrap(), Err(AuditFault::NotNoted(2)));
}
