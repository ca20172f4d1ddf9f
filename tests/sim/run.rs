//! One run: a storm of faults under traffic, then healing, then looking whether all is as it must be.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::memory::link::{Fate, Weather};
use actors::ports::store::Store;
use actors::protocol::envelope::{Envelope, LinkKey, Notice};
use bytes::Bytes;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::device::Device;
use crate::frames;
use crate::history::{Fact, History};
use crate::store::Trouble;
use crate::world::{Phase, World, pass};

/// How long the storm lasts; in the first half of it the faults begin.
const STORM_MS: Range<u64> = 8_000..20_000;
/// How long traffic goes on after it.
const HEALED: Duration = Duration::from_secs(2);
/// Within what time of the last fault all is where the log is.
const CONVERGED: Duration = Duration::from_secs(10);
/// Within what time of the last fault everyone sees who is online.
const PRESENCE_RIGHT: Duration = Duration::from_secs(40);
/// In what time an engine forgets those who have gone, and their rooms.
const FORGOTTEN: Duration = Duration::from_secs(110);
/// Longer in simulated time than any run takes.
const ENDLESS: Duration = Duration::from_secs(600);

/// Runs something on a thread's own runtime, whose time moves when nothing else does.
pub(crate) fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
    let system = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without input and output needs nothing")
    });
    system.block_on(work)
}

/// Runs a seed.
pub(crate) fn run(seed: u64) -> History {
    on_paused_time(
        async move { tokio::time::timeout(ENDLESS, live(seed)).await.expect("a run comes to its end") },
    )
}

async fn live(seed: u64) -> History {
    let mut chance = Chance::new(seed);
    let world = World::new(chance.fork()).await;
    let devices = devices(&world, &mut chance);
    let wanting: Vec<(UserId, Option<RoomId>)> =
        devices.iter().map(|device| (device.user, device.room)).collect();
    for device in devices {
        actix_rt::spawn(device.live());
    }
    let until = Instant::now() + chance.millis(STORM_MS);
    storm(&world, &mut chance, until).await;
    heal(&world);
    world.recorder.note(Fact::Healed);
    world.enter(Phase::Healed);
    let healed = Instant::now();
    tokio::time::sleep_until(healed + HEALED).await;
    world.enter(Phase::Quiet);
    tokio::time::sleep_until(healed + HEALED + CONVERGED).await;
    world.enter(Phase::Settled);
    pass(Duration::from_millis(1)).await;
    note_truth(&world, &wanting).await;
    tokio::time::sleep_until(healed + PRESENCE_RIGHT).await;
    world.enter(Phase::Seen);
    pass(Duration::from_millis(1)).await;
    note_rosters(&world).await;
    note_typing(&world).await;
    world.enter(Phase::Over);
    pass(FORGOTTEN).await;
    for node in world.nodes() {
        for (what, count) in node.engine.census().await {
            world.recorder.note(Fact::Left { node: node.place, what, count });
        }
    }
    world.recorder.history()
}

/// The clients of all people: for single rooms, and for all of a person's.
fn devices(world: &Rc<World>, chance: &mut Chance) -> Vec<Device> {
    let mut devices = Vec::new();
    for user in &world.users {
        for likely in [70, 40, 20] {
            if chance.percent(likely) {
                devices.push(Device::new(world, *user, None));
            }
        }
        for room in &world.rooms {
            if chance.percent(40) {
                devices.push(Device::new(world, *user, Some(*room)));
            }
        }
    }
    devices
}

/// One fault after another.
async fn storm(world: &Rc<World>, chance: &mut Chance, until: Instant) {
    let mut seen: Vec<Bytes> = Vec::new();
    let mut sent = chance.fork();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    world.hub.set_watcher(Some(Box::new(move |_, _, envelope| {
        if sent.percent(5) {
            let _over = tell.send(envelope.clone());
        }
        Fate::Pass
    })));
    while Instant::now() < until {
        pass(chance.millis(100..1_200)).await;
        while let Ok(envelope) = told.try_recv() {
            seen.push(envelope);
        }
        let place = chance.below(world.places());
        match chance.below(100) {
            0..12 => kill(world, place, chance),
            12..24 => cut_off(world, place, chance),
            24..40 => hold(world, chance),
            40..52 => {
                let trouble = [0, 5, 30].map(|most| chance.below(most + 1) as u32);
                world.truth.set_trouble(Trouble {
                    fails: trouble[1],
                    lost: trouble[1] / 2,
                    slow: trouble[2],
                });
            }
            52..66 => world.hub.set_weather(weather(chance)),
            66..74 => break_link(world, place, chance),
            74..82 => part(world, place, chance),
            82..89 => forge(world, place, &seen, chance),
            89..92 => {
                let user = chance.pick(&world.users);
                let nodes = world.nodes();
                let told = nodes.first().filter(|_| chance.percent(60));
                world.rename(user, &format!("named {}", chance.below(1_000)), told.map(|node| &**node));
            }
            92..95 => {
                // The first one stays, so that no room is without any admin for long.
                let user = UserId(2 + chance.below(4) as i64);
                let nodes = world.nodes();
                let told = nodes.first().filter(|_| chance.percent(60));
                world.set_right(user, chance.percent(50), told.map(|node| &**node));
            }
            95..99 => {
                let (user, nodes) = (chance.pick(&world.users), world.nodes());
                let told = nodes.first().filter(|_| chance.percent(60));
                world.revoke(user, told.map(|node| &**node));
            }
            _ => {}
        }
    }
}

