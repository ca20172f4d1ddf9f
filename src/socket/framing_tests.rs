//! Tests of [`super`]: messages are decoded, and no segmentation of the stream changes the result.

use actors::protocol::close::CloseCode;
use actors::protocol::codec;
use proptest::prelude::*;

use super::*;
use crate::socket::frame_header::CHAT_FRAME_LIMITS;

const FIN: u8 = 0x80;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0xa1, 0x02, 0x7f, 0xc4];
    let unmasked = codec::text(payload);
    let mut bytes = unmasked[..unmasked.len() - payload.len()].to_vec();
    bytes[0] = first;
    bytes[1] |= 0x80;
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// Decodes `chunks` and returns the messages, and the code of the first violation.
fn feed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<WsMessage>, Option<u16>) {
    let mut decoder = FrameDecoder::new(&CHAT_FRAME_LIMITS);
    let mut buf = BytesMut::new();
    let mut seen = Vec::new();
    for chunk in chunks {
        buf.extend_from_slice(chunk);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(message)) => seen.push(message),
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation.code)),
            }
        }
        assert!(buf.len() <= 64 * 1024 + 14, "an incomplete frame within the limits");
        let open = decoder.open.as_ref().map_or(0, |open| open.bytes.len());
        assert!(open <= 64 * 1024, "an open message within the limits");
    }
    (seen, None)
}

fn text(text: &str) -> WsMessage {
    WsMessage::Text(Text(Bytes::copy_from_slice(text.as_bytes())))
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<FrameDecoder>() <= 32, "{}", size_of::<FrameDecoder>());
}

#[test]
fn messages_and_control_frames_are_decoded_in_order() {
    let stream = [
        frame(FIN | 1, "grüß dich".as_bytes()),
        frame(1, "frag".as_bytes()),
        frame(FIN | 9, b"still there?"),
        frame(0, b""),
        frame(FIN, "ments".as_bytes()),
        frame(FIN | 10, b"unasked"),
        frame(FIN | 1, b""),
        frame(FIN | 8, b"\x03\xe8bye"),
    ]
    .concat();
    let (seen, violation) = feed([&stream[..]]);
    let bye = CloseFrame { code: 1000, reason: Text(Bytes::from_static(b"bye")) };
    assert_eq!(violation, None);
    assert_eq!(
        seen,
        [
            text("grüß dich"),
            WsMessage::Ping(Bytes::from_static(b"still there?")),
            text("fragments"),
            WsMessage::Pong,
            text(""),
            WsMessage::Close(Some(bye)),
        ]
    );
}

#[test]
fn close_payloads_are_validated() {
    let table: &[(&[u8], Result<(), u16>)] = &[
        (b"", Ok(())),
        (b"\x03", Err(1002)),
        (b"\x03\xe8", Ok(())),
        (b"\x03\xed", Err(1002)),
        (b"\x00\x00", Err(1002)),
        (b"\x0b\xb7", Err(1002)),
        (b"\x0f\xa0", Ok(())),
        (b"\x13\x88", Err(1002)),
        (b"\x03\xe8\xff", Err(1007)),
    ];
    for (payload, expected) in table {
        let (seen, violation) = feed([&frame(FIN | 8, payload)[..]]);
        assert_eq!(violation.map_or(Ok(()), Err), *expected, "{payload:?}");
        assert_eq!(seen.len(), usize::from(expected.is_ok()), "{payload:?}");
    }
}

#[test]
fn invalid_utf8_fails_before_the_message_is_complete() {
    let whole = frame(FIN | 1, b"fine so far \xed\xa0\x80 and then a lot more text");
    let (_, violation) = feed([&whole[..6 + 14]]);
    assert_eq!(violation, Some(1007), "within a frame");

    let first = frame(1, b"ok \xf4");
    assert_eq!(feed([&first[..]]).1, None, "may still become a code point");
    let second = frame(0, b"\x90 rest");
    assert_eq!(feed([&first[..], &second[..7]]).1, Some(1007), "across fragments");

    assert_eq!(feed([&frame(FIN | 1, b"cut \xe2\x82")[..]]).1, Some(1007), "cut at the end");
    let cut = [frame(1, b"\xe2\x82"), frame(FIN, b"")].concat();
    assert_eq!(feed([&cut[..]]).1, Some(1007), "cut at the last fragment's end");
    let joined = [frame(1, b"\xe2"), frame(0, b"\x82"), frame(FIN, b"\xac")].concat();
    assert_eq!(feed([&joined[..]]), (vec![text("€")], None), "joined of three fragments");
}

