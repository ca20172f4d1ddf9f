//! Envelopes: what nodes tell each other. A hint, sealed, of one version; all it says can be read
//! from the store as well. The broker that carries it can neither read it nor make one.

use bytes::Bytes;
use chacha20poly1305::aead::{AeadInOut, Generate, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::event::Event;
use crate::domain::ids::{Epoch, NodeId, RoomId, UserId};
use crate::domain::signal::Signal;
use crate::ports::store::PersonChange;

/// The version of envelopes; another one is not read.
const VERSION: u8 = 1;
/// The bytes in front: a number that is used once. It is drawn at random, which 24 bytes bear.
const NONCE: usize = 24;
/// The bytes at the end, by which a change shows.
const TAG: usize = 16;

/// The key that the nodes of one installation seal envelopes with.
#[derive(Clone)]
pub struct LinkKey(XChaCha20Poly1305);

impl LinkKey {
    /// A key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let key: [u8; 32] = Sha256::digest(key).into();
        Self(XChaCha20Poly1305::new(&Key::from(key)))
    }
}

/// What one node tells others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    version: u8,
    /// Who sends it.
    pub node: NodeId,
    /// The history that it speaks of. After a restore another one has taken its positions.
    pub epoch: Epoch,
    /// What it says.
    pub notices: Vec<Notice>,
}

/// One thing that a node tells others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Events of one room, committed, in order.
    Events(RoomId, Vec<Event>),
    /// A signal of a room.
    Signal(RoomId, Signal),
    /// These people have sockets at the sender; all of them, told again and again.
    Online(Vec<UserId>),
    /// This person came to the sender, or went.
    Presence(UserId, bool),
    /// Someone's right to be here changed.
    Person(PersonChange),
    /// The sender stops; its people are about to come back elsewhere.
    Leaving,
}

impl Envelope {
    /// An envelope of this version.
    #[must_use]
    pub fn new(node: NodeId, epoch: Epoch, notices: Vec<Notice>) -> Self {
        Self { version: VERSION, node, epoch, notices }
    }

    /// The sealed bytes of this envelope.
    #[must_use]
    pub fn seal(&self, key: &LinkKey) -> Bytes {
        let nonce = XNonce::generate();
        let mut out = nonce.to_vec();
        serde_json::to_writer(&mut out, self).expect("envelopes are plain structs, written to memory");
        let sealed = key.0.encrypt_inout_detached(&nonce, b"", (&mut out[NONCE..]).into());
        let tag = sealed.expect("an envelope is far shorter than what one nonce seals");
        out.extend_from_slice(&tag);
        out.into()
    }

    /// Reads an envelope that was sealed with the same key and is of this version.
    #[must_use]
    pub fn open(bytes: &[u8], key: &LinkKey) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk::<NONCE>()?;
        let (body, tag) = rest.split_last_chunk::<TAG>()?;
        let mut body = body.to_vec();
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        key.0.decrypt_inout_detached(&nonce, b"", body.as_mut_slice().into(), &tag).ok()?;
        serde_json::from_slice(&body).ok().filter(|envelope: &Self| envelope.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn only_an_unchanged_envelope_of_the_same_key_opens() {
        let key = LinkKey::new(b"one");
        let envelope = Envelope::new(
            NodeId(Uuid::from_u128(7)),
            Epoch(Uuid::from_u128(8)),
            vec![Notice::Presence(UserId(3), true)],
        );
        let sealed = envelope.seal(&key);
        assert_eq!(Envelope::open(&sealed, &key), Some(envelope.clone()));
        assert_eq!(Envelope::open(&sealed, &LinkKey::new(b"two")), None);
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
    fn the_broker_reads_nothing_of_it() {
        let key = LinkKey::new(b"one");
        let node = NodeId(Uuid::from_u128(7));
        let envelope = Envelope::new(node, Epoch(Uuid::from_u128(8)), vec![Notice::Leaving]);
        let (sealed, again) = (envelope.seal(&key), envelope.seal(&key));
        assert_ne!(sealed, again, "the same said twice looks the same");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"leaving"));
    }

    proptest::proptest! {
        #[test]
        fn bytes_that_nobody_sealed_open_nothing(bytes in proptest::collection::vec(0u8.., 0..400)) {
            proptest::prop_assert_eq!(Envelope::open(&bytes, &LinkKey::new(b"one")), None);
        }
    }
}
