//! Bytes as a peer sends them: no panic, no memory past the limits, and the same outcome however the
//! stream is cut. The first byte is the size of the pieces, the rest the stream.

#![no_main]

use aristay_chat_fuzz::{
    framing::{Decoder, Incoming},
    guard::{Rules, Violation},
};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer reaches every limit.
static RULES: Rules = Rules {
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

fn feed(stream: &[u8], piece: usize) -> (Vec<Incoming>, Option<Violation>) {
    let mut decoder = Decoder::new(&RULES);
    let mut buf = BytesMut::new();
    let mut seen = Vec::new();
    for bytes in stream.chunks(piece) {
        buf.extend_from_slice(bytes);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(Incoming::Text(text))) => {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                    assert!(text.len() <= RULES.message_bytes_max as usize);
                    seen.push(Incoming::Text(text));
                }
                Ok(Some(incoming)) => seen.push(incoming),
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation)),
            }
        }
        assert!(buf.len() <= RULES.frame_bytes_max as usize + 14);
    }
    (seen, None)
}
