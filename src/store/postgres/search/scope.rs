//! Which rooms a search looks through: those that the viewer is in, and what names in a query stand for.

use std::collections::BTreeSet;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::ports::store::StoreError;
use uuid::Uuid;

use super::block::EntryMeta;
use super::block_builder::{BlockBuilder, IndexedMessage};
use super::matching::Matcher;
use super::operators::WrittenName;
use super::stems::SearchLanguages;
use super::terms::SearchTerms;
use super::tokens::TokenizedText;
use crate::store::postgres::pool::client::SnapshotTransaction;
use crate::store::postgres::queries::viewer_rooms;
use crate::store::postgres::rules::display_name;

/// The most names of users or rooms that a name in a query is compared with.
const NAMES_MAX: i64 = 20_000;

/// A room that is searched.
#[derive(Debug)]
pub(super) struct SearchedRoom {
    pub(super) room: Uuid,
    /// Earlier messages are hidden from the viewer.
    pub(super) visible_from: i64,
    /// Its last event.
    pub(super) head: i64,
    /// The last event that is in the index.
    pub(super) indexed_seq: i64,
}

/// The rooms of a search, those with the newest messages first.
#[derive(Debug, Default)]
pub(super) struct SearchScope {
    pub(super) rooms: Vec<SearchedRoom>,
    /// The head of the one room that was asked for.
    pub(super) head: Option<Seq>,
    /// The time, in microseconds since 1970.
    pub(super) now: i64,
}

impl SearchScope {
    /// Reads the rooms of the viewer, or only `room` if the viewer is in it.
    pub(super) async fn read(
        snapshot: &SnapshotTransaction<'_>,
        viewer: UserId,
        room: Option<RoomId>,
    ) -> Result<Self, StoreError> {
        const ROOMS: &str = concat!(
            "WITH ",
            viewer_rooms!(),
            "SELECT mine.room_id, mine.visible_from_seq, mine.head, coalesce(s.indexed_seq, 0),
                    (extract(epoch FROM now()) * 1000000)::bigint
             FROM mine JOIN rooms r ON r.id = mine.room_id LEFT JOIN search_rooms s ON s.room_id = mine.room_id
             ORDER BY r.last_message_at DESC NULLS LAST, mine.room_id"
        );
        let rows = snapshot.rows(ROOMS, &[&viewer.0, &room.map(|room| room.0)]).await?;
        let rooms = rows.iter().map(|row| SearchedRoom {
            room: row.get(0),
            visible_from: row.get(1),
            head: row.get(2),
            indexed_seq: row.get(3),
        });
        let rooms: Vec<SearchedRoom> = rooms.collect();
        let head = room.and_then(|_| rooms.first()).map(|room| Seq(room.head));
        Ok(Self { rooms, head, now: rows.first().map_or(0, |row| row.get(4)) })
    }

    /// Leaves out all rooms but those that `names` stand for. Returns the words that are in no name.
    pub(super) async fn restrict(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        viewer: UserId,
        names: &[WrittenName],
        languages: &SearchLanguages,
    ) -> Result<Vec<String>, StoreError> {
        const NAMES: &str = concat!(
            "WITH ",
            viewer_rooms!(),
            "SELECT r.id, ",
            display_name!("r", "partner"),
            " FROM mine JOIN rooms r ON r.id = mine.room_id
              LEFT JOIN people partner ON r.room_type = 'direct'
                  AND partner.id = CASE WHEN r.pair_low = $1 THEN r.pair_high ELSE r.pair_low END
              LIMIT $3"
        );
        let rows = snapshot.rows(NAMES, &[&viewer.0, &None::<Uuid>, &NAMES_MAX]).await?;
        let directory = NameDirectory::new(rows.iter().map(|row| (row.get::<_, Uuid>(0), vec![row.get(1)])));
        let (meant, rest) = directory.resolve_all(names, languages);
        self.rooms.retain(|room| meant.contains(&room.room));
        Ok(rest)
    }
}

