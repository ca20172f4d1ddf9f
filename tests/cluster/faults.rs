//! Faults of nodes, broker and database, of which none may lose anything.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use aristay_chat::store::postgres::private::PrivatePostgres;
use futures_util::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicCancelOptions, BasicConsumeOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::{sleep, timeout};

use crate::{
    checker::violations,
    cluster::{Cluster, broker, database, report},
    proxy::{Mode, Proxy},
    rabbitmq::RabbitMq,
    soak::ResourceUsage,
    workload::{Workload, quantile},
};

/// A fault of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NodeKilled,
    NodeFrozen,
    BrokerKilled,
    BrokerFrozen,
    BrokerShortOfMemory,
    QueueDeleted,
    BindingDeleted,
    PartitionedFromBroker,
    HalfPartitionedFromBroker,
    PostgresKilled,
}

const QUICK: [Fault; 6] = [
    Fault::NodeKilled,
    Fault::BrokerFrozen,
    Fault::QueueDeleted,
    Fault::PartitionedFromBroker,
    Fault::PostgresKilled,
    Fault::BindingDeleted,
];
pub(crate) const ALL: [Fault; 10] = [
    Fault::NodeKilled,
    Fault::NodeFrozen,
    Fault::BrokerKilled,
    Fault::BrokerFrozen,
    Fault::BrokerShortOfMemory,
    Fault::QueueDeleted,
    Fault::BindingDeleted,
    Fault::PartitionedFromBroker,
    Fault::HalfPartitionedFromBroker,
    Fault::PostgresKilled,
];

/// Nodes whose connections to the broker can be interrupted one by one, on a database that may be killed.
pub(crate) struct Testbed {
    pub(crate) cluster: Cluster,
    pub(crate) postgres: PrivatePostgres,
    proxies: Vec<Proxy>,
    random: u64,
}

impl Testbed {
    pub(crate) async fn new(broker: &RabbitMq, nodes: usize, seed: u64) -> Self {
        let postgres = PrivatePostgres::temporary().await.unwrap();
        let mut cluster = Cluster::prepare(nodes, &database(&postgres).await, &broker.url());
        let mut proxies = Vec::new();
        for node in &mut cluster.nodes {
            let proxy = Proxy::start(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()))]).await;
            node.set("AMQP_URL", &broker.url_at(proxy.port()));
            node.start();
            proxies.push(proxy);
        }
        cluster.linked().await;
        Self { cluster, postgres, proxies, random: seed }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.random >> 33).unwrap() % below
    }

    /// Injects a fault and reverts it after a while.
    pub(crate) async fn inject(&mut self, fault: Fault, broker: &mut RabbitMq) {
        let victim = self.draw(self.proxies.len());
        let span = Duration::from_millis(1_500 + self.draw(2_000) as u64);
        match fault {
            Fault::NodeKilled => {
                self.cluster.nodes[victim].kill();
                sleep(span / 2).await;
                self.cluster.nodes[victim].start();
                self.cluster.nodes[victim].ready().await;
            }
            Fault::NodeFrozen => {
                self.cluster.nodes[victim].signal("STOP");
                sleep(span).await;
                self.cluster.nodes[victim].signal("CONT");
            }
            Fault::BrokerKilled => {
                broker.kill();
                sleep(span).await;
                tokio::task::block_in_place(|| broker.restart());
            }
            Fault::BrokerFrozen => {
                broker.freeze();
                sleep(span).await;
                broker.thaw();
            }
            Fault::BrokerShortOfMemory => {
                tokio::task::block_in_place(|| broker.set_memory_alarm(true));
                sleep(span).await;
                tokio::task::block_in_place(|| broker.set_memory_alarm(false));
            }
            Fault::QueueDeleted => {
                let (_connection, channel, queues) = operator_connection(broker).await;
                if let Some(queue) = queues.first() {
                    let _gone =
                        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
                }
            }
            Fault::BindingDeleted => {
                let (_connection, channel, queues) = operator_connection(broker).await;
                for queue in queues.iter().take(1) {
                    for shard in 0..256 {
                        let key = format!("room.{shard}").into();
                        let exchange = "chat.v1".into();
                        let unbound =
                            channel.queue_unbind(queue.as_str().into(), exchange, key, FieldTable::default());
                        let _gone = unbound.await;
                    }
                }
            }
            Fault::PartitionedFromBroker | Fault::HalfPartitionedFromBroker => {
                let mode = match fault {
                    Fault::HalfPartitionedFromBroker => Mode::HoldClients,
                    _ => [Mode::Hold, Mode::Cut][self.draw(2)],
                };
                self.proxies[victim].set(mode);
                sleep(span).await;
                self.proxies[victim].set(Mode::Pass);
            }
            Fault::PostgresKilled => {
                let pid = self.postgres.postmaster_pid().expect("a postmaster").to_string();
                assert!(Command::new("/bin/kill").args(["-KILL", &pid]).status().unwrap().success());
                sleep(Duration::from_millis(200)).await;
                self.postgres.ready().await.unwrap();
            }
        }
    }
}

