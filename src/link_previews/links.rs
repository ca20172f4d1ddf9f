//! The links of a text.

use linkify::{LinkFinder, LinkKind};
use reqwest::Url;

/// The most links of a text that are shown with a preview.
const LINKS_MAX: usize = 3;
/// The most bytes of an address that is asked for.
const URL_BYTES_MAX: usize = 2_000;

/// Finds the first links of a text, each once, without their fragments. Addresses with a name and password are left out.
pub(super) fn links(text: &str) -> Vec<Url> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let mut links: Vec<Url> = Vec::new();
    for link in finder.links(text) {
        if links.len() == LINKS_MAX {
            break;
        }
        let Ok(mut url) = Url::parse(link.as_str()) else { continue };
        let is_web = matches!(url.scheme(), "http" | "https");
        if !is_web
            || url.as_str().len() > URL_BYTES_MAX
            || !url.username().is_empty()
            || url.password().is_some()
        {
            continue;
        }
        url.set_fragment(None);
        if !links.contains(&url) {
            links.push(url);
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_are_found_with_their_ends_right() {
        let found = |text: &str| links(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found("See https://x.example/a_(b), (https://y.example/c#d) and https://x.example/a_(b)."),
            ["https://x.example/a_(b)", "https://y.example/c"]
        );
        assert_eq!(found("ftp://x.example mailto:a@b.example nothing"), Vec::<String>::new());
        assert_eq!(found("https://ann:secret@x.example/"), Vec::<String>::new());
        let many: Vec<String> = (0..9).map(|n| format!("https://x.example/{n}")).collect();
        assert_eq!(found(&many.join(" ")).len(), 3);
        assert_eq!(found(&format!("https://x.example/{}", "a".repeat(3_000))), Vec::<String>::new());
    }
}
