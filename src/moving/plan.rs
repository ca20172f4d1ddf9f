//! Which rooms of Django's become which rooms of the chat.

use std::collections::{BTreeMap, HashMap};

use actors::domain::room::RoomType;
use uuid::Uuid;

use super::ERASED_USER;
use super::report::{Finding, MoveReport};
use crate::store::postgres::moving::{MovedRoomRow, OldRoom};

/// A room to be made of one or more rooms of Django's.
#[derive(Clone, Debug)]
pub(super) struct RoomPlan {
    pub(super) row: MovedRoomRow,
    /// Django's rooms: this one first, then those that are merged into it.
    pub(super) parts: Vec<Uuid>,
    /// The account that takes the place of a partner who is gone.
    pub(super) lost_partner: Option<i64>,
    pub(super) messages: i64,
    /// Of all that it is made of.
    pub(super) fingerprint: String,
}

impl RoomPlan {
    fn of(room: &OldRoom) -> Self {
        Self {
            row: MovedRoomRow {
                id: room.id,
                room_type: RoomType::Group,
                name: room.name.clone(),
                title: String::new(),
                task: None,
                property: None,
                pair: None,
                created_by: room.created_by,
                created_at: room.created_at,
                modified_at: room.modified_at,
                archived_at: room.archived_at,
            },
            parts: vec![room.id],
            lost_partner: None,
            messages: room.messages,
            fingerprint: room.fingerprint.clone(),
        }
    }

    /// Merges another room of the same pair. The merged room is archived if both are.
    fn merge(&mut self, room: &OldRoom) {
        self.parts.push(room.id);
        self.messages += room.messages;
        self.fingerprint.push_str(&room.fingerprint);
        self.row.modified_at = self.row.modified_at.max(room.modified_at);
        self.row.archived_at = self.row.archived_at.zip(room.archived_at).map(|(one, other)| one.max(other));
    }

    /// Makes a group of a room that can't be what it is, under the name that people know it by.
    pub(super) fn make_group(&mut self) {
        let row = &mut self.row;
        if row.name.is_empty() {
            row.name = match row.room_type {
                RoomType::Task => subject_name("Task", &row.title, row.task),
                RoomType::Property => subject_name("Property", &row.title, row.property),
                RoomType::Direct | RoomType::Group => String::new(),
            };
        }
        (row.room_type, row.task, row.property, row.pair) = (RoomType::Group, None, None, None);
        row.title.clear();
        self.lost_partner = None;
    }
}

/// The account that takes the place of the partner in this room; another one for each room.
pub(super) fn lost_partner(room: Uuid) -> i64 {
    let (high, low) = room.as_u64_pair();
    let mixed = (high ^ low.rotate_left(23)) & ((1 << 51) - 1);
    ERASED_USER + 1 + i64::try_from(mixed).unwrap_or_default()
}

/// Describes a room of Django's to the operator.
pub(super) fn describe(room: &MovedRoomRow) -> String {
    let name = if room.name.is_empty() { &room.title } else { &room.name };
    format!("room {} {name:?}", room.id)
}

fn subject_name(kind: &str, title: &str, id: Option<i64>) -> String {
    match id {
        Some(id) if title.is_empty() => format!("{kind} {id}"),
        _ => format!("{kind}: {title}"),
    }
}

