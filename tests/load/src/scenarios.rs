//! The scenarios by name.

mod growth;
mod idle;
mod opening;
mod talking;

use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::client::ClientSpec;
use crate::client_pool::{ClientPool, Pace};
use crate::node::{Node, SECRET};
use crate::test_data::TestData;
use crate::usage::Usage;
use crate::values::Values;

/// Number of users in the database.
const USERS: i64 = 20_000;

/// A scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it measures, and the values that it takes.
    pub(crate) about: &'static str,
    run: fn(&mut ScenarioRun) -> anyhow::Result<()>,
}

/// All scenarios.
const ALL: [Scenario; 11] = [
    Scenario {
        name: "one-room",
        about: "n=1000 sockets in one room, one talks, window=8 messages under way",
        run: talking::one_room,
    },
    Scenario {
        name: "rooms",
        about: "rooms=500 of members=10, one talks in each, window=4",
        run: talking::rooms,
    },
    Scenario {
        name: "sends",
        about: "the same with a deep queue, window=16: how many messages a second are made durable",
        run: talking::sends,
    },
    Scenario {
        name: "echo",
        about: "rate=100 messages a second over rooms=10 of members=10: how late they come",
        run: talking::echo,
    },
    Scenario {
        name: "users",
        about: "n=1000 user sockets that hear rooms=20 each, members=100 in each, window=4",
        run: talking::users,
    },
    Scenario {
        name: "slow",
        about: "n=200 in one room at rate=200, and stalled=20 more that read nothing",
        run: talking::slow,
    },
    Scenario {
        name: "overload",
        about: "the capacity of rooms=500 of members=10, and what is left of it at times=5 the load for seconds=60",
        run: talking::overload,
    },
    Scenario {
        name: "idle",
        about: "n=5000 silent sockets, kind=room (rooms of members=10) or user (rooms=20 each, members=100)",
        run: idle::idle,
    },
    Scenario {
        name: "connect",
        about: "for seconds=5, parallel=64 at once: connect, join a room of members=10, go",
        run: opening::connect,
    },
    Scenario {
        name: "storm",
        about: "n=1000 come back at once to one room, having missed missed=100 messages",
        run: opening::storm,
    },
    Scenario {
        name: "growth",
        about: "rooms=1000 of members=10 with messages=10 each, made by SQL: start, talk in talking=100, page, search",
        run: growth::growth,
    },
];

/// The scenario with this name.
pub(crate) fn named(name: &str) -> anyhow::Result<Scenario> {
    ALL.into_iter()
        .find(|scenario| scenario.name == name)
        .with_context(|| format!("no scenario {name:?}; see `load help`"))
}

/// A description of all scenarios.
pub(crate) fn help() -> String {
    let mut text = String::from("load SCENARIO [name=value]... | load short [name=value]...\n\n");
    for Scenario { name, about, .. } in ALL {
        text += &format!("  {name:<10} {about}\n");
    }
    text + "\nall: seconds=5 warmup=2 text=64 names=true settle=0.5\n\
            where: server=PATH core=0 postgres_core=0 loader_core=1 workers=1 settings=A=1,B=2\n\
            amqp=URL starts a second node on peer_core=0, both linked by that broker; half of the people use it\n\
            during='perf record -g -p $SERVER -o FILE -- sleep 4' runs beside the measurement\n"
}

/// The set that takes a few minutes.
pub(crate) fn short() -> Vec<(Scenario, Values)> {
    let sets = [
        ("one-room", "window=8"),
        ("one-room", "window=1"),
        ("rooms", ""),
        ("users", ""),
        ("sends", ""),
        ("echo", ""),
        ("slow", ""),
        ("connect", ""),
        ("storm", ""),
        ("idle", "kind=room"),
        ("idle", "kind=user n=1000"),
    ];
    sets.into_iter()
        .map(|(name, values)| {
            let scenario = named(name).expect("the set names scenarios that exist");
            let values = Values::parse(values.split_whitespace().map(str::to_owned));
            (scenario, values.expect("the set's values can be read"))
        })
        .collect()
}

/// Runs a scenario and returns its measurements.
pub(crate) fn run(scenario: &Scenario, values: &Values) -> anyhow::Result<Map<String, Value>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = Node::start(values)?;
    let test_data = runtime.block_on(async {
        let test_data = TestData::open(&node.sockets).await?;
        test_data.users(USERS).await?;
        anyhow::Ok(test_data)
    })?;
    let mut run = ScenarioRun { node, test_data, runtime, values: values.clone(), measurements: Map::new() };
    run.note("scenario", scenario.name);
    (scenario.run)(&mut run)?;
    run.node.stop()?;
    Ok(run.measurements)
}

/// A server with users, and the measurements of a run.
struct ScenarioRun {
    node: Node,
    test_data: TestData,
    runtime: tokio::runtime::Runtime,
    values: Values,
    measurements: Map<String, Value>,
}

