//! The `Content-Disposition` of a form's part, as clients write it and not only as RFC 7578 specifies it.
//!
//! File names arrive with quotes that are escaped in three ways or not at all, as paths, in any encoding, and in
//! the forms of RFC 5987, 2231 and 2047. A name that can't be decoded doesn't fail the upload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The `Content-Disposition` of a part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The name of the field; empty where there is none.
    pub(super) name: String,
    /// The name of the file, possibly empty; `None` for a part that isn't a file.
    pub(super) file_name: Option<String>,
}

impl Disposition {
    /// Parses the header's value.
    pub(super) fn read(header: &[u8]) -> Self {
        let parameters = parameters(header);
        let plain = |wanted: &str| {
            let found = parameters.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| plain_name(&decode(value)))
        };
        let extended = |wanted: &str| {
            let found = parameters.iter().find(|(key, _)| key.strip_suffix('*') == Some(wanted));
            found.and_then(|(_, value)| extended_name(value)).filter(|name| !name.is_empty())
        };
        let file_name = extended("filename")
            .or_else(|| pieced_name(&parameters).filter(|name| !name.is_empty()))
            .or_else(|| plain("filename"));
        // A part whose file name is malformed in every form is still a file.
        let is_file = parameters.iter().any(|(key, _)| key.starts_with("filename"));
        Self {
            name: extended("name").or_else(|| plain("name")).unwrap_or_default(),
            file_name: file_name.or_else(|| is_file.then(String::new)),
        }
    }
}

type Parameter = (String, Vec<u8>);

fn parameters(header: &[u8]) -> Vec<Parameter> {
    let mut found = Vec::new();
    let mut left = after(header, b';');
    while let Some(equals) = left.iter().position(|byte| *byte == b'=') {
        let key =
            String::from_utf8_lossy(&left[..equals]).trim_matches([' ', '\t', ';']).to_ascii_lowercase();
        let value = left[equals + 1..].trim_ascii_start();
        let (value, rest) = match value.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
                (value[..end].trim_ascii_end().to_vec(), &value[end..])
            }
        };
        found.push((key, value));
        left = after(rest, b';');
    }
    found
}

/// Returns what follows the first `byte`.
fn after(bytes: &[u8], byte: u8) -> &[u8] {
    bytes.iter().position(|one| *one == byte).map_or(&[], |at| &bytes[at + 1..])
}

/// Parses a quoted value up to its closing quote, which is followed by the next parameter or the end; any
/// other quote belongs to the value. A backslash escapes only a quote or a backslash.
fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(byte) = quoted.get(at) {
        let rest = &quoted[at + 1..];
        match (byte, rest) {
            // A final backslash belongs to a path, and the quote behind it closes the value.
            (b'\\', [b'"', more @ ..]) if !more.is_empty() => {
                value.push(b'"');
                at += 1;
            }
            (b'\\', [b'\\', ..]) => {
                value.push(b'\\');
                at += 1;
            }
            (b'"', _) if matches!(rest.trim_ascii_start(), [] | [b';', ..]) => return (value, rest),
            _ => value.push(*byte),
        }
        at += 1;
    }
    (value, &[])
}

/// Decodes UTF-8, as browsers send it, or else Latin-1.
pub(super) fn decode(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| latin_1(bytes), str::to_owned)
}