#[test]
fn limits_hold_over_fragments() {
    let piece = vec![b'x'; 1024];
    let mut stream = frame(1, &piece);
    for _ in 0..62 {
        stream.extend(frame(0, &piece));
    }
    let fits = [stream.clone(), frame(FIN, &piece)].concat();
    let (seen, violation) = feed([&fits[..]]);
    assert_eq!((seen.len(), violation), (1, None), "64 fragments, 64 KiB");
    let endless = [stream.clone(), frame(0, b""), frame(0, b"")].concat();
    assert_eq!(feed([&endless[..]]).1, Some(1009), "a 65th fragment");
    let long = [stream, frame(FIN, &vec![b'x'; 1025])].concat();
    assert_eq!(feed([&long[..]]).1, Some(1009), "a byte over 64 KiB");
}

#[test]
fn missing_bytes_tell_how_much_to_read() {
    let stream = frame(FIN | 1, &[b'x'; 1000]);
    let mut decoder = FrameDecoder::new(&CHAT_FRAME_LIMITS);
    let mut buf = BytesMut::from(&stream[..108]);
    assert_eq!(decoder.missing_bytes(&buf), 0);
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    assert_eq!(decoder.missing_bytes(&buf), 900);
}

#[test]
fn encoded_frames_have_the_shortest_header() {
    assert_eq!(codec::text(b"hi")[..], *b"\x81\x02hi");
    assert_eq!(codec::text(&[b'x'; 125])[..2], *b"\x81\x7d");
    assert_eq!(codec::text(&[b'x'; 126])[..4], *b"\x81\x7e\x00\x7e");
    assert_eq!(codec::text(&vec![b'x'; 65_536])[..10], *b"\x81\x7f\0\0\0\0\0\x01\0\0");
    assert_eq!(codec::pong(b"p")[..], *b"\x8a\x01p");
    assert_eq!(codec::ping()[..], *b"\x89\x00");
    assert_eq!(codec::close_because(CloseCode::NotInRoom, "no")[..], *b"\x88\x04\x11\x33no");
}

#[test]
fn unmasking_agrees_with_the_definition() {
    let mask = [1, 2, 3, 250];
    for len in 0..40_usize {
        for at in 0..5_usize {
            let mut bytes: Vec<u8> = (0..len as u8).collect();
            unmask(&mut bytes, rotated(mask, at as u32));
            let expected: Vec<u8> = (0..len).map(|i| i as u8 ^ mask[(at + i) % 4]).collect();
            assert_eq!(bytes, expected, "{len} bytes from {at}");
        }
    }
}

/// Streams of mostly valid frames, with some invalid ones.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => (0..70_000_usize).prop_map(|len| vec![b'x'; len]),
    ];
    let first = prop_oneof![
        6 => Just(FIN | 1), 3 => Just(1_u8), 4 => Just(0), 3 => Just(FIN),
        2 => Just(FIN | 9), 1 => Just(FIN | 10), 1 => Just(FIN | 8), 1 => any::<u8>(),
    ];
    prop::collection::vec((first, payload), 0..12)
        .prop_map(|frames| frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect())
}

fn cut<'a>(mut stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (chunk, rest) = stream.split_at((*size).min(stream.len()));
        chunks.push(chunk);
        stream = rest;
    }
    chunks
}

proptest! {
    #[test]
    fn every_segmentation_of_a_stream_decodes_the_same(
        stream in stream(),
        sizes in prop::collection::vec(1..300_usize, 1..20),
    ) {
        let whole = feed(cut(&stream, &[16 * 1024]));
        prop_assert_eq!(feed(cut(&stream, &sizes)), whole);
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        size in 1..500_usize,
    ) {
        feed(cut(&bytes, &[size]));
    }

    #[test]
    fn masked_messages_are_decoded(message in "\\PC{0,2000}") {
        let (seen, violation) = feed([&frame(FIN | 1, message.as_bytes())[..]]);
        prop_assert_eq!((seen, violation), (vec![text(&message)], None));
    }
}