/// Finds the users that names stand for, among those who are or were in a room with the viewer. Returns them, and the
/// words that are in no name.
pub(super) async fn resolve_users(
    snapshot: &SnapshotTransaction<'_>,
    viewer: UserId,
    names: &[WrittenName],
    languages: &SearchLanguages,
) -> Result<(Vec<i64>, Vec<String>), StoreError> {
    const NAMES: &str = concat!(
        "WITH ",
        viewer_rooms!(),
        "SELECT u.id, u.username, u.full_name
         FROM (SELECT DISTINCT p.user_id FROM mine JOIN participants p ON p.room_id = mine.room_id LIMIT $3) known
         JOIN people u ON u.id = known.user_id WHERE u.erased_at IS NULL"
    );
    let (mut meant, mut rest, mut unresolved) = (BTreeSet::new(), Vec::new(), Vec::new());
    for name in names {
        let known = match name.words[0].as_str() {
            "me" if !name.is_quoted => Some(viewer.0),
            id => id.parse().ok(),
        };
        match known {
            Some(user) => {
                meant.insert(user);
                rest.extend(name.words[1..].iter().cloned());
            }
            None => unresolved.push(name.clone()),
        }
    }
    if !unresolved.is_empty() {
        let rows = snapshot.rows(NAMES, &[&viewer.0, &None::<Uuid>, &NAMES_MAX]).await?;
        let names = rows.iter().map(|row| (row.get::<_, i64>(0), vec![row.get(1), row.get(2)]));
        let (found, others) = NameDirectory::new(names).resolve_all(&unresolved, languages);
        meant.extend(found);
        rest.extend(others);
    }
    Ok((meant.into_iter().collect(), rest))
}

/// Names of users or rooms.
struct NameDirectory<'a, T> {
    named: Vec<(T, Vec<&'a str>)>,
    /// One message for each, with all of its names.
    block: Vec<u8>,
}

impl<'a, T: Copy + Ord> NameDirectory<'a, T> {
    fn new(named: impl Iterator<Item = (T, Vec<&'a str>)>) -> Self {
        let named: Vec<_> = named.collect();
        let mut builder = BlockBuilder::default();
        for (seq, (_, names)) in (0..).zip(&named) {
            let meta = EntryMeta { seq, ..EntryMeta::default() };
            builder.put(&IndexedMessage { meta, content: names.join(" "), file_name: None });
        }
        let block = builder.build().map(|block| block.bytes).unwrap_or_default();
        Self { named, block }
    }

    /// Resolves each of `names`. Returns what they stand for together, and the words that are in none of them.
    fn resolve_all(&self, names: &[WrittenName], languages: &SearchLanguages) -> (BTreeSet<T>, Vec<String>) {
        let (mut meant, mut rest) = (BTreeSet::new(), Vec::new());
        for name in names {
            let (found, used) = self.resolve(name, languages);
            meant.extend(found);
            rest.extend(name.words[used..].iter().cloned());
        }
        (meant, rest)
    }

    /// Finds what a name stands for, and how many of its words belong to it: as many as can.
    fn resolve(&self, name: &WrittenName, languages: &SearchLanguages) -> (Vec<T>, usize) {
        for used in (1..=name.words.len()).rev() {
            let found = self.find(&name.words[..used].join(" "), languages);
            if !found.is_empty() {
                return (found, used);
            }
        }
        (Vec::new(), 1)
    }

    /// Finds what has this name or, if nothing has, what contains its words.
    fn find(&self, name: &str, languages: &SearchLanguages) -> Vec<T> {
        let terms = SearchTerms::parse(name, languages);
        let mut found: Vec<usize> = Vec::new();
        if !terms.is_empty() {
            let hit = |meta: &EntryMeta, _| found.extend(usize::try_from(meta.seq));
            Matcher::new(&terms).scan(&self.block, |_| true, hit);
        }
        let folded = |name: &str| TokenizedText::new(name).texts().collect::<Vec<_>>().join(" ");
        let wanted = folded(name);
        let is_exact = |at: &usize| self.named[*at].1.iter().any(|name| folded(name) == wanted);
        let exact: Vec<usize> = found.iter().copied().filter(is_exact).collect();
        let meant = if exact.is_empty() { found } else { exact };
        meant.into_iter().map(|at| self.named[at].0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_as_many_words_as_it_can() {
        let named = [
            (1, vec!["ann", "Ann Lee"]),
            (2, vec!["anna", "Anna O’Rourke"]),
            (3, vec!["jm", "Jürgen Müller"]),
            (4, vec!["ann2", "Ann Lee Boil"]),
        ];
        let directory = NameDirectory::new(named.into_iter());
        let resolve = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            directory.resolve(&WrittenName { words, is_quoted: false }, &SearchLanguages::default())
        };
        assert_eq!(resolve(&["ann"]), (vec![1], 1));
        assert_eq!(resolve(&["ann", "lee", "leak"]), (vec![1], 2));
        assert_eq!(resolve(&["lee", "leak"]), (vec![1, 4], 1));
        assert_eq!(resolve(&["muller", "jurgen"]), (vec![3], 2));
        assert_eq!(resolve(&["o'r"]), (vec![2], 1));
        assert_eq!(resolve(&["zoe", "leak"]), (vec![], 1));
    }
}