impl ScenarioRun {
    fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.measurements.insert(name.to_owned(), value.into());
    }

    /// Notes a number with three decimals.
    fn measured(&mut self, name: &str, value: f64) {
        self.note(name, json!((value * 1_000.0).round() / 1_000.0));
    }

    fn seconds(&self, name: &str, unless: f64) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.values.get(name, unless)?))
    }

    /// Creates a room for each list of users.
    fn make_rooms(&mut self, members: &[Vec<i64>], messages: i64) -> anyhow::Result<Vec<String>> {
        let (test_data, node) = (&mut self.test_data, &self.node);
        self.runtime.block_on(async {
            let rooms = test_data.rooms(members, messages).await?;
            if messages > 0 {
                node.index_messages()?;
            }
            test_data.settle().await?;
            anyhow::Ok(rooms)
        })
    }

    fn pool(&self, rooms: Vec<String>) -> anyhow::Result<ClientPool> {
        let mut pool = ClientPool::new(self.node.addresses(), SECRET, rooms)?;
        pool.text_bytes = self.values.get("text", 64)?;
        pool.with_client_ids = self.values.get("names", true)?;
        Ok(pool)
    }

    /// Lets the clients send, first to warm up and then measured.
    fn talk(&mut self, pool: &mut ClientPool, pace: Pace) -> anyhow::Result<()> {
        pool.listen(self.seconds("settle", 0.5)?)?;
        pool.talk(pace, self.seconds("warmup", 2.0)?)?;
        let beside = self.values.text("during").map(|command| self.node.during(command)).transpose()?;
        let (before, began) = (self.node.usage(), std::time::Instant::now());
        let (delivered, sent) = (pool.counters.delivered, pool.counters.sent);
        pool.counters.is_measuring = true;
        pool.talk(pace, self.seconds("seconds", 5.0)?)?;
        pool.counters.is_measuring = false;
        let (used, seconds) = (self.node.usage() - before, began.elapsed().as_secs_f64());
        let (delivered, sent) =
            ((pool.counters.delivered - delivered) as f64, (pool.counters.sent - sent) as f64);
        pool.settle()?;
        if let Some(mut beside) = beside {
            beside.wait()?;
        }
        self.measured("deliveries_per_server_cpu_s", delivered / used.server.max(0.01));
        self.measured("deliveries_per_s", delivered / seconds);
        self.measured("sends_per_s", sent / seconds);
        self.measured("server_us_per_send", used.server * 1e6 / sent.max(1.0));
        self.measured("postgres_us_per_send", used.postgres * 1e6 / sent.max(1.0));
        self.used(used, seconds);
        for (name, share) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
            let (echo, delay) =
                (pool.counters.echo_latencies.within(share), pool.counters.latencies.within(share));
            self.measured(&format!("echo_{name}"), echo);
            self.measured(&format!("delay_{name}"), delay);
        }
        self.checked(pool);
        Ok(())
    }

    fn used(&mut self, used: Usage, seconds: f64) {
        self.measured("server_cpu_s", used.server);
        self.measured("postgres_cpu_s", used.postgres);
        self.measured("server_busy", used.server / seconds);
        self.measured("postgres_busy", used.postgres / seconds);
        self.measured("loader_busy", used.loader / seconds);
        let resident = self.node.resident() as f64 / 1e6;
        self.measured("server_mb", resident);
    }

    /// Notes what must be zero.
    fn checked(&mut self, pool: &ClientPool) {
        self.note("lost", pool.counters.lost);
        self.note("doubled", pool.counters.doubled);
        self.note("refused", pool.counters.refused);
        if let Some(failure) = pool.first_failure() {
            self.note("failure", failure);
        }
    }
}

/// The members of these rooms, each with a room socket.
fn room_clients(rooms: &[Vec<i64>], since: Option<i64>) -> Vec<ClientSpec> {
    let most = rooms.iter().map(Vec::len).max().unwrap_or_default();
    // One member of every room first, so that the rooms fill evenly.
    (0..most)
        .flat_map(|seat| {
            rooms.iter().enumerate().filter_map(move |(room, members)| Some((room, *members.get(seat)?)))
        })
        .map(|(room, user)| ClientSpec {
            user,
            rooms: vec![room],
            is_user_socket: false,
            since,
            stalls: false,
        })
        .collect()
}

/// Rooms without common members, as far as there are enough users.
fn disjoint_rooms(rooms: usize, members: usize) -> Vec<Vec<i64>> {
    let user = |n: usize| i64::try_from(n).unwrap_or(i64::MAX) % USERS + 1;
    (0..rooms).map(|room| (0..members).map(|seat| user(room * members + seat)).collect()).collect()
}

/// User sockets of `count` users, each of whom is in `each` rooms with `members` members.
fn users(count: usize, each: usize, members: usize) -> (Vec<Vec<i64>>, Vec<ClientSpec>) {
    let groups = count.div_ceil(members);
    let mut rooms = vec![Vec::new(); groups * each];
    let mut specs = Vec::new();
    for index in 0..count {
        let user = i64::try_from(index).unwrap_or(i64::MAX) + 1;
        let own: Vec<usize> = (0..each).map(|room| index / members * each + room).collect();
        for room in &own {
            rooms[*room].push(user);
        }
        specs.push(ClientSpec { user, rooms: own, is_user_socket: true, since: None, stalls: false });
    }
    (rooms, specs)
}
