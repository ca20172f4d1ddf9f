//! Decodes WebSocket frames into messages.
//!
//! [`FrameDecoder`] works on the read buffer of a socket. It has each [header](frame_header) validated first; the
//! payload is then unmasked in place and returned as a slice of the same buffer. Only fragments are copied,
//! because they must become one message, and the buffers never exceed the [`FrameLimits`]. After a
//! [`Violation`] the decoder must not be used again.
//!
//! `ws::Parser` of actix-http is not used: it sees a frame only once it is complete, so invalid UTF-8 would
//! not be rejected before the last byte. Here text is validated as it arrives, each byte once. A frame of 387
//! bytes takes 85 ns, compared to 109 to 124 ns for actix-http's codec and a UTF-8 check (release build, two
//! rounds of one run). The frames that the server sends are encoded by `actors::protocol::codec`.

use std::{fmt, ops::Deref, str};

use bytes::{Buf, Bytes, BytesMut};

use super::frame_header::{self, FragmentProgress, FrameLimits, Opcode, Violation};

/// Valid UTF-8 text, as a slice of the read buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        debug_assert!(str::from_utf8(&self.0).is_ok());
        // SAFETY: the field is private, and this file creates a `Text` only from bytes that `utf8_tail`
        // accepted without an incomplete code point, or that `str::from_utf8` accepted.
        unsafe { str::from_utf8_unchecked(&self.0) }
    }

    /// Returns the underlying slice of the read buffer.
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

/// Shows only the length, because a message text must never be logged.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// The content of a received close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// A code that may be sent on the wire.
    pub code: u16,
    /// The reason, at most 123 bytes and often empty.
    pub reason: Text,
}

/// A message or control frame from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WsMessage {
    /// A complete text message.
    Text(Text),
    /// A complete binary message; only with [`FrameLimits`] that allow them.
    Binary(Bytes),
    /// To be answered with a pong that has the same payload.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// The last frame: to be answered with a close frame, after which nothing more is read.
    Close(Option<CloseFrame>),
}

/// Decodes the bytes of one socket. Takes 32 bytes while no fragmented message is open.
#[derive(Debug)]
pub struct FrameDecoder {
    limits: &'static FrameLimits,
    open: Option<Box<OpenMessage>>,
    mask: [u8; 4],
    payload_bytes: u32,
    /// How much of the current payload is unmasked.
    unmasked_bytes: u32,
    /// How many of the last unmasked bytes begin an incomplete code point.
    tail: u8,
    fin: bool,
    /// The frame whose header has been read, but not all of its payload.
    frame: Option<Opcode>,
}

/// A fragmented message that is not complete.
#[derive(Debug)]
struct OpenMessage {
    bytes: BytesMut,
    fragments: u32,
    text: bool,
    /// Like [`FrameDecoder::tail`], but across fragments.
    tail: u8,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub const fn new(limits: &'static FrameLimits) -> Self {
        Self {
            limits,
            open: None,
            mask: [0; 4],
            payload_bytes: 0,
            unmasked_bytes: 0,
            tail: 0,
            fin: false,
            frame: None,
        }
    }

