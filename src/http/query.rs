//! The query string of a request, read parameter by parameter like the fields of a body.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use actors::domain::text::{self, TextError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::{ApiError, FieldErrors};
use super::fields::{REQUIRED, parse_flag, parse_user_id, parse_uuid};
use crate::store::postgres::search::parse_time;

/// The most code points of a text to search for.
const SEARCH_CHARS_MAX: usize = 500;

/// The parameters of one route, read from a query string. `super::params` holds them all.
pub trait FromQuery: Sized {
    /// Reads the parameters and notes what is wrong with them in `fields`.
    fn from_query(fields: &mut QueryFields<'_>) -> Self;
}

/// A query string. The first parameter of a name counts; unknown parameters are ignored.
pub struct QueryString {
    pairs: Vec<(String, String)>,
}

impl FromRequest for QueryString {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::parse(request.query_string())))
    }
}

impl QueryString {
    fn parse(query: &str) -> Self {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
        Self { pairs: pairs.map(web::Query::into_inner).unwrap_or_default() }
    }

    /// Reads the parameters of a route.
    ///
    /// # Errors
    /// 400 with every invalid parameter.
    pub fn read<T: FromQuery>(&self) -> Result<T, ApiError> {
        let mut fields = QueryFields { query: self, errors: FieldErrors::new() };
        let params = T::from_query(&mut fields);
        if fields.errors.is_empty() { Ok(params) } else { Err(ApiError::Fields(fields.errors)) }
    }

    /// Returns all parameters but the one named.
    pub fn without<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key != name)
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads a count from 1 to `max`: what is no number is `default`, what is too large is `max`.
    #[must_use]
    pub fn count(&self, name: &str, default: usize, max: usize) -> usize {
        match self.number(name) {
            Some(number) if number >= 1 => usize::try_from(number).unwrap_or(max).min(max),
            _ => default,
        }
    }

    /// Reads a whole number, clamped to 64 bits.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let given = self.get(name)?.trim();
        let digits = given.strip_prefix(['-', '+']).unwrap_or(given);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bound = if given.starts_with('-') { i64::MIN } else { i64::MAX };
        Some(given.parse().unwrap_or(bound))
    }
}

/// The parameters of a query string, and the errors in those that were read.
pub struct QueryFields<'a> {
    query: &'a QueryString,
    errors: FieldErrors,
}

impl QueryFields<'_> {
    /// Whether a parameter is present.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.query.get(name).is_some()
    }

    /// Returns a parameter as it was sent.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<String> {
        self.query.get(name).map(str::to_owned)
    }

    /// Reads a count, see [`QueryString::count`].
    #[must_use]
    pub fn count(&self, name: &str, default: usize, max: usize) -> usize {
        self.query.count(name, default, max)
    }

    /// Adds an error to a parameter.
    pub fn add_error(&mut self, name: &'static str, problem: impl Into<String>) {
        self.errors.entry(name).or_default().push(problem.into());
    }

    /// Adds an error where a parameter is missing.
    pub fn require(&mut self, name: &'static str) {
        if !self.has(name) {
            self.add_error(name, REQUIRED);
        }
    }

    /// Reads a UUID.
    pub fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        let parsed = parse_uuid(self.query.get(name)?);
        self.checked(name, parsed, "Must be a valid UUID.")
    }

    /// Reads the id of a user.
    pub fn id(&mut self, name: &'static str) -> Option<i64> {
        let parsed = parse_user_id(self.filter_value(name)?).map(|user| user.0);
        self.checked(name, parsed, "A valid id is required.")
    }

    /// Reads a position in a log: a number of 0 or more, clamped to 64 bits.
    pub fn seq(&mut self, name: &'static str) -> Option<i64> {
        let given = self.query.get(name)?;
        let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = is_number.then(|| given.parse().unwrap_or(i64::MAX));
        self.checked(name, parsed, "A number of 0 or more is required.")
    }

    /// Reads a boolean.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let parsed = parse_flag(self.filter_value(name)?);
        self.checked(name, parsed, "Must be true or false.")
    }

    /// Reads a value that `parse` accepts.
    pub fn choice<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(self.filter_value(name)?);
        self.checked(name, parsed, "Select a valid choice.")
    }

    /// Reads a time or a date.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let parsed = parse_time(self.filter_value(name)?);
        self.checked(name, parsed, "A date or time is required.")
    }

    /// Reads a text to search for; a blank one counts as absent.
    pub fn search(&mut self, name: &'static str) -> Option<String> {
        self.try_search(name).unwrap_or_else(|error| {
            self.add_error(name, error.to_string());
            None
        })
    }

    /// Reads a text to search for, as [`Self::search`] does, and leaves its error to the caller.
    ///
    /// # Errors
    /// The text is too long, or holds a character that no text may.
    pub fn try_search(&self, name: &str) -> Result<Option<String>, TextError> {
        let Some(given) = self.query.get(name) else { return Ok(None) };
        let text = text::optional(given, SEARCH_CHARS_MAX)?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// Returns the value of a filter. An empty one filters nothing: HTML forms send all their fields.
    fn filter_value(&self, name: &str) -> Option<&str> {
        self.query.get(name).filter(|value| !value.is_empty())
    }

    fn checked<T>(&mut self, name: &'static str, parsed: Option<T>, problem: &str) -> Option<T> {
        if parsed.is_none() {
            self.add_error(name, problem);
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_clamped_and_nonsense_is_the_default() {
        let count = |query: &str| QueryString::parse(query).count("page_size", 10, 100);
        for (query, expected) in [
            ("", 10),
            ("page_size=20", 20),
            ("page_size=abc", 10),
            ("page_size=0", 10),
            ("page_size=-5", 10),
            ("page_size=1.5", 10),
            ("page_size=1000", 100),
            ("page_size=99999999999999999999999999", 100),
        ] {
            assert_eq!(count(query), expected, "{query}");
        }
    }

    #[test]
    fn malformed_parameters_are_errors() {
        fn error_of<T>(query: &str, read: impl Fn(&mut QueryFields<'_>) -> Option<T>) -> bool {
            let query = QueryString::parse(query);
            let mut fields = QueryFields { query: &query, errors: FieldErrors::new() };
            read(&mut fields).is_none() && !fields.errors.is_empty()
        }
        for query in ["room=abc", "room=", "room=%00", "room={00000000-0000-0000-0000-000000000000}"] {
            assert!(error_of(query, |fields| fields.uuid("room")), "{query}");
        }
        for query in ["sender=abc", "sender=0", "sender=-1", "sender=9223372036854775808", "sender=+1"] {
            assert!(error_of(query, |fields| fields.id("sender")), "{query}");
        }
        assert!(error_of("search=a%00b", |fields| fields.search("search")));
    }
}
