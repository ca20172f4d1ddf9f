//! A node with its database, and what the tests of webhooks say.

use std::time::Duration;

use serde_json::{Value, json};

use crate::node::Node;
use crate::receiver::{Received, Receiver};
use crate::users::{TestUser, text};

/// The settings of a node that may call this machine.
pub const SETTINGS: [(&str, &str); 2] = [("RATE_LIMITS", "off"), ("OUTBOUND_ALLOW", "127.0.0.0/8")];

/// A webhook of the host application.
pub struct Hook {
    pub id: String,
    pub secret: String,
    host: TestUser,
}

impl Hook {
    /// Sets up a webhook with these fields.
    pub async fn adds(node: &Node, url: String, fields: Value) -> Self {
        let mut body = json!({"url": url});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let host = node.host();
        let added = host.posts("webhooks/", body).await;
        Self { id: text(&added["id"]), secret: text(&added["secret"]), host }
    }

    pub async fn shown(&self) -> Value {
        self.host.gets(&format!("webhooks/{}/", self.id)).await
    }

    pub async fn changes(&self, body: Value) -> Value {
        self.host.patches(&format!("webhooks/{}/", self.id), body).await
    }

    pub async fn replays(&self, body: Value) -> Value {
        self.host.posts(&format!("webhooks/{}/replay/", self.id), body).await
    }

    pub async fn deliveries(&self) -> Vec<Value> {
        let page = self.host.gets(&format!("webhooks/{}/deliveries/?page_size=100", self.id)).await;
        page["results"].as_array().expect("results").clone()
    }

    /// Waits until the webhook is in this state.
    pub async fn wait_for_state(&self, state: &str) -> Value {
        for _ in 0..1_500 {
            let shown = self.shown().await;
            if shown["state"] == state {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it isn't {state}: {}", self.shown().await);
    }

    /// Waits until `is_enough` of what was recorded.
    pub async fn wait_for_deliveries(&self, is_enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        for _ in 0..1_500 {
            let deliveries = self.deliveries().await;
            if is_enough(&deliveries) {
                return deliveries;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not enough was recorded: {:#?}", self.deliveries().await);
    }
}

/// Lets time pass for what waits.
pub async fn time_passes(node: &Node, interval: &str) {
    let past = format!(
        "UPDATE webhook_lanes SET due_at = due_at - interval '{interval}',
             failing_since = failing_since - interval '{interval}' WHERE claim IS NULL;
         UPDATE webhooks SET failing_since = failing_since - interval '{interval}',
             succeeded_at = succeeded_at - interval '{interval}'"
    );
    client(&node.database).await.batch_execute(&past).await.expect("time passes");
}

async fn client(database: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(database, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a database");
    tokio::spawn(connection);
    client
}

/// Makes retries due as soon as they are planned, and lets the claims of dead nodes lapse after some seconds, until it
/// is dropped.
pub struct NoPauses(tokio::task::JoinHandle<()>);

impl NoPauses {
    pub fn start(node: &Node) -> Self {
        let database = node.database.clone();
        Self(tokio::spawn(async move {
            let client = client(&database).await;
            // A node that lives renews a claim with each event, for 40 s.
            let now = "UPDATE webhook_lanes SET due_at = now() WHERE due_at > now()
                AND (claim IS NULL OR due_at < now() + interval '30 seconds')";
            loop {
                client.execute(now, &[]).await.expect("an update");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

impl Drop for NoPauses {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until a target has taken a message with each of these texts.
pub async fn wait_for_texts(receiver: &Receiver, texts: &[String]) -> Vec<Received> {
    let has = |received: &[Received], wanted: &String| received.iter().any(|one| one.text() == *wanted);
    receiver.wait_until("all texts", |received| texts.iter().all(|wanted| has(received, wanted))).await
}

/// The positions of each room in the order in which they came first, without repeats of one after another.
pub fn order(received: &[Received], room: &str) -> Vec<i64> {
    let mut seqs: Vec<i64> = received.iter().filter(|one| one.room() == room).map(Received::seq).collect();
    seqs.dedup();
    seqs
}
