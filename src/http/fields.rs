//! The fields of a request body, read one by one; all errors are collected into one response.

use actors::domain::ids::UserId;
use actors::domain::text::{self, TextError};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound as _, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::{ApiError, FieldErrors};

pub(super) const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";

/// A request body that is read field by field; unknown fields are ignored.
pub trait FromFields: Sized {
    /// Reads the fields; returns `None` only after an error was added.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// The fields of one object, and the errors in those that were read.
///
/// Ids, booleans and times are accepted as text too, as a form holds them.
pub struct Fields {
    object: Map<String, Value>,
    is_form: bool,
    errors: FieldErrors,
}

impl Fields {
    /// Reads a `T` from a JSON object.
    ///
    /// # Errors
    /// 400 with all errors.
    pub fn read<T: FromFields>(object: Map<String, Value>) -> Result<T, ApiError> {
        Self { object, is_form: false, errors: FieldErrors::new() }.finish()
    }

    /// Reads a `T` from a form, in which a single value may stand for a list.
    ///
    /// # Errors
    /// 400 with all errors.
    pub fn read_form<T: FromFields>(object: Map<String, Value>) -> Result<T, ApiError> {
        Self { object, is_form: true, errors: FieldErrors::new() }.finish()
    }

    fn finish<T: FromFields>(mut self) -> Result<T, ApiError> {
        let body = T::from_fields(&mut self);
        match body {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(ApiError::Fields(self.errors)),
        }
    }

    /// Adds an error to a field.
    pub fn add_error(&mut self, name: &'static str, problem: impl Into<String>) {
        self.errors.entry(name).or_default().push(problem.into());
    }

    /// Whether a field is present, be it `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Whether a field is present and `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// Adds an error where a field was read as `None` and has none yet.
    pub fn require<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.errors.contains_key(name) {
            self.add_error(name, if self.has(name) { NULL } else { REQUIRED });
        }
        value
    }

