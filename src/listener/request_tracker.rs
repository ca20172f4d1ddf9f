//! Follows the requests on a connection closely enough to know where each head begins and ends.
//!
//! The HTTP parser accepts a bare line feed as a line ending, applies its timeout to the first head only,
//! lets a head grow to 128 KiB, and rejects unencoded non-ASCII characters in a request target, which curl
//! and several browsers send. The tracker sees the bytes before the parser does and handles these cases.
//! Everything else is left to the parser, which rejects whatever it can't frame and closes the connection.

mod body_framing;

use std::ops::Range;

use memchr::memchr;

use self::body_framing::{BodyFraming, chunk_size};

/// Bytes of a request head. A token takes at most 4 KiB; no valid path or query needs more than the rest.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a line between the chunks of a chunked body.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// Why a head is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// A line ends in a line feed without a carriage return. A proxy in front of this server may frame such a
    /// request differently (request smuggling).
    BareLineFeed,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    TooLong,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// After the last chunk.
    Trailer,
    /// No more requests: the connection was upgraded, or the parser will close it.
    Opaque,
}

/// The position within the requests of a connection.
#[derive(Debug)]
pub struct RequestTracker {
    state: ParserState,
    framing: BodyFraming,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Bytes received of the current head, chunk line or trailer.
    bytes: usize,
    /// Number of heads received.
    count: u64,
    /// Whether the next line is a request line.
    is_request_line: bool,
    /// Whether request targets may still be rewritten: only while the boundaries of all requests are
    /// unambiguous.
    may_encode: bool,
    /// Where the most recent bytes contain request lines with non-ASCII characters.
    non_ascii: Vec<Range<usize>>,
}

impl RequestTracker {
    /// A tracker at the start of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: ParserState::Head,
            framing: BodyFraming::default(),
            line: Vec::new(),
            bytes: 0,
            count: 0,
            is_request_line: true,
            may_encode: true,
            non_ascii: Vec::new(),
        }
    }

    /// Whether a head has begun and not ended.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.state == ParserState::Head && self.bytes > 0
    }

    /// Number of heads received.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether a body has begun and not ended.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        !matches!(self.state, ParserState::Head | ParserState::Opaque)
    }

    /// The most recent bytes with the non-ASCII characters of request lines percent-encoded; `None` if there
    /// are none.
    #[must_use]
    pub fn percent_encoded(&self, received: &[u8]) -> Option<Vec<u8>> {
        if self.non_ascii.is_empty() {
            return None;
        }
        let mut percent_encoded = Vec::with_capacity(received.len() * 3);
        let mut at = 0;
        for non_ascii in &self.non_ascii {
            percent_encoded.extend_from_slice(&received[at..non_ascii.start]);
            for byte in &received[non_ascii.clone()] {
                match byte {
                    0x80.. => percent_encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                    _ => percent_encoded.push(*byte),
                }
            }
            at = non_ascii.end;
        }
        percent_encoded.extend_from_slice(&received[at..]);
        Some(percent_encoded)
    }

    /// Advances over received bytes.
    ///
    /// # Errors
    /// How many of the bytes the parser may have, and what is wrong with the head behind them.
    pub fn advance(&mut self, received: &[u8]) -> Result<(), (usize, BadHead)> {
        self.non_ascii.clear();
        let mut at = 0;
        while let Some(rest) = received.get(at..).filter(|rest| !rest.is_empty()) {
            let left = rest.len() as u64;
            match &mut self.state {
                ParserState::Opaque => return Ok(()),
                ParserState::Body(length) | ParserState::ChunkData(length) if *length > left => {
                    *length -= left;
                    return Ok(());
                }
                ParserState::Body(length) => {
                    at += usize::try_from(*length).unwrap_or(rest.len());
                    self.enter_state(ParserState::Head);
                }
                ParserState::ChunkData(length) => {
                    at += usize::try_from(*length).unwrap_or(rest.len());
                    self.enter_state(ParserState::ChunkSize);
                }
                ParserState::Head | ParserState::ChunkSize | ParserState::Trailer => {
                    let is_address =
                        self.state == ParserState::Head && self.is_request_line && self.may_encode;
                    let taken = self.take_line(rest).map_err(|bad| (at, bad))?;
                    if is_address && !rest[..taken].is_ascii() {
                        self.non_ascii.push(at..at + taken);
                    }
                    at += taken;
                }
            }
        }
        Ok(())
    }

    fn enter_state(&mut self, state: ParserState) {
        self.state = state;
        self.bytes = 0;
        self.framing = BodyFraming::default();
        self.is_request_line = true;
    }

    /// Takes one line, or the received part of one, and returns its length.
    fn take_line(&mut self, rest: &[u8]) -> Result<usize, BadHead> {
        let end = memchr(b'\n', rest);
        let taken = end.map_or(rest.len(), |end| end + 1);
        self.bytes += taken;
        let max = if self.state == ParserState::ChunkSize { CHUNK_LINE_BYTES_MAX } else { HEAD_BYTES_MAX };
        if self.bytes > max {
            return Err(BadHead::TooLong);
        }
        let Some(end) = end else {
            self.line.extend_from_slice(rest);
            return Ok(taken);
        };
        let whole = &rest[..end];
        let begun = std::mem::take(&mut self.line);
        let line = if begun.is_empty() { whole } else { &[&begun, whole].concat() };
        let Some(line) = line.strip_suffix(b"\r") else { return Err(BadHead::BareLineFeed) };
        self.read_line(line);
        Ok(taken)
    }

    fn read_line(&mut self, line: &[u8]) {
        match self.state {
            ParserState::Head if !line.is_empty() => {
                self.framing.read(line);
                self.is_request_line = false;
            }
            // Empty lines before a request are ignored (RFC 9112, 2.2).
            ParserState::Head if self.bytes == 2 => self.bytes = 0,
            ParserState::Head => {
                let BodyFraming { length, is_chunked, becomes_opaque, is_ambiguous, .. } = self.framing;
                self.count += 1;
                self.may_encode &= !(is_ambiguous || is_chunked || becomes_opaque);
                self.enter_state(match length {
                    _ if is_chunked => ParserState::ChunkSize,
                    _ if becomes_opaque => ParserState::Opaque,
                    0 => ParserState::Head,
                    length => ParserState::Body(length),
                });
            }
            ParserState::ChunkSize => match chunk_size(line) {
                // The data and the line ending behind it.
                Some(size @ 1..) => self.enter_state(ParserState::ChunkData(size.saturating_add(2))),
                Some(0) => self.enter_state(ParserState::Trailer),
                None => self.enter_state(ParserState::Opaque),
            },
            ParserState::Trailer if line.is_empty() => self.enter_state(ParserState::Head),
            ParserState::Trailer | ParserState::Body(_) | ParserState::ChunkData(_) | ParserState::Opaque => {
            }
        }
    }
}

