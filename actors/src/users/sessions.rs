//! The sessions of this node, by user.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::ids::UserId;
use crate::messages::session::SessionId;
use crate::messages::users::{AccessRevoked, RegisteredSession};
use crate::ports::store::UserAccess;

/// The registered sessions of each user.
#[derive(Default)]
pub(super) struct LocalSessions(BTreeMap<UserId, Vec<SessionEntry>>);

struct SessionEntry {
    session: SessionId,
    mailbox: Arc<dyn RegisteredSession>,
    /// When the session's token was issued; Unix time in seconds.
    issued_at: i64,
    /// Whether the session makes its user online.
    is_active: bool,
}

impl LocalSessions {
    /// The number of a user's sessions, active or not.
    pub(super) fn count(&self, user: UserId) -> usize {
        self.0.get(&user).map_or(0, Vec::len)
    }

    pub(super) fn user_count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has_active(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|sessions| any_active(sessions))
    }

    pub(super) fn active_users(&self) -> impl Iterator<Item = UserId> {
        self.0.iter().filter(|(_, sessions)| any_active(sessions)).map(|(user, _)| *user)
    }

    /// Adds a session that isn't active yet.
    pub(super) fn add(
        &mut self,
        user: UserId,
        session: SessionId,
        mailbox: Arc<dyn RegisteredSession>,
        issued_at: i64,
    ) {
        let sessions = self.0.entry(user).or_default();
        if sessions.is_empty() {
            // Most users have one session; a vector would reserve space for four.
            sessions.reserve_exact(1);
        }
        sessions.push(SessionEntry { session, mailbox, issued_at, is_active: false });
    }

    /// Makes a session active. Returns false if it isn't here.
    pub(super) fn activate(&mut self, user: UserId, session: SessionId) -> bool {
        let entry = self.entry(user, session);
        entry.map(|entry| entry.is_active = true).is_some()
    }

    /// Notes that a session has taken a newer token.
    pub(super) fn renew(&mut self, user: UserId, session: SessionId, issued_at: i64) {
        if let Some(entry) = self.entry(user, session) {
            entry.issued_at = issued_at;
        }
    }

    fn entry(&mut self, user: UserId, session: SessionId) -> Option<&mut SessionEntry> {
        self.0.get_mut(&user)?.iter_mut().find(|entry| entry.session == session)
    }

    /// Removes a session. Returns whether it was active.
    pub(super) fn remove(&mut self, user: UserId, session: SessionId) -> bool {
        let Some(sessions) = self.0.get_mut(&user) else { return false };
        let Some(at) = sessions.iter().position(|entry| entry.session == session) else { return false };
        let entry = sessions.swap_remove(at);
        if sessions.is_empty() {
            self.0.remove(&user);
        }
        entry.is_active
    }

    /// Tells the sessions whose tokens are no longer accepted. Those that aren't active yet are removed, so
    /// that they can't be activated; an active one counts until it unregisters.
    pub(super) fn revoke(&mut self, access: UserAccess) {
        let Some(sessions) = self.0.get_mut(&access.user) else { return };
        for entry in sessions.iter().filter(|entry| !access.accepts(entry.issued_at)) {
            entry.mailbox.tell(AccessRevoked);
        }
        sessions.retain(|entry| entry.is_active || access.accepts(entry.issued_at));
        if sessions.is_empty() {
            self.0.remove(&access.user);
        }
    }
}

fn any_active(sessions: &[SessionEntry]) -> bool {
    sessions.iter().any(|entry| entry.is_active)
}
