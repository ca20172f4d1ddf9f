//! Measures searches in many messages of eight languages, how much space their index takes, and how fast it is filled.
//! Ignored by default:
//! `SEARCH_MESSAGES=10000000 cargo test --profile dist --test contract search_bench -- --ignored --nocapture`
//!
//! `SEARCH_ROOMS` rooms (1,000 messages each if unset) hold the messages, Ann is in `SEARCH_OWN_ROOMS` of them (200),
//! Bob in all. `SEARCH_TIMES` searches of each kind are made (100).

use std::time::{Duration, Instant};

use actors::domain::ids::UserId;
use aristay_chat::consumers::SearchIndexer;
use aristay_chat::store::postgres::ConsumerRound;
use aristay_chat::store::postgres::search::SearchRequest;
use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use crate::world::{ANN, BOB, Postgres};

/// Messages that one transaction inserts.
const BATCH: u64 = 1_000;
/// Different words of each language.
const WORDS: u64 = 30_000;

const MESSAGES: &str = "
    WITH given AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[])
                       g (room_id, id, seq, content, at)),
    logged AS (INSERT INTO events (room_id, seq, kind, actor, message_id, at)
        SELECT room_id, seq, 'message_posted', 1 + seq % 9, id, at FROM given)
    INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, created_at, modified_at)
        SELECT room_id, id, seq, seq, 1 + seq % 9, 'text', content, at, at FROM given";
const ROOMS: &str = "
    INSERT INTO rooms (id, room_type, created_at, modified_at, head, last_message_at)
        SELECT id, 'group', now(), now(), head, now() FROM unnest($1::uuid[], $2::bigint[]) g (id, head)";
const PEOPLE: &str = "
    INSERT INTO people (id, username, full_name) SELECT n, 'user' || n, 'User ' || n FROM generate_series(1, 9) n";
const PARTICIPANTS: &str = "
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
        SELECT id, 2, 'member', now(), 0 FROM unnest($1::uuid[]) id
        UNION ALL SELECT id, 1, 'member', now(), 0 FROM unnest($2::uuid[]) id";
const SIZES: &str = "
    SELECT name, pg_total_relation_size(name::regclass), pg_table_size(name::regclass),
           coalesce(pg_relation_size(reltoastrelid), 0)
    FROM (VALUES ('search_blocks'), ('search_rooms')) t (name) JOIN pg_class ON oid = name::regclass";

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 32)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A rank below `bound`, of which each is as frequent as it is low (Zipf).
    fn rank(&mut self, bound: u64) -> u64 {
        let share = self.below(1 << 40) as f64 / (1_u64 << 40) as f64;
        ((bound as f64 + 1.0).powf(share) - 1.0) as u64
    }
}

/// The languages: the last two have no spaces between words.
const LANGUAGES: u64 = 8;
const SPACED: u64 = 6;

/// The word of this rank: of syllables, shorter for frequent ones.
fn word(language: u64, rank: u64) -> String {
    const ONSETS: [&[&str]; SPACED as usize] = [
        &[
            "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "w", "th", "st", "ch", "br",
            "pl", "k",
        ],
        &[
            "b", "c", "d", "f", "g", "j", "l", "ll", "m", "n", "ñ", "p", "qu", "r", "s", "t", "v", "tr",
            "pr", "z",
        ],
        &[
            "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "sch", "st", "t", "w", "z", "ver",
            "ge", "be",
        ],
        &[
            "b", "c", "d", "f", "g", "j", "l", "m", "n", "p", "r", "s", "t", "v", "ch", "tr", "pr", "ç",
            "qu", "h",
        ],
        &[
            "b", "c", "d", "đ", "g", "h", "kh", "l", "m", "n", "ng", "nh", "p", "ph", "s", "t", "th", "tr",
            "v", "x",
        ],
        &[
            "б", "в", "г", "д", "ж", "з", "к", "л", "м", "н", "п", "р", "с", "т", "ф", "х", "ц", "ч", "ш",
            "пр",
        ],
    ];
    const RIMES: [&[&str]; SPACED as usize] = [
        &["a", "e", "i", "o", "u", "ea", "er", "ing", "or", "an", "en", "ight"],
        &["a", "e", "i", "o", "ó", "ar", "er", "ión", "os", "as", "en", "ando"],
        &["a", "e", "i", "o", "ü", "ä", "en", "er", "ung", "ein", "ach", "ich"],
        &["a", "e", "i", "o", "é", "è", "ou", "eau", "ion", "ent", "oir", "ai"],
        &["a", "ă", "ê", "ô", "ơ", "ư", "ang", "ông", "iên", "ước", "ình", "ai"],
        &["а", "е", "и", "о", "у", "я", "ый", "ть", "ние", "ов", "ом", "ая"],
    ];
    let (onsets, rimes) = (ONSETS[language as usize], RIMES[language as usize]);
    let (mut text, mut left) = (String::new(), rank);
    loop {
        text += onsets[(left % 20) as usize];
        left /= 20;
        text += rimes[(left % 12) as usize];
        left /= 12;
        if left == 0 {
            return text;
        }
    }
}