impl Default for RequestTracker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{BadHead, HEAD_BYTES_MAX, RequestTracker};

    /// Advances over the bytes in pieces of this size; the error holds the position of the rejected byte.
    fn advance(bytes: &[u8], piece: usize) -> Result<RequestTracker, (usize, BadHead)> {
        let mut tracker = RequestTracker::new();
        for (n, piece_bytes) in bytes.chunks(piece).enumerate() {
            tracker.advance(piece_bytes).map_err(|(at, bad)| (n * piece + at, bad))?;
        }
        Ok(tracker)
    }

    const WHOLE: &[u8] = b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /b HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:  7 \r\n\r\na\nb\n\n\nc\
        POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n\n\r\n0\r\nA: b\r\n\r\n\
        GET /d HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn requests_are_tracked_through_any_body_and_segmentation() {
        for piece in 1..=WHOLE.len() {
            let tracker = advance(WHOLE, piece).expect("nothing bad");
            assert!(!tracker.is_in_head(), "{piece}");
        }
    }

    #[test]
    fn bare_line_feeds_are_rejected_in_every_head() {
        let more = |tail: &[u8]| [WHOLE, tail].concat();
        for bad in [
            more(b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
            more(b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
            more(b"GET / HTTP/1.1\r\nHost: x\r\n\n"),
            more(b"\nGET / HTTP/1.1\r\n"),
            more(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n"),
            more(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\nC: d\r\n\r\n"),
        ] {
            for piece in [1, 2, 7, bad.len()] {
                let (at, why) = advance(&bad, piece).expect_err("a refusal");
                assert_eq!(why, BadHead::BareLineFeed);
                assert!(at >= WHOLE.len() && at < bad.len(), "what came before is passed on: {at}");
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_refused() {
        let long = [b"GET /", &vec![b'a'; HEAD_BYTES_MAX][..]].concat();
        assert_eq!(advance(&long, 1_000).expect_err("a refusal").1, BadHead::TooLong);
        let lines = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(HEAD_BYTES_MAX / 6)].concat();
        assert_eq!(advance(&lines, 1_000).expect_err("a refusal").1, BadHead::TooLong);
    }

    #[test]
    fn bytes_of_an_upgraded_connection_are_not_inspected() {
        let socket = b"GET /ws/chat/ HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n\r\n\n\n\x81\x80\n";
        assert!(advance(socket, 3).is_ok());
    }

    #[test]
    fn a_head_lasts_from_its_first_byte_to_its_last() {
        let mut tracker = RequestTracker::new();
        assert!(!tracker.is_in_head());
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r" {
            assert_eq!(tracker.advance(&[*byte]), Ok(()));
            assert!(tracker.is_in_head());
        }
        assert_eq!(tracker.advance(b"\n"), Ok(()));
        assert!(!tracker.is_in_head());
    }

    /// What the parser receives, and whether later request targets would still be encoded.
    fn passed(bytes: &[u8], piece: usize) -> (String, bool) {
        let mut tracker = RequestTracker::new();
        let mut passed = Vec::new();
        for received in bytes.chunks(piece) {
            tracker.advance(received).expect("nothing bad");
            passed.extend(tracker.percent_encoded(received).unwrap_or_else(|| received.to_vec()));
        }
        (String::from_utf8_lossy(&passed).into_owned(), tracker.may_encode)
    }

    #[test]
    fn only_non_ascii_request_targets_are_encoded() {
        let post = "POST /ü HTTP/1.1\r\nContent-Length: 11\r\nX: ü\r\n\r\nGET /ü\r\n\r\n";
        let get = "GET /ü?q=水&x=%C3 HTTP/1.1\r\nHost: ä\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";
        let text = format!("\r\n{get}{post}{get}");
        let expected_get = get.replacen('ü', "%C3%BC", 1).replacen('水', "%E6%B0%B4", 1);
        let expected = format!("\r\n{expected_get}{}{expected_get}", post.replacen('ü', "%C3%BC", 1));
        for piece in [1, 2, 3, 7, 1_000] {
            assert_eq!(passed(text.as_bytes(), piece), (expected.clone(), true), "{piece}");
        }
    }

    #[test]
    fn nothing_is_encoded_after_an_ambiguous_head() {
        for head in [
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n-",
            "POST /a HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: +1\r\n\r\n-",
            "POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /a HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
            "GET /a HTTP/1.1\r\nUPGRADE: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
        ] {
            let text = format!("{head}GET /ü HTTP/1.1\r\n\r\n");
            for piece in [1, 5, 1_000] {
                assert_eq!(passed(text.as_bytes(), piece), (text.clone(), false), "{head}");
            }
        }
    }
}
