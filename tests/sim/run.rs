//! One run: a storm of faults under traffic, then healing, then a comparison with the expected state.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::memory::broker::{EnvelopeFate, NetworkConditions};
use actors::ports::store::{InboxRoom, Store};
use actors::protocol::envelope::{Envelope, EnvelopeKey, Notice};
use bytes::Bytes;
use tokio::time::Instant;

use crate::device::Device;
use crate::fold;
use crate::frames;
use crate::history::{Fact, History};
use crate::rng::Rng;
use crate::store::StoreFaults;
use crate::world::{Phase, World, pass};

/// How long the storm lasts; the faults begin in its first half.
const STORM_MS: Range<u64> = 8_000..20_000;
/// How long traffic goes on after the storm.
const HEALED: Duration = Duration::from_secs(2);
/// How long after the last fault everyone is at the head.
const CONVERGED: Duration = Duration::from_secs(10);
/// How long after the last fault everyone sees who is online.
const PRESENCE_RIGHT: Duration = Duration::from_secs(40);
/// How long an engine may hold anything for users who have gone, and their rooms.
const FORGOTTEN: Duration = Duration::from_secs(110);
/// Longer, in simulated time, than any run takes.
const ENDLESS: Duration = Duration::from_secs(600);

/// Runs a future on a runtime of its own, whose time moves when nothing else does.
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
    let mut rng = Rng::new(seed);
    let world = World::new(rng.fork()).await;
    let devices = devices(&world, &mut rng);
    let wanting: Vec<(UserId, Option<RoomId>)> =
        devices.iter().map(|device| (device.user, device.room)).collect();
    for device in devices {
        actix_rt::spawn(device.live());
    }
    let until = Instant::now() + rng.millis(STORM_MS);
    storm(&world, &mut rng, until).await;
    heal(&world);
    world.recorder.note(Fact::Healed);
    world.enter(Phase::Healed);
    let healed = Instant::now();
    tokio::time::sleep_until(healed + HEALED).await;
    world.enter(Phase::Quiet);
    tokio::time::sleep_until(healed + HEALED + CONVERGED).await;
    world.enter(Phase::Settled);
    pass(Duration::from_millis(1)).await;
    note_stored_state(&world, &wanting).await;
    tokio::time::sleep_until(healed + PRESENCE_RIGHT).await;
    world.enter(Phase::Seen);
    pass(Duration::from_millis(1)).await;
    note_rosters(&world).await;
    note_typing(&world).await;
    world.enter(Phase::Over);
    pass(FORGOTTEN).await;
    for node in world.nodes() {
        for (what, count) in node.engine.diagnostics().await {
            world.recorder.note(Fact::Left { node: node.place, what, count });
        }
    }
    world.recorder.history()
}

/// The clients of all users: for single rooms, and for all rooms of a user.
fn devices(world: &Rc<World>, rng: &mut Rng) -> Vec<Device> {
    let mut devices = Vec::new();
    for user in &world.users {
        for likely in [70, 40, 20] {
            if rng.percent(likely) {
                devices.push(Device::new(world, *user, None));
            }
        }
        for room in &world.rooms {
            if rng.percent(40) {
                devices.push(Device::new(world, *user, Some(*room)));
            }
        }
    }
    devices
}

