//! The stays of connections in rooms: from one subscription to the next, with what was received in each.

use std::collections::{BTreeMap, VecDeque};

use actors::domain::ids::{RoomId, Seq};

use crate::history::{Conn, Fact, History, Row};

/// One stay.
#[derive(Debug)]
pub(super) struct RoomStay<'a> {
    pub(super) conn: Conn,
    pub(super) room: RoomId,
    /// When it was asked for.
    pub(super) asked_at: u64,
    pub(super) since: Option<Seq>,
    /// The head at its start.
    pub(super) head: Seq,
    pub(super) reset: Option<Seq>,
    /// The position at which it had caught up, and after how many rows.
    pub(super) synced: Option<(Seq, usize)>,
    /// The rows received.
    pub(super) received: Vec<&'a Row>,
}

/// All stays of a history. A row received outside of a stay is an error.
pub(super) fn all(history: &History) -> Result<Vec<RoomStay<'_>>, String> {
    let mut asked: BTreeMap<(Conn, RoomId), VecDeque<(u64, Option<Seq>)>> = BTreeMap::new();
    let mut current: BTreeMap<(Conn, RoomId), usize> = BTreeMap::new();
    let mut stays: Vec<RoomStay<'_>> = Vec::new();
    for (at, fact) in history.facts() {
        match fact {
            Fact::Joining { conn, room, since } => {
                asked.entry((*conn, *room)).or_default().push_back((at, *since));
            }
            Fact::Denied { conn, room, .. } => {
                asked.entry((*conn, *room)).or_default().pop_front();
            }
            Fact::Joined { conn, room, head } => {
                let next = asked.entry((*conn, *room)).or_default().pop_front();
                let Some((asked_at, since)) = next else {
                    return Err(format!("{conn} was let into {room} and had not asked"));
                };
                current.insert((*conn, *room), stays.len());
                let (conn, room, head) = (*conn, *room, *head);
                stays.push(RoomStay {
                    conn,
                    room,
                    asked_at,
                    since,
                    head,
                    reset: None,
                    synced: None,
                    received: Vec::new(),
                });
            }
            Fact::Reset { conn, room, seq } => {
                let Some(at) = current.get(&(*conn, *room)) else {
                    return Err(format!("{conn} is not in {room}"));
                };
                stays[*at].reset = Some(*seq);
            }
            Fact::Synced { conn, room, seq } => {
                let Some(at) = current.get(&(*conn, *room)) else {
                    return Err(format!("{conn} is not in {room}"));
                };
                stays[*at].synced = Some((*seq, stays[*at].received.len()));
            }
            Fact::Received { conn, row } => {
                let Some(at) = current.get(&(*conn, row.room)) else {
                    return Err(format!("{conn} is not in {} and received {}", row.room, row.seq));
                };
                stays[*at].received.push(row);
            }
            _ => {}
        }
    }
    Ok(stays)
}
