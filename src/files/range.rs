//! HTTP byte ranges.

use std::ops::Range;

/// A single byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both inclusive.
    Between(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-count`: the last bytes.
    Last(u64),
}

impl ByteRange {
    /// Parses a `Range` header. `None` if it isn't a single byte range; the whole file is then a correct
    /// response, because a server may ignore the header (RFC 9110, 14.2).
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", count) => digits(count).map(Self::Last),
            (first, "") => digits(first).map(Self::From),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The range within a file of `size` bytes; `None` if it is not satisfiable (416).
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Parsing can only overflow, and such a position is past any end.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_limited_to_the_file() {
        let within = |header| ByteRange::parse(header).map(|range| range.within(10));
        assert_eq!(within("bytes=0-3"), Some(Some(0..4)));
        assert_eq!(within("bytes=4-99999999999999999999999"), Some(Some(4..10)));
        assert_eq!(within("bytes=9-"), Some(Some(9..10)));
        assert_eq!(within("bytes=-3"), Some(Some(7..10)));
        assert_eq!(within("bytes=-30"), Some(Some(0..10)));
        assert_eq!(within("bytes=10-"), Some(None));
        assert_eq!(within("bytes=-0"), Some(None));
        for header in ["bytes=3-1", "bytes=0-1,4-5", "items=0-1", "bytes=a-b", "bytes=-", "bytes=+1-2", ""] {
            assert_eq!(within(header), None, "{header}");
        }
    }
}