/// Injects one fault after another.
async fn storm(world: &Rc<World>, rng: &mut Rng, until: Instant) {
    let mut seen: Vec<Bytes> = Vec::new();
    let mut sent = rng.fork();
    let (report_to, mut told) = tokio::sync::mpsc::unbounded_channel();
    world.hub.set_filter(Some(Box::new(move |_, _, envelope| {
        if sent.percent(5) {
            let _over = report_to.send(envelope.clone());
        }
        EnvelopeFate::Pass
    })));
    while Instant::now() < until {
        pass(rng.millis(100..1_200)).await;
        while let Ok(envelope) = told.try_recv() {
            seen.push(envelope);
        }
        let place = rng.below(world.places());
        match rng.below(100) {
            0..12 => kill(world, place, rng),
            12..24 => cut_off(world, place, rng),
            24..40 => hold(world, rng),
            40..52 => {
                let store_faults = [0, 5, 30].map(|most| rng.below(most + 1) as u32);
                world.shared_store.set_faults(StoreFaults {
                    fails: store_faults[1],
                    lost: store_faults[1] / 2,
                    slow: store_faults[2],
                });
            }
            52..66 => world.hub.set_conditions(conditions(rng)),
            66..74 => break_link(world, place, rng),
            74..82 => cut_delivery(world, place, rng),
            82..89 => forge(world, place, &seen, rng),
            89..92 => {
                let user = rng.pick(&world.users);
                let nodes = world.nodes();
                let told = nodes.first().filter(|_| rng.percent(60));
                world.rename(user, &format!("named {}", rng.below(1_000)), told.map(|node| &**node));
            }
            92..95 => {
                // The first user keeps access, so that no room is without an admin for long.
                let user = UserId(2 + rng.below(4) as i64);
                let nodes = world.nodes();
                let told = nodes.first().filter(|_| rng.percent(60));
                world.set_access(user, rng.percent(50), told.map(|node| &**node));
            }
            95..99 => {
                let (user, nodes) = (rng.pick(&world.users), world.nodes());
                let told = nodes.first().filter(|_| rng.percent(60));
                world.revoke(user, told.map(|node| &**node));
            }
            _ => {}
        }
    }
}

/// Kills a node, and starts one in its place a little later.
fn kill(world: &Rc<World>, place: usize, rng: &mut Rng) {
    if !world.is_up(place) {
        return;
    }
    world.kill_node(place);
    let (world, pause) = (world.clone(), rng.millis(50..3_000));
    actix_rt::spawn(async move {
        pass(pause).await;
        if !world.is_up(place) {
            world.start_node(place);
        }
    });
}

fn cut_off(world: &Rc<World>, place: usize, rng: &mut Rng) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let pause = rng.millis(100..4_000);
    node.liveness.cut_off(true);
    actix_rt::spawn(async move {
        pass(pause).await;
        node.liveness.cut_off(false);
    });
}

fn hold(world: &Rc<World>, rng: &mut Rng) {
    let (world, room, pause) = (world.clone(), rng.pick(&world.rooms), rng.millis(20..5_000));
    world.shared_store.store.hold(room, true);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.shared_store.store.hold(room, false);
    });
}

fn conditions(rng: &mut Rng) -> NetworkConditions {
    let most = rng.pick(&[0, 50, 300, 1_000]);
    let worst_ms = rng.pick(&[2, 50, 2_500]);
    NetworkConditions {
        lost: rng.below(most + 1) as u32,
        repeated: rng.below(300) as u32,
        corrupt: rng.below(100) as u32,
        delay: Duration::ZERO..Duration::from_millis(worst_ms),
    }
}

fn break_link(world: &Rc<World>, place: usize, rng: &mut Rng) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let (world, pause) = (world.clone(), rng.millis(100..4_000));
    world.hub.set_up(node.link, false);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.hub.set_up(node.link, !node.liveness.is_dead());
    });
}

/// Cuts delivery from one node to the next.
fn cut_delivery(world: &Rc<World>, place: usize, rng: &mut Rng) {
    let nodes = world.nodes();
    let Some(from) = nodes.iter().position(|node| node.place == place) else { return };
    let (from, to) = (nodes[from].link, nodes[(from + 1) % nodes.len()].link);
    let (world, pause) = (world.clone(), rng.millis(100..4_000));
    world.hub.set_cut(from, to, true);
    actix_rt::spawn(async move {
        pass(pause).await;
        world.hub.set_cut(from, to, false);
    });
}

