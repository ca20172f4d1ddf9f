//! Envelopes: what nodes send each other. An envelope is a sealed hint; all that it says can be read from the
//! store as well. The broker can neither read nor forge one.

use bytes::Bytes;
use chacha20poly1305::aead::{AeadInOut, Generate, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::event::Event;
use crate::domain::ids::{Epoch, NodeId, PersonalSeq, RoomId, UserId};
use crate::domain::signal::Signal;
use crate::ports::store::UserAccess;

/// The version of envelopes; others are ignored.
const VERSION: u8 = 1;
/// The length of the nonce in front. It is random, which is safe at 24 bytes.
const NONCE: usize = 24;
/// The length of the authentication tag at the end.
const TAG: usize = 16;

/// The key with which the nodes of one installation seal envelopes.
#[derive(Clone)]
pub struct EnvelopeKey(XChaCha20Poly1305);

impl EnvelopeKey {
    /// A key derived from bytes of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let key: [u8; 32] = Sha256::digest(key).into();
        Self(XChaCha20Poly1305::new(&Key::from(key)))
    }

    /// Seals a value for a `purpose`; what was sealed for another one doesn't open.
    pub(super) fn seal(&self, purpose: &[u8], value: &impl Serialize) -> Vec<u8> {
        let nonce = XNonce::generate();
        let mut out = nonce.to_vec();
        serde_json::to_writer(&mut out, value).expect("plain structs are written, to memory");
        let sealed = self.0.encrypt_inout_detached(&nonce, purpose, (&mut out[NONCE..]).into());
        let tag = sealed.expect("a value is far shorter than what one nonce seals");
        out.extend_from_slice(&tag);
        out
    }

    /// Opens what was sealed with the same key for the same purpose.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &[u8], bytes: &[u8]) -> Option<T> {
        let (nonce, rest) = bytes.split_first_chunk::<NONCE>()?;
        let (body, tag) = rest.split_last_chunk::<TAG>()?;
        let mut body = body.to_vec();
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        self.0.decrypt_inout_detached(&nonce, purpose, body.as_mut_slice().into(), &tag).ok()?;
        serde_json::from_slice(&body).ok()
    }
}

/// A message from one node to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    version: u8,
    /// The sender.
    pub node: NodeId,
    /// The history that its positions belong to; a restore starts another.
    pub epoch: Epoch,
    /// The notices.
    pub notices: Vec<Notice>,
}

/// One thing that a node reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Committed events of one room, in order.
    Events(RoomId, Vec<Event>),
    /// A signal of a room.
    Signal(RoomId, Signal),
    /// All users who have sockets on the sender; sent periodically.
    Online(Vec<UserId>),
    /// A user went online or offline on the sender.
    Presence(UserId, bool),
    /// A user's access changed.
    #[serde(rename = "person")]
    UserAccess(UserAccess),
    /// A user's personal log reaches up to here.
    PersonalLog(UserId, PersonalSeq),
    /// A frame for a user's sockets for all rooms.
    UserFrame(UserFrame),
    /// The call of this node was taken by a socket at the sender.
    CallTaken(NodeId, u64),
    /// The sender stops; its users are about to reconnect elsewhere.
    Leaving,
}

/// A frame for a user's sockets for all rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFrame {
    /// The user.
    pub user: UserId,
    /// The frame, as JSON.
    pub json: String,
    /// The sender's number of this call, if it waits for a socket that takes it.
    pub call: Option<u64>,
}

impl Envelope {
    /// An envelope of this version.
    #[must_use]
    pub fn new(node: NodeId, epoch: Epoch, notices: Vec<Notice>) -> Self {
        Self { version: VERSION, node, epoch, notices }
    }

    /// Seals the envelope.
    #[must_use]
    pub fn seal(&self, key: &EnvelopeKey) -> Bytes {
        key.seal(b"", self).into()
    }

    /// Opens an envelope that was sealed with the same key and is of this version.
    #[must_use]
    pub fn open(bytes: &[u8], key: &EnvelopeKey) -> Option<Self> {
        key.open(b"", bytes).filter(|envelope: &Self| envelope.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn only_an_unchanged_envelope_of_the_same_key_opens() {
        let key = EnvelopeKey::new(b"one");
        let envelope = Envelope::new(
            NodeId(Uuid::from_u128(7)),
            Epoch(Uuid::from_u128(8)),
            vec![Notice::Presence(UserId(3), true)],
        );
        let sealed = envelope.seal(&key);
        assert_eq!(Envelope::open(&sealed, &key), Some(envelope.clone()));
        assert_eq!(Envelope::open(&sealed, &EnvelopeKey::new(b"two")), None);
        for at in 0..sealed.len() {
            let mut bent = sealed.to_vec();
            bent[at] ^= 1;
            assert_eq!(Envelope::open(&bent, &key), None, "byte {at}");
        }
        assert_eq!(Envelope::open(b"", &key), None);
        assert_eq!(Envelope::open(&sealed[..NONCE + TAG - 1], &key), None);
        let newer = Envelope { version: VERSION + 1, ..envelope };
        assert_eq!(Envelope::open(&newer.seal(&key), &key), None);
    }

    #[test]
    fn the_broker_can_not_read_it() {
        let key = EnvelopeKey::new(b"one");
        let node = NodeId(Uuid::from_u128(7));
        let envelope = Envelope::new(node, Epoch(Uuid::from_u128(8)), vec![Notice::Leaving]);
        let (sealed, again) = (envelope.seal(&key), envelope.seal(&key));
        assert_ne!(sealed, again, "the same said twice looks the same");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"leaving"));
    }

    #[test]
    fn a_users_access_has_the_name_that_older_nodes_read() {
        let access = UserAccess { user: UserId(3), is_active: true, tokens_valid_from: None };
        let notice = serde_json::to_value(Notice::UserAccess(access)).expect("JSON");
        assert!(notice.get("person").is_some(), "{notice}");
    }

    proptest::proptest! {
        #[test]
        fn forged_bytes_do_not_open(bytes in proptest::collection::vec(0u8.., 0..400)) {
            proptest::prop_assert_eq!(Envelope::open(&bytes, &EnvelopeKey::new(b"one")), None);
        }
    }
}
