//! Encoding: a frame becomes the bytes of one WebSocket text frame, once for all receivers.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::close::CloseCode;
use super::server::ServerFrame;
use crate::domain::ids::{ClientId, RoomId};
use crate::error::{EngineError, ErrorCode};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;
/// The longest header of an unmasked frame.
const HEADER_MAX: usize = 10;

/// Encodes a frame as one WebSocket text frame, header included.
#[must_use]
pub fn encode(frame: &impl Serialize) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    out.put_bytes(0, HEADER_MAX);
    let mut writer = out.writer();
    write_json(&mut writer, frame);
    seal(TEXT, writer.into_inner())
}

/// Encodes a frame as JSON alone, for REST.
#[must_use]
pub fn encode_json(frame: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_json(&mut out, frame);
    out
}

/// The error frame of an engine error.
#[must_use]
pub fn engine_error(error: &EngineError, room_id: Option<RoomId>, client_id: Option<ClientId>) -> Bytes {
    self::error(error.code(), &error.to_string(), room_id, client_id, error.retry_after())
}

/// An error frame. `retry_after` is sent in seconds, rounded up to the millisecond.
#[must_use]
pub fn error(
    code: ErrorCode,
    message: &str,
    room_id: Option<RoomId>,
    client_id: Option<ClientId>,
    retry_after: Option<Duration>,
) -> Bytes {
    let retry_after = retry_after.map(|after| (after.as_secs_f64() * 1_000.0).ceil() / 1_000.0);
    encode(&ServerFrame::Error { code, message, room_id, client_id, retry_after })
}

fn write_json(out: impl std::io::Write, frame: &impl Serialize) {
    serde_json::to_writer(out, frame).expect("frames are plain structs with string keys, written to memory");
}

/// Puts the header in front of a payload that has left room for it.
fn seal(opcode: u8, mut out: BytesMut) -> Bytes {
    let length = out.len() - HEADER_MAX;
    let header = header(opcode, length);
    let start = HEADER_MAX - header.len();
    out[start..HEADER_MAX].copy_from_slice(&header);
    out.freeze().slice(start..)
}

fn header(opcode: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_MAX);
    header.push(opcode);
    match length {
        0..126 => header.push(u8::try_from(length).expect("the arm's range fits")),
        126..65_536 => {
            header.push(126);
            header.extend_from_slice(&u16::try_from(length).expect("the arm's range fits").to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header
}

/// A text frame of `payload`, which is UTF-8.
#[must_use]
pub fn text(payload: &[u8]) -> Bytes {
    control_or_text(TEXT, payload)
}

/// A close frame.
#[must_use]
pub fn close(code: CloseCode) -> Bytes {
    close_because(code, code.reason())
}

/// A close frame with a reason of its own, of at most 123 bytes.
#[must_use]
pub fn close_because(code: CloseCode, reason: &str) -> Bytes {
    let mut payload = code.code().to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    control_or_text(CLOSE, &payload)
}

/// A ping of the WebSocket protocol.
#[must_use]
pub fn ping() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// A pong of the WebSocket protocol.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    control_or_text(PONG, payload)
}

fn control_or_text(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = header(opcode, payload.len());
    out.extend_from_slice(payload);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_header_and_json() {
        assert_eq!(
            &encode(&ServerFrame::Pong { n: Some(7.into()) })[..],
            b"\x81\x15{\"type\":\"pong\",\"n\":7}"
        );
    }

    #[test]
    fn headers_grow_with_the_payload() {
        assert_eq!(text(&[b'a'; 125])[..2], [0x81, 125]);
        assert_eq!(text(&[b'a'; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(text(&vec![b'a'; 70_000])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(close(CloseCode::Restarting)[..4], [0x88, 12, 0x03, 0xF4]);
    }
}
