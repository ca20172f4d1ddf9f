//! Imports and exports that are killed at every point, and go on.

use std::process::{Command, Stdio};

use crate::django::{Django, JONAS, MARIA, PDF, at, id};
use crate::world::{Chat, UPLOAD_BYTES_MAX};

/// More commits than any of these runs has.
const POINTS_MAX: u32 = 60;

/// Runs a command of the program until it ends by itself, killed at a later point each time. Returns how often it was
/// killed.
fn runs(chat: &Chat, command: &str, django: &Django, point: &str, step: usize) -> u32 {
    let mut killed = 0;
    for times in (1..POINTS_MAX).step_by(step) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_aristay-chat"));
        program
            .args([command, &django.url, "--media", django.media.path().to_str().unwrap()])
            .env("DATABASE_URL", &chat.url)
            .env("DATA_DIR", chat.folder.path())
            .env("MAX_UPLOAD_BYTES", UPLOAD_BYTES_MAX.to_string())
            .env("JWT_SECRET", "a-key-that-is-only-for-the-tests-of-moving")
            .env("LOG", "error")
            .env("FAILPOINT", format!("{point}:{times}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let output = program.stderr(Stdio::piped()).output().unwrap();
        if output.status.success() {
            return killed;
        }
        assert!(output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        killed += 1;
    }
    panic!("it isn't done after {killed} kills");
}

/// A group with files, and a direct room of several pieces.
async fn a_chat() -> Django {
    let django = Django::new().await;
    django.talks().await;
    django.room(2, "direct", 1, &[MARIA, JONAS]).await;
    let many = format!(
        "INSERT INTO api_chatmessage
         SELECT md5(n::text)::uuid, 'text', 'text ' || n, NULL, '', NULL, t, t, false, NULL, n % 7 = 0,
             CASE WHEN n % 7 = 0 THEN t + interval '1 hour' END,
             jsonb_build_object('2', t + interval '1 minute'), NULL, 1, '{}'
         FROM generate_series(1, 3500) n, LATERAL (SELECT timestamptz '{}' + n * interval '1 second' AS t) t",
        id(2),
        at(2)
    );
    django.run(&many).await;
    for message in [21, 22] {
        django.says(message, 2, Some(JONAS), 3, "with a file").await;
        django.attaches(message, "file", &format!("{message}.pdf"), "a.pdf", Some(PDF)).await;
    }
    django.set_participant(2, JONAS, &format!("last_read_at = '{}'", at(20))).await;
    django
}

#[tokio::test]
async fn an_import_that_is_killed_anywhere_goes_on() {
    let django = a_chat().await;
    let whole = Chat::of(&django).await;
    for point in ["committing", "committed"] {
        let chat = Chat::new().await;
        let killed = runs(&chat, "import-django", &django, point, 1);
        assert!(killed >= 3, "{killed} kills {point}");
        chat.is_equal_to(&django).await;
        assert_eq!(chat.contents().await, whole.contents().await);
        let stored: i64 = chat.one("SELECT count(*) FROM files").await;
        assert_eq!(stored, 3, "no file is recorded twice");
    }
}

#[tokio::test]
async fn an_import_again_that_is_killed_anywhere_goes_on() {
    let django = a_chat().await;
    let chat = Chat::of(&django).await;
    // Moves the events behind it, so that the whole room is written anew.
    django.set_message(21, &format!("created_at = '{}'", at(1))).await;
    let killed = runs(&chat, "import-django", &django, "committed", 1);
    assert!(killed >= 2, "{killed}");
    chat.is_equal_to(&django).await;
    assert_eq!(chat.contents().await, Chat::of(&django).await.contents().await);
}

#[tokio::test]
async fn an_export_that_was_killed_is_run_again() {
    let django = a_chat().await;
    let chat = Chat::of(&django).await;
    django.run("TRUNCATE api_chatmessage, api_chatparticipant, api_chatroom").await;
    std::fs::remove_dir_all(django.media.path()).unwrap();
    std::fs::create_dir(django.media.path()).unwrap();
    let killed = runs(&chat, "export-django", &django, "committed", 2);
    assert!(killed >= 2, "{killed}");
    chat.is_equal_to(&django).await;
}
