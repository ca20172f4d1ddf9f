//! Moving one's read mark, and letting a room count as unread again.

use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, Principal, RateClass, ReadTarget, Refusal, RequiredState,
};
use crate::domain::ids::MessageId;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, Table};
use crate::domain::signal::{ReadMark, Signal};

/// Every move of a read mark: when a message was first read follows from it.
pub(super) static READ_MOVES: Table = Table {
    name: "read_moves",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("seq", ColumnType::BigInt),
        ("at", ColumnType::Timestamp),
    ],
    key_columns: 3,
    removals: &[],
    selections: &[],
    goes_with_message: false,
};

pub(super) fn rules(target: ReadTarget) -> CommandRules {
    let message = match target {
        ReadTarget::Head => None,
        ReadTarget::Message(message) => Some(message),
    };
    CommandRules {
        required: RequiredState { message, newest: true, ..RequiredState::default() },
        rate: Some(RateClass::Reads),
        ..CommandRules::of(Action::ChangeOwnState)
    }
}

pub(super) fn mark_unread_rules(message: MessageId) -> CommandRules {
    CommandRules {
        required: RequiredState { message: Some(message), ..RequiredState::default() },
        rate: Some(RateClass::Reads),
        ..CommandRules::of(Action::ChangeOwnState)
    }
}

impl RoomAggregate {
    pub(super) fn read(&mut self, by: Principal, target: ReadTarget) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let (up_to, message) = match target {
            ReadTarget::Head => (self.room.head, self.newest.map(|(_, id)| id)),
            ReadTarget::Message(id) => (self.visible_message(by, id)?.seq, Some(id)),
        };
        let (room, at) = (self.room.id, self.now);
        let participant = self.participant_mut(user);
        // Whatever is read, the room no longer counts as unread from some message on.
        let was_marked_unread = participant.unread_from.take().is_some();
        if up_to <= participant.read_seq {
            let signal = was_marked_unread.then_some(Signal::OwnState { user });
            return Ok(CommandOutcome { signal, ..CommandOutcome::of(Vec::new(), CommandReply::Done) });
        }
        participant.read_seq = up_to;
        let row = [room.0.into(), user.0.into(), up_to.0.into(), at.into()];
        self.change_row(RowChange::insert(&READ_MOVES, row));
        let signal = Some(Signal::Read(ReadMark { user, up_to, message, at }));
        Ok(CommandOutcome { events: Vec::new(), signal, reply: CommandReply::Done })
    }

    /// Lets the room count as unread from a message on. The read mark, which others see, stays.
    pub(super) fn mark_unread(
        &mut self,
        by: Principal,
        message: MessageId,
    ) -> Result<CommandOutcome, Refusal> {
        let user = by.user_id().ok_or(Refusal::Forbidden)?;
        let from = self.visible_message(by, message)?.seq;
        self.participant_mut(user).unread_from = Some(from);
        let signal = Some(Signal::OwnState { user });
        Ok(CommandOutcome { signal, ..CommandOutcome::of(Vec::new(), CommandReply::Done) })
    }
}
