//! Regular users who write and read, and measure how long everything takes.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::users::TestUser;

/// Pause between two actions of a user.
const EVERY: Duration = Duration::from_millis(250);

/// Some regular users in one room.
pub struct HonestUsers {
    measurements: Arc<Mutex<Measurements>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Measurements {
    times: Vec<Duration>,
    refused: usize,
}

/// What was measured since the last report.
pub struct LatencyReport {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
    /// Requests that failed or were refused.
    pub refused: usize,
}

impl fmt::Display for LatencyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p99, longest, refused } = self;
        write!(f, "{count} done, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.0?}, {refused} refused")
    }
}

impl HonestUsers {
    /// Starts `count` users.
    pub async fn start(server: &Node, count: usize) -> Self {
        let mut users = Vec::new();
        for _ in 0..count {
            users.push(server.user("honest").await);
        }
        let room = users[0].makes_group(&users[1..].iter().collect::<Vec<_>>()).await;
        let measurements = Arc::new(Mutex::new(Measurements::default()));
        let tasks =
            users.into_iter().map(|user| tokio::spawn(run_user(user, room.clone(), measurements.clone())));
        Self { tasks: tasks.collect(), measurements }
    }

    /// Returns and resets the measurements.
    pub fn take_latencies(&self) -> LatencyReport {
        let Measurements { mut times, refused } = std::mem::take(&mut *self.measurements.lock().unwrap());
        assert!(!times.is_empty(), "nobody has done anything");
        times.sort();
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        LatencyReport { count: times.len(), p50: at(50), p99: at(99), longest: at(100), refused }
    }

    /// Stops the users; one that has panicked fails the test.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            match task.await {
                Err(error) if error.is_cancelled() => {}
                ended => ended.unwrap(),
            }
        }
    }
}

/// Sends messages and waits until they arrive, reads pages on a separate connection, and reconnects from time
/// to time.
async fn run_user(user: TestUser, room: String, measurements: Arc<Mutex<Measurements>>) {
    let mut socket = user.joins(&room).await;
    for turn in 0_u64.. {
        let text = format!("{} {turn}", user.name);
        let since = Instant::now();
        socket.says(&text).await;
        socket.sees(&text).await;
        measurements.lock().unwrap().times.push(since.elapsed());
        tokio::time::sleep(EVERY).await;

        let since = Instant::now();
        let (status, _) = user.requests(Method::GET, &format!("messages/?room={room}&limit=20"), None).await;
        {
            let mut measurements = measurements.lock().unwrap();
            measurements.times.push(since.elapsed());
            measurements.refused += usize::from(!status.is_success());
        }
        tokio::time::sleep(EVERY).await;
        if turn % 10 == 9 {
            drop(socket);
            let since = Instant::now();
            socket = user.joins(&room).await;
            measurements.lock().unwrap().times.push(since.elapsed());
        }
    }
}
