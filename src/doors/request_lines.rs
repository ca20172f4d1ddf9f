//! Letters that stand as they are in the addresses of requests, as curl and several browsers send them, are
//! percent-encoded on their way in: the parser of requests takes none of them.
//!
//! For that it must be known where requests begin. Heads and lengths are followed as far as they can be read
//! in one way only; with anything else the rest of the connection passes as it is.

/// The beginning of a header's line that tells all that is asked of it.
const LINE_BYTES: usize = 48;

/// Follows the requests of one connection.
#[derive(Default)]
pub(super) struct RequestLines {
    place: Place,
    /// The line that is being read, in lower case, or its beginning.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return.
    is_returned: bool,
    /// The length that the head has told.
    length: Option<u64>,
    /// Whether nothing is looked at after this head.
    is_last: bool,
    /// Encoded bytes for which there was no room.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Line,
    Head,
    Body(u64),
    Over,
}

impl RequestLines {
    /// What has come, encoded where it must be; none where it can stay as it is.
    pub(super) fn encoded(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut encoded: Option<Vec<u8>> = None;
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Over => break,
                Place::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    if let Some(encoded) = &mut encoded {
                        encoded.extend_from_slice(&bytes[at..at + here]);
                    }
                    at += here;
                    let left = left - here as u64;
                    self.place = if left == 0 { Place::Line } else { Place::Body(left) };
                    continue;
                }
                Place::Line if !bytes[at].is_ascii() => {
                    let encoded = encoded.get_or_insert_with(|| bytes[..at].to_vec());
                    encoded.extend_from_slice(format!("%{:02X}", bytes[at]).as_bytes());
                    at += 1;
                    continue;
                }
                Place::Line | Place::Head => self.step(bytes[at]),
            }
            if let Some(encoded) = &mut encoded {
                encoded.push(bytes[at]);
            }
            at += 1;
        }
        if let Some(encoded) = &mut encoded {
            encoded.extend_from_slice(&bytes[at..]);
        }
        encoded
    }

    /// Keeps what doesn't fit now.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.rest = rest.to_vec();
    }

    /// Takes out at most `room` bytes that were kept.
    pub(super) fn take(&mut self, room: usize) -> Vec<u8> {
        let fits = self.rest.len().min(room);
        self.rest.drain(..fits).collect()
    }

    /// Whether the connection can do without this from now on.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over && self.rest.is_empty()
    }

    fn step(&mut self, byte: u8) {
        if byte != b'\n' {
            self.is_returned = byte == b'\r';
            if self.line.len() < LINE_BYTES && byte != b'\r' {
                self.line.push(byte.to_ascii_lowercase());
            }
            return;
        }
        if !std::mem::take(&mut self.is_returned) {
            // Not all agree that a line ends here.
            self.place = Place::Over;
            return;
        }
        let line = std::mem::take(&mut self.line);
        match self.place {
            Place::Line if line.is_empty() => {}
            // What follows CONNECT is no request.
            Place::Line if line.starts_with(b"connect ") => self.place = Place::Over,
            Place::Line => self.place = Place::Head,
            _ if line.is_empty() => self.end_head(),
            _ => self.header(&line),
        }
    }

    fn header(&mut self, line: &[u8]) {
        let is_odd = |line: &[u8]| {
            let odd: [&[u8]; 6] =
                [b"content-length", b"transfer-encoding", b"upgrade:", b"upgrade ", b" ", b"\t"];
            odd.iter().any(|beginning| line.starts_with(beginning))
        };
        match line.strip_prefix(b"content-length:") {
            Some(value) if line.len() < LINE_BYTES && self.length.is_none() => {
                let digits = value.trim_ascii();
                let length = str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
                self.length = length.and_then(|length| length.parse().ok());
                self.is_last |= self.length.is_none();
            }
            _ => self.is_last |= is_odd(line),
        }
    }

    fn end_head(&mut self) {
        self.place = match self.length.take() {
            _ if self.is_last => Place::Over,
            None | Some(0) => Place::Line,
            Some(length) => Place::Body(length),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out for `text` in pieces of `size` bytes, and whether it is over then.
    fn passed(text: &[u8], size: usize) -> (String, bool) {
        let mut lines = RequestLines::default();
        let mut out = Vec::new();
        for piece in text.chunks(size) {
            out.extend(lines.encoded(piece).unwrap_or_else(|| piece.to_vec()));
        }
        (String::from_utf8_lossy(&out).into_owned(), lines.is_over())
    }

    #[test]
    fn addresses_are_encoded_and_nothing_else_is() {
        let post = "POST /ü HTTP/1.1\r\nContent-Length: 11\r\nX: ü\r\n\r\nGET /ü\r\n\r\n";
        let get = "GET /ü?q=水&x=%C3 HTTP/1.1\r\nHost: ä\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";
        let text = format!("\r\n{get}{post}{get}");
        let expected_get = get.replacen('ü', "%C3%BC", 1).replacen('水', "%E6%B0%B4", 1);
        let expected = format!("\r\n{expected_get}{}{expected_get}", post.replacen('ü', "%C3%BC", 1));
        for size in [1, 2, 3, 7, 1_000] {
            assert_eq!(passed(text.as_bytes(), size), (expected.clone(), false), "{size}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_ends_it() {
        for head in [
            "GET /a HTTP/1.1\nHost: x\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /a HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
            "GET /a HTTP/1.1\r\nUPGRADE: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
        ] {
            let text = format!("{head}GET /ü HTTP/1.1\r\n\r\n");
            for size in [1, 5, 1_000] {
                assert_eq!(passed(text.as_bytes(), size), (text.clone(), true), "{head}");
            }
        }
    }

    #[test]
    fn what_has_no_room_follows() {
        let mut lines = RequestLines::default();
        lines.keep(b"abcde");
        assert_eq!((lines.take(2), lines.take(9), lines.take(9)), (b"ab".to_vec(), b"cde".to_vec(), vec![]));
    }
}
