//! The rules against a second evaluator, written from the table in `docs/NOTIFICATIONS.md` and as simple as possible.

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::*;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn id(seq: i64) -> MessageId {
    MessageId(Uuid::from_u128(u128::try_from(seq).expect("a position")))
}

/// A message of Bob's, sent `seq` seconds after the beginning.
fn message(seq: i64) -> MessageFacts {
    MessageFacts {
        id: id(seq),
        seq: Seq(seq),
        sender: BOB,
        at: at(seq),
        thread_alone: None,
        mentions: Mentions::default(),
        is_urgent: false,
        text: "the boiler is cold".to_owned(),
    }
}

/// Ann, who has read nothing and is told of everything after ten seconds.
fn reader() -> ReaderFacts {
    ReaderFacts {
        user: ANN,
        after: Seq(0),
        level: NotificationLevel::All,
        is_muted: false,
        blocked: BTreeSet::new(),
        threads: BTreeSet::new(),
        acknowledged: BTreeSet::new(),
        keywords: Vec::new(),
        delay: Duration::from_secs(10),
        quiet_until: None,
        is_offline: false,
    }
}

#[test]
fn a_mention_by_name_pierces_muting_and_nothing_else_does() {
    let muted = ReaderFacts { is_muted: true, keywords: vec!["boiler".to_owned()], ..reader() };
    let by_name = MessageFacts { mentions: Mentions::new(vec![ANN], false), ..message(1) };
    let of_all = MessageFacts { mentions: Mentions::new(Vec::new(), true), ..message(1) };
    assert_eq!(rule_for(false, &by_name, &muted), Ok(TellingRule::Mention));
    assert_eq!(rule_for(false, &of_all, &muted), Err(SilenceRule::Muted));
    assert_eq!(rule_for(false, &message(1), &muted), Err(SilenceRule::Muted));
    let blocks = ReaderFacts { blocked: BTreeSet::from([BOB]), ..reader() };
    assert_eq!(rule_for(false, &by_name, &blocks), Err(SilenceRule::Blocked));
    let nothing = ReaderFacts { level: NotificationLevel::Nothing, ..reader() };
    assert_eq!(rule_for(true, &by_name, &nothing), Err(SilenceRule::LevelNothing));
}

#[test]
fn a_burst_is_told_as_one_and_the_first_of_it_decides_when() {
    let burst = [message(1), message(2), message(9)];
    let later = TellingTime::Later { at: at(11), first: Seq(1) };
    assert_eq!(telling_time(false, &burst, &reader(), at(10)), later);
    let told = Telling { rule: TellingRule::Message, first: Seq(1), last: Seq(9), message: id(9) };
    assert_eq!(telling_time(false, &burst, &reader(), at(11)), TellingTime::Now(told));
    // Who has read the first two has ten seconds for the third.
    let has_read = ReaderFacts { after: Seq(2), ..reader() };
    let later = TellingTime::Later { at: at(19), first: Seq(9) };
    assert_eq!(telling_time(false, &burst, &has_read, at(11)), later);
    let all = ReaderFacts { after: Seq(9), ..reader() };
    assert_eq!(telling_time(false, &burst, &all, at(99)), TellingTime::Never);
}

#[test]
fn nobody_waits_for_a_device_that_is_not_there() {
    let offline = ReaderFacts { is_offline: true, ..reader() };
    let due_time =
        |is_direct, sent, reader: &ReaderFacts| due_time(TellingRule::Message, is_direct, sent, reader);
    assert_eq!(due_time(true, at(1), &offline), at(1));
    assert_eq!(due_time(false, at(1), &offline), at(11), "in a group others may read on");
    assert_eq!(due_time(true, at(1), &reader()), at(11));
    let quiet = ReaderFacts { quiet_until: Some(at(500)), ..offline };
    assert_eq!(due_time(true, at(1), &quiet), at(500));
    assert_eq!(due_time(true, at(600), &quiet), at(600));
}

#[test]
fn an_urgent_message_pierces_all_but_a_block_and_stays_the_one_that_is_shown() {
    let deaf = ReaderFacts {
        level: NotificationLevel::Nothing,
        is_muted: true,
        quiet_until: Some(at(500)),
        ..reader()
    };
    let urgent = MessageFacts { is_urgent: true, ..message(5) };
    let told = |first, last| Telling {
        rule: TellingRule::Urgent,
        first: Seq(first),
        last: Seq(last),
        message: id(5),
    };
    let messages = [message(1), urgent.clone(), message(6)];
    assert_eq!(telling_time(false, &messages, &deaf, at(5)), TellingTime::Now(told(5, 5)));
    assert_eq!(telling_time(false, &messages, &reader(), at(6)), TellingTime::Now(told(1, 6)));
    let again = MessageFacts { is_urgent: true, ..message(7) };
    let both = telling_time(false, &[urgent.clone(), again], &reader(), at(7));
    assert_eq!(both, TellingTime::Now(Telling { message: id(7), ..told(5, 7) }));
    let blocks = ReaderFacts { blocked: BTreeSet::from([BOB]), ..reader() };
    assert_eq!(rule_for(false, &urgent, &blocks), Err(SilenceRule::Blocked));
    let has_acknowledged = ReaderFacts { acknowledged: BTreeSet::from([id(5)]), ..deaf };
    assert_eq!(rule_for(false, &urgent, &has_acknowledged), Err(SilenceRule::LevelNothing));
    let own = MessageFacts { sender: ANN, ..urgent };
    assert_eq!(rule_for(false, &own, &reader()), Err(SilenceRule::Own));
}