    /// Decodes the next message at the front of `buf`; `None` if more bytes are needed.
    ///
    /// Call it after each read until it returns `None`: then `buf` holds at most one incomplete frame within
    /// the limits. A buffer that it leaves empty may be released.
    ///
    /// # Errors
    /// A [`Violation`], as soon as the bytes reveal it. Close the connection with its code.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<WsMessage>, Violation> {
        loop {
            let Some(opcode) = self.frame else {
                if !self.start_frame(buf)? {
                    return Ok(None);
                }
                continue;
            };
            let message = match opcode {
                Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    let Some(payload) = self.whole_payload(buf) else {
                        return Ok(None);
                    };
                    control_message(opcode, payload)?
                }
                Opcode::Text | Opcode::Binary if self.fin => {
                    self.check_partial_text(opcode, buf)?;
                    let Some(payload) = self.whole_payload(buf) else {
                        return Ok(None);
                    };
                    data_message(opcode == Opcode::Text, self.tail, payload)?
                }
                Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                    if !self.move_fragment(buf)? {
                        return Ok(None);
                    }
                    self.frame = None;
                    match self.open.take_if(|_| self.fin) {
                        Some(open) => data_message(open.text, open.tail, open.bytes.freeze())?,
                        None => continue,
                    }
                }
            };
            self.frame = None;
            return Ok(Some(message));
        }
    }

    /// How many bytes are missing from the current frame; 0 between frames. Tells the caller how much to
    /// read.
    pub fn missing_bytes(&self, buf: &BytesMut) -> usize {
        match (self.frame, &self.open) {
            (None, _) => 0,
            (Some(Opcode::Continuation), _) => (self.payload_bytes - self.unmasked_bytes) as usize,
            (Some(Opcode::Text | Opcode::Binary), _) if !self.fin => {
                (self.payload_bytes - self.unmasked_bytes) as usize
            }
            (Some(_), _) => (self.payload_bytes as usize).saturating_sub(buf.len()),
        }
    }

    /// Reads the next header, if it is complete.
    fn start_frame(&mut self, buf: &mut BytesMut) -> Result<bool, Violation> {
        let progress = self
            .open
            .as_ref()
            .map(|open| FragmentProgress { bytes: open.bytes.len(), fragments: open.fragments });
        let Some(head) = frame_header::read_header(buf, progress, self.limits)? else {
            return Ok(false);
        };
        buf.advance(head.header_bytes);
        self.mask = head.mask;
        self.payload_bytes = head.payload_bytes;
        self.unmasked_bytes = 0;
        self.tail = 0;
        self.fin = head.fin;
        self.frame = Some(head.opcode);
        match head.opcode {
            Opcode::Text | Opcode::Binary if !head.fin => {
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

    /// Unmasks the received part of the payload in place, and validates it if it is text.
    fn check_partial_text(&mut self, opcode: Opcode, buf: &mut BytesMut) -> Result<(), Violation> {
        let from = self.unmasked_bytes as usize;
        self.unmask_in_place(buf);
        if opcode == Opcode::Text {
            self.tail = utf8_tail(&buf[from - usize::from(self.tail)..self.unmasked_bytes as usize])?;
        }
        Ok(())
    }

    /// Splits off the unmasked payload once it is complete.
    fn whole_payload(&mut self, buf: &mut BytesMut) -> Option<Bytes> {
        self.unmask_in_place(buf);
        (self.unmasked_bytes == self.payload_bytes)
            .then(|| buf.split_to(self.unmasked_bytes as usize).freeze())
    }

    fn unmask_in_place(&mut self, buf: &mut BytesMut) {
        let from = self.unmasked_bytes as usize;
        let to = buf.len().min(self.payload_bytes as usize);
        unmask(&mut buf[from..to], rotated(self.mask, self.unmasked_bytes));
        self.unmasked_bytes = to as u32;
    }

    /// Moves the received part of a fragment into the open message. Returns whether the frame is complete.
    fn move_fragment(&mut self, buf: &mut BytesMut) -> Result<bool, Violation> {
        let open = self.open.as_mut().expect("a fragment's header opened the message");
        let missing = (self.payload_bytes - self.unmasked_bytes) as usize;
        let here = missing.min(buf.len());
        unmask(&mut buf[..here], rotated(self.mask, self.unmasked_bytes));
        let unchecked = open.bytes.len() - usize::from(open.tail);
        open.bytes.extend_from_slice(&buf[..here]);
        buf.advance(here);
        self.unmasked_bytes += here as u32;
        if open.text {
            open.tail = utf8_tail(&open.bytes[unchecked..])?;
        }
        Ok(here == missing)
    }
}

/// Builds a message from a complete payload that has been validated as text up to `tail`.
fn data_message(text: bool, tail: u8, payload: Bytes) -> Result<WsMessage, Violation> {
    match (text, tail) {
        (true, 0) => Ok(WsMessage::Text(Text(payload))),
        (true, _) => Err(Violation::BAD_UTF8),
        (false, _) => Ok(WsMessage::Binary(payload)),
    }
}

fn control_message(opcode: Opcode, payload: Bytes) -> Result<WsMessage, Violation> {
    match opcode {
        Opcode::Ping => Ok(WsMessage::Ping(payload)),
        Opcode::Pong => Ok(WsMessage::Pong),
        _ => close_message(payload).map(WsMessage::Close),
    }
}

fn close_message(mut payload: Bytes) -> Result<Option<CloseFrame>, Violation> {
    match payload.len() {
        0 => return Ok(None),
        1 => return Err(Violation::protocol("close frame of one byte")),
        _ => {}
    }
    let code = payload.get_u16();
    // RFC 6455, 7.4: the other codes are reserved, or are never sent on the wire.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::protocol("close code not allowed"));
    }
    if str::from_utf8(&payload).is_err() {
        return Err(Violation::BAD_UTF8);
    }
    let reason = Text(payload);
    Ok(Some(CloseFrame { code, reason }))
}

/// Validates UTF-8 that may be cut off at its end. Returns how many of the last bytes begin an incomplete
/// code point.
fn utf8_tail(bytes: &[u8]) -> Result<u8, Violation> {
    match str::from_utf8(bytes) {
        Ok(_) => Ok(0),
        Err(error) if error.error_len().is_none() => Ok((bytes.len() - error.valid_up_to()) as u8),
        Err(_) => Err(Violation::BAD_UTF8),
    }
}

/// The mask for the payload from byte `at` on.
fn rotated(mask: [u8; 4], at: u32) -> [u8; 4] {
    u32::from_be_bytes(mask).rotate_left(8 * (at % 4)).to_be_bytes()
}

/// Masks or unmasks eight bytes at a time; the compiler vectorizes the loop.
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

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
