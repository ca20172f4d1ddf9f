//! Who may do what in a room: one table for commands of sockets and of REST alike. A room's settings may leave
//! less to its members, see [`Room::allows`](super::room::Room::allows).

use super::participant::Role;
use super::room_type::RoomType;

/// How a principal stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLevel {
    /// Not in it.
    Outsider,
    /// In it with this role.
    Participant(Role),
    /// On the host application's staff, in the room or not.
    Staff,
    /// The host application.
    Service,
    /// An integration of the room.
    Integration,
}

/// What a command does, as far as permissions tell commands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Post,
    /// React to a message.
    React,
    /// Tick an item or vote for a choice on a card.
    ChangeCard,
    /// Mention everyone in a room with many participants.
    MentionLargeRoom,
    /// Edit or delete one's own message.
    ChangeOwnMessage,
    /// Delete another user's message.
    ModerateMessage,
    /// Delete a message because its author's account ends.
    EraseMessage,
    /// Add and remove participants, and change their roles.
    ManageParticipants,
    /// Leave the room.
    Leave,
    /// Remove a participant whose account ends.
    Expel,
    /// Rename, archive, unarchive or delete the room, and change its settings.
    ManageRoom,
    /// Pin a message, or end that.
    Pin,
    /// Mark one's message as urgent.
    MarkUrgent,
    /// Acknowledge another user's urgent message.
    Acknowledge,
    /// Move one's own read mark, mute the room for oneself.
    ChangeOwnState,
}

impl AccessLevel {
    /// Whether a principal of this level may do `action` in a room of `room_type`.
    #[must_use]
    pub fn allows(self, action: Action, room_type: RoomType) -> bool {
        match (self, action) {
            (Self::Outsider, _) => false,
            (Self::Participant(_), Action::Expel | Action::EraseMessage) => false,
            // What catches the eyes of a whole room is left to those whose room it is.
            (Self::Participant(Role::Guest), Action::Pin | Action::MarkUrgent) => false,
            (
                Self::Participant(role),
                Action::ManageParticipants
                | Action::ManageRoom
                | Action::ModerateMessage
                | Action::MentionLargeRoom,
            ) => role == Role::Admin && room_type != RoomType::Direct,
            (Self::Participant(_), _) => true,
            // A conversation of two belongs to the two.
            (Self::Staff | Self::Service, Action::ModerateMessage) => room_type != RoomType::Direct,
            (Self::Staff, _) => false,
            (Self::Service, Action::ManageParticipants | Action::ManageRoom | Action::Pin | Action::Post) => {
                room_type.is_host_managed()
            }
            (Self::Service, Action::Expel | Action::EraseMessage) => true,
            (Self::Service, _) => false,
            (Self::Integration, Action::Post) => room_type != RoomType::Direct,
            (Self::Integration, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: AccessLevel = AccessLevel::Participant(Role::Admin);
    const MEMBER: AccessLevel = AccessLevel::Participant(Role::Member);
    const GUEST: AccessLevel = AccessLevel::Participant(Role::Guest);

    #[test]
    fn a_guest_takes_part_and_manages_nothing() {
        for action in [
            Action::Post,
            Action::React,
            Action::ChangeCard,
            Action::Acknowledge,
            Action::ChangeOwnMessage,
            Action::Leave,
            Action::ChangeOwnState,
        ] {
            assert!(GUEST.allows(action, RoomType::Task), "{action:?}");
        }
        for action in [
            Action::Pin,
            Action::MarkUrgent,
            Action::MentionLargeRoom,
            Action::ModerateMessage,
            Action::ManageParticipants,
            Action::ManageRoom,
            Action::Expel,
            Action::EraseMessage,
        ] {
            assert!(!GUEST.allows(action, RoomType::Task), "{action:?}");
        }
    }

    #[test]
    fn only_admins_and_the_host_change_a_room() {
        for action in [Action::ManageParticipants, Action::ManageRoom] {
            assert!(ADMIN.allows(action, RoomType::Group));
            assert!(!MEMBER.allows(action, RoomType::Group));
            assert!(!ADMIN.allows(action, RoomType::Direct));
            assert!(AccessLevel::Service.allows(action, RoomType::Task));
            assert!(!AccessLevel::Service.allows(action, RoomType::Group));
        }
    }

    #[test]
    fn admins_staff_and_the_host_moderate_messages_but_not_in_direct_rooms() {
        for access_level in [ADMIN, AccessLevel::Staff, AccessLevel::Service] {
            assert!(access_level.allows(Action::ModerateMessage, RoomType::Group), "{access_level:?}");
            assert!(!access_level.allows(Action::ModerateMessage, RoomType::Direct), "{access_level:?}");
        }
        assert!(!MEMBER.allows(Action::ModerateMessage, RoomType::Group));
        for action in [
            Action::Post,
            Action::ChangeCard,
            Action::ChangeOwnMessage,
            Action::ManageParticipants,
            Action::ManageRoom,
            Action::Expel,
        ] {
            assert!(!AccessLevel::Staff.allows(action, RoomType::Task), "{action:?}");
        }
    }

    #[test]
    fn everyone_in_a_room_pins_and_the_host_does_where_it_manages() {
        for room_type in [RoomType::Direct, RoomType::Group, RoomType::Task] {
            assert!(ADMIN.allows(Action::Pin, room_type) && MEMBER.allows(Action::Pin, room_type));
            assert!(!AccessLevel::Staff.allows(Action::Pin, room_type));
            assert_eq!(AccessLevel::Service.allows(Action::Pin, room_type), room_type == RoomType::Task);
        }
    }

    #[test]
    fn an_outsider_may_do_nothing() {
        for action in [
            Action::Post,
            Action::ChangeCard,
            Action::ChangeOwnMessage,
            Action::ModerateMessage,
            Action::Leave,
            Action::Pin,
            Action::Acknowledge,
            Action::ChangeOwnState,
            Action::Expel,
        ] {
            assert!(!AccessLevel::Outsider.allows(action, RoomType::Group), "{action:?}");
        }
    }

    #[test]
    fn the_host_sends_messages_where_it_manages_and_edits_none() {
        assert!(AccessLevel::Service.allows(Action::Post, RoomType::Task));
        assert!(!AccessLevel::Service.allows(Action::Post, RoomType::Group));
        assert!(!AccessLevel::Service.allows(Action::Post, RoomType::Direct));
        assert!(!AccessLevel::Service.allows(Action::ChangeCard, RoomType::Task));
        assert!(!AccessLevel::Service.allows(Action::ChangeOwnMessage, RoomType::Task));
        assert!(AccessLevel::Service.allows(Action::EraseMessage, RoomType::Direct));
    }

    #[test]
    fn an_integration_sends_messages_and_does_nothing_else() {
        assert!(AccessLevel::Integration.allows(Action::Post, RoomType::Group));
        assert!(!AccessLevel::Integration.allows(Action::Post, RoomType::Direct));
        for action in [Action::React, Action::ChangeOwnMessage, Action::MentionLargeRoom, Action::ManageRoom]
        {
            assert!(!AccessLevel::Integration.allows(action, RoomType::Task), "{action:?}");
        }
    }
}
