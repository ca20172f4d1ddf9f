//! Parses the header of a WebSocket frame and validates it before the payload has arrived.
//!
//! A codec that checks the size of a complete frame lets a client that announces a gigabyte fill the memory
//! up to that size. Here everything that a header reveals is checked as soon as its bytes have arrived, and
//! in a fixed order, so that the result doesn't depend on how the stream was segmented.
//! [`super::framing::FrameDecoder`] is the only caller.

use thiserror::Error;

/// Protocol error (RFC 6455, 7.4.1).
pub const CLOSE_PROTOCOL: u16 = 1002;
/// Unsupported data: a binary message.
pub const CLOSE_UNSUPPORTED: u16 = 1003;
/// Text that is not valid UTF-8.
pub const CLOSE_BAD_UTF8: u16 = 1007;
/// A frame or message over the limit.
pub const CLOSE_TOO_BIG: u16 = 1009;

/// Maximum payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a socket accepts from its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLimits {
    /// Maximum payload of a frame in bytes.
    pub frame_bytes_max: u32,
    /// Maximum size of a message in bytes, over all of its fragments.
    pub message_bytes_max: u32,
    /// Maximum number of frames of one message.
    pub fragments_max: u32,
    /// Whether binary messages are accepted; the chat uses text only.
    pub binary: bool,
}

/// The limits of the chat protocol: 64 KiB of text in at most 64 fragments.
pub static CHAT_FRAME_LIMITS: FrameLimits = FrameLimits {
    frame_bytes_max: 64 * 1024,
    message_bytes_max: 64 * 1024,
    fragments_max: 64,
    binary: false,
};

/// Why a connection must be closed, and with which code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} ({code})")]
pub struct Violation {
    /// The close code to send.
    pub code: u16,
    /// A fixed text, which contains nothing from the client.
    pub reason: &'static str,
}

impl Violation {
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { code: CLOSE_PROTOCOL, reason }
    }

    pub(super) const BAD_UTF8: Self = Self { code: CLOSE_BAD_UTF8, reason: "text is not utf-8" };

    const fn too_big(reason: &'static str) -> Self {
        Self { code: CLOSE_TOO_BIG, reason }
    }
}

/// The opcode of a frame (RFC 6455, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// A valid frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: [u8; 4],
    /// Length of the payload that follows.
    pub(super) payload_bytes: u32,
    /// Length of the header itself.
    pub(super) header_bytes: usize,
}

/// What has been received of a fragmented message.
#[derive(Debug, Clone, Copy)]
pub(super) struct FragmentProgress {
    pub(super) bytes: usize,
    pub(super) fragments: u32,
}

/// Parses the header at the front of `bytes`; `None` while it is incomplete.
///
/// `open` is the fragmented message that the frame may continue.
///
/// # Errors
/// The [`Violation`] in the header, as soon as the bytes that reveal it have arrived.
pub(super) fn read_header(
    bytes: &[u8],
    open: Option<FragmentProgress>,
    limits: &FrameLimits,
) -> Result<Option<FrameHeader>, Violation> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::protocol("reserved opcode"))?;
    if second & 0x80 == 0 {
        return Err(Violation::protocol("frame is not masked"));
    }
    let fin = first & 0x80 != 0;
    let length_code = second & 0x7f;
    check_opcode(opcode, fin, length_code, open.is_some(), limits)?;

    let (length, length_bytes) = match (length_code, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (length, 8)
        }
        (126 | 127, _) => return Ok(None),
        (length_code, _) => (u64::from(length_code), 0),
    };
    let payload_bytes = check_length(opcode, length, open, limits)?;
    if (length_bytes == 2 && length < 126) || (length_bytes == 8 && length <= 0xffff) {
        return Err(Violation::protocol("length is not in its shortest form"));
    }

    let Some([a, b, c, d]) = rest.get(length_bytes..length_bytes + 4) else {
        return Ok(None);
    };
    Ok(Some(FrameHeader {
        opcode,
        fin,
        mask: [*a, *b, *c, *d],
        payload_bytes,
        header_bytes: 2 + length_bytes + 4,
    }))
}

