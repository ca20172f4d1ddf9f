//! The query of a request, read parameter by parameter like a body's fields.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use uuid::Uuid;

use super::error::{ApiError, Faults};
use super::fields::{REQUIRED, parse_flag, parse_id, parse_uuid};
use actors::domain::text;

/// The most code points of a text to search for.
const SEARCH_CHARS_MAX: usize = 500;

/// The parameters of a query. The first of a name counts; what isn't asked for is ignored.
pub struct Query {
    pairs: Vec<(String, String)>,
    faults: Faults,
}

impl FromRequest for Query {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::read(request.query_string())))
    }
}

impl Query {
    fn read(query: &str) -> Self {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
        Self { pairs: pairs.map(web::Query::into_inner).unwrap_or_default(), faults: Faults::new() }
    }

    /// A parameter as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All parameters but the one named.
    pub fn without<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key != name)
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &'static str, problem: impl Into<String>) {
        self.faults.entry(name).or_default().push(problem.into());
    }

    /// A UUID.
    pub fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        let parsed = parse_uuid(self.get(name)?);
        self.checked(name, parsed, "Must be a valid UUID.")
    }

    /// A UUID that must be there.
    pub fn required_uuid(&mut self, name: &'static str) -> Option<Uuid> {
        self.require(name);
        self.uuid(name)
    }

    /// Insists on a parameter.
    pub fn require(&mut self, name: &'static str) {
        if self.get(name).is_none() {
            self.fault(name, REQUIRED);
        }
    }

    /// A parameter that narrows a list. An empty one narrows nothing: forms send all their fields.
    fn narrowing(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// An id of the host application.
    pub fn id(&mut self, name: &'static str) -> Option<i64> {
        let parsed = parse_id(self.narrowing(name)?);
        self.checked(name, parsed, "A valid id is required.")
    }

    /// A position in a log: a number of 0 or more; one beyond any log is past every head.
    pub fn seq(&mut self, name: &'static str) -> Option<i64> {
        let given = self.get(name)?;
        let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = is_number.then(|| given.parse().unwrap_or(i64::MAX));
        self.checked(name, parsed, "A number of 0 or more is required.")
    }

    /// A boolean.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let parsed = parse_flag(self.narrowing(name)?);
        self.checked(name, parsed, "Must be true or false.")
    }

    /// One of a few words.
    pub fn choice<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(self.narrowing(name)?);
        self.checked(name, parsed, "Select a valid choice.")
    }

    /// A text to search for; blank is as good as not there.
    pub fn search(&mut self, name: &'static str) -> Option<String> {
        let given = self.get(name)?;
        match text::optional(given, SEARCH_CHARS_MAX) {
            Ok("") => None,
            Ok(text) => Some(text.to_owned()),
            Err(error) => {
                self.fault(name, error.to_string());
                None
            }
        }
    }

    /// A count from 1 to `max`: what is no number is `default`, what is too large is `max`.
    #[must_use]
    pub fn count(&self, name: &str, default: usize, max: usize) -> usize {
        match self.number(name) {
            Some(number) if number >= 1 => usize::try_from(number).unwrap_or(max).min(max),
            _ => default,
        }
    }

    /// A whole number, at the bounds of 64 bits where it is beyond them.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let given = self.get(name)?.trim();
        let digits = given.strip_prefix(['-', '+']).unwrap_or(given);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let beyond = if given.starts_with('-') { i64::MIN } else { i64::MAX };
        Some(given.parse().unwrap_or(beyond))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 with every fault.
    pub fn finish(&mut self) -> Result<(), ApiError> {
        match std::mem::take(&mut self.faults) {
            faults if faults.is_empty() => Ok(()),
            faults => Err(ApiError::Fields(faults)),
        }
    }

    fn checked<T>(&mut self, name: &'static str, parsed: Option<T>, problem: &str) -> Option<T> {
        if parsed.is_none() {
            self.fault(name, problem);
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_clamped_and_nonsense_is_the_default() {
        let count = |query: &str| Query::read(query).count("page_size", 10, 100);
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
    fn malformed_ids_are_faults() {
        for query in ["room=abc", "room=", "room=%00", "room={00000000-0000-0000-0000-000000000000}"] {
            let mut query = Query::read(query);
            assert_eq!(query.uuid("room"), None);
            assert!(query.finish().is_err());
        }
        for query in ["sender=abc", "sender=0", "sender=-1", "sender=9223372036854775808", "sender=+1"] {
            let mut query = Query::read(query);
            assert_eq!(query.id("sender"), None);
            assert!(query.finish().is_err());
        }
        assert!(Query::read("search=a%00b").search("search").is_none());
    }
}
