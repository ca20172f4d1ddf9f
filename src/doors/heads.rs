//! Follows the requests of one connection far enough to know where each head begins and ends.
//!
//! The HTTP parser takes a bare line feed for the end of a line, has a time for the first head alone, lets a
//! head grow to 128 KiB, and takes no letters in an address that aren't percent-encoded, as curl and several
//! browsers send them. This looks at the bytes before the parser gets them. It leaves everything else to the
//! parser, which refuses whatever it can't frame and ends the connection.

use std::ops::Range;

use memchr::memchr;

/// Bytes of one request's head. A token has 4 KiB at most, and a path or a query that is longer than the
/// rest of this can't be anything.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a line between the parts of a chunked body.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// A line ends in a line feed without a carriage return: what is in front of this server may see
    /// another request than this server does.
    BareLineFeed,
    /// It is longer than [`HEAD_BYTES_MAX`].
    TooLong,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// Behind the last chunk.
    Trailer,
    /// No more requests: it has become a socket, or the parser will end it.
    Opaque,
}

/// What the head that is being read says of its body.
#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    length: u64,
    is_chunked: bool,
    becomes_opaque: bool,
    /// Whether it has told a length.
    is_measured: bool,
    /// Whether a parser could read it otherwise than this does.
    is_doubtful: bool,
}

/// Where one connection is.
#[derive(Debug)]
pub struct Heads {
    place: Place,
    framing: Framing,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Bytes of the head, the chunk's line or the trailer that have come.
    bytes: usize,
    /// How many heads have come, in all.
    count: u64,
    /// Whether the line that comes next is that of a request.
    is_request_line: bool,
    /// Whether requests may still be changed: only as long as it is beyond doubt where they begin.
    encodes: bool,
    /// Where in what came last an address has letters that are to be encoded.
    letters: Vec<Range<usize>>,
}

