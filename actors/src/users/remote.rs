//! Who is online at other nodes, according to what they announce.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::ids::{NodeId, UserId};
use crate::limits;
use crate::messages::users::PresenceUpdate;

/// The other nodes that have been heard of.
#[derive(Default)]
pub(super) struct RemoteNodes(BTreeMap<NodeId, RemoteNode>);

struct RemoteNode {
    online: BTreeSet<UserId>,
    /// When the node last announced everyone who is online there.
    announced_at: Duration,
}

impl RemoteNodes {
    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.contains_key(&node)
    }

    /// Whether a user is online at any of the nodes.
    pub(super) fn is_online(&self, user: UserId) -> bool {
        self.0.values().any(|node| node.online.contains(&user))
    }

    /// Applies what a node announces at `now`. Returns the users who have come online by that, or gone
    /// offline, counting all other nodes too, and whether each is online.
    pub(super) fn update(
        &mut self,
        node: NodeId,
        update: PresenceUpdate,
        now: Duration,
    ) -> Vec<(UserId, bool)> {
        let remote =
            self.0.entry(node).or_insert_with(|| RemoteNode { online: BTreeSet::new(), announced_at: now });
        let changed: Vec<(UserId, bool)> = match update {
            PresenceUpdate::All(users) => {
                remote.announced_at = now;
                let before = std::mem::replace(&mut remote.online, users.into_iter().collect());
                let changed = before.symmetric_difference(&remote.online);
                changed.map(|user| (*user, remote.online.contains(user))).collect()
            }
            PresenceUpdate::One(user, true) if remote.online.insert(user) => vec![(user, true)],
            PresenceUpdate::One(user, false) if remote.online.remove(&user) => vec![(user, false)],
            PresenceUpdate::One(..) | PresenceUpdate::Leaving => Vec::new(),
        };
        let is_elsewhere = |user: &UserId| {
            self.0.iter().any(|(other, remote)| *other != node && remote.online.contains(user))
        };
        changed.into_iter().filter(|(user, _)| !is_elsewhere(user)).collect()
    }

    /// Whether the last announcement of a known node is from `at` or before.
    pub(super) fn has_not_announced_since(&self, node: NodeId, at: Duration) -> bool {
        self.0.get(&node).is_some_and(|node| node.announced_at <= at)
    }

    /// The nodes that have announced nothing for [`limits::NODE_TIMEOUT`].
    pub(super) fn silent(&self, now: Duration) -> Vec<NodeId> {
        let is_silent = |node: &RemoteNode| now - node.announced_at >= limits::NODE_TIMEOUT;
        self.0.iter().filter(|(_, node)| is_silent(node)).map(|(node, _)| *node).collect()
    }

    /// Removes a node, and returns the users who were online there.
    pub(super) fn remove(&mut self, node: NodeId) -> BTreeSet<UserId> {
        self.0.remove(&node).map(|node| node.online).unwrap_or_default()
    }
}
