//! The engine's inner paths, each alone: what a message costs before and after the store.
//!
//!     cargo bench -p actors

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod setup;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::event::{Event, EventBody};
use actors::domain::ids::Seq;
use actors::domain::participant::Role;
use actors::domain::permission::{AccessLevel, Action};
use actors::domain::room::RoomType;
use actors::ports::store::Store;
use actors::protocol::client;
use actors::protocol::codec;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use setup::{AudienceFixture, RoomsFixture, SwitchboardFixture};

/// Receivers of one message.
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
    let access_level = AccessLevel::Participant(Role::Member);
    criterion.bench_function("permission to send", |bench| {
        bench.iter(|| black_box(access_level).allows(black_box(Action::Post), black_box(RoomType::Group)));
    });
}

fn encode(criterion: &mut Criterion) {
    let events = RoomsFixture::new(1).replay(1);
    let event = events.iter().find(|event| matches!(event.body, EventBody::MessagePosted(_)));
    let event: &Event = event.expect("one was posted");
    criterion.bench_function("encode a message", |bench| {
        bench.iter(|| black_box(event).frame().map(|frame| codec::encode(&frame)));
    });
}

fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver to 1,000 outboxes");
    group.throughput(Throughput::Elements(SOCKETS as u64)).measurement_time(Duration::from_secs(5));
    for frames in [1, 8] {
        group.bench_function(format!("{frames} frames in one batch"), |bench| {
            let fixture = SwitchboardFixture::new(SOCKETS);
            let mut after = 0;
            bench.iter_custom(|times| {
                let took = fixture.deliver(after, times, frames);
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
            let fixture = RoomsFixture::new(rooms);
            let store = fixture.store.clone();
            bench.iter_batched(
                || fixture.batch(BATCH),
                |batch| fixture.wait(store.append(&batch, false)).expect("nothing is in its way"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    let fixture = RoomsFixture::new(1);
    let events = fixture.replay(MISSED);
    let store: Arc<dyn Store> = fixture.store.clone();
    let mut group = criterion.benchmark_group("replay 200 messages");
    group.throughput(Throughput::Elements(MISSED as u64));
    group.bench_function("read from the memory store", |bench| {
        let read = || fixture.wait(store.events(fixture.rooms[0], Seq(0), MISSED));
        bench.iter(|| read().expect("it is there"));
    });
    group.bench_function("encode", |bench| {
        bench.iter(|| {
            let frames = events.iter().filter_map(Event::frame);
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
            let fixture = AudienceFixture::new(SOCKETS);
            bench.iter_custom(|times| {
                let rounds = (0..times).map(|_| fixture.comes_and_goes());
                rounds.map(|(came, went)| if is_leaving { went } else { came }).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(inner, decode, permission, encode, deliver, append, replay, join);
criterion_main!(inner);