/// Checks the first two bytes: whether a frame of this kind may occur here.
fn check_opcode(
    opcode: Opcode,
    fin: bool,
    length_code: u8,
    message_open: bool,
    limits: &FrameLimits,
) -> Result<(), Violation> {
    if opcode.is_control() {
        if !fin {
            return Err(Violation::protocol("fragmented control frame"));
        }
        if usize::from(length_code) > CONTROL_BYTES_MAX {
            return Err(Violation::protocol("control frame over 125 bytes"));
        }
        return Ok(());
    }
    match opcode {
        Opcode::Continuation if !message_open => Err(Violation::protocol("continuation of nothing")),
        Opcode::Text | Opcode::Binary if message_open => {
            Err(Violation::protocol("new message inside a fragmented one"))
        }
        Opcode::Binary if !limits.binary => {
            Err(Violation { code: CLOSE_UNSUPPORTED, reason: "binary is not taken" })
        }
        _ => Ok(()),
    }
}

/// Checks the announced length, also together with the preceding fragments.
fn check_length(
    opcode: Opcode,
    length: u64,
    open: Option<FragmentProgress>,
    limits: &FrameLimits,
) -> Result<u32, Violation> {
    let length = u32::try_from(length)
        .ok()
        .filter(|length| *length <= limits.frame_bytes_max)
        .ok_or(Violation::too_big("frame over the limit"))?;
    if opcode.is_control() {
        return Ok(length);
    }
    let before = open.unwrap_or(FragmentProgress { bytes: 0, fragments: 0 });
    if before.fragments >= limits.fragments_max {
        return Err(Violation::too_big("too many fragments"));
    }
    if before.bytes as u64 + u64::from(length) > u64::from(limits.message_bytes_max) {
        return Err(Violation::too_big("message over the limit"));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bytes: &[u8]) -> Result<Option<FrameHeader>, u16> {
        read_header(bytes, None, &CHAT_FRAME_LIMITS).map_err(|violation| violation.code)
    }

    #[test]
    fn a_header_is_validated_before_its_payload_arrives() {
        let table: &[(&str, &[u8], Result<bool, u16>)] = &[
            ("nothing yet", &[], Ok(false)),
            ("one byte", &[0x81], Ok(false)),
            ("short text", &[0x81, 0x85, 1, 2, 3, 4], Ok(true)),
            ("mask key incomplete", &[0x81, 0x85, 1, 2, 3], Ok(false)),
            ("unmasked", &[0x81, 0x05], Err(1002)),
            ("rsv1", &[0xc1, 0x85], Err(1002)),
            ("rsv2", &[0xa1, 0x85], Err(1002)),
            ("rsv3", &[0x91, 0x85], Err(1002)),
            ("reserved data opcode", &[0x83, 0x80], Err(1002)),
            ("reserved control opcode", &[0x8b, 0x80], Err(1002)),
            ("binary", &[0x82, 0x85], Err(1003)),
            ("continuation of nothing", &[0x80, 0x85], Err(1002)),
            ("fragmented ping", &[0x09, 0x80], Err(1002)),
            ("long ping", &[0x89, 0xfe], Err(1002)),
            ("16-bit length cut", &[0x81, 0xfe, 1], Ok(false)),
            ("16-bit length", &[0x81, 0xfe, 1, 0, 9, 9, 9, 9], Ok(true)),
            ("16-bit length for 125", &[0x81, 0xfe, 0, 125], Err(1002)),
            ("64 KiB", &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9], Ok(true)),
            ("a byte more", &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1], Err(1009)),
            ("1 GiB", &[0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0], Err(1009)),
            ("2^64 - 1", &[0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255], Err(1009)),
            ("64-bit length for 9", &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 9], Err(1002)),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(verdict(bytes).map(|head| head.is_some()), *expected, "{name}");
        }
    }

    #[test]
    fn fragments_are_limited_by_number_and_total_size() {
        let after = |bytes, fragments, frame: &[u8]| {
            let open = Some(FragmentProgress { bytes, fragments });
            read_header(frame, open, &CHAT_FRAME_LIMITS)
                .map(|head| head.is_some())
                .map_err(|violation| violation.code)
        };
        let continuation = [0x80, 0x81, 1, 2, 3, 4];
        assert_eq!(after(65_535, 63, &continuation), Ok(true));
        assert_eq!(after(65_536, 2, &continuation), Err(1009));
        assert_eq!(after(0, 64, &continuation), Err(1009));
        assert_eq!(after(0, 1, &[0x81, 0x81]), Err(1002));
        assert_eq!(after(65_536, 64, &[0x89, 0x80, 1, 2, 3, 4]), Ok(true));
    }
}
