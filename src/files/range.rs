//! Which bytes of a file are asked for.

use std::ops::Range;

/// One range of bytes, as HTTP writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both included.
    Between(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-count`: the last ones.
    Last(u64),
}

impl ByteRange {
    /// Reads a `Range` header; `None` when it is none of a single range, and then the whole file is
    /// the right answer (RFC 9110 §14.2 lets a server ignore the header).
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

    /// The bytes meant in a file of `size`; `None` when there are none, which is a 416.
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
    // Only an overflow is left to fail, and it means past any end.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_cut_to_the_file() {
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