/// Plans all rooms, which come the oldest first.
pub(super) fn plan_rooms(rooms: &[OldRoom], report: &mut MoveReport) -> Vec<RoomPlan> {
    let mut plans: Vec<RoomPlan> = Vec::with_capacity(rooms.len());
    let mut pairs: HashMap<(i64, i64), usize> = HashMap::new();
    let mut subjects: BTreeMap<(&str, i64), Uuid> = BTreeMap::new();
    for room in rooms {
        let mut plan = RoomPlan::of(room);
        match room.room_type.as_str() {
            "direct" => match *room.members.as_slice() {
                [low, high] => {
                    if let Some(older) = pairs.get(&(low, high)).and_then(|at| plans.get_mut(*at)) {
                        let older_room = describe(&older.row);
                        report.note(
                            Finding::MergedRoom,
                            format_args!("{} into {older_room}", describe(&plan.row)),
                        );
                        older.merge(room);
                        continue;
                    }
                    pairs.insert((low, high), plans.len());
                    (plan.row.room_type, plan.row.pair) = (RoomType::Direct, Some((low, high)));
                }
                [member] => {
                    let partner = lost_partner(room.id);
                    (plan.row.room_type, plan.row.pair) = (RoomType::Direct, Some((member, partner)));
                    plan.lost_partner = Some(partner);
                    report.note(Finding::LostPartner, describe(&plan.row));
                }
                _ => report.note(Finding::OddDirect, describe(&plan.row)),
            },
            kind @ ("task" | "property") => {
                let (room_type, subject) = match kind {
                    "task" => (RoomType::Task, room.task),
                    _ => (RoomType::Property, room.property),
                };
                let Some(subject) = subject else {
                    report.note(Finding::NoSubject, describe(&plan.row));
                    plans.push(plan);
                    continue;
                };
                plan.row.room_type = room_type;
                plan.row.title.clone_from(&room.title);
                match room_type {
                    RoomType::Task => plan.row.task = Some(subject),
                    _ => plan.row.property = Some(subject),
                }
                if let Some(first) = subjects.get(&(kind, subject)) {
                    let first = format!("the first is {first}");
                    plan.make_group();
                    report.note(Finding::SecondSubject, format_args!("{}, {first}", describe(&plan.row)));
                } else {
                    subjects.insert((kind, subject), room.id);
                }
            }
            "group" => {}
            other => {
                report.note(Finding::UnknownRoomType, format_args!("{}: {other:?}", describe(&plan.row)));
            }
        }
        if plan.row.room_type == RoomType::Group
            && room.room_type == "group"
            && (room.task.is_some() || room.property.is_some())
        {
            report.note(Finding::SubjectDropped, describe(&plan.row));
        }
        plans.push(plan);
    }
    plans
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn room(number: u128, room_type: &str, members: &[i64]) -> OldRoom {
        let minute = i64::try_from(number).expect("a small number");
        OldRoom {
            id: Uuid::from_u128(number),
            room_type: room_type.to_owned(),
            name: String::new(),
            title: String::new(),
            task: None,
            property: None,
            created_by: None,
            created_at: at(minute),
            modified_at: at(minute),
            archived_at: None,
            members: members.to_vec(),
            messages: 1,
            fingerprint: number.to_string(),
        }
    }

    fn planned(rooms: &[OldRoom]) -> (Vec<RoomPlan>, MoveReport) {
        let mut report = MoveReport::new(Box::new(std::io::sink()));
        (plan_rooms(rooms, &mut report), report)
    }

    #[test]
    fn a_second_direct_room_is_merged_into_the_older_one() {
        let mut second = room(2, "direct", &[1, 2]);
        second.archived_at = Some(at(9));
        let (plans, report) = planned(&[room(1, "direct", &[1, 2]), second, room(3, "direct", &[1, 3])]);
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[0].parts, [Uuid::from_u128(1), Uuid::from_u128(2)]);
        assert_eq!((plans[0].messages, plans[0].row.pair), (2, Some((1, 2))));
        assert_eq!((plans[0].row.modified_at, plans[0].row.archived_at), (at(2), None));
        assert_eq!(report.found(Finding::MergedRoom), 1);
    }

    #[test]
    fn a_second_room_of_a_task_becomes_a_group_named_after_it() {
        let task = |number| OldRoom {
            task: Some(7),
            title: "Fix the boiler".to_owned(),
            ..room(number, "task", &[])
        };
        let (plans, report) = planned(&[task(1), task(2)]);
        assert_eq!((plans[0].row.room_type, plans[0].row.task), (RoomType::Task, Some(7)));
        assert_eq!((plans[1].row.room_type, plans[1].row.task), (RoomType::Group, None));
        assert_eq!(plans[1].row.name, "Task: Fix the boiler");
        assert_eq!(report.found(Finding::SecondSubject), 1);
    }

    #[test]
    fn rooms_that_can_not_be_what_they_say_become_groups() {
        let with_task = OldRoom { task: Some(7), ..room(5, "group", &[]) };
        let rooms = [
            room(1, "task", &[]),
            room(2, "property", &[]),
            room(3, "direct", &[]),
            room(4, "direct", &[1, 2, 3]),
            with_task,
            room(6, "channel", &[]),
        ];
        let (plans, report) = planned(&rooms);
        assert!(plans.iter().all(|plan| plan.row.room_type == RoomType::Group && plan.row.task.is_none()));
        let counts =
            [Finding::NoSubject, Finding::OddDirect, Finding::SubjectDropped, Finding::UnknownRoomType]
                .map(|finding| report.found(finding));
        assert_eq!(counts, [2, 2, 1, 1]);
    }

    #[test]
    fn each_lost_partner_is_another_account() {
        let (plans, _) = planned(&[room(1, "direct", &[4]), room(2, "direct", &[4])]);
        let partners: Vec<i64> = plans.iter().filter_map(|plan| plan.lost_partner).collect();
        assert_eq!(partners.len(), 2);
        assert_ne!(partners[0], partners[1]);
        for partner in partners {
            assert!(partner > ERASED_USER && partner < 1 << 53, "{partner}");
        }
    }
}
