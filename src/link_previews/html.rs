//! What a page says of itself: Open Graph (<https://ogp.me>), else its title and description.

use encoding_rs::{Encoding, UTF_8};
use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Readable as _, Tokenizer};

const TITLE_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 400;
const SITE_NAME_CHARS_MAX: usize = 100;
/// How far into a page its encoding may be declared.
const CHARSET_WITHIN: usize = 1024;

/// What a page says of itself, as plain texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageDetails {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) site_name: Option<String>,
    /// The address of a picture, perhaps relative to the page's.
    pub(super) picture: Option<String>,
}

/// Reads a page, which may be cut off, up to its body.
pub(super) fn read_page(bytes: &[u8], content_type: &str) -> PageDetails {
    let encoding = declared_encoding(content_type.as_bytes())
        .or_else(|| Encoding::for_bom(bytes).map(|(encoding, _)| encoding))
        .or_else(|| declared_encoding(&bytes[..bytes.len().min(CHARSET_WITHIN)]))
        .unwrap_or(UTF_8);
    let (text, _, _) = encoding.decode(bytes);
    let mut page = PageDetails::default();
    let (mut title, mut description) = (String::new(), None);
    let mut is_in_title = false;
    // A title's text is no markup.
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(text.to_reader(), emitter) {
        let Ok(token) = token;
        match token {
            html5gum::Token::StartTag(tag) => match &tag.name[..] {
                b"title" => is_in_title = title.is_empty(),
                b"meta" => {
                    let attribute = |name: &[u8]| {
                        let value = tag.attributes.get(name)?;
                        Some(String::from_utf8_lossy(value).into_owned())
                    };
                    let Some(content) = attribute(b"content") else { continue };
                    let name = attribute(b"property").or_else(|| attribute(b"name")).unwrap_or_default();
                    match name.trim().to_ascii_lowercase().as_str() {
                        "og:title" => page.title = page.title.or(Some(content)),
                        "og:description" => page.description = page.description.or(Some(content)),
                        "og:site_name" => page.site_name = page.site_name.or(Some(content)),
                        "og:image" | "og:image:url" => page.picture = page.picture.or(Some(content)),
                        "description" => description = description.or(Some(content)),
                        _ => {}
                    }
                }
                b"body" => break,
                _ => {}
            },
            html5gum::Token::EndTag(tag) => match &tag.name[..] {
                b"title" => is_in_title = false,
                b"head" => break,
                _ => {}
            },
            html5gum::Token::String(text) if is_in_title && title.len() < 4 * TITLE_CHARS_MAX => {
                title.push_str(&String::from_utf8_lossy(&text));
            }
            _ => {}
        }
    }
    PageDetails {
        title: plain(&page.title.unwrap_or(title), TITLE_CHARS_MAX),
        description: plain(&page.description.or(description).unwrap_or_default(), DESCRIPTION_CHARS_MAX),
        site_name: plain(&page.site_name.unwrap_or_default(), SITE_NAME_CHARS_MAX),
        picture: page.picture.map(|picture| picture.trim().to_owned()).filter(|picture| !picture.is_empty()),
    }
}

/// The encoding behind `charset=` in a header or at the start of a page.
fn declared_encoding(text: &[u8]) -> Option<&'static Encoding> {
    const MARK: &[u8] = b"charset=";
    let at = text.windows(MARK.len()).position(|window| window.eq_ignore_ascii_case(MARK))?;
    let label = text[at + MARK.len()..].iter().skip_while(|byte| matches!(byte, b'"' | b'\''));
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b';' | b'>' | b'/') || byte.is_ascii_whitespace();
    let label: Vec<u8> = label.take_while(|byte| !ends(byte)).copied().collect();
    Encoding::for_label(&label)
}

/// A text on one line without control characters and directions, cut to a length; `None` if nothing is left.
fn plain(text: &str, chars_max: usize) -> Option<String> {
    let is_harmless =
        |c: &char| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(is_harmless).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = match text.char_indices().nth(chars_max) {
        None => text,
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    };
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::{PageDetails, read_page};

    fn read(text: &str) -> PageDetails {
        read_page(text.as_bytes(), "text/html")
    }

    #[test]
    fn open_graph_goes_before_title_and_description() {
        let page = read(
            "<!doctype html><html><head><title>The &amp; title</title><meta name=description content='Plain'>
             <meta property=\"og:title\" content=\"Graph\"><meta property='og:site_name' content='Site'>
             <META PROPERTY='og:image' CONTENT='/a.jpg'></head><body><meta property='og:description' content='no'>",
        );
        assert_eq!(page.title.as_deref(), Some("Graph"));
        assert_eq!(page.description.as_deref(), Some("Plain"));
        assert_eq!((page.site_name.as_deref(), page.picture.as_deref()), (Some("Site"), Some("/a.jpg")));
        assert_eq!(
            read("<title> The &amp;\n title</title><title>x</title>").title.as_deref(),
            Some("The & title")
        );
        assert_eq!(read("no markup at all"), PageDetails::default());
    }

    #[test]
    fn texts_are_plain_and_short() {
        let page = read(&format!("<title>a\u{202e}b\u{7}c{}</title>", "x".repeat(5_000)));
        let title = page.title.expect("a title");
        assert!(title.starts_with("ab cx") && title.ends_with('…'), "{title}");
        assert_eq!(title.chars().count(), 200);
        assert_eq!(
            read("<title><script>alert(1)</script></title>").title.as_deref(),
            Some("<script>alert(1)</script>")
        );
        assert_eq!(read("<title>cut o").title.as_deref(), Some("cut o"));
    }

    #[test]
    fn encodings_are_those_that_the_page_declares() {
        let latin = b"<head><meta charset=iso-8859-1><title>caf\xe9</title>";
        assert_eq!(read_page(latin, "text/html").title.as_deref(), Some("café"));
        assert_eq!(
            read_page(b"<title>caf\xe9</title>", "text/html; charset=windows-1252").title.as_deref(),
            Some("café")
        );
        assert_eq!(read("<title>café</title>").title.as_deref(), Some("café"));
    }
}
