//! Frames: bytes from a peer into messages, and messages into bytes for it.
//!
//! [`Decoder`] sits on the read buffer of one socket. The [guard] judges each header
//! first; the payload is then unmasked in place and handed out as a slice of that same buffer.
//!
//! actix-http's `ws::Parser` isn't used behind the guard: it sees frames only when they are whole, so
//! bad UTF-8 could not fail before the last byte, and after the guard nothing would be left for it but
//! to parse the header a second time. Text is checked as it comes in, each byte once. A frame of 387
//! bytes costs 85 ns so, and 109 to 124 ns with actix-http's codec and a check of UTF-8 (release build,
//! two rounds of one run).
//!
//! Nothing is copied but fragments, which must become one message, and nothing waits in memory past
//! the limits of the [`Rules`]. After a [`Violation`] the decoder must not be used again.

use std::{fmt, ops::Deref, str};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::guard::{self, CONTROL_BYTES_MAX, Opcode, Progress, Rules, Violation};

/// Text that has been checked to be UTF-8, as a slice of the read buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        debug_assert!(str::from_utf8(&self.0).is_ok());
        // SAFETY: the field is private, and this file makes a `Text` only of bytes that `utf8_tail`
        // passed without a rest, or that `str::from_utf8` passed.
        unsafe { str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes of the text.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// Shows the length only: a text never reaches a log.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// What a peer says when it closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// A code that may be sent on the wire.
    pub code: u16,
    /// Its reason, 123 bytes at most, often empty.
    pub reason: Text,
}

/// One thing that came from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(Text),
    /// A whole binary message; only under [`Rules`] that take them.
    Binary(Bytes),
    /// To be answered by a pong with the same payload.
    Ping(Bytes),
    /// A sign of life.
    Pong,
    /// The last frame: answer it with a close frame, then read no more.
    Close(Option<CloseFrame>),
}

/// Turns the bytes of one socket into [`Incoming`]; 32 bytes while no fragmented message is open.
#[derive(Debug)]
pub struct Decoder {
    rules: &'static Rules,
    open: Option<Box<OpenMessage>>,
    mask: [u8; 4],
    payload_bytes: u32,
    /// Bytes of the current payload that are unmasked already.
    taken: u32,
    /// How many of the last bytes taken begin a code point that isn't complete yet.
    tail: u8,
    last: bool,
    /// The frame whose header has been read and whose payload hasn't.
    frame: Option<Opcode>,
}

/// A message that comes in several frames.
#[derive(Debug)]
struct OpenMessage {
    bytes: BytesMut,
    fragments: u32,
    text: bool,
    /// As [`Decoder::tail`], but across fragments.
    tail: u8,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new(rules: &'static Rules) -> Self {
        Self {
            rules,
            open: None,
            mask: [0; 4],
            payload_bytes: 0,
            taken: 0,
            tail: 0,
            last: false,
            frame: None,
        }
    }

    /// Takes the next message from the front of `buf`; `None` when more bytes are needed.
    ///
    /// Call it after each read until it gives `None`: then `buf` never holds more than one incomplete
    /// frame within the limits. A buffer that it leaves empty may be given back.
    ///
    /// # Errors
    /// A [`Violation`] as soon as the bytes show it; close the connection with its code.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            let Some(opcode) = self.frame else {
                if !self.start_frame(buf)? {
                    return Ok(None);
                }
                continue;
            };
            let incoming = match opcode {
                Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    let Some(payload) = self.whole_payload(buf) else {
                        return Ok(None);
                    };
                    control(opcode, payload)?
                }
                Opcode::Text | Opcode::Binary if self.last => {
                    self.check_partial_text(opcode, buf)?;
                    let Some(payload) = self.whole_payload(buf) else {
                        return Ok(None);
                    };
                    data(opcode == Opcode::Text, self.tail, payload)?
                }
                Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                    if !self.move_fragment(buf)? {
                        return Ok(None);
                    }
                    self.frame = None;
                    match self.open.take_if(|_| self.last) {
                        Some(open) => data(open.text, open.tail, open.bytes.freeze())?,
                        None => continue,
                    }
                }
            };
            self.frame = None;
            return Ok(Some(incoming));
        }
    }

    /// How many bytes are missing to complete the frame under way; 0 between frames.
    ///
    /// A hint for how much room to make before the next read.
    pub fn missing_bytes(&self, buf: &BytesMut) -> usize {
        match (self.frame, &self.open) {
            (None, _) => 0,
            (Some(Opcode::Continuation), _) => (self.payload_bytes - self.taken) as usize,
            (Some(Opcode::Text | Opcode::Binary), _) if !self.last => {
                (self.payload_bytes - self.taken) as usize
            }
            (Some(_), _) => (self.payload_bytes as usize).saturating_sub(buf.len()),
        }
    }

    /// Reads the next header, if it is there.
    fn start_frame(&mut self, buf: &mut BytesMut) -> Result<bool, Violation> {
        let progress =
            self.open.as_ref().map(|open| Progress { bytes: open.bytes.len(), fragments: open.fragments });
        let Some(head) = guard::read_head(buf, progress, self.rules)? else {
            return Ok(false);
        };
        buf.advance(head.head_bytes);
        self.mask = head.mask;
        self.payload_bytes = head.payload_bytes;
        self.taken = 0;
        self.tail = 0;
        self.last = head.last;
        self.frame = Some(head.opcode);
        match head.opcode {
            Opcode::Text | Opcode::Binary if !head.last => {
                self.open = Some(Box::new(OpenMessage {
                    bytes: BytesMut::new(),
                    fragments: 1,
                    text: head.opcode == Opcode::Text,
                    tail: 0,
                }));
            }
            Opcode::Continuation => {
                let open = self.open.as_mut().expect("the guard refuses a continuation of nothing");
                open.fragments += 1;
            }
            _ => {}
        }
        Ok(true)
    }

    /// Unmasks what has come of the payload, in place, and checks it when it is text.
    fn check_partial_text(&mut self, opcode: Opcode, buf: &mut BytesMut) -> Result<(), Violation> {
        let from = self.taken as usize;
        self.unmask_in_place(buf);
        if opcode == Opcode::Text {
            self.tail = utf8_tail(&buf[from - usize::from(self.tail)..self.taken as usize])?;
        }
        Ok(())
    }

    /// Splits the unmasked payload off once all of it is there.
    fn whole_payload(&mut self, buf: &mut BytesMut) -> Option<Bytes> {
        self.unmask_in_place(buf);
        (self.taken == self.payload_bytes).then(|| buf.split_to(self.taken as usize).freeze())
    }

    fn unmask_in_place(&mut self, buf: &mut BytesMut) {
        let from = self.taken as usize;
        let to = buf.len().min(self.payload_bytes as usize);
        unmask(&mut buf[from..to], rotated(self.mask, self.taken));
        self.taken = to as u32;
    }

    /// Moves what has come of a fragment into the open message; says whether the frame is complete.
    fn move_fragment(&mut self, buf: &mut BytesMut) -> Result<bool, Violation> {
        let open = self.open.as_mut().expect("a fragment's header opened the message");
        let missing = (self.payload_bytes - self.taken) as usize;
        let here = missing.min(buf.len());
        unmask(&mut buf[..here], rotated(self.mask, self.taken));
        let unchecked = open.bytes.len() - usize::from(open.tail);
        open.bytes.extend_from_slice(&buf[..here]);
        buf.advance(here);
        self.taken += here as u32;
        if open.text {
            open.tail = utf8_tail(&open.bytes[unchecked..])?;
        }
        Ok(here == missing)
    }
}

