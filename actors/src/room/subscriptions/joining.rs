//! Joining: one snapshot decides for all sessions that have asked whether they may be in the room, and
//! nothing is queued for any of them before that.

use std::collections::{BTreeMap, BTreeSet};

use actix::{Context, Handler};

use super::{CatchUp, JoinAttempt, Joining, Phase, SlotState, StateFrames, Subscription};
use crate::domain::ids::{Seq, UserId};
use crate::domain::permission::AccessLevel;
use crate::domain::room::Room;
use crate::limits;
use crate::messages::room::{AcceptedJoin, JoinAnswer, JoinKind, JoinRoom, ResumePosition};
use crate::messages::session::{ConnectError, SessionId};
use crate::messages::users::{ActivateRoomSessions, SessionsAdmitted, WatchPresence};
use crate::ports::store::{AdmittedUser, JoinContext, RoomSnapshot, StoreError, UserAccess};
use crate::protocol::close::CloseCode;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::room::ring::Ring;
use crate::room::{RoomActor, View};

/// Accepted joins, and the snapshot that they were judged by.
pub(in crate::room) struct AcceptedBatch {
    join_attempts: Vec<JoinAttempt>,
    snapshot: RoomSnapshot,
}

impl Handler<JoinRoom> for RoomActor {
    type Result = bool;

    fn handle(&mut self, join: JoinRoom, ctx: &mut Self::Context) -> bool {
        if self.retired {
            return false;
        }
        let JoinRoom { subscriber, join_kind, position, issued_at } = join;
        self.joins_started += 1;
        let attempt = JoinAttempt { session: subscriber.id, number: self.joins_started };
        let joining = Joining { position, issued_at, number: attempt.number };
        let phase = Phase::Joining(Box::new(joining));
        self.subscriptions.insert(Subscription { subscriber, join_kind, unanswered: 0, phase });
        self.join_attempts.push(attempt);
        self.read_snapshot(ctx);
        true
    }
}

impl Handler<SessionsAdmitted> for RoomActor {
    type Result = ();

    fn handle(&mut self, SessionsAdmitted { gone }: SessionsAdmitted, ctx: &mut Self::Context) {
        let Some(AcceptedBatch { join_attempts, snapshot }) = self.accepted.pop_front() else { return };
        let (gone, left): (Vec<_>, Vec<_>) =
            join_attempts.iter().partition(|who| gone.contains(&who.session));
        self.reject_joins(&gone, ConnectError::Unauthorized, ctx);
        self.accept_joins(&left, &snapshot, ctx);
    }
}

impl RoomActor {
    /// Reads one snapshot for all who have asked. Whoever asks meanwhile shares the next one.
    fn read_snapshot(&mut self, ctx: &mut Context<Self>) {
        if self.reading_snapshot || self.join_attempts.is_empty() {
            return;
        }
        self.reading_snapshot = true;
        let join_attempts = std::mem::take(&mut self.join_attempts);
        let users: BTreeSet<UserId> = join_attempts
            .iter()
            .filter_map(|who| self.subscriptions.joining(*who))
            .map(|(subscription, _)| subscription.subscriber.user)
            .collect();
        let (store, room, roster) = (self.deps.store.clone(), self.room, self.view.is_none());
        let read =
            async move { store.join_context(room, &users.into_iter().collect::<Vec<_>>(), roster).await };
        Self::after(ctx, read, move |room, context, ctx| {
            room.reading_snapshot = false;
            if !room.is_current_epoch(ctx) {
                return;
            }
            room.judge_joins(&join_attempts, context, ctx);
            room.read_snapshot(ctx);
        });
    }