/// A connection with which a test changes the broker as an operator could, and the queues that have a
/// consumer; those of killed nodes stay for a while.
async fn operator_connection(broker: &RabbitMq) -> (Connection, Channel, Vec<String>) {
    let listed = tokio::task::block_in_place(|| broker.ctl(&["list_queues", "name", "consumers"]));
    let queues = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(name, consumers)| name.starts_with("chat.") && *consumers != "0")
        .map(|(name, _)| name.to_owned())
        .collect();
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel, queues)
}

/// How soon after each fault everyone must have everything.
const CONVERGED_WITHIN: Duration = Duration::from_secs(10);

/// Database connections that a node in these tests keeps at most.
const CONNECTIONS_KEPT: usize = 12;

struct Run {
    sockets: usize,
    rate: f64,
    faults: Vec<Fault>,
    /// No fault begins after this time.
    span: Duration,
    calm: Duration,
    seed: u64,
}

async fn run(Run { sockets, rate, faults, span, calm, seed }: Run) {
    let mut broker = broker().await;
    let mut testbed = Testbed::new(&broker, 3, seed).await;
    let usage = |testbed: &Testbed| -> Vec<ResourceUsage> {
        testbed.cluster.nodes.iter().map(|node| ResourceUsage::by(node, Duration::ZERO)).collect()
    };
    let before = usage(&testbed);
    let workload = Workload::start(&testbed.cluster, sockets, 3, rate).await;
    let begin = Instant::now();
    let mut converged = Vec::new();
    for fault in faults.into_iter().take_while(|_| begin.elapsed() < span) {
        sleep(calm).await;
        testbed.inject(fault, &mut broker).await;
        converged.push((workload.converges(&testbed.cluster, CONVERGED_WITHIN * 2).await, fault));
    }
    for node in &mut testbed.cluster.nodes {
        node.ready().await;
    }
    let (history, mut stats, at_the_end) = workload.finish(&testbed.cluster, CONVERGED_WITHIN).await;
    let wrong = violations(&history);
    converged.sort_unstable_by_key(|(took, _)| *took);
    let (median, slowest) = (converged[converged.len() / 2].0, converged[converged.len() - 1]);
    report(&format!(
        "{} faults in {:?}, {sockets} sockets, seed {seed}: {} acked, {} connects, {} resets, {} retries, \
         {} removals, ack p50 {:?} p99 {:?}, converged {median:?} after a fault at the median, {slowest:?} at most, \
         {at_the_end:?} after the end, violations {}",
        converged.len(),
        begin.elapsed(),
        history.acked.len(),
        stats.connects,
        stats.resets,
        stats.retries,
        stats.removals,
        quantile(&mut stats.acks, 0.5),
        quantile(&mut stats.acks, 0.99),
        wrong.len(),
    ));
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    assert!(slowest.0 < CONVERGED_WITHIN, "{converged:?}");
    // All clients are gone: the nodes keep nothing of them except pooled database connections.
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let after = usage(&testbed);
        let is_back = before.iter().zip(&after).all(|(before, after)| {
            after.descriptors <= before.descriptors + CONNECTIONS_KEPT && after.threads <= before.threads + 4
        });
        if is_back {
            break;
        }
        assert!(Instant::now() < until, "{before:?} {after:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_faults_lose_nothing() {
    let faults = QUICK.to_vec();
    let (span, calm) = (Duration::MAX, Duration::from_millis(700));
    run(Run { sockets: 12, rate: 60.0, faults, span, calm, seed: 1 }).await;
}

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "CLUSTER_SECONDS, 300 by default"]
async fn faults_for_minutes_lose_nothing() {
    let (seconds, seed) = (setting("CLUSTER_SECONDS", 300), setting("CLUSTER_SEED", 7));
    let mut random = seed;
    let faults = (0..seconds).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        ALL[usize::try_from(random >> 33).unwrap() % ALL.len()]
    });
    let sockets = usize::try_from(setting("CLUSTER_SOCKETS", 100)).unwrap();
    let rate = setting("CLUSTER_RATE", 300) as f64;
    let (faults, span, calm) = (faults.collect(), Duration::from_secs(seconds), Duration::from_secs(1));
    run(Run { sockets, rate, faults, span, calm, seed }).await;
}

