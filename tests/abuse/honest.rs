//! People who write and read as always, and note how long everything takes.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::people::Person;

/// How often each of them does something.
const EVERY: Duration = Duration::from_millis(250);

/// Some of them, in one room.
pub struct Honest {
    notes: Arc<Mutex<Notes>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Notes {
    times: Vec<Duration>,
    refused: usize,
}

/// What they noted since they were last asked.
pub struct Waits {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
    /// What failed or was refused.
    pub refused: usize,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p99, longest, refused } = self;
        write!(f, "{count} done, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.0?}, {refused} refused")
    }
}

impl Honest {
    /// Begins, with so many.
    pub async fn begin(server: &Node, count: usize) -> Self {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(server.person("honest").await);
        }
        let room = people[0].makes_group(&people[1..].iter().collect::<Vec<_>>()).await;
        let notes = Arc::new(Mutex::new(Notes::default()));
        let tasks = people.into_iter().map(|person| tokio::spawn(lives(person, room.clone(), notes.clone())));
        Self { tasks: tasks.collect(), notes }
    }

    /// What was noted since the last time.
    pub fn waits(&self) -> Waits {
        let Notes { mut times, refused } = std::mem::take(&mut *self.notes.lock().unwrap());
        assert!(!times.is_empty(), "nobody has done anything");
        times.sort();
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        Waits { count: times.len(), p50: at(50), p99: at(99), longest: at(100), refused }
    }

    /// Ends; a person that has failed fails the test.
    pub async fn ends(self) {
        for task in self.tasks {
            task.abort();
            match task.await {
                Err(error) if error.is_cancelled() => {}
                ended => ended.unwrap(),
            }
        }
    }
}

/// Writes and waits until that is seen, reads a page on a connection of its own, comes back now and then.
async fn lives(person: Person, room: String, notes: Arc<Mutex<Notes>>) {
    let mut socket = person.enters(&room).await;
    for turn in 0_u64.. {
        let text = format!("{} {turn}", person.name);
        let since = Instant::now();
        socket.says(&text).await;
        socket.sees(&text).await;
        notes.lock().unwrap().times.push(since.elapsed());
        tokio::time::sleep(EVERY).await;

        let since = Instant::now();
        let (status, _) = person.asks(Method::GET, &format!("messages/?room={room}&limit=20"), None).await;
        {
            let mut notes = notes.lock().unwrap();
            notes.times.push(since.elapsed());
            notes.refused += usize::from(!status.is_success());
        }
        tokio::time::sleep(EVERY).await;
        if turn % 10 == 9 {
            drop(socket);
            let since = Instant::now();
            socket = person.enters(&room).await;
            notes.lock().unwrap().times.push(since.elapsed());
        }
    }
}