/// Makes a message of a complete payload whose text is checked up to `tail`.
fn data(text: bool, tail: u8, payload: Bytes) -> Result<Incoming, Violation> {
    match (text, tail) {
        (true, 0) => Ok(Incoming::Text(Text(payload))),
        (true, _) => Err(Violation::BAD_UTF8),
        (false, _) => Ok(Incoming::Binary(payload)),
    }
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Incoming, Violation> {
    match opcode {
        Opcode::Ping => Ok(Incoming::Ping(payload)),
        Opcode::Pong => Ok(Incoming::Pong),
        _ => close(payload).map(Incoming::Close),
    }
}

fn close(mut payload: Bytes) -> Result<Option<CloseFrame>, Violation> {
    match payload.len() {
        0 => return Ok(None),
        1 => return Err(Violation::protocol("close frame of one byte")),
        _ => {}
    }
    let code = payload.get_u16();
    // RFC 6455 §7.4: the others are reserved, or are never sent on the wire.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::protocol("close code not allowed"));
    }
    if str::from_utf8(&payload).is_err() {
        return Err(Violation::BAD_UTF8);
    }
    let reason = Text(payload);
    Ok(Some(CloseFrame { code, reason }))
}

/// Checks UTF-8 that may be cut at its end; gives how many last bytes begin an incomplete code point.
fn utf8_tail(bytes: &[u8]) -> Result<u8, Violation> {
    match str::from_utf8(bytes) {
        Ok(_) => Ok(0),
        Err(error) if error.error_len().is_none() => Ok((bytes.len() - error.valid_up_to()) as u8),
        Err(_) => Err(Violation::BAD_UTF8),
    }
}

/// The mask as it applies from the payload's byte `at` on.
fn rotated(mask: [u8; 4], at: u32) -> [u8; 4] {
    u32::from_be_bytes(mask).rotate_left(8 * (at % 4)).to_be_bytes()
}

/// Masks or unmasks, eight bytes at a time; the compiler makes wider steps of it.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let chunk: &mut [u8; 8] = chunk.try_into().expect("chunks are of eight bytes");
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in words.into_remainder().iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// The header of an unmasked text frame of `len` bytes, and how many of the ten bytes it takes.
pub fn text_header(len: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = TEXT;
    if len < 126 {
        header[1] = len as u8;
        (header, 2)
    } else if let Ok(len) = u16::try_from(len) {
        header[1] = 126;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        (header, 4)
    } else {
        header[1] = 127;
        header[2..].copy_from_slice(&(len as u64).to_be_bytes());
        (header, 10)
    }
}

/// A whole text frame, as a server sends it: unmasked, in one piece.
pub fn encode_text(text: &str) -> Bytes {
    let (header, header_bytes) = text_header(text.len());
    let mut frame = BytesMut::with_capacity(header_bytes + text.len());
    frame.put_slice(&header[..header_bytes]);
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

/// A close frame; a reason over 123 bytes is cut at a character.
pub fn encode_close(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.put_u16(code);
    payload.put_slice(reason.as_bytes());
    encode_control(CLOSE, &payload)
}

/// A ping; of the payload the first 125 bytes are sent.
pub fn encode_ping(payload: &[u8]) -> Bytes {
    encode_control(PING, payload)
}

/// The answer to a ping with `payload`, 125 bytes at most as in every ping that was let in.
pub fn encode_pong(payload: &[u8]) -> Bytes {
    encode_control(PONG, payload)
}

fn encode_control(first: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let mut frame = BytesMut::with_capacity(2 + payload.len());
    frame.put_u8(first);
    frame.put_u8(payload.len() as u8);
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
