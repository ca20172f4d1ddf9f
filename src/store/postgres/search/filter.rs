//! What a search filters by, beside its words.

use actors::domain::ids::UserId;
use actors::domain::message::MessageType;

use super::block::{EntryFlags, EntryMeta};
use super::keys::Key;
use super::operators::Has;

/// Selects messages by what the index holds of them beside their words.
#[derive(Debug, Default)]
pub(super) struct EntryFilter {
    /// Messages have all of these.
    pub(super) flags: EntryFlags,
    /// They are of this type.
    pub(super) message_type: Option<MessageType>,
    /// They are by one of the users of each list.
    pub(super) senders: Vec<Vec<i64>>,
    /// They mention this user or everyone in their room, and are by someone else.
    pub(super) mentioned: Option<UserId>,
    /// They were sent after this time and before that one, in microseconds since 1970.
    pub(super) after: Option<i64>,
    pub(super) before: Option<i64>,
}

impl EntryFilter {
    pub(super) fn require(&mut self, has: Has) {
        let flag = match has {
            Has::Image => EntryFlags::IMAGE,
            Has::File => EntryFlags::FILE,
            Has::Link => EntryFlags::LINK,
        };
        self.flags = self.flags.with(flag, true);
    }

    pub(super) fn accepts(&self, meta: &EntryMeta) -> bool {
        meta.flags.has(self.flags)
            && self.message_type.is_none_or(|wanted| message_type(meta.flags) == wanted)
            && self.senders.iter().all(|senders| senders.contains(&meta.sender))
            && self.after.is_none_or(|after| meta.at > after)
            && self.before.is_none_or(|before| meta.at < before)
            && self.mentioned.is_none_or(|user| {
                let is_mentioned =
                    meta.flags.has(EntryFlags::MENTIONS_ROOM) || meta.mentions.contains(&user.0);
                is_mentioned && meta.sender != user.0
            })
    }

    /// Keys that every block with such a message has.
    pub(super) fn keys(&self) -> Vec<i32> {
        let flags = [EntryFlags::IMAGE, EntryFlags::FILE, EntryFlags::LINK].into_iter();
        let flags = flags.filter(|flag| self.flags.has(*flag)).map(Key::Flags);
        let senders = self.senders.iter().filter_map(|senders| match senders[..] {
            [sender] => Some(Key::Sender(sender)),
            _ => None,
        });
        flags.chain(senders).map(Key::hash).collect()
    }
}

fn message_type(flags: EntryFlags) -> MessageType {
    if flags.has(EntryFlags::SYSTEM) {
        MessageType::System
    } else if flags.has(EntryFlags::IMAGE) {
        MessageType::Image
    } else if flags.has(EntryFlags::FILE) {
        MessageType::File
    } else {
        MessageType::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_accepts_what_fits_all_of_it() {
        let image = EntryFlags::IMAGE.with(EntryFlags::FILE, true);
        let meta = EntryMeta { at: 50, sender: 7, flags: image, mentions: vec![3], ..EntryMeta::default() };
        let none = EntryFilter::default;
        let mut file = none();
        file.require(Has::File);
        let mut link = none();
        link.require(Has::Link);
        for (filter, is_accepted) in [
            (none(), true),
            (file, true),
            (link, false),
            (EntryFilter { message_type: Some(MessageType::Image), ..none() }, true),
            (EntryFilter { message_type: Some(MessageType::File), ..none() }, false),
            (EntryFilter { senders: vec![vec![7, 8], vec![7]], ..none() }, true),
            (EntryFilter { senders: vec![vec![7], vec![]], ..none() }, false),
            (EntryFilter { mentioned: Some(UserId(3)), ..none() }, true),
            (EntryFilter { mentioned: Some(UserId(4)), ..none() }, false),
            (EntryFilter { after: Some(49), before: Some(51), ..none() }, true),
            (EntryFilter { after: Some(50), ..none() }, false),
            (EntryFilter { before: Some(50), ..none() }, false),
        ] {
            assert_eq!(filter.accepts(&meta), is_accepted, "{filter:?}");
        }
    }
}
