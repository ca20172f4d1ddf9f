//! What the header lines of a request say about the framing of its body (RFC 9112, 6).

/// How the body behind the current head is framed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyFraming {
    pub(super) length: u64,
    pub(super) is_chunked: bool,
    pub(super) becomes_opaque: bool,
    has_content_length: bool,
    /// Whether another parser could frame the request differently.
    pub(super) is_ambiguous: bool,
}

impl BodyFraming {
    /// Reads one header line of the head; it must not be empty.
    pub(super) fn read(&mut self, line: &[u8]) {
        // Few headers begin with one of these letters; the others are skipped.
        match line[0] {
            b'C' | b'c' => {
                if let Some(value) = header_value(line, b"content-length") {
                    let length = str::from_utf8(value).ok().and_then(|length| length.parse().ok());
                    let is_plain = length.is_some() && value.iter().all(u8::is_ascii_digit);
                    self.is_ambiguous |= !is_plain || self.has_content_length;
                    self.has_content_length = true;
                    self.length = length.unwrap_or(0);
                } else if line.starts_with(b"CONNECT ") {
                    self.becomes_opaque = true;
                } else {
                    self.is_ambiguous |= starts_with_ignore_case(line, b"content-length");
                }
            }
            b'T' | b't' => {
                self.is_chunked |= header_value(line, b"transfer-encoding").is_some();
                self.is_ambiguous |= starts_with_ignore_case(line, b"transfer-encoding");
            }
            b' ' | b'\t' => self.is_ambiguous = true,
            b'U' | b'u' => {
                self.is_ambiguous |=
                    starts_with_ignore_case(line, b"upgrade") && !starts_with_ignore_case(line, b"upgrade-");
                self.becomes_opaque |=
                    header_value(line, b"upgrade").is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
    }
}

fn starts_with_ignore_case(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
}

/// The value of the header, if the line is a header of this name.
fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    own.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The size that a chunk line announces; `None` if it is malformed.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    u64::from_str_radix(str::from_utf8(&line[..digits]).ok()?, 16).ok()
}
