//! The scenarios, by name.

mod growth;
mod idle;
mod opening;
mod talking;

use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::client::Wish;
use crate::crowd::{Crowd, Pace};
use crate::node::{Node, SECRET};
use crate::people::Directory;
use crate::usage::Usage;
use crate::values::Values;

/// People that a run knows.
const PEOPLE: i64 = 20_000;

/// One scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is done, with the values it takes.
    pub(crate) about: &'static str,
    run: fn(&mut Stage) -> anyhow::Result<()>,
}

/// All of them.
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

/// The scenario of this name.
pub(crate) fn named(name: &str) -> anyhow::Result<Scenario> {
    ALL.into_iter()
        .find(|scenario| scenario.name == name)
        .with_context(|| format!("no scenario {name:?}; see `load help`"))
}

/// What can be run.
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

/// Runs a scenario; its figures.
pub(crate) fn run(scenario: &Scenario, values: &Values) -> anyhow::Result<Map<String, Value>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = Node::start(values)?;
    let directory = runtime.block_on(async {
        let directory = Directory::open(&node.sockets).await?;
        directory.people(PEOPLE).await?;
        anyhow::Ok(directory)
    })?;
    let mut stage = Stage { node, directory, runtime, values: values.clone(), figures: Map::new() };
    stage.note("scenario", scenario.name);
    (scenario.run)(&mut stage)?;
    stage.node.stop()?;
    Ok(stage.figures)
}

/// A server with people in it, and the figures of a run.
struct Stage {
    node: Node,
    directory: Directory,
    runtime: tokio::runtime::Runtime,
    values: Values,
    figures: Map<String, Value>,
}

impl Stage {
    fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Notes a number to three digits behind the point.
    fn measured(&mut self, name: &str, value: f64) {
        self.note(name, json!((value * 1_000.0).round() / 1_000.0));
    }

    fn seconds(&self, name: &str, unless: f64) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.values.get(name, unless)?))
    }

    /// Makes a room for each list of people.
    fn make_rooms(&mut self, members: &[Vec<i64>], messages: i64) -> anyhow::Result<Vec<String>> {
        let directory = &mut self.directory;
        self.runtime.block_on(async {
            let rooms = directory.rooms(members, messages).await?;
            directory.settle().await?;
            anyhow::Ok(rooms)
        })
    }

    fn crowd(&self, rooms: Vec<String>) -> anyhow::Result<Crowd> {
        let mut crowd = Crowd::new(self.node.addresses(), SECRET, rooms)?;
        crowd.text_bytes = self.values.get("text", 64)?;
        crowd.names_sends = self.values.get("names", true)?;
        Ok(crowd)
    }

    /// Lets a crowd that has joined talk: first to warm up, then measured.
    fn talk(&mut self, crowd: &mut Crowd, pace: Pace) -> anyhow::Result<()> {
        crowd.listen(self.seconds("settle", 0.5)?)?;
        crowd.talk(pace, self.seconds("warmup", 2.0)?)?;
        let beside = self.values.text("during").map(|command| self.node.during(command)).transpose()?;
        let (before, began) = (self.node.usage(), std::time::Instant::now());
        let (delivered, sent) = (crowd.tally.delivered, crowd.tally.sent);
        crowd.tally.is_measuring = true;
        crowd.talk(pace, self.seconds("seconds", 5.0)?)?;
        crowd.tally.is_measuring = false;
        let (used, seconds) = (self.node.usage() - before, began.elapsed().as_secs_f64());
        let (delivered, sent) =
            ((crowd.tally.delivered - delivered) as f64, (crowd.tally.sent - sent) as f64);
        crowd.settle()?;
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
            let (echo, delay) = (crowd.tally.echoes.within(share), crowd.tally.delays.within(share));
            self.measured(&format!("echo_{name}"), echo);
            self.measured(&format!("delay_{name}"), delay);
        }
        self.checked(crowd);
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
    fn checked(&mut self, crowd: &Crowd) {
        self.note("lost", crowd.tally.lost);
        self.note("doubled", crowd.tally.doubled);
        self.note("refused", crowd.tally.refused);
        if let Some(failure) = crowd.first_failure() {
            self.note("failure", failure);
        }
    }
}

/// Those who sit in these rooms, each with a socket of the room's own.
fn seats(rooms: &[Vec<i64>], since: Option<i64>) -> Vec<Wish> {
    let most = rooms.iter().map(Vec::len).max().unwrap_or_default();
    // A member of every room first, so that rooms fill evenly.
    (0..most)
        .flat_map(|seat| {
            rooms.iter().enumerate().filter_map(move |(room, members)| Some((room, *members.get(seat)?)))
        })
        .map(|(room, user)| Wish { user, rooms: vec![room], is_user_socket: false, since, stalls: false })
        .collect()
}

/// Rooms of people that no two rooms share, as far as there are so many people.
fn apart(rooms: usize, members: usize) -> Vec<Vec<i64>> {
    let user = |n: usize| i64::try_from(n).unwrap_or(i64::MAX) % PEOPLE + 1;
    (0..rooms).map(|room| (0..members).map(|seat| user(room * members + seat)).collect()).collect()
}

/// The user sockets of `people`, each of whom is in `each` rooms; the rooms have `members` members.
fn users(people: usize, each: usize, members: usize) -> (Vec<Vec<i64>>, Vec<Wish>) {
    let groups = people.div_ceil(members);
    let mut rooms = vec![Vec::new(); groups * each];
    let mut wishes = Vec::new();
    for person in 0..people {
        let user = i64::try_from(person).unwrap_or(i64::MAX) + 1;
        let own: Vec<usize> = (0..each).map(|room| person / members * each + room).collect();
        for room in &own {
            rooms[*room].push(user);
        }
        wishes.push(Wish { user, rooms: own, is_user_socket: true, since: None, stalls: false });
    }
    (rooms, wishes)
}