    /// Reads a trimmed text; `null` counts as absent.
    pub fn optional_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        if self.is_null(name) { None } else { self.text(name, chars_max) }
    }

    /// Reads a trimmed name; `null` counts as absent.
    pub fn optional_name(&mut self, name: &'static str) -> Option<String> {
        if self.is_null(name) { None } else { self.name(name) }
    }

    /// Reads a trimmed text; `null` is an error.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.checked_text(name, |given| text::optional(given, chars_max))
    }

    /// Reads a trimmed name; `null` and a name of invisible characters are errors.
    pub fn name(&mut self, name: &'static str) -> Option<String> {
        self.checked_text(name, |given| text::name(given, text::NAME_CHARS_MAX))
    }

    /// Reads a text as it was sent, untrimmed and possibly empty; `null` is an error.
    pub fn verbatim_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.checked_text(name, |given| text::verbatim(given, chars_max))
    }

    fn checked_text(
        &mut self,
        name: &'static str,
        check: impl Fn(&str) -> Result<&str, TextError>,
    ) -> Option<String> {
        match self.object.get(name)? {
            Value::String(given) => match check(given) {
                Ok(kept) => Some(kept.to_owned()),
                Err(error) => self.reject(name, error.to_string()),
            },
            Value::Null => self.reject(name, NULL),
            _ => self.reject(name, "Not a valid string."),
        }
    }

    /// Reads a text as it was sent, for secrets.
    pub fn raw_text(&mut self, name: &'static str, bytes_max: usize) -> Option<String> {
        match self.object.get(name)? {
            Value::String(given) if given.is_empty() => self.reject(name, TextError::Blank.to_string()),
            Value::String(given) if given.len() > bytes_max => {
                self.reject(name, format!("Ensure this field has no more than {bytes_max} bytes."))
            }
            Value::String(given) => Some(given.clone()),
            Value::Null => self.reject(name, NULL),
            _ => self.reject(name, "Not a valid string."),
        }
    }

    /// Reads a text that `parse` accepts; `null` is an error.
    pub fn choice<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.object.get(name)? {
            Value::String(given) => match parse(given) {
                Some(choice) => Some(choice),
                None => {
                    let shown = text::prefix(given, text::PREVIEW_CHARS).replace('\0', "");
                    self.reject(name, format!("\"{shown}\" is not a valid choice."))
                }
            },
            Value::Null => self.reject(name, NULL),
            _ => self.reject(name, "Not a valid choice."),
        }
    }

    /// Reads a UUID; `null` counts as absent.
    pub fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        match self.object.get(name)? {
            Value::Null => None,
            Value::String(given) => match parse_uuid(given) {
                Some(id) => Some(id),
                None => self.reject(name, "Must be a valid UUID."),
            },
            _ => self.reject(name, "Must be a valid UUID."),
        }
    }

    /// Reads an id of the host application, an integer above 0; `null` counts as absent.
    pub fn id(&mut self, name: &'static str) -> Option<i64> {
        match self.object.get(name)? {
            Value::Null => None,
            value => match json_id(value) {
                Some(id) => Some(id),
                None => self.reject(name, "A valid id is required."),
            },
        }
    }

    /// Reads the id of a user, who may be a bot; `null` counts as absent.
    pub fn user(&mut self, name: &'static str) -> Option<UserId> {
        match self.object.get(name)? {
            Value::Null => None,
            value => match json_user(value) {
                Some(id) => Some(UserId(id)),
                None => self.reject(name, "A valid id is required."),
            },
        }
    }

    /// Reads an integer from 0 to `max`; `null` is an error.
    pub fn number(&mut self, name: &'static str, max: u32) -> Option<i64> {
        let number = match self.object.get(name)? {
            Value::Null => return self.reject(name, NULL),
            Value::String(given) => given.trim().parse::<i64>().ok(),
            value => value.as_i64(),
        };
        match number {
            None => self.reject(name, "A valid integer is required."),
            Some(..0) => self.reject(name, "Ensure this value is greater than or equal to 0."),
            Some(number) if number > i64::from(max) => {
                self.reject(name, format!("Ensure this value is less than or equal to {max}."))
            }
            number => number,
        }
    }

    /// Reads a list of ids of users without duplicates; `null` counts as absent.
    pub fn ids(&mut self, name: &'static str, count_max: usize) -> Option<Vec<i64>> {
        self.list(name, count_max, json_user, "A valid id is required.")
    }

    /// Reads a list of UUIDs, without duplicates; `null` counts as absent.
    pub fn uuids(&mut self, name: &'static str, count_max: usize) -> Option<Vec<Uuid>> {
        let read = |value: &Value| value.as_str().and_then(parse_uuid);
        self.list(name, count_max, read, "Must be a valid UUID.")
    }

    /// Reads a required list of at least one UUID, without duplicates.
    pub fn some_uuids(&mut self, name: &'static str, count_max: usize) -> Option<Vec<Uuid>> {
        let uuids = self.uuids(name, count_max);
        match self.require(name, uuids)? {
            none if none.is_empty() => self.reject(name, "This list may not be empty."),
            some => Some(some),
        }
    }

    /// Reads a list of what `read` accepts, without duplicates; `null` counts as absent.
    fn list<T: Copy + Eq + std::hash::Hash>(
        &mut self,
        name: &'static str,
        count_max: usize,
        read: impl Fn(&Value) -> Option<T>,
        problem: &str,
    ) -> Option<Vec<T>> {
        let list = match self.object.get(name)? {
            Value::Null => return None,
            Value::Array(list) => list.as_slice(),
            one if self.is_form => std::slice::from_ref(one),
            _ => return self.reject(name, "Expected a list of ids."),
        };
        if list.len() > count_max {
            return self.reject(name, format!("Ensure this field has no more than {count_max} elements."));
        }
        let items: Option<Vec<T>> = list.iter().map(read).collect();
        let Some(mut items) = items else { return self.reject(name, problem) };
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        items.retain(|item| seen.insert(*item));
        Some(items)
    }

    /// Reads a list of objects; `null` counts as absent. The error names the first wrong one by its number, from 1.
    pub fn objects<T: FromFields>(&mut self, name: &'static str, count_max: usize) -> Option<Vec<T>> {
        let list = match self.object.get(name)? {
            Value::Null => return None,
            Value::Array(list) => list,
            _ => return self.reject(name, "Expected a list of objects."),
        };
        if list.len() > count_max {
            return self.reject(name, format!("Ensure this field has no more than {count_max} elements."));
        }
        let mut items = Vec::with_capacity(list.len());
        for (number, value) in (1..).zip(list) {
            let Value::Object(object) = value else {
                return self.reject(name, format!("Element {number}: an object is required."));
            };
            match Self::read(object.clone()) {
                Ok(item) => items.push(item),
                Err(ApiError::Fields(errors)) => {
                    let (field, problems) = errors.into_iter().next().unwrap_or_default();
                    let problem = problems.into_iter().next().unwrap_or_default();
                    return self.reject(name, format!("Element {number}, {field}: {problem}"));
                }
                Err(_) => return self.reject(name, format!("Element {number} is not valid.")),
            }
        }
        Some(items)
    }

    /// Reads a value of any shape; `null` counts as absent.
    pub fn parsed<T, E: ToString>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&Value) -> Result<T, E>,
    ) -> Option<T> {
        match self.object.get(name)? {
            Value::Null => None,
            given => match parse(given) {
                Ok(parsed) => Some(parsed),
                Err(error) => self.reject(name, error.to_string()),
            },
        }
    }

    /// Reads a boolean; `null` counts as absent.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        if self.is_null(name) { None } else { self.flag(name) }
    }

    /// Reads a boolean; `null` is an error.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let flag = match self.object.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Null => return self.reject(name, NULL),
            Value::String(given) => parse_flag(given.trim()),
            _ => None,
        };
        if flag.is_some() { flag } else { self.reject(name, "Must be a valid boolean.") }
    }

    /// Reads a time; `null` counts as absent.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let parsed = match self.object.get(name)? {
            Value::Null => return None,
            Value::String(given) => parse_time(given),
            _ => None,
        };
        if parsed.is_none() {
            return self.reject(name, "Datetime has wrong format. Use RFC 3339.");
        }
        parsed
    }

    /// Reads a time in microseconds, as the database keeps it: so what is sent again is the same again.
    pub fn stored_time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.time(name).map(|at| at.trunc_subsecs(6))
    }

    /// Reads Unix seconds, from a number or a time. `None` means absent, `Some(None)` means `null`.
    pub fn second(&mut self, name: &'static str) -> Option<Option<i64>> {
        /// The end of the year 9999, the last second that RFC 3339 can express.
        const LAST: i64 = 253_402_300_799;
        let parsed = match self.object.get(name)? {
            Value::Null => return Some(None),
            Value::Number(number) => number.as_i64(),
            // Rounded up: a token issued earlier in the same second counts as issued before.
            Value::String(given) => {
                parse_time(given).map(|at| at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0))
            }
            _ => None,
        };
        match parsed.filter(|second| (0..=LAST).contains(second)) {
            Some(second) => Some(Some(second)),
            None => self.reject(name, "A time, or the seconds since 1970, is required."),
        }
    }

    fn reject<T>(&mut self, name: &'static str, problem: impl Into<String>) -> Option<T> {
        self.add_error(name, problem.into());
        None
    }
}