/// Delivers an envelope to a node that none has sent, or an old one.
fn forge(world: &Rc<World>, place: usize, seen: &[Bytes], rng: &mut Rng) {
    let Some(node) = world.nodes().into_iter().find(|node| node.place == place) else { return };
    let stranger = EnvelopeKey::new(b"another installation");
    let foreign = actors::domain::ids::NodeId(rng.uuid());
    let notices = vec![Notice::Presence(UserId(1), true), Notice::Presence(UserId(2), false)];
    let epoch = world.shared_store.store.epoch();
    let envelope = match rng.below(3) {
        0 if !seen.is_empty() => rng.pick(seen),
        1 => Bytes::from_static(b"no envelope at all, and longer than a signature"),
        _ => Envelope::new(foreign, epoch, notices).seal(&stranger),
    };
    world.hub.forge(node.link, envelope);
}

/// Ends all faults.
fn heal(world: &Rc<World>) {
    world.shared_store.set_faults(StoreFaults::default());
    world.hub.set_conditions(NetworkConditions {
        delay: Duration::ZERO..Duration::from_millis(2),
        ..NetworkConditions::default()
    });
    world.hub.set_filter(None);
    for place in 0..world.places() {
        if !world.is_up(place) {
            world.start_node(place);
        }
    }
    let nodes = world.nodes();
    for node in &nodes {
        node.liveness.cut_off(false);
        world.hub.set_up(node.link, true);
        for other in &nodes {
            world.hub.set_cut(node.link, other.link, false);
        }
    }
    for room in &world.rooms {
        world.shared_store.store.hold(*room, false);
    }
}

/// Records the state of the store, and who should see it.
async fn note_stored_state(world: &World, wanting: &[(UserId, Option<RoomId>)]) {
    note_rosters(world).await;
    for (user, wanted) in wanting {
        for room in world.rooms.iter().filter(|room| wanted.is_none_or(|wanted| wanted == **room)) {
            world.recorder.note(Fact::Wanting { user: *user, room: *room });
        }
    }
    for room in world.shared_store.rooms() {
        let log = world.shared_store.store.events(room, Seq::START, usize::MAX).await.unwrap_or_default();
        world.recorder.note(Fact::StoredMessages { room, messages: fold::stored(&log) });
    }
    for user in &world.users {
        let listed_rows = world.shared_store.store.inbox(*user, None).await.unwrap_or_default();
        let total = listed_rows.iter().filter(|row| row.counts_toward_total()).map(|row| row.unread).sum();
        let rooms: BTreeMap<RoomId, i64> = listed_rows.iter().map(|row| (row.room.id, row.unread)).collect();
        world.recorder.note(Fact::Recount { user: *user, rooms, total });
        let total_mentions = listed_rows.iter().map(InboxRoom::total_mentions).sum();
        let listed_rows = listed_rows.iter().map(|row| (row.room.id, frames::stored_row(row))).collect();
        world.recorder.note(Fact::StoredList { user: *user, listed_rows, total, total_mentions });
    }
}

/// Records who is in each room and has access.
async fn note_rosters(world: &World) {
    for room in world.shared_store.rooms() {
        let (users, head) = roster(world, room).await;
        world.recorder.note(Fact::Roster { room, head, users });
    }
}

/// Records who is typing, by each node.
async fn note_typing(world: &World) {
    for room in world.shared_store.rooms() {
        for node in world.nodes() {
            let typing = node.engine.typing_in(room).await;
            let users = typing.iter().map(|typist| typist.user).collect();
            world.recorder.note(Fact::Typing { node: node.place, room, users });
        }
    }
}

/// The participants of a room with access, and its head.
async fn roster(world: &World, room: RoomId) -> (BTreeSet<UserId>, Seq) {
    let snapshot = world.shared_store.store.snapshot(room, &world.users, true).await.ok().flatten();
    let Some(snapshot) = snapshot else { return Default::default() };
    (snapshot.admitted_users.iter().map(|admitted_user| admitted_user.user.id).collect(), snapshot.room.head)
}