    /// Judges the sessions that want to join. Whoever may not is rejected before the room does anything else.
    fn judge_joins(
        &mut self,
        join_attempts: &[JoinAttempt],
        context: Result<JoinContext, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let context = match context {
            Ok(context) => context,
            Err(error) => {
                tracing::warn!(room = %self.room, %error, "could not accept anyone");
                return self.reject_joins(join_attempts, ConnectError::Unavailable, ctx);
            }
        };
        let rights: BTreeMap<UserId, &UserAccess> =
            context.rights.iter().map(|right| (right.user, right)).collect();
        let present: BTreeSet<UserId> = context
            .room
            .iter()
            .flat_map(|room| &room.admitted_users)
            .map(|admitted_user| admitted_user.user.id)
            .collect();
        let (mut accepted, mut sockets) = (Vec::with_capacity(join_attempts.len()), Vec::new());
        let (mut revoked, mut outside) = (Vec::new(), Vec::new());
        for attempt in join_attempts {
            let Some((subscription, joining)) = self.subscriptions.joining(*attempt) else { continue };
            let user = subscription.subscriber.user;
            let is_revoked = rights.get(&user).is_some_and(|right| !right.accepts(joining.issued_at));
            #[cfg(feature = "injected-bugs")]
            let is_revoked =
                is_revoked && !crate::injected_bugs::InjectedBug::AdmitRevokedToken.is_injected();
            if is_revoked {
                revoked.push(*attempt);
            } else if !present.contains(&user) {
                outside.push(*attempt);
            } else {
                accepted.push(*attempt);
                if subscription.join_kind == JoinKind::RoomSocket {
                    sockets.push((user, attempt.session));
                }
            }
        }
        self.reject_joins(&revoked, ConnectError::Unauthorized, ctx);
        self.reject_joins(&outside, ConnectError::NotInRoom, ctx);
        let Some(snapshot) = context.room.filter(|_| !accepted.is_empty()) else { return };
        self.confirm_room();
        if self.view.is_none() {
            self.load(&snapshot, ctx);
        }
        if sockets.is_empty() && !self.presence_is_due {
            return self.accept_joins(&accepted, &snapshot, ctx);
        }
        self.deps.users.tell(ActivateRoomSessions { room: self.address.clone(), sessions: sockets });
        self.accepted.push_back(AcceptedBatch { join_attempts: accepted, snapshot });
    }

    /// Notes who is online, before anyone is accepted.
    pub(in crate::room) fn set_initial_presence(&mut self, online: &[UserId]) {
        self.state_frames = StateFrames::default();
        if let Some(view) = &mut self.view {
            let here: Vec<UserId> =
                online.iter().copied().filter(|user| view.participants.contains(user)).collect();
            view.online.extend(here);
        }
        self.presence_is_due = false;
    }

    /// Accepts the sessions that may be in the room.
    fn accept_joins(
        &mut self,
        join_attempts: &[JoinAttempt],
        snapshot: &RoomSnapshot,
        ctx: &mut Context<Self>,
    ) {
        let candidates: BTreeMap<UserId, &AdmittedUser> = snapshot
            .admitted_users
            .iter()
            .map(|admitted_user| (admitted_user.user.id, admitted_user))
            .collect();
        for attempt in join_attempts {
            let Some((subscription, _)) = self.subscriptions.joining(*attempt) else { continue };
            if let Some(admitted_user) = candidates.get(&subscription.subscriber.user) {
                self.accept_join(attempt.session, admitted_user, &snapshot.room, ctx);
            }
        }
        if let Some(view) = &mut self.view {
            view.head = view.head.max(snapshot.room.head);
            if view.head > view.delivered {
                self.fill_gap(ctx);
            }
        }
    }

    /// Rejects sessions, and ends this actor if it is of no use to anyone else.
    fn reject_joins(&mut self, join_attempts: &[JoinAttempt], error: ConnectError, ctx: &mut Context<Self>) {
        for attempt in join_attempts {
            if self.subscriptions.joining(*attempt).is_some()
                && let Some(subscription) = self.subscriptions.remove(attempt.session)
            {
                let answer = JoinAnswer { room: self.room, result: Err(error) };
                subscription.subscriber.session.tell(answer);
            }
        }
        self.retire_when_idle(ctx);
        self.retire_if_unconfirmed();
    }

    fn load(&mut self, snapshot: &RoomSnapshot, _ctx: &mut Context<Self>) {
        let participants: BTreeSet<UserId> =
            snapshot.roster.iter().map(|participant| participant.user.id).collect();
        let tells_presence = participants.len() <= limits::PRESENCE_PARTICIPANTS_MAX;
        let users = participants.iter().copied().collect();
        self.state_frames = StateFrames::default();
        self.view = Some(View {
            delivered: snapshot.room.head,
            head: snapshot.room.head.max(self.head_hint),
            is_archived: snapshot.room.archived_at.is_some(),
            ring: Ring::after(snapshot.room.head),
            ahead: BTreeMap::new(),
            gap_is_due: false,
            participants,
            online: BTreeSet::new(),
        });
        for mark in &snapshot.marks {
            self.advance_mark(mark);
        }
        self.follow();
        self.presence_is_due = tells_presence;
        if tells_presence {
            self.deps.users.tell(WatchPresence {
                instance: self.instance,
                room: self.address.clone(),
                users,
                anew: false,
            });
        }
    }

