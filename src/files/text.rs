//! Distinguishes text from other files without a signature.

/// Scans a file for bytes that don't occur in text.
#[derive(Debug, Default)]
pub(super) struct TextDetector {
    seen: bool,
    is_wide: bool,
    is_binary: bool,
}

impl TextDetector {
    /// Scans the next bytes; the first call must have at least two, if the file has.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if !self.seen && !bytes.is_empty() {
            self.seen = true;
            // UTF-16 begins with a byte order mark; any of its bytes may look like a control character.
            self.is_wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        }
        self.is_binary |= !self.is_wide && bytes.iter().any(|byte| is_control(*byte));
    }

    /// Whether everything so far may be text.
    pub(super) fn is_text(&self) -> bool {
        self.seen && !self.is_binary
    }
}

/// Control characters other than white space, the DOS end of file, and the escape of printers.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0e..=0x19 | 0x1c..=0x1f | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_distinguished_from_binary_files() {
        let is_text = |bytes: &[u8]| {
            let mut scan = TextDetector::default();
            bytes.chunks(2).for_each(|chunk| scan.feed(chunk));
            scan.is_text()
        };
        for text in [&b"a;b\r\n1;2\r\n"[..], b"\xef\xbb\xbfname\xc3\xa9", b"caf\xe9\n\x1a", b"\xff\xfea\0;\0"]
        {
            assert!(is_text(text), "{text:?}");
        }
        for other in [&b"a\0b"[..], b"MZ\x90\0\x03", b"", b"\x7fELF\x02"] {
            assert!(!is_text(other), "{other:?}");
        }
    }
}