fn text(random: &mut Random) -> String {
    let language = random.below(LANGUAGES);
    if language >= SPACED {
        let letters = 8 + random.below(24);
        return (0..letters).map(|_| letter(language, random)).collect();
    }
    let mut words: Vec<String> =
        (0..4 + random.below(13)).map(|_| word(language, random.rank(WORDS))).collect();
    match random.below(40) {
        0 => words.push(format!("A-{}", random.below(1_000))),
        1 => words.push(format!("+49 170 {}", 1_000_000 + random.below(8_999_999))),
        2 => words.push(format!("https://example.org/{}", random.below(100_000))),
        _ => {}
    }
    words.join(" ") + [".", "!", "?", ""][random.below(4) as usize]
}

fn letter(language: u64, random: &mut Random) -> char {
    let is_kana = language == SPACED && random.below(2) == 0;
    let code = if is_kana { 0x3041 + random.rank(80) } else { 0x4e00 + random.rank(3_000) * 5 };
    char::from_u32(code as u32).unwrap()
}

fn env(name: &str, unless: u64) -> u64 {
    std::env::var(name).ok().map_or(unless, |value| value.parse().unwrap())
}

/// Inserts the messages, in the order of time over all rooms.
async fn fill(postgres: &Postgres, rooms: &[Uuid], messages: u64) {
    let client = postgres.database.client().await;
    client.batch_execute(PEOPLE).await.unwrap();
    let insert = client.prepare(MESSAGES).await.unwrap();
    let mut heads = vec![0_i64; rooms.len()];
    let mut random = Random(1);
    for batch in 0..messages.div_ceil(BATCH) {
        let (mut of, mut ids, mut seqs, mut texts, mut times) = (vec![], vec![], vec![], vec![], vec![]);
        for n in 0..BATCH {
            let room = random.below(rooms.len() as u64) as usize;
            heads[room] += 1;
            of.push(rooms[room]);
            ids.push(Uuid::from_u64_pair(random.next(), random.next()));
            seqs.push(heads[room]);
            texts.push(text(&mut random));
            let age = (messages.saturating_sub(batch * BATCH + n)) as i64;
            times.push(Utc::now() - TimeDelta::seconds(age * 31_536_000 / messages as i64));
        }
        client.execute(&insert, &[&of, &ids, &seqs, &texts, &times]).await.unwrap();
    }
    client.execute(ROOMS, &[&rooms, &heads]).await.unwrap();
    let own = &rooms[..(env("SEARCH_OWN_ROOMS", 200) as usize).min(rooms.len())];
    client.execute(PARTICIPANTS, &[&rooms, &own]).await.unwrap();
    client.batch_execute("ANALYZE").await.unwrap();
}