/// Ends a node, and starts one in its place a little later.
fn kill(world: &Rc<World>, place: usize, chance: &mut Chance) {
    if !world.is_up(place) {
        return;
    }
    world.kill_node(place);
    let (world, pause) = (world.clone(), chance.millis(50..3_000));
    actix_rt::spawn(async move {
        pass(pause).await;
        if !world.is_up(place) {
            world.start_node(place);
        }
    });
}

fn cut_off(world: &Rc<World>, place: usize, chance: &mut Chance) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let pause = chance.millis(100..4_000);
    node.life.cut_off(true);
    actix_rt::spawn(async move {
        pass(pause).await;
        node.life.cut_off(false);
    });
}

fn hold(world: &Rc<World>, chance: &mut Chance) {
    let (world, room, pause) = (world.clone(), chance.pick(&world.rooms), chance.millis(20..5_000));
    world.truth.store.hold(room, true);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.truth.store.hold(room, false);
    });
}

fn weather(chance: &mut Chance) -> Weather {
    let most = chance.pick(&[0, 50, 300, 1_000]);
    let worst_ms = chance.pick(&[2, 50, 2_500]);
    Weather {
        lost: chance.below(most + 1) as u32,
        repeated: chance.below(300) as u32,
        corrupt: chance.below(100) as u32,
        delay: Duration::ZERO..Duration::from_millis(worst_ms),
    }
}

fn break_link(world: &Rc<World>, place: usize, chance: &mut Chance) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let (world, pause) = (world.clone(), chance.millis(100..4_000));
    world.hub.set_up(node.link, false);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.hub.set_up(node.link, !node.life.is_dead());
    });
}

/// Lets nothing pass from one node to the next.
fn part(world: &Rc<World>, place: usize, chance: &mut Chance) {
    let nodes = world.nodes();
    let Some(from) = nodes.iter().position(|node| node.place == place) else { return };
    let (from, to) = (nodes[from].link, nodes[(from + 1) % nodes.len()].link);
    let (world, pause) = (world.clone(), chance.millis(100..4_000));
    world.hub.set_cut(from, to, true);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.hub.set_cut(from, to, false);
    });
}

/// Hands a node what none has sent, or what one has sent long ago.
fn forge(world: &Rc<World>, place: usize, seen: &[Bytes], chance: &mut Chance) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let stranger = LinkKey::new(b"another installation");
    let foreign = actors::domain::ids::NodeId(chance.uuid());
    let notices = vec![Notice::Presence(UserId(1), true), Notice::Presence(UserId(2), false)];
    let epoch = world.truth.store.epoch();
    let envelope = match chance.below(3) {
        0 if !seen.is_empty() => chance.pick(seen),
        1 => Bytes::from_static(b"no envelope at all, and longer than a signature"),
        _ => Envelope::new(foreign, epoch, notices).seal(&stranger),
    };
    world.hub.forge(node.link, envelope);
}

/// Ends all faults.
fn heal(world: &Rc<World>) {
    world.truth.set_trouble(Trouble::default());
    world.hub.set_weather(Weather { delay: Duration::ZERO..Duration::from_millis(2), ..Weather::default() });
    world.hub.set_watcher(None);
    for place in 0..world.places() {
        if !world.is_up(place) {
            world.start_node(place);
        }
    }
    let nodes = world.nodes();
    for node in &nodes {
        node.life.cut_off(false);
        world.hub.set_up(node.link, true);
        for other in &nodes {
            world.hub.set_cut(node.link, other.link, false);
        }
    }
    for room in &world.rooms {
        world.truth.store.hold(*room, false);
    }
}

/// Writes down how things stand in the store, and who should see it.
async fn note_truth(world: &World, wanting: &[(UserId, Option<RoomId>)]) {
    note_rosters(world).await;
    for (user, wanted) in wanting {
        for room in world.rooms.iter().filter(|room| wanted.is_none_or(|wanted| wanted == **room)) {
            world.recorder.note(Fact::Wanting { user: *user, room: *room });
        }
    }
    for user in &world.users {
        let lines = world.truth.store.inbox(*user, None).await.unwrap_or_default();
        let total = lines.iter().filter(|line| line.counts()).map(|line| line.unread).sum();
        let rooms: BTreeMap<RoomId, i64> = lines.iter().map(|line| (line.room.id, line.unread)).collect();
        world.recorder.note(Fact::Recount { user: *user, rooms, total });
        let lines = lines.iter().map(|line| (line.room.id, frames::line_of(line))).collect();
        world.recorder.note(Fact::Lines { user: *user, lines, total });
    }
}

/// Writes down who is in each room and may be here.
async fn note_rosters(world: &World) {
    for room in world.truth.rooms() {
        let (users, head) = roster(world, room).await;
        world.recorder.note(Fact::Roster { room, head, users });
    }
}

/// Writes down who is typing, as each node has it.
async fn note_typing(world: &World) {
    for room in world.truth.rooms() {
        for node in world.nodes() {
            let typing = node.engine.typing_in(room).await;
            let users = typing.iter().map(|typist| typist.user).collect();
            world.recorder.note(Fact::Typing { node: node.place, room, users });
        }
    }
}

/// The people of a room who may be here, and its head.
async fn roster(world: &World, room: RoomId) -> (BTreeSet<UserId>, Seq) {
    let snapshot = world.truth.store.snapshot(room, &world.users, true).await.ok().flatten();
    let Some(snapshot) = snapshot else { return Default::default() };
    (snapshot.visitors.iter().map(|visitor| visitor.person.id).collect(), snapshot.room.head)
}