impl Heads {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            place: Place::Head,
            framing: Framing::default(),
            line: Vec::new(),
            bytes: 0,
            count: 0,
            is_request_line: true,
            encodes: true,
            letters: Vec::new(),
        }
    }

    /// Whether a head has begun and has not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.place == Place::Head && self.bytes > 0
    }

    /// How many heads have come, in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether a body has begun and has not ended.
    #[must_use]
    pub fn is_within_body(&self) -> bool {
        !matches!(self.place, Place::Head | Place::Opaque)
    }

    /// What came last with the letters of its addresses percent-encoded; none where it can stay as it is.
    #[must_use]
    pub fn encoded(&self, came: &[u8]) -> Option<Vec<u8>> {
        if self.letters.is_empty() {
            return None;
        }
        let mut encoded = Vec::with_capacity(came.len() * 3);
        let mut at = 0;
        for letters in &self.letters {
            encoded.extend_from_slice(&came[at..letters.start]);
            for byte in &came[letters.clone()] {
                match byte {
                    0x80.. => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                    _ => encoded.push(*byte),
                }
            }
            at = letters.end;
        }
        encoded.extend_from_slice(&came[at..]);
        Some(encoded)
    }

    /// Looks at what came next.
    ///
    /// # Errors
    /// How many bytes of it the parser may have before the bad head, and what is bad.
    pub fn follow(&mut self, came: &[u8]) -> Result<(), (usize, BadHead)> {
        self.letters.clear();
        let mut at = 0;
        while let Some(rest) = came.get(at..).filter(|rest| !rest.is_empty()) {
            let left = rest.len() as u64;
            match &mut self.place {
                Place::Opaque => return Ok(()),
                Place::Body(length) | Place::ChunkData(length) if *length > left => {
                    *length -= left;
                    return Ok(());
                }
                Place::Body(length) => {
                    at += usize::try_from(*length).unwrap_or(rest.len());
                    self.begin(Place::Head);
                }
                Place::ChunkData(length) => {
                    at += usize::try_from(*length).unwrap_or(rest.len());
                    self.begin(Place::ChunkSize);
                }
                Place::Head | Place::ChunkSize | Place::Trailer => {
                    let is_address = self.place == Place::Head && self.is_request_line && self.encodes;
                    let taken = self.take_line(rest).map_err(|bad| (at, bad))?;
                    if is_address && !rest[..taken].is_ascii() {
                        self.letters.push(at..at + taken);
                    }
                    at += taken;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.bytes = 0;
        self.framing = Framing::default();
        self.is_request_line = true;
    }

    /// Takes one line, or the part of one that has come; gives how long that is.
    fn take_line(&mut self, rest: &[u8]) -> Result<usize, BadHead> {
        let end = memchr(b'\n', rest);
        let taken = end.map_or(rest.len(), |end| end + 1);
        self.bytes += taken;
        let most = if self.place == Place::ChunkSize { CHUNK_LINE_BYTES_MAX } else { HEAD_BYTES_MAX };
        if self.bytes > most {
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
        match self.place {
            Place::Head if !line.is_empty() => {
                self.framing.read(line);
                self.is_request_line = false;
            }
            // Empty lines before a request are nothing.
            Place::Head if self.bytes == 2 => self.bytes = 0,
            Place::Head => {
                let Framing { length, is_chunked, becomes_opaque, is_doubtful, .. } = self.framing;
                self.count += 1;
                self.encodes &= !(is_doubtful || is_chunked || becomes_opaque);
                self.begin(match length {
                    _ if is_chunked => Place::ChunkSize,
                    _ if becomes_opaque => Place::Opaque,
                    0 => Place::Head,
                    length => Place::Body(length),
                });
            }
            Place::ChunkSize => match chunk_size(line) {
                // With the end of its line.
                Some(size @ 1..) => self.begin(Place::ChunkData(size.saturating_add(2))),
                Some(0) => self.begin(Place::Trailer),
                None => self.begin(Place::Opaque),
            },
            Place::Trailer if line.is_empty() => self.begin(Place::Head),
            Place::Trailer | Place::Body(_) | Place::ChunkData(_) | Place::Opaque => {}
        }
    }
}

impl Default for Heads {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing {
    fn read(&mut self, line: &[u8]) {
        // Few headers begin so; the others are not looked at any further.
        match line[0] {
            b'C' | b'c' => {
                if let Some(told) = value_of(line, b"content-length") {
                    let length = str::from_utf8(told).ok().and_then(|length| length.parse().ok());
                    let is_plain = length.is_some() && told.iter().all(u8::is_ascii_digit);
                    self.is_doubtful |= !is_plain || self.is_measured;
                    self.is_measured = true;
                    self.length = length.unwrap_or(0);
                } else if line.starts_with(b"CONNECT ") {
                    self.becomes_opaque = true;
                } else {
                    self.is_doubtful |= begins_as(line, b"content-length");
                }
            }
            b'T' | b't' => {
                self.is_chunked |= value_of(line, b"transfer-encoding").is_some();
                self.is_doubtful |= begins_as(line, b"transfer-encoding");
            }
            b' ' | b'\t' => self.is_doubtful = true,
            b'U' | b'u' => {
                self.is_doubtful |= begins_as(line, b"upgrade") && !begins_as(line, b"upgrade-");
                self.becomes_opaque |=
                    value_of(line, b"upgrade").is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
    }
}

fn begins_as(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
}

/// The value of a header, when the line is one of this name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    own.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    u64::from_str_radix(str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{BadHead, HEAD_BYTES_MAX, Heads};

    /// Follows it in pieces of this size; gives where it was refused.
    fn follow(bytes: &[u8], piece: usize) -> Result<Heads, (usize, BadHead)> {
        let mut heads = Heads::new();
        for (n, piece_bytes) in bytes.chunks(piece).enumerate() {
            heads.follow(piece_bytes).map_err(|(at, bad)| (n * piece + at, bad))?;
        }
        Ok(heads)
    }

    const WHOLE: &[u8] = b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /b HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:  7 \r\n\r\na\nb\n\n\nc\
        POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n\n\r\n0\r\nA: b\r\n\r\n\
        GET /d HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn requests_are_followed_through_their_bodies_however_they_come() {
        for piece in 1..=WHOLE.len() {
            let heads = follow(WHOLE, piece).expect("nothing bad");
            assert!(!heads.is_within(), "{piece}");
        }
    }

    #[test]
    fn a_bare_line_feed_is_found_in_each_head_of_a_connection() {
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
                let (at, why) = follow(&bad, piece).expect_err("a refusal");
                assert_eq!(why, BadHead::BareLineFeed);
                assert!(at >= WHOLE.len() && at < bad.len(), "what came before is passed on: {at}");
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_refused() {
        let long = [b"GET /", &vec![b'a'; HEAD_BYTES_MAX][..]].concat();
        assert_eq!(follow(&long, 1_000).expect_err("a refusal").1, BadHead::TooLong);
        let lines = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(HEAD_BYTES_MAX / 6)].concat();
        assert_eq!(follow(&lines, 1_000).expect_err("a refusal").1, BadHead::TooLong);
    }

    #[test]
    fn what_has_become_a_socket_is_its_own() {
        let socket = b"GET /ws/chat/ HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n\r\n\n\n\x81\x80\n";
        assert!(follow(socket, 3).is_ok());
    }

    #[test]
    fn a_head_is_within_from_its_first_byte_to_its_last() {
        let mut heads = Heads::new();
        assert!(!heads.is_within());
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r" {
            assert_eq!(heads.follow(&[*byte]), Ok(()));
            assert!(heads.is_within());
        }
        assert_eq!(heads.follow(b"\n"), Ok(()));
        assert!(!heads.is_within());
    }

    /// What the parser gets of it in pieces of this size, and whether later addresses would be encoded too.
    fn passed(bytes: &[u8], piece: usize) -> (String, bool) {
        let mut heads = Heads::new();
        let mut passed = Vec::new();
        for came in bytes.chunks(piece) {
            heads.follow(came).expect("nothing bad");
            passed.extend(heads.encoded(came).unwrap_or_else(|| came.to_vec()));
        }
        (String::from_utf8_lossy(&passed).into_owned(), heads.encodes)
    }

    #[test]
    fn letters_in_addresses_are_encoded_and_nothing_else_is() {
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
    fn nothing_is_encoded_behind_a_head_that_can_be_read_in_two_ways() {
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
