//! Who is signed in at other nodes, as they tell of it, and what this node tells them.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message};

use super::{PeopleActor, any_is_in};
use crate::domain::ids::{NodeId, UserId};
use crate::limits;
use crate::relay::Announce;

/// Another node, as it told of itself last.
pub(super) struct RemoteNode {
    pub(super) online: BTreeSet<UserId>,
    heard_at: Duration,
}

impl PeopleActor {
    pub(super) fn look_after_nodes(&mut self, _: &mut Context<Self>) {
        self.announce();
        let Some(now) = self.core.as_ref().map(|core| core.clock.now()) else { return };
        let silent: Vec<NodeId> = self
            .elsewhere
            .iter()
            .filter(|(_, node)| now - node.heard_at >= limits::NODE_SILENT_AFTER)
            .map(|(node, _)| *node)
            .collect();
        for node in silent {
            self.forget(node);
        }
    }

    /// Tells other nodes of all who are here.
    fn announce(&self) {
        if let Some(core) = &self.core {
            let here = self.here.iter().filter(|(_, sessions)| any_is_in(sessions)).map(|(user, _)| user);
            let users = here.chain(self.leaving.keys()).copied().collect();
            core.relay.do_send(Announce { users });
        }
    }

    fn announce_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.announce_is_due, true) {
            ctx.run_later(limits::ANNOUNCE_SOON, |this, _| {
                this.announce_is_due = false;
                this.announce();
            });
        }
    }

    /// Takes a node for gone, with its people.
    fn forget(&mut self, node: NodeId) {
        let gone = self.elsewhere.remove(&node).map(|node| node.online).unwrap_or_default();
        for user in gone {
            if !self.is_online(user) {
                self.tell_rooms(user, false);
            }
        }
    }
}

/// Another node tells who is there: all, or one who came or went.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Heard {
    /// Which node.
    pub node: NodeId,
    /// What it says.
    pub news: News,
}

/// What another node says of its people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// All who are there.
    All(Vec<UserId>),
    /// One came, or went.
    One(UserId, bool),
    /// It stops.
    Leaving,
}

impl Handler<Heard> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Heard { node, news }: Heard, ctx: &mut Self::Context) {
        let Some(now) = self.core.as_ref().map(|core| core.clock.now()) else { return };
        if let News::Leaving = news {
            // As long as one who left may come back, its people may at another node.
            ctx.run_later(limits::OFFLINE_AFTER, move |this, _| {
                if this.elsewhere.get(&node).is_some_and(|node| node.heard_at <= now) {
                    this.forget(node);
                }
            });
            return;
        }
        if !self.elsewhere.contains_key(&node) {
            // One that has just come, or that this one had lost, may not know who is here.
            self.announce_soon(ctx);
        }
        let remote = self
            .elsewhere
            .entry(node)
            .or_insert_with(|| RemoteNode { online: BTreeSet::new(), heard_at: now });
        let changed: Vec<UserId> = match news {
            News::All(users) => {
                remote.heard_at = now;
                let online = users.into_iter().collect();
                let before = std::mem::replace(&mut remote.online, online);
                before.symmetric_difference(&remote.online).copied().collect()
            }
            News::One(user, true) if remote.online.insert(user) => vec![user],
            News::One(user, false) if remote.online.remove(&user) => vec![user],
            News::One(..) | News::Leaving => Vec::new(),
        };
        for user in changed {
            let is_there =
                |(other, remote): (&NodeId, &RemoteNode)| *other != node && remote.online.contains(&user);
            if !self.is_here(user) && !self.elsewhere.iter().any(is_there) {
                let online = self.elsewhere.get(&node).is_some_and(|node| node.online.contains(&user));
                self.tell_rooms(user, online);
            }
        }
    }
}

/// Tells other nodes soon of all who are here, without waiting for the time.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AnnounceSoon;

impl Handler<AnnounceSoon> for PeopleActor {
    type Result = ();

    fn handle(&mut self, _: AnnounceSoon, ctx: &mut Self::Context) {
        self.announce_soon(ctx);
    }
}
