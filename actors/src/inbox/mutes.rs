//! When mutes expire, so that the rows of those rooms count again.

use std::collections::{BTreeMap, btree_map};

use actix::Context;
use chrono::{DateTime, Utc};

use super::InboxActor;
use crate::domain::ids::{RoomId, UserId};

/// The mutes that expire by themselves.
#[derive(Default)]
pub(super) struct MuteExpiries(BTreeMap<UserId, BTreeMap<RoomId, DateTime<Utc>>>);

impl MuteExpiries {
    /// Notes when a user's mute of a room expires; none if it doesn't.
    pub(super) fn set(&mut self, user: UserId, room: RoomId, until: Option<DateTime<Utc>>) {
        if let Some(until) = until {
            self.0.entry(user).or_default().insert(room, until);
        } else if let btree_map::Entry::Occupied(mut rooms) = self.0.entry(user) {
            rooms.get_mut().remove(&room);
            if rooms.get().is_empty() {
                rooms.remove();
            }
        }
    }

    pub(super) fn remove_user(&mut self, user: UserId) {
        self.0.remove(&user);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Removes the mutes that have expired, and returns them.
    fn take_expired(&mut self, now: DateTime<Utc>) -> Vec<(UserId, RoomId)> {
        let mut expired = Vec::new();
        self.0.retain(|user, rooms| {
            expired.extend(rooms.extract_if(.., |_, until| *until <= now).map(|(room, _)| (*user, room)));
            !rooms.is_empty()
        });
        expired
    }
}

impl InboxActor {
    /// Has the rows read again whose mutes may have expired. The store's clock decides whether they have.
    pub(super) fn expire_mutes(&mut self, ctx: &mut Context<Self>) {
        for (user, room) in self.mute_expiries.take_expired(self.deps.clock.date()) {
            self.make_stale(user, room, false);
        }
        self.schedule_flush(ctx);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_mute_expires_once_unless_it_is_lifted_or_prolonged() {
        let after = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let (user, [lifted, prolonged, plain]) = (UserId(1), [1, 2, 3].map(|id| RoomId(Uuid::from_u128(id))));
        let mut mutes = MuteExpiries::default();
        for room in [lifted, prolonged, plain] {
            mutes.set(user, room, Some(after(10)));
        }
        mutes.set(user, lifted, None);
        mutes.set(user, prolonged, Some(after(20)));
        assert_eq!(mutes.take_expired(after(9)), []);
        assert_eq!(mutes.take_expired(after(10)), [(user, plain)]);
        assert_eq!(mutes.take_expired(after(20)), [(user, prolonged)]);
        assert!(mutes.0.is_empty());
    }
}
