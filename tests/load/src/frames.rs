//! The frames of the chat, as far as the load generator needs them.

use std::io::Write;

use memchr::memmem;

/// Precedes the time in a text.
const MARK: &[u8] = b"~at:";
/// Digits of the time.
const TIME_DIGITS: usize = 16;
const CHAT_MESSAGE: &[u8] = br#"{"type":"chat_message","room_id":""#;
/// Length of a room id.
pub(crate) const ROOM_ID: usize = 36;

/// What a frame from the server says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServerFrame<'a> {
    /// A message at a position of a room, with its send time on the loader's clock if it has one.
    Message { room: &'a [u8], seq: i64, sent_ns: Option<u64> },
    /// The socket is open; a room socket also gets the head of the room.
    Established { seq: Option<i64> },
    /// The room is received from this position on.
    Subscribed { room: &'a [u8], seq: i64 },
    /// The replay is complete.
    Synced,
    /// Too much was missed for a replay.
    Reset,
    /// A command was committed.
    Ack,
    /// A command or frame was refused.
    Refused,
    /// A command was refused because too many are waiting.
    Overloaded,
    /// A signal or a list.
    Other,
}

/// Parses the payload of a frame.
pub(crate) fn read(payload: &[u8]) -> ServerFrame<'_> {
    if let Some(rest) = payload.strip_prefix(CHAT_MESSAGE) {
        let (Some(room), Some(seq)) = (rest.get(..ROOM_ID), number_after(rest, br#""seq":"#)) else {
            return ServerFrame::Other;
        };
        return ServerFrame::Message { room, seq, sent_ns: sent(rest) };
    }
    let kind = payload.strip_prefix(br#"{"type":""#).unwrap_or_default();
    let is = |name: &[u8]| kind.starts_with(name) && kind.get(name.len()) == Some(&b'"');
    if is(b"ack") {
        ServerFrame::Ack
    } else if is(b"connection_established") {
        ServerFrame::Established { seq: number_after(payload, br#""seq":"#) }
    } else if is(b"subscribed") {
        let room = memmem::find(payload, br#""room_id":""#).and_then(|at| payload.get(at + 11..at + 47));
        match (room, number_after(payload, br#""seq":"#)) {
            (Some(room), Some(seq)) => ServerFrame::Subscribed { room, seq },
            _ => ServerFrame::Other,
        }
    } else if is(b"synced") {
        ServerFrame::Synced
    } else if is(b"reset") {
        ServerFrame::Reset
    } else if is(b"error") && memmem::find(payload, br#""code":"overloaded""#).is_some() {
        ServerFrame::Overloaded
    } else if is(b"error") {
        ServerFrame::Refused
    } else {
        ServerFrame::Other
    }
}

fn number_after(text: &[u8], name: &[u8]) -> Option<i64> {
    let digits = &text[memmem::find(text, name)? + name.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

fn sent(text: &[u8]) -> Option<u64> {
    let at = memmem::find(text, MARK)? + MARK.len();
    let digits = std::str::from_utf8(text.get(at..at + TIME_DIGITS)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Writes a message with a text of `length` bytes that contains its send time. On a user socket it names the
/// room.
pub(crate) fn message(
    out: &mut Vec<u8>,
    room: Option<&str>,
    client_id: Option<u128>,
    now_ns: u64,
    length: usize,
) {
    let mut payload = Vec::with_capacity(length + 160);
    let mut put = |part: &[u8]| payload.extend_from_slice(part);
    put(br#"{"type":"chat_message","#);
    if let Some(room) = room {
        put(format!(r#""room_id":"{room}","#).as_bytes());
    }
    if let Some(id) = client_id {
        put(format!(r#""client_id":"{}","#, uuid::Uuid::from_u128(id)).as_bytes());
    }
    let head = format!("{}{now_ns:016x} ", String::from_utf8_lossy(MARK));
    put(format!(r#""message":"{head:x<length$}"}}"#).as_bytes());
    frame(out, 1, &payload);
}

/// Writes a subscription to a room.
pub(crate) fn subscribe(out: &mut Vec<u8>, room: &str) {
    frame(out, 1, format!(r#"{{"type":"subscribe","room_id":"{room}"}}"#).as_bytes());
}

/// Writes a frame as a client sends it, masked with zeros, which change nothing.
pub(crate) fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | u8::try_from(length).expect("the arm's range fits")),
        length => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).expect("texts are short").to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.write_all(payload).expect("memory takes it");
}

/// The first frame in `bytes`: its opcode, payload and total length.
pub(crate) fn first(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (opcode, short) = (bytes.first()? & 15, usize::from(bytes.get(1)? & 127));
    let (header, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short),
    };
    Some((opcode, bytes.get(header..header + length)?, header + length))
}