/// Indexes everything, and prints how long 1,000 events take.
async fn index(postgres: &Postgres) {
    let mut times = Vec::new();
    let mut count = 0;
    loop {
        let began = Instant::now();
        let round = postgres.store.consume(&SearchIndexer, Uuid::nil(), BATCH as usize).await.unwrap();
        let ConsumerRound::Consumed { events, has_more } = round else { panic!("{round:?}") };
        count += events;
        if !has_more {
            break;
        }
        times.push(began.elapsed().mul_f64(1_000.0 / events as f64));
    }
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    println!(
        "indexed {count}: 1,000 take {:?} on average, p50 {:?}, p99 {:?}",
        total / times.len() as u32,
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

async fn print_sizes(postgres: &Postgres, messages: u64) {
    let client = postgres.database.client().await;
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    let mut all = 0.0;
    for row in client.query(SIZES, &[]).await.unwrap() {
        let [total, table, toast] = [1, 2, 3].map(|at| row.get::<_, i64>(at) as f64 / messages as f64);
        all += total;
        println!(
            "{}: {total:.0} bytes a message: table {:.0}, toast {toast:.0}, indexes {:.0}",
            row.get::<_, &str>(0),
            table - toast,
            total - table
        );
    }
    println!("in all {all:.0} bytes a message");
}

type Query = fn(&mut Random) -> String;

const KINDS: [(&str, Query); 9] = [
    ("rare word", |random| word(random.below(SPACED), 5_000 + random.below(WORDS - 5_000))),
    ("frequent word", |random| word(random.below(SPACED), 3 + random.below(5))),
    ("two words", |random| {
        let language = random.below(SPACED);
        format!("{} {}", word(language, random.rank(WORDS)), word(language, random.rank(WORDS)))
    }),
    ("part of 3 letters", |random| {
        let word = word(random.below(SPACED), 300 + random.below(WORDS - 300));
        let chars: Vec<char> = word.chars().collect();
        let from = random.below(chars.len().saturating_sub(3) as u64 + 1) as usize;
        chars[from..].iter().take(3).collect()
    }),
    ("1 CJK sign", |random| letter(7, random).to_string()),
    ("2 CJK signs", |random| [letter(7, random), letter(7, random)].iter().collect()),
    ("phrase", |random| {
        let language = random.below(SPACED);
        format!("\"{} {}\"", word(language, random.rank(WORDS)), word(language, random.rank(WORDS)))
    }),
    ("phrase of frequent words", |random| {
        let language = random.below(SPACED);
        format!("\"{} {} {}\"", word(language, 0), word(language, random.below(5)), word(language, 1))
    }),
    ("telephone number", |random| format!("0170 {}", 1_000_000 + random.below(8_999_999))),
];

async fn measure(postgres: &Postgres, name: &str, viewer: UserId) {
    for (kind, query) in KINDS {
        let (mut times, mut hits, mut incomplete) = (Vec::new(), 0, 0);
        let mut random = Random(7);
        for _ in 0..env("SEARCH_TIMES", 100) {
            let request = SearchRequest { query: query(&mut random), ..SearchRequest::default() };
            let began = Instant::now();
            let page = postgres.store.search_messages(viewer, &request, 50, 0).await.unwrap();
            times.push(began.elapsed());
            hits += page.page.count;
            incomplete += i64::from(page.is_incomplete);
        }
        times.sort_unstable();
        let count = times.len();
        println!(
            "{name}, {kind}: p50 {:.1} ms, p99 {:.1} ms, {} hits on average, {incomplete} of {count} incomplete",
            times[count / 2].as_secs_f64() * 1e3,
            times[count * 99 / 100].as_secs_f64() * 1e3,
            hits / count as i64,
        );
    }
}

#[tokio::test]
#[ignore = "measures, and judges nothing"]
async fn search() {
    let messages = env("SEARCH_MESSAGES", 100_000);
    let room_count = env("SEARCH_ROOMS", (messages / 1_000).max(1));
    let postgres = Postgres::new().await;
    let rooms: Vec<Uuid> =
        (0..room_count).map(|n| Uuid::from_u64_pair(n * 0x9e37_79b9_7f4a_7c15, n)).collect();
    fill(&postgres, &rooms, messages).await;
    println!("{messages} messages in {room_count} rooms");
    index(&postgres).await;
    print_sizes(&postgres, messages).await;
    for _ in 0..2 {
        measure(&postgres, "200 rooms", ANN).await;
    }
    measure(&postgres, "all rooms", BOB).await;
}
