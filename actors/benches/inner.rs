//! The engine's inner paths, each alone: what a message costs before and after the store.
//!
//!     cargo bench -p actors

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod stage;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::event::{Event, EventBody};
use actors::domain::ids::Seq;
use actors::domain::participant::Role;
use actors::domain::permission::{Deed, Standing};
use actors::domain::room::RoomType;
use actors::ports::store::Store;
use actors::protocol::client;
use actors::protocol::codec;
use actors::protocol::server::ServerFrame;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use stage::{Board, Crowd, Village};

/// Sockets that one message goes to.
const SOCKETS: usize = 1_000;
/// Commands of a full batch.
const BATCH: usize = 500;
/// Messages of a replay.
const MISSED: usize = 200;

fn decode(criterion: &mut Criterion) {
    let text = r#"{"type":"chat_message","room_id":"0190a000-0000-7000-8000-000000000001","client_id":"4c1d7f3a-9b2e-4d55-8a66-000000000003","message":"The boiler in 4b is fixed, the plumber left at ten."}"#;
    criterion.bench_function("decode a message", |bench| {
        bench.iter(|| client::decode(black_box(text)).is_ok());
    });
}

fn permission(criterion: &mut Criterion) {
    let standing = Standing::Participant(Role::Member);
    criterion.bench_function("permission to send", |bench| {
        bench.iter(|| black_box(standing).may(black_box(Deed::Post), black_box(RoomType::Group)));
    });
}

fn encode(criterion: &mut Criterion) {
    let events = Village::new(1).replay(1);
    let event = events.iter().find(|event| matches!(event.body, EventBody::MessagePosted(_)));
    let event: &Event = event.expect("one was posted");
    criterion.bench_function("encode a message", |bench| {
        bench.iter(|| ServerFrame::of_event(black_box(event)).map(|frame| codec::encode(&frame)));
    });
}

fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver to 1,000 outboxes");
    group.throughput(Throughput::Elements(SOCKETS as u64)).measurement_time(Duration::from_secs(5));
    for frames in [1, 8] {
        group.bench_function(format!("{frames} frames in one batch"), |bench| {
            let board = Board::new(SOCKETS);
            let mut after = 0;
            bench.iter_custom(|times| {
                let took = board.deliver(after, times, frames);
                after += i64::try_from(times * frames).expect("a bench ends before that");
                took
            });
        });
    }
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append a batch of 500 to the memory store");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for rooms in [1, 500] {
        group.bench_function(format!("{rooms} rooms"), |bench| {
            let village = Village::new(rooms);
            let store = village.store.clone();
            bench.iter_batched(
                || village.batch(BATCH),
                |batch| village.wait(store.append(&batch, false)).expect("nothing is in its way"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    let village = Village::new(1);
    let events = village.replay(MISSED);
    let store: Arc<dyn Store> = village.store.clone();
    let mut group = criterion.benchmark_group("replay 200 messages");
    group.throughput(Throughput::Elements(MISSED as u64));
    group.bench_function("read from the memory store", |bench| {
        let read = || village.wait(store.events(village.rooms[0], Seq(0), MISSED));
        bench.iter(|| read().expect("it is there"));
    });
    group.bench_function("encode", |bench| {
        bench.iter(|| {
            let frames = events.iter().filter_map(ServerFrame::of_event);
            frames.map(|frame| codec::encode(&frame).len()).sum::<usize>()
        });
    });
    group.finish();
}

fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1,000 people in one room");
    group.throughput(Throughput::Elements(SOCKETS as u64)).sample_size(10);
    for (name, is_leaving) in [("come", false), ("go", true)] {
        group.bench_function(name, |bench| {
            let crowd = Crowd::new(SOCKETS);
            bench.iter_custom(|times| {
                let rounds = (0..times).map(|_| crowd.comes_and_goes());
                rounds.map(|(came, went)| if is_leaving { went } else { came }).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(inner, decode, permission, encode, deliver, append, replay, join);
criterion_main!(inner);
