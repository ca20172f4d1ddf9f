//! Filters that are written inside a query: `from:name`, `in:room`, `has:image`, `before:2026-01-31`, `after:`,
//! `mentions:me`. What isn't a valid filter is text.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// The most words of a name without quotes.
const NAME_WORDS_MAX: usize = 4;

/// What a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// A picture.
    Image,
    /// Any file.
    File,
    /// The address of a page in its text.
    Link,
}

impl Has {
    /// Parses the name of a filter.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "image" => Some(Self::Image),
            "file" => Some(Self::File),
            "link" => Some(Self::Link),
            _ => None,
        }
    }
}

/// A query, divided into text and filters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct QueryText {
    /// What is left to look for.
    pub(super) text: String,
    /// Names of senders, any of which may be meant.
    pub(super) from: Vec<WrittenName>,
    /// Names of rooms, any of which may be meant.
    pub(super) rooms: Vec<WrittenName>,
    pub(super) has: Vec<Has>,
    pub(super) before: Option<DateTime<Utc>>,
    pub(super) after: Option<DateTime<Utc>>,
    pub(super) mentions_me: bool,
}

/// A name. Without quotes nobody knows yet how many of its words belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenName {
    pub(super) words: Vec<String>,
    pub(super) is_quoted: bool,
}

impl WrittenName {
    pub(super) fn quoted(name: &str) -> Self {
        Self { words: vec![name.to_owned()], is_quoted: true }
    }
}

impl QueryText {
    /// Parses a query.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        let mut rest = query;
        while let Some((word, after)) = next_word(rest) {
            rest = after;
            match parsed.take_filter(word) {
                Some(Names::Senders) => parsed.from.push(written_name(word, &mut rest)),
                Some(Names::Rooms) => parsed.rooms.push(written_name(word, &mut rest)),
                Some(Names::None) => {}
                None => parsed.push_text(word),
            }
        }
        parsed
    }

    /// Adds words to the text.
    pub(super) fn push_text(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(words);
    }

    /// Notes the filter that `word` is, except for a name. Returns `None` if it is none.
    fn take_filter(&mut self, word: &str) -> Option<Names> {
        let (name, value) = word.split_once(':').filter(|(_, value)| !value.is_empty())?;
        match name.to_ascii_lowercase().as_str() {
            "from" => return unquoted(value).map(|_| Names::Senders),
            "in" => return unquoted(value).map(|_| Names::Rooms),
            "has" => self.has.push(Has::parse(&value.to_ascii_lowercase())?),
            "mentions" if value.eq_ignore_ascii_case("me") => self.mentions_me = true,
            "before" => {
                let time = parse_time(value)?;
                self.before = Some(self.before.map_or(time, |other| other.min(time)));
            }
            "after" => {
                let time = parse_time(value)?;
                self.after = Some(self.after.map_or(time, |other| other.max(time)));
            }
            _ => return None,
        }
        Some(Names::None)
    }
}

/// Whose name a filter holds.
enum Names {
    None,
    Senders,
    Rooms,
}

/// Parses a time (RFC 3339; without an offset it is one of UTC) or a date, which stands for its beginning in UTC; also a
/// month or a year.
#[must_use]
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    if let Ok(time) = text.parse::<NaiveDateTime>() {
        return Some(time.and_utc());
    }
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| digits(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| digits(day, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

fn digits(text: &str, len_max: usize) -> Option<u32> {
    let is_number = (1..=len_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Takes the next word of `text`. The value of a filter in quotes and a phrase are one word.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.char_indices().find(|(_, c)| {
        is_quoted ^= is_quote(*c);
        !is_quoted && c.is_whitespace()
    });
    let end = match end {
        Some((at, _)) => at,
        // A quote that isn't closed is an ordinary sign.
        None if is_quoted => text.find(char::is_whitespace).unwrap_or(text.len()),
        None => text.len(),
    };
    (end > 0).then(|| text.split_at(end))
}

/// The name in the filter `word`, and the words after it that may belong to it, which are taken from `rest`.
fn written_name(word: &str, rest: &mut &str) -> WrittenName {
    let value = word.split_once(':').map_or(word, |(_, value)| value);
    let name = unquoted(value).unwrap_or(value);
    if name.len() < value.len() {
        return WrittenName::quoted(name);
    }
    let mut words = vec![name.to_owned()];
    while let Some((next, after)) = next_word(rest).filter(|_| words.len() < NAME_WORDS_MAX) {
        if next.contains(is_quote) || QueryText::default().take_filter(next).is_some() {
            break;
        }
        words.push(next.to_owned());
        *rest = after;
    }
    WrittenName { words, is_quoted: false }
}

/// The value of a filter without the quotes around it; `None` if nothing is left.
fn unquoted(value: &str) -> Option<&str> {
    let inner = value.strip_prefix(is_quote).and_then(|value| value.strip_suffix(is_quote));
    Some(inner.unwrap_or(value).trim()).filter(|name| !name.is_empty())
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(words: &[&str]) -> WrittenName {
        WrittenName { words: words.iter().map(ToString::to_string).collect(), is_quoted: false }
    }

    #[test]
    fn filters_are_divided_from_the_text() {
        let parsed = QueryText::parse(
            "leak from:ann has:Image \"hot water\" In:\"Building A\" before:2026-01-31 after:2025 mentions:me has:link",
        );
        assert_eq!(parsed.text, "leak \"hot water\"");
        assert_eq!(parsed.from, [name(&["ann"])]);
        assert_eq!(parsed.rooms, [WrittenName::quoted("Building A")]);
        assert_eq!((parsed.has, parsed.mentions_me), (vec![Has::Image, Has::Link], true));
        assert_eq!(parsed.before, parse_time("2026-01-31T00:00:00Z"));
        assert_eq!(parsed.after, parse_time("2025-01-01T01:00:00+01:00"));
    }

    #[test]
    fn the_words_after_a_name_may_belong_to_it() {
        let parsed = QueryText::parse("from:ann lee boiler has:file in:Building A 12 north wing \"x\"");
        assert_eq!(parsed.from, [name(&["ann", "lee", "boiler"])]);
        assert_eq!(parsed.rooms, [name(&["Building", "A", "12", "north"])]);
        assert_eq!(parsed.text, "wing \"x\"");
    }

    #[test]
    fn what_is_no_filter_is_text() {
        for text in [
            "has:wings",
            "before:lunch",
            "before:2026-13-01",
            "after:2026-1-1-1",
            "mentions:ann",
            "http://x.org",
            "from:",
            "from:\"\"",
            "note:a",
            "\"from:ann\"",
            "\"from:ann",
        ] {
            assert_eq!(QueryText::parse(text), QueryText { text: text.into(), ..QueryText::default() });
        }
        assert_eq!(QueryText::parse("before:2026-02 before:2026-01").before, parse_time("2026-01-01"));
        assert_eq!(QueryText::parse("  ").text, "");
    }
}