/// Parses a UUID with or without hyphens, and in no other form.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| matches!(text.len(), 32 | 36))
}

/// Parses a boolean as Django REST framework does.
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" | "t" | "T" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On"
        | "ON" => Some(true),
        "false" | "False" | "FALSE" | "0" | "f" | "F" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
        | "OFF" => Some(false),
        _ => None,
    }
}

fn json_id(value: &Value) -> Option<i64> {
    json_user(value).filter(|id| *id > 0)
}

fn json_user(value: &Value) -> Option<i64> {
    match value {
        Value::String(given) => parse_user_id(given.trim()).map(|user| user.0),
        value => value.as_i64().filter(|id| is_user(*id)),
    }
}

/// Whether an id is that of a person or of a bot.
fn is_user(id: i64) -> bool {
    id > 0 || UserId(id).is_bot()
}

/// Parses the id of a person or a bot, without leading zeros.
pub(super) fn parse_user_id(text: &str) -> Option<UserId> {
    text.parse::<i64>().ok().filter(|id| is_user(*id) && id.to_string() == text).map(UserId)
}

/// Parses an id of the host application, without sign or leading zeros.
pub(super) fn parse_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id > 0 && id.to_string() == text)
}

/// Parses an ISO 8601 time; without a zone it is UTC.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // The database can't store years beyond these bounds.
    let bounds = DateTime::from_timestamp(-62_000_000_000, 0)?..DateTime::from_timestamp(253_402_300_799, 0)?;
    let text = text.trim();
    let zoned = || {
        let with = |form| DateTime::parse_from_str(text, form).ok();
        let at = DateTime::parse_from_rfc3339(text).ok();
        at.or_else(|| ["%FT%T%.f%#z", "%F %T%.f%#z", "%FT%R%#z", "%F %R%#z"].into_iter().find_map(with))
    };
    let unzoned = || {
        let with = |form| NaiveDateTime::parse_from_str(text, form).ok();
        let at = ["%FT%T%.f", "%F %T%.f", "%FT%R", "%F %R"].into_iter().find_map(with);
        at.or_else(|| Some(NaiveDate::parse_from_str(text, "%F").ok()?.into()))
    };
    let at = zoned().map(|at| at.with_timezone(&Utc)).or_else(|| unzoned().map(|at| at.and_utc()))?;
    bounds.contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T>(value: Value, is_form: bool, by: impl Fn(&mut Fields) -> Option<T>) -> Result<Option<T>, ()> {
        let mut fields =
            Fields { object: Map::from_iter([("x".to_owned(), value)]), is_form, errors: FieldErrors::new() };
        let read = by(&mut fields);
        if fields.errors.is_empty() { Ok(read) } else { Err(()) }
    }

    #[test]
    fn what_a_form_writes_as_text_is_taken_as_text() {
        let id = |value| read(value, false, |fields| fields.id("x"));
        for (value, expected) in [(json!(7), 7), (json!("7"), 7), (json!(" 7 "), 7)] {
            assert_eq!(id(value), Ok(Some(expected)));
        }
        for wrong in [
            json!("07"),
            json!("+7"),
            json!("7.0"),
            json!("-1"),
            json!(0),
            json!(true),
            json!("x"),
            json!(""),
        ] {
            assert_eq!(id(wrong.clone()), Err(()), "{wrong}");
        }
        let bot = UserId::FIRST_BOT.0;
        for (value, expected) in [(json!(7), 7), (json!(bot), bot), (json!(bot.to_string()), bot)] {
            assert_eq!(read(value, false, |fields| fields.user("x")), Ok(Some(UserId(expected))));
        }
        for wrong in [json!(-1), json!(bot + 1), json!("-1"), json!(0), json!(true)] {
            assert_eq!(read(wrong.clone(), false, |fields| fields.user("x")), Err(()), "{wrong}");
        }
        assert_eq!(id(json!(bot)), Err(()));
        let flag = |value| read(value, false, |fields| fields.flag("x"));
        for (value, expected) in [
            (json!("true"), true),
            (json!("on"), true),
            (json!("False"), false),
            (json!("0"), false),
            (json!("no"), false),
        ] {
            assert_eq!(flag(value), Ok(Some(expected)));
        }
        for wrong in [json!("maybe"), json!(1), json!(""), json!([]), json!(null)] {
            assert_eq!(flag(wrong.clone()), Err(()), "{wrong}");
        }
        let uuid =
            |value| read(value, false, |fields| fields.uuid("x")).map(|id| id.map(|id| id.to_string()));
        let usual = "0190a000-0000-7000-8000-00000000000a";
        for given in [usual, &usual.replace('-', ""), &usual.to_uppercase()] {
            assert_eq!(uuid(json!(given)), Ok(Some(usual.to_owned())), "{given}");
        }
        for wrong in [json!("{0190a000-0000-7000-8000-00000000000a}"), json!("0190a000"), json!(5)] {
            assert_eq!(uuid(wrong.clone()), Err(()), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        let number = |value| read(value, false, |fields| fields.number("x", 30));
        for (value, expected) in [(json!(0), 0), (json!(30), 30), (json!(" 7 "), 7)] {
            assert_eq!(number(value), Ok(Some(expected)));
        }
        for wrong in
            [json!(-1), json!(31), json!(1.5), json!("x"), json!(""), json!(true), json!(null), json!([1])]
        {
            assert_eq!(number(wrong.clone()), Err(()), "{wrong}");
        }
        assert_eq!(number(json!(u64::MAX)), Err(()));
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        let time = |value: &str| read(json!(value), false, |fields| fields.time("x"));
        let at = |text| Ok(DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc)));
        for (given, expected) in [
            ("2026-11-30T08:00:00Z", "2026-11-30T08:00:00Z"),
            ("2026-11-30T08:00:00", "2026-11-30T08:00:00Z"),
            ("2026-11-30 08:00:00.25", "2026-11-30T08:00:00.25Z"),
            ("2026-11-30T08:00", "2026-11-30T08:00:00Z"),
            ("2026-11-30T08:00:00+0100", "2026-11-30T07:00:00Z"),
            ("2026-11-30 08:00+01:00", "2026-11-30T07:00:00Z"),
            ("2026-11-30T08:00:00.123456+01", "2026-11-30T07:00:00.123456Z"),
            ("2026-11-30", "2026-11-30T00:00:00Z"),
        ] {
            assert_eq!(time(given), at(expected), "{given}");
        }
        for wrong in
            ["", "soon", "2026-13-01", "08:00", "2026-11-30T25:00", "1700000000", "99999-01-01T00:00:00Z"]
        {
            assert_eq!(time(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn one_value_of_a_form_may_be_a_list() {
        let ids = |value, is_form| read(value, is_form, |fields| fields.ids("x", 2));
        assert_eq!(ids(json!(["1", 2, "2"]), false), Err(()), "three of two");
        assert_eq!(ids(json!(["2", 2]), false), Ok(Some(vec![2])));
        assert_eq!(ids(json!("5"), true), Ok(Some(vec![5])));
        assert_eq!(ids(json!("5"), false), Err(()));
        let uuid = "0190a000-0000-7000-8000-00000000000a";
        let uuids = |value| {
            read(value, false, |fields| fields.some_uuids("x", 2)).map(|read| read.map(|all| all.len()))
        };
        assert_eq!(uuids(json!([uuid, uuid.to_uppercase()])), Ok(Some(1)));
        for wrong in [json!([]), json!(null), json!(uuid), json!([uuid, 5]), json!([uuid, uuid, uuid])] {
            assert_eq!(uuids(wrong.clone()), Err(()), "{wrong}");
        }
    }
}
