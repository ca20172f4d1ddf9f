//! What is read of rooms, participants and messages, for REST and for the engine.

mod card_votes;
pub(crate) mod inbox;
mod invitations;
mod memberships;
mod messages;
mod origins;
mod participants;
mod pins;
mod reactions;
mod room_list;
pub(crate) mod room_snapshot;
mod rooms;
mod thread_counts;
mod threads;
mod versions;

pub use messages::{MessageAnchor, MessageDetails, MessageFilter, MessagePage, MessageSlice, ReadReceipts};
pub(crate) use messages::{PAGE_WIDTH, RECEIPTS_LISTED_MAX, page_columns, read_page, viewer_rooms};
pub use participants::{ParticipantDetails, ParticipantFilter, RoomAccess};
pub use room_list::{ListedRoom, RoomCursor, RoomFilter, RoomOrder, RoomPage};
pub use rooms::{RoomDetails, RoomLookup, RoomStats, UnreadRoom};
pub use versions::{MessageVersion, VersionsLookup};
