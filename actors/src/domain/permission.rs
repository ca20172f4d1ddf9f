//! Who may do what in a room: one table, asked for commands of sockets and of REST alike.

use super::command::Change;
use super::participant::Role;
use super::room::RoomType;

/// How someone stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in it, or no longer.
    Outsider,
    /// In it, with this role.
    Participant(Role),
    /// The host application's staff, in the room or not.
    Staff,
    /// The host application.
    Service,
}

/// What one may want to do; each [`Change`] is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Send a message.
    Post,
    /// Change or delete one's own message.
    ChangeOwnMessage,
    /// Delete another's message, for the sake of the others.
    ModerateMessage,
    /// Delete anyone's message, for an account that ends.
    EraseMessage,
    /// Add and remove people, and change their roles.
    ChangePeople,
    /// Go.
    Leave,
    /// Take out a person whose account ends.
    Expel,
    /// Rename, archive, unarchive or delete the room.
    ChangeRoom,
    /// Move one's own read mark, mute for oneself.
    ChangeOwnState,
}

impl Standing {
    /// Whether one who stands so may do `deed` in a room of `room_type`.
    #[must_use]
    pub fn may(self, deed: Deed, room_type: RoomType) -> bool {
        match (self, deed) {
            (Self::Outsider, _) => false,
            (Self::Participant(_), Deed::Expel | Deed::EraseMessage) => false,
            (Self::Participant(role), Deed::ChangePeople | Deed::ChangeRoom | Deed::ModerateMessage) => {
                role == Role::Admin && room_type != RoomType::Direct
            }
            (Self::Participant(_), _) => true,
            // What two people say to each other is theirs.
            (Self::Staff | Self::Service, Deed::ModerateMessage) => room_type != RoomType::Direct,
            (Self::Staff, _) => false,
            (Self::Service, Deed::ChangePeople | Deed::ChangeRoom) => room_type.is_of_host(),
            (Self::Service, Deed::Expel | Deed::EraseMessage) => true,
            (Self::Service, _) => false,
        }
    }
}

impl Change {
    /// The deed that this change is; a deletion by whether it `is_own`, of what its author deletes.
    #[must_use]
    pub fn deed(&self, is_own: bool) -> Deed {
        match self {
            Self::Post(_) => Deed::Post,
            Self::Delete { .. } if !is_own => Deed::ModerateMessage,
            Self::Erase { .. } => Deed::EraseMessage,
            Self::Edit { .. } | Self::Delete { .. } => Deed::ChangeOwnMessage,
            Self::Add { .. } | Self::Remove { .. } | Self::SetRole { .. } => Deed::ChangePeople,
            Self::Expel { .. } => Deed::Expel,
            Self::Leave => Deed::Leave,
            Self::Rename { .. } | Self::Archive | Self::Unarchive | Self::DeleteRoom => Deed::ChangeRoom,
            Self::Read(_) | Self::Mute { .. } => Deed::ChangeOwnState,
        }
    }

    /// Whether an archived room refuses it. Reading, marks, deleting, leaving, muting and an
    /// admin's work go on.
    #[must_use]
    pub fn needs_open_room(&self) -> bool {
        matches!(self, Self::Post(_) | Self::Edit { .. } | Self::Add { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: Standing = Standing::Participant(Role::Admin);
    const MEMBER: Standing = Standing::Participant(Role::Member);

    #[test]
    fn only_admins_and_the_host_change_a_room() {
        for deed in [Deed::ChangePeople, Deed::ChangeRoom] {
            assert!(ADMIN.may(deed, RoomType::Group));
            assert!(!MEMBER.may(deed, RoomType::Group));
            assert!(!ADMIN.may(deed, RoomType::Direct));
            assert!(Standing::Service.may(deed, RoomType::Task));
            assert!(!Standing::Service.may(deed, RoomType::Group));
        }
    }

    #[test]
    fn admins_staff_and_the_host_delete_what_others_wrote_but_not_between_two() {
        for standing in [ADMIN, Standing::Staff, Standing::Service] {
            assert!(standing.may(Deed::ModerateMessage, RoomType::Group), "{standing:?}");
            assert!(!standing.may(Deed::ModerateMessage, RoomType::Direct), "{standing:?}");
        }
        assert!(!MEMBER.may(Deed::ModerateMessage, RoomType::Group));
        for deed in [Deed::Post, Deed::ChangeOwnMessage, Deed::ChangePeople, Deed::ChangeRoom, Deed::Expel] {
            assert!(!Standing::Staff.may(deed, RoomType::Task), "{deed:?}");
        }
    }

    #[test]
    fn an_outsider_may_nothing() {
        for deed in [
            Deed::Post,
            Deed::ChangeOwnMessage,
            Deed::ModerateMessage,
            Deed::Leave,
            Deed::ChangeOwnState,
            Deed::Expel,
        ] {
            assert!(!Standing::Outsider.may(deed, RoomType::Group), "{deed:?}");
        }
    }

    #[test]
    fn the_host_never_speaks() {
        assert!(!Standing::Service.may(Deed::Post, RoomType::Task));
        assert!(!Standing::Service.may(Deed::ChangeOwnMessage, RoomType::Task));
        assert!(Standing::Service.may(Deed::EraseMessage, RoomType::Direct));
    }
}
