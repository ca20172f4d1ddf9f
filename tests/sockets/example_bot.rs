//! The example of a bot, as it is: what it answers, and that it comes back after the server was away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::Node;

const WEBSOCKETS: &str = "websockets==15.0.1";

/// The process of the bot, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
async fn the_example_answers_commands_and_hears_of_buttons() {
    let mut server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let ana = server.user("ana").await;
    let made = server.host().posts("bots/", json!({"username": "example", "full_name": "Example"})).await;
    let python = installed(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let running = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/bot/example_bot.py"))
        .env("CHAT_URL", format!("http://{}", server.address))
        .env("BOT_TOKEN", made["token"].as_str().expect("a token"))
        .spawn();
    let _running = Running(running.expect("python"));
    let bot = server.unknown_user(made["id"].as_i64().expect("an id"), "example");
    let room = ana.makes_group(&[&bot]).await;
    let (mut a, _) = ana.opens_user_socket().await;
    let asks = async |name: &str, text: &str| {
        let since = Instant::now();
        let body = json!({"name": name, "text": text});
        // It has to start, or to come back.
        while ana
            .requests(reqwest::Method::POST, &format!("rooms/{room}/commands/"), Some(body.clone()))
            .await
            .0
            != 202
        {
            assert!(since.elapsed() < Duration::from_secs(60), "the bot isn't there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    asks("echo", "twice").await;
    assert_eq!(a.receives("command_answer").await["content"], "twice");
    let mut in_room = ana.joins(&room).await;
    asks("ask", "Is unit 4 ready?").await;
    let card = in_room.sees("Is unit 4 ready?").await;
    let id = card["message"]["id"].as_str().expect("an id");
    ana.posts(&format!("messages/{id}/card/"), json!({"button": "yes"})).await;
    in_room.sees("The answer is yes.").await;
    server.stop();
    server.start_process();
    let (mut a, _) = ana.opens_user_socket().await;
    asks("echo", "again").await;
    assert_eq!(a.receives("command_answer").await["content"], "again");
}

/// The Python of a virtual environment with what the example imports, which is made on the first run.
fn installed(folder: &Path) -> PathBuf {
    let venv = folder.join("example_bot");
    let python = venv.join("bin/python");
    if !venv.join("installed").exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        assert!(made.expect("python3").success(), "apt-get install python3-venv");
        let pip = Command::new(venv.join("bin/pip")).args(["install", "--quiet", WEBSOCKETS]).status();
        assert!(pip.expect("pip").success(), "a Python package index must be within reach");
        std::fs::write(venv.join("installed"), WEBSOCKETS).expect("a file");
    }
    python
}
