//! What a user has set about being told.

use std::time::Duration;

use super::quiet::QuietHours;

/// How long a message may be read by itself before its reader is told of it, unless that is set.
pub const DELAY_SECONDS_DEFAULT: u32 = 10;
/// The longest that it may be set to.
pub const DELAY_SECONDS_MAX: u32 = 3_600;
/// The most keywords of one user.
pub const KEYWORDS_MAX: usize = 20;
/// The most code points of a keyword.
pub const KEYWORD_CHARS_MAX: usize = 50;
/// The most minutes after which a mail may be asked for: a week.
pub const EMAIL_MINUTES_MAX: u32 = 10_080;

/// A user's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationSettings {
    /// When the user isn't told of anything.
    pub quiet: Option<QuietHours>,
    /// How long the user has to read a message before being told of it, in seconds.
    pub delay_seconds: u32,
    /// Words of which the user is told as of a mention.
    pub keywords: Vec<String>,
    /// After how many minutes the user wants a mail; none for never.
    pub email_after_minutes: Option<u32>,
    /// Whether notifications leave out what a message says.
    pub hides_text: bool,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            quiet: None,
            delay_seconds: DELAY_SECONDS_DEFAULT,
            keywords: Vec::new(),
            email_after_minutes: None,
            hides_text: false,
        }
    }
}

impl NotificationSettings {
    /// How long the user has to read a message before being told of it.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs(self.delay_seconds.into())
    }
}

/// Whether `text` has `keyword` in it as a whole word, or as whole words, whatever their case.
#[must_use]
pub fn has_keyword(text: &str, keyword: &str) -> bool {
    let (text, keyword) = (text.to_lowercase(), keyword.to_lowercase());
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    // An end that is no letter needs no boundary: `c++` is in `c++17`.
    let (starts_with_word, ends_with_word) =
        (is_word(keyword.chars().next()), is_word(keyword.chars().next_back()));
    !keyword.is_empty()
        && text.match_indices(&keyword).any(|(at, found)| {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            let continues_before = starts_with_word && is_word(before.chars().next_back());
            let continues_behind = ends_with_word && is_word(after.chars().next());
            !(continues_before || continues_behind)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_a_whole_word() {
        assert!(has_keyword("The Boiler is cold", "boiler"));
        assert!(has_keyword("boiler!", "BOILER"));
        assert!(has_keyword("überlauf, Überlauf", "überlauf"));
        assert!(has_keyword("the hot  water, the hot water", "hot water"));
        assert!(has_keyword("in c++17", "c++"));
        assert!(!has_keyword("boilers", "boiler") && !has_keyword("myboiler", "boiler"));
        assert!(!has_keyword("", "x") && !has_keyword("x", ""));
        assert!(has_keyword("cart and car", "car"), "a later place counts too");
    }
}
