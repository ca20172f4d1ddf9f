//! Tells texts from everything else that has no mark of its own.

/// Looks at a file as it goes by for bytes that no text has.
#[derive(Debug, Default)]
pub(super) struct TextScan {
    seen: bool,
    is_wide: bool,
    is_binary: bool,
}

impl TextScan {
    /// Takes the file's next bytes, the first time at least two where there are two.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if !self.seen && !bytes.is_empty() {
            self.seen = true;
            // UTF-16 says so; every second byte of it may be anything.
            self.is_wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        }
        self.is_binary |= !self.is_wide && bytes.iter().any(|byte| is_control(*byte));
    }

    /// Whether all that came may be a text.
    pub(super) fn is_text(&self) -> bool {
        self.seen && !self.is_binary
    }
}

/// Controls that aren't white space, the end of a DOS file, or the escape of old printers.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0e..=0x19 | 0x1c..=0x1f | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_what_is_none() {
        let is_text = |bytes: &[u8]| {
            let mut scan = TextScan::default();
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