    /// Accepts a session: greets it, and begins to send it what it has missed.
    fn accept_join(
        &mut self,
        id: SessionId,
        admitted_user: &AdmittedUser,
        room: &Room,
        ctx: &mut Context<Self>,
    ) {
        let (room_id, epoch, head) = (self.room, self.epoch, room.head);
        let AdmittedUser { visible_from, next_post_at, .. } = *admitted_user;
        let capabilities =
            || room.capabilities(AccessLevel::Participant(admitted_user.role), admitted_user.is_staff);
        let replay_max = i64::try_from(self.deps.limits.replay_events_max).unwrap_or(i64::MAX);
        let Some(subscription) = self.subscriptions.get_mut(id) else { return };
        let Phase::Joining(joining) = &subscription.phase else { return };
        let ResumePosition { since, epoch: theirs } = joining.position;
        let is_of_another = theirs.is_some_and(|theirs| theirs != epoch);
        let is_astray = matches!(subscription.join_kind, JoinKind::Rejoin(_))
            && !is_of_another
            && since.is_none_or(|since| since > head);
        if is_astray || !subscription.subscriber.session.is_alive() {
            if is_astray {
                // It has seen what this log doesn't have. Its client comes back and is reset.
                subscription.subscriber.outbox.close(CloseCode::Internal);
            }
            self.subscriptions.remove(id);
            return self.retire_when_idle(ctx);
        }
        let outbox = &subscription.subscriber.outbox;
        match subscription.join_kind {
            JoinKind::RoomSocket => outbox.send(&ServerFrame::ConnectionEstablished {
                room_id: Some(room_id),
                unread_count: admitted_user.unread,
                mention_count: None,
                user_id: subscription.subscriber.user,
                username: &admitted_user.user.username,
                seq: Some(head),
                epoch: Some(epoch),
                personal_position: None,
                protocol: PROTOCOL,
                capabilities: Some(capabilities()),
                next_post_at,
            }),
            JoinKind::Multiplexed => {
                outbox.send(&ServerFrame::Subscribed {
                    room_id,
                    seq: head,
                    epoch,
                    unread_count: admitted_user.unread,
                    capabilities: capabilities(),
                    next_post_at,
                });
            }
            JoinKind::Rejoin(_) => {}
        }
        let is_known = |since: &Seq| !is_of_another && *since <= head && head.0 - since.0 <= replay_max;
        let (position, resumes) = match (subscription.join_kind, since) {
            (_, None) => (head, false),
            // Its client relies on having seen everything: it is sent all of it, however much that is.
            (JoinKind::Rejoin(_), Some(since)) if !is_of_another => (since, false),
            (JoinKind::RoomSocket | JoinKind::Multiplexed, Some(since)) if is_known(&since) => (since, true),
            (_, Some(_)) => {
                outbox.send(&ServerFrame::Reset { room_id, seq: head, epoch });
                (head, false)
            }
        };
        #[cfg(feature = "injected-bugs")]
        let position =
            match crate::injected_bugs::InjectedBug::ResumeOffByOne.is_injected() && position < head {
                true => position.next(),
                false => position,
            };
        let catch_up = CatchUp { position, target: head, visible_from, resumes, slot: SlotState::Idle };
        subscription.phase = Phase::CatchingUp(Box::new(catch_up));
        let accepted =
            AcceptedJoin { handle: self.address.clone(), username: admitted_user.user.username.clone() };
        subscription.subscriber.session.tell(JoinAnswer { room: room_id, result: Ok(accepted) });
        self.subscriptions.catching_up.insert(id);
        if !resumes && self.view.as_ref().is_some_and(|view| view.delivered > position) {
            // What has come since the snapshot follows the state, as what comes later does.
            self.send_initial_state(id);
        }
        self.advance(id, ctx);
    }
}
