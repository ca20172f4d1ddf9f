//! Personal logs as the memory store keeps them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::room_table::RoomTable;
use crate::domain::ids::{PersonalSeq, RoomId, UserId};
use crate::domain::personal::{
    Draft, ENTRIES_KEPT, OwnRoomSettings, PersonalBounds, PersonalChange, PersonalEntry, PersonalKind,
    PersonalPage, PersonalState,
};

/// The personal logs of all users.
#[derive(Debug, Default)]
pub(super) struct PersonalTables(BTreeMap<UserId, PersonalTable>);

/// What the store holds of one user's own.
#[derive(Debug, Default)]
struct PersonalTable {
    log: Vec<(PersonalKind, Uuid)>,
    /// The number of the last commit that appended an entry.
    grown: u64,
    /// Those that were ended too.
    drafts: BTreeMap<RoomId, Draft>,
}

impl PersonalTables {
    /// Appends an entry in commit `commit`.
    pub(super) fn append(&mut self, PersonalChange { user, kind, id }: PersonalChange, commit: u64) {
        let table = self.0.entry(user).or_default();
        table.log.push((kind, id));
        table.grown = commit;
    }

    /// Stores a draft in commit `commit`; an empty one ends what there was.
    pub(super) fn put_draft(&mut self, user: UserId, draft: Draft, commit: u64) {
        self.append(PersonalChange { user, kind: PersonalKind::Draft, id: draft.room.0 }, commit);
        self.0.entry(user).or_default().drafts.insert(draft.room, draft);
    }

    /// The users whose logs grew after the commit `since`, and their heads.
    pub(super) fn grown(&self, since: u64) -> Vec<(UserId, PersonalSeq)> {
        let grown = self.0.iter().filter(|(_, table)| table.grown > since);
        grown.map(|(user, table)| (*user, table.bounds().head)).collect()
    }

    /// How far a user's log reaches.
    pub(super) fn bounds(&self, user: UserId) -> PersonalBounds {
        self.0.get(&user).map(PersonalTable::bounds).unwrap_or_default()
    }

    /// The entries of a user's log after `after`, each with what it is about as it is now.
    pub(super) fn page(
        &self,
        user: UserId,
        after: PersonalSeq,
        limit: usize,
        rooms: &BTreeMap<RoomId, RoomTable>,
        now: DateTime<Utc>,
    ) -> PersonalPage {
        let Some(table) = self.0.get(&user) else {
            let bounds = PersonalBounds::default();
            return PersonalPage { bounds, entries: Vec::new(), through: bounds.head };
        };
        let bounds = table.bounds();
        let mut page = table.newest_entries();
        page.retain(|(position, _)| *position > after.max(bounds.pruned));
        page.truncate(limit);
        let last = page.last().filter(|_| page.len() == limit).map(|(position, _)| *position);
        let entries = page.into_iter().filter_map(|(position, (kind, id))| {
            Some(PersonalEntry { position, state: table.state(user, kind, id, rooms, now)? })
        });
        PersonalPage { bounds, entries: entries.collect(), through: last.unwrap_or(bounds.head) }
    }
}

impl PersonalTable {
    fn bounds(&self) -> PersonalBounds {
        let head = i64::try_from(self.log.len()).unwrap_or(i64::MAX);
        PersonalBounds { head: PersonalSeq(head), pruned: PersonalSeq((head - ENTRIES_KEPT).max(0)) }
    }

    /// Of all entries about one thing the last one, in order.
    fn newest_entries(&self) -> Vec<(PersonalSeq, (PersonalKind, Uuid))> {
        let newest: BTreeMap<(PersonalKind, Uuid), PersonalSeq> =
            self.log.iter().copied().zip((1..).map(PersonalSeq)).collect();
        let mut in_order: Vec<_> = newest.into_iter().map(|(of, position)| (position, of)).collect();
        in_order.sort_unstable();
        in_order
    }

    /// What an entry is about, as it is now.
    fn state(
        &self,
        user: UserId,
        kind: PersonalKind,
        id: Uuid,
        rooms: &BTreeMap<RoomId, RoomTable>,
        now: DateTime<Utc>,
    ) -> Option<PersonalState> {
        match kind {
            PersonalKind::RoomSettings => {
                let room = RoomId(id);
                let state = &rooms.get(&room)?.participants.get(&user)?.state;
                Some(PersonalState::RoomSettings(OwnRoomSettings {
                    room,
                    is_muted: state.is_muted && state.muted_until.is_none_or(|until| until > now),
                    muted_until: state.muted_until.filter(|until| state.is_muted && *until > now),
                    level: state.level,
                    is_favourite: state.is_favourite,
                }))
            }
            PersonalKind::Draft => self.drafts.get(&RoomId(id)).cloned().map(PersonalState::Draft),
            // The engine knows of these by the log alone.
            PersonalKind::Saved
            | PersonalKind::Reminder
            | PersonalKind::Scheduled
            | PersonalKind::Notification => None,
        }
    }
}