/// A consumer ahead of the node's own takes the last message of a burst away.
async fn stolen_last_messages(times: usize) {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::start(2, &database(postgres).await, &broker.url()).await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let (mut anns, mut bobs) =
        (cluster.room_socket(0, &ann, &room).await, cluster.room_socket(1, &bob, &room).await);
    let mut late = Vec::new();
    for n in 0.. {
        if late.len() == times {
            break;
        }
        assert!(n < 8 * times, "{} thefts in {n} tries", late.len());
        cluster.linked().await;
        // Opened anew each time: a consumer that stays too long also takes the node's heartbeats, and the
        // node gives up its connection.
        let (_connection, channel, queues) = operator_connection(&broker).await;
        let queue = queues.iter().rfind(|name| name.starts_with("chat.node2.")).expect("its queue");
        for m in 0..5 {
            anns.says(&format!("burst {n} {m}")).await;
        }
        bobs.hears(&format!("burst {n} 4")).await;
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongInt(10));
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let tag = format!("thief {n}");
        let mut thief = channel
            .basic_consume(queue.as_str().into(), tag.as_str().into(), options, arguments)
            .await
            .unwrap();
        let text = format!("last {n}");
        anns.says(&text).await;
        let begin = Instant::now();
        let stolen = timeout(Duration::from_secs(5), async {
            while let Some(Ok(delivery)) = thief.next().await {
                if delivery.routing_key.as_str().starts_with("room.") {
                    return true;
                }
            }
            false
        });
        let is_stolen = stolen.await == Ok(true);
        let _gone_with_the_queue =
            channel.basic_cancel(tag.as_str().into(), BasicCancelOptions::default()).await;
        bobs.hears(&text).await;
        // A node that missed its heartbeats has a new queue, which the consumer doesn't know.
        if is_stolen {
            late.push(begin.elapsed());
        }
    }
    let longest = late.iter().max().copied().unwrap_or_default();
    report(&format!("the last message of {times} bursts taken away: shown after {longest:?} at most"));
    assert!(longest < Duration::from_secs(3), "{late:?}");
    for node in &mut cluster.nodes {
        assert!(node.stop().await.success(), "{}", node.log_end());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_message_of_a_burst_arrives_though_the_broker_lost_it() {
    stolen_last_messages(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute"]
async fn twenty_last_messages_arrive_though_the_broker_lost_them() {
    stolen_last_messages(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_acks_are_prompt_and_others_receive_within_three_seconds() {
    let mut broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let cluster = Cluster::start(2, &database(postgres).await, &broker.url()).await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let (mut anns, mut bobs) =
        (cluster.room_socket(0, &ann, &room).await, cluster.room_socket(1, &bob, &room).await);
    let mut latencies = Vec::new();
    for is_away in [false, true] {
        if is_away {
            broker.kill();
        }
        let (mut acks, mut late) = (Vec::new(), Vec::new());
        for n in 0..60 {
            let text = format!("{is_away} {n}");
            let begin = Instant::now();
            acks.push(anns.says(&text).await.1);
            if n % 10 == 0 {
                bobs.hears(&text).await;
                late.push(begin.elapsed());
            }
            sleep(Duration::from_millis(20)).await;
        }
        latencies.push((
            quantile(&mut acks, 0.5),
            quantile(&mut acks, 0.99),
            late.into_iter().max().unwrap(),
        ));
    }
    report(&format!(
        "ack p50, p99, longest way to the other node: {:?}; without a broker {:?}",
        latencies[0], latencies[1]
    ));
    assert!(latencies[1].2 < Duration::from_secs(3), "{latencies:?}");
    // A user who is deactivated meanwhile is disconnected within five seconds.
    let begin = Instant::now();
    cluster.put_user(0, bob.id, serde_json::json!({"is_active": false})).await;
    assert_eq!(bobs.ends().await, 4401);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    tokio::task::block_in_place(|| broker.restart());
}