/// Decodes Latin-1, in which every byte is the code point of the same number.
pub(super) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Decodes a plain name: with the three escapes of browsers (WHATWG, multipart form data), or as encoded
/// words (RFC 2047), as some libraries write.
fn plain_name(name: &str) -> String {
    encoded_word(name).unwrap_or_else(|| name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

fn encoded_word(name: &str) -> Option<String> {
    let words = name.split_ascii_whitespace().map(|word| {
        let mut pieces = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
        let (charset, how, data) = (pieces.next()?, pieces.next()?, pieces.next()?);
        let bytes = match how {
            "B" | "b" => STANDARD.decode(data).ok()?,
            "Q" | "q" => unescape(data.replace('_', " ").as_bytes(), b'='),
            _ => return None,
        };
        Some(in_charset(charset, &bytes))
    });
    words.collect()
}

/// Decodes a name that its charset and language precede (RFC 5987).
fn extended_name(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let mut pieces = text.splitn(3, '\'');
    let (charset, _language, name) = (pieces.next()?, pieces.next()?, pieces.next()?);
    Some(in_charset(charset, &unescape(name.as_bytes(), b'%')))
}

/// Joins a name in numbered pieces, each escaped or not (RFC 2231, 3).
fn pieced_name(parameters: &[Parameter]) -> Option<String> {
    let mut charset = String::new();
    let mut name = Vec::new();
    for number in 0..parameters.len() {
        let piece = |suffix: &str| {
            let wanted = format!("filename*{number}{suffix}");
            parameters.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value)
        };
        match (piece("*"), piece("")) {
            (Some(escaped), _) => {
                let text = String::from_utf8_lossy(escaped);
                let data = match text.splitn(3, '\'').collect::<Vec<_>>()[..] {
                    [named, _, data] if number == 0 => {
                        charset = named.to_owned();
                        data
                    }
                    _ => &text,
                };
                name.extend(unescape(data.as_bytes(), b'%'));
            }
            (None, Some(plain)) => name.extend_from_slice(plain),
            (None, None) => break,
        }
    }
    (!name.is_empty()).then(|| in_charset(&charset, &name))
}

fn in_charset(charset: &str, bytes: &[u8]) -> String {
    if charset.eq_ignore_ascii_case("iso-8859-1") { latin_1(bytes) } else { decode(bytes) }
}

/// Replaces `mark` and two hexadecimal digits by their byte; anything else stays.
fn unescape(text: &[u8], mark: u8) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (Some(high), Some(low)) if *byte == mark => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_made_out_however_they_are_written() {
        let table: &[(&[u8], &str)] = &[
            (b"filename=\"a.jpg\"", "a.jpg"),
            (b"filename=a.jpg", "a.jpg"),
            (b"filename=my photo.jpg ; x=y", "my photo.jpg"),
            (b"FileName=\"a.jpg\"; x=y", "a.jpg"),
            (b"filename = \"a;b=c.jpg\"", "a;b=c.jpg"),
            (b"filename=\"3%22 valve.jpg\"", "3\" valve.jpg"),
            (b"filename=\"3\\\" valve.jpg\"", "3\" valve.jpg"),
            (b"filename=\"3\" valve.jpg\"", "3\" valve.jpg"),
            (b"filename=\"100%25.jpg\"", "100%25.jpg"),
            (b"filename=\"C:\\Users\\ann\\boiler.jpg\"", "C:\\Users\\ann\\boiler.jpg"),
            (b"filename=\"C:\\\\Users\\\\boiler.jpg\"", "C:\\Users\\boiler.jpg"),
            (b"filename=\"C:\\Users\\\"", "C:\\Users\\"),
            ("filename=\"Küche 🚿.jpg\"".as_bytes(), "Küche 🚿.jpg"),
            (b"filename=\"caf\xe9.jpg\"", "café.jpg"),
            (b"filename=\"x.jpg\"; filename*=UTF-8''na%C3%AFve.jpg", "naïve.jpg"),
            (b"filename*=utf-8'en'na%C3%AFve.jpg; filename=\"x.jpg\"", "naïve.jpg"),
            (b"filename*=\"utf-8''na%C3%AFve.jpg\"", "naïve.jpg"),
            (b"filename*=ISO-8859-1''caf%E9.jpg", "café.jpg"),
            (b"filename*=UTF-8''; filename=x.jpg", "x.jpg"),
            (b"filename*=nonsense; filename=x.jpg", "x.jpg"),
            (b"filename*=UTF-8''100%.jpg", "100%.jpg"),
            (b"filename*0=\"long \"; filename*1=\"name.jpg\"", "long name.jpg"),
            (b"filename*1*=%AFve.jpg; filename*0*=UTF-8''na%C3", "naïve.jpg"),
            (b"filename*0*=UTF-8'de'K%C3%BC; filename*1=\"che.jpg\"", "Küche.jpg"),
            (b"filename=\"=?utf-8?B?bmHDr3ZlLmpwZw==?=\"", "naïve.jpg"),
            (b"filename=\"=?utf-8?Q?na=C3=AFve_2.jpg?=\"", "naïve 2.jpg"),
            (b"filename=\"\"", ""),
            (b"filename*=broken", ""),
            (b"filename=\"never ends.jpg", "never ends.jpg"),
        ];
        for (written, name) in table {
            let header = [&b"form-data; name=\"attachment\"; "[..], *written].concat();
            let read = Disposition::read(&header);
            assert_eq!(read.name, "attachment", "{}", String::from_utf8_lossy(written));
            assert_eq!(read.file_name.as_deref(), Some(*name), "{}", String::from_utf8_lossy(written));
        }
    }

    #[test]
    fn what_is_no_file_has_no_file_name() {
        for (header, name) in [
            (&b"form-data; name=\"room\""[..], "room"),
            (b"form-data; name=room", "room"),
            (b"form-data;name=\"a%22b\"", "a\"b"),
            (b"form-data; name*=UTF-8''r%6Fom", "room"),
            (b"form-data", ""),
            (b"", ""),
            (b"form-data; =;=;;\"", ""),
        ] {
            let read = Disposition::read(header);
            assert_eq!((read.name.as_str(), read.file_name), (name, None), "{header:?}");
        }
    }
}