#[test]
fn the_names_of_rules_are_read_as_they_are_written() {
    for rule in TellingRule::ALL {
        assert_eq!(TellingRule::parse(rule.as_str()), Some(rule));
    }
    assert!(TellingRule::ALL.is_sorted());
    assert_eq!(TellingRule::parse("something_newer"), None);
}

/// The second evaluator: every message by itself, by the table's lines from top to bottom.
fn simply(
    is_direct: bool,
    messages: &[MessageFacts],
    reader: &ReaderFacts,
    now: DateTime<Utc>,
) -> TellingTime {
    let mut told = Vec::new();
    for message in messages {
        let by_name = message.mentions.users.contains(&reader.user);
        let has_keyword =
            reader.keywords.iter().any(|word| message.text.split(' ').any(|other| word == other));
        let lines = [
            (message.seq <= reader.after || message.sender == reader.user, None),
            (reader.blocked.contains(&message.sender), None),
            (message.is_urgent, Some(TellingRule::Urgent)),
            (reader.level == NotificationLevel::Nothing, None),
            (by_name, Some(TellingRule::Mention)),
            (reader.is_muted, None),
            (message.mentions.room, Some(TellingRule::RoomMention)),
            (has_keyword, Some(TellingRule::Keyword)),
            (reader.level == NotificationLevel::Mentions, None),
            (message.thread_alone.is_some_and(|root| !reader.threads.contains(&root)), None),
            (message.thread_alone.is_some(), Some(TellingRule::Thread)),
            (is_direct, Some(TellingRule::Direct)),
            (true, Some(TellingRule::Message)),
        ];
        let (_, rule) = lines.into_iter().find(|(applies, _)| *applies).expect("the last line applies");
        told.extend(rule.map(|rule| (rule, message)));
    }
    let Some((_, first)) = told.first() else { return TellingTime::Never };
    let mut due = first.at;
    if !(is_direct && reader.is_offline) {
        due += reader.delay;
    }
    if let Some(quiet_until) = reader.quiet_until.filter(|until| *until > due) {
        due = quiet_until;
    }
    let urgent: Vec<_> = told.iter().filter(|(_, message)| message.is_urgent).collect();
    if first.is_urgent {
        due = first.at;
    }
    if let Some(soonest) = urgent.iter().map(|(_, message)| message.at).min() {
        due = due.min(soonest);
    }
    if now < due {
        return TellingTime::Later { at: due, first: first.seq };
    }
    let rule = told.iter().map(|(rule, _)| *rule).max().expect("at least one");
    let (_, last) = told.last().expect("at least one");
    let (_, shown) = urgent.last().copied().or(told.last()).expect("at least one");
    TellingTime::Now(Telling { rule, first: first.seq, last: last.seq, message: shown.id })
}

fn any_message() -> impl Strategy<Value = MessageFacts> {
    let word = prop_oneof![Just("the boiler is cold"), Just("boilers"), Just("hello")];
    let root = prop_oneof![3 => Just(None), 1 => (1..3_i64).prop_map(|root| Some(id(root)))];
    let is_urgent = proptest::bool::weighted(0.1);
    (1..4_i64, 0..60_i64, root, any::<[bool; 2]>(), is_urgent, word).prop_map(
        |(sender, seconds, thread_alone, [by_name, room], is_urgent, text)| MessageFacts {
            sender: UserId(sender),
            at: at(seconds),
            thread_alone,
            mentions: Mentions::new(if by_name { vec![ANN] } else { Vec::new() }, room && seconds % 3 == 0),
            is_urgent,
            text: text.to_owned(),
            ..message(1)
        },
    )
}

fn any_reader() -> impl Strategy<Value = ReaderFacts> {
    let level = prop_oneof![
        Just(NotificationLevel::All),
        Just(NotificationLevel::Mentions),
        Just(NotificationLevel::Nothing)
    ];
    let quiet_until = proptest::option::weighted(0.2, 0..80_i64);
    (level, 0..8_i64, any::<[bool; 5]>(), 0..20_u64, quiet_until).prop_map(
        |(level, after, [is_muted, in_thread, has_keyword, is_offline, has_blocked], delay, quiet_until)| {
            ReaderFacts {
                after: Seq(after),
                level,
                is_muted,
                blocked: has_blocked.then_some(BOB).into_iter().collect(),
                threads: in_thread.then(|| id(1)).into_iter().collect(),
                keywords: if has_keyword { vec!["boiler".to_owned()] } else { Vec::new() },
                delay: Duration::from_secs(delay),
                quiet_until: quiet_until.map(at),
                is_offline,
                ..reader()
            }
        },
    )
}

#[test]
fn two_evaluators_agree_on_a_thousand_states() {
    let state = (any::<bool>(), proptest::collection::vec(any_message(), 0..8), any_reader(), 0..80_i64);
    let mut runner = TestRunner::new(Config { cases: 1_000, ..Config::default() });
    let agree = runner.run(&state, |(is_direct, mut messages, reader, now)| {
        for (message, seq) in messages.iter_mut().zip(1..) {
            (message.seq, message.id) = (Seq(seq), id(seq));
        }
        messages.sort_by_key(|message| message.seq);
        let decided = telling_time(is_direct, &messages, &reader, at(now));
        prop_assert_eq!(decided, simply(is_direct, &messages, &reader, at(now)));
        Ok(())
    });
    agree.expect("the evaluators agree");
}
