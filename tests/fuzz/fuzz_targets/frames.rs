//! Bytes from a client: no panic, no memory beyond the limits, and the same result however the stream is
//! segmented. The first byte is the size of the segments, the rest the stream.

#![no_main]

use aristay_chat_fuzz::{
    framing::{FrameDecoder, WsMessage},
    frame_header::{FrameLimits, Violation},
};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer reaches every limit.
static LIMITS: FrameLimits = FrameLimits {
    frame_bytes_max: 300,
    message_bytes_max: 500,
    fragments_max: 4,
    binary: false,
};

fuzz_target!(|input: &[u8]| {
    let Some((piece, stream)) = input.split_first() else {
        return;
    };
    let whole = feed(stream, stream.len().max(1));
    assert_eq!(feed(stream, usize::from(*piece).max(1)), whole);
});

fn feed(stream: &[u8], piece: usize) -> (Vec<WsMessage>, Option<Violation>) {
    let mut decoder = FrameDecoder::new(&LIMITS);
    let mut buf = BytesMut::new();
    let mut seen = Vec::new();
    for bytes in stream.chunks(piece) {
        buf.extend_from_slice(bytes);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(WsMessage::Text(text))) => {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                    assert!(text.len() <= LIMITS.message_bytes_max as usize);
                    seen.push(WsMessage::Text(text));
                }
                Ok(Some(message)) => seen.push(message),
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation)),
            }
        }
        assert!(buf.len() <= LIMITS.frame_bytes_max as usize + 14);
    }
    (seen, None)
}
