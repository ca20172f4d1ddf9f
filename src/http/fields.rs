//! The fields of a JSON object, read one by one; every fault is kept, so that one answer names all.

use actors::domain::text::{self, TextError};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::{ApiError, Faults};

pub(super) const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";

/// A request body that is read field by field. What it doesn't ask for is ignored.
pub trait FromFields: Sized {
    /// Reads the fields; `None` only where a fault was noted.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// The fields of one object, and what is wrong with those that were read.
///
/// What a form would hold as text is taken as text too: ids, booleans, times.
pub struct Fields {
    object: Map<String, Value>,
    is_form: bool,
    faults: Faults,
}

impl Fields {
    /// Reads a body of the form of `T` out of `object`.
    ///
    /// # Errors
    /// 400 with every fault.
    pub fn read<T: FromFields>(object: Map<String, Value>) -> Result<T, ApiError> {
        Self { object, is_form: false, faults: Faults::new() }.form()
    }

    /// Reads a body of the form of `T` out of the fields of a form, in which one value may be a list.
    ///
    /// # Errors
    /// 400 with every fault.
    pub fn read_form<T: FromFields>(object: Map<String, Value>) -> Result<T, ApiError> {
        Self { object, is_form: true, faults: Faults::new() }.form()
    }

    fn form<T: FromFields>(mut self) -> Result<T, ApiError> {
        let body = T::from_fields(&mut self);
        match body {
            Some(body) if self.faults.is_empty() => Ok(body),
            _ => Err(ApiError::Fields(self.faults)),
        }
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &'static str, problem: impl Into<String>) {
        self.faults.entry(name).or_default().push(problem.into());
    }

    /// Whether the field is there at all, `null` included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Whether the field is there and `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// Insists on a field that was read.
    pub fn require<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.faults.contains_key(name) {
            self.fault(name, if self.has(name) { NULL } else { REQUIRED });
        }
        value
    }

    /// A text that may be left out; `null` is as good as not there.
    pub fn optional_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        if self.is_null(name) { None } else { self.text(name, chars_max) }
    }

    /// A name that may be left out; `null` is as good as not there.
    pub fn optional_name(&mut self, name: &'static str) -> Option<String> {
        if self.is_null(name) { None } else { self.name(name) }
    }

    /// A text, trimmed; `null` is a fault.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        self.checked_text(name, |given| text::optional(given, chars_max))
    }

    /// A name, trimmed; `null` and one that only looks empty are faults.
    pub fn name(&mut self, name: &'static str) -> Option<String> {
        self.checked_text(name, |given| text::name(given, text::NAME_CHARS_MAX))
    }

    fn checked_text(
        &mut self,
        name: &'static str,
        check: impl Fn(&str) -> Result<&str, TextError>,
    ) -> Option<String> {
        match self.object.get(name)? {
            Value::String(given) => match check(given) {
                Ok(kept) => Some(kept.to_owned()),
                Err(error) => self.wrong(name, error.to_string()),
            },
            Value::Null => self.wrong(name, NULL),
            _ => self.wrong(name, "Not a valid string."),
        }
    }

    /// A text exactly as given, for secrets.
    pub fn raw_text(&mut self, name: &'static str, bytes_max: usize) -> Option<String> {
        match self.object.get(name)? {
            Value::String(given) if given.is_empty() => self.wrong(name, TextError::Blank.to_string()),
            Value::String(given) if given.len() > bytes_max => {
                self.wrong(name, format!("Ensure this field has no more than {bytes_max} bytes."))
            }
            Value::String(given) => Some(given.clone()),
            Value::Null => self.wrong(name, NULL),
            _ => self.wrong(name, "Not a valid string."),
        }
    }

    /// One of a few words; `null` is a fault.
    pub fn choice<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.object.get(name)? {
            Value::String(given) => match parse(given) {
                Some(choice) => Some(choice),
                None => {
                    let shown = text::prefix(given, text::PREVIEW_CHARS).replace('\0', "");
                    self.wrong(name, format!("\"{shown}\" is not a valid choice."))
                }
            },
            Value::Null => self.wrong(name, NULL),
            _ => self.wrong(name, "Not a valid choice."),
        }
    }

    /// A UUID; `null` is as good as not there.
    pub fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        match self.object.get(name)? {
            Value::Null => None,
            Value::String(given) => match parse_uuid(given) {
                Some(id) => Some(id),
                None => self.wrong(name, "Must be a valid UUID."),
            },
            _ => self.wrong(name, "Must be a valid UUID."),
        }
    }

    /// An id of the host application: an integer above 0; `null` is as good as not there.
    pub fn id(&mut self, name: &'static str) -> Option<i64> {
        match self.object.get(name)? {
            Value::Null => None,
            value => match id_in(value) {
                Some(id) => Some(id),
                None => self.wrong(name, "A valid id is required."),
            },
        }
    }

    /// A list of such ids, each once; `null` is as good as not there.
    pub fn ids(&mut self, name: &'static str, count_max: usize) -> Option<Vec<i64>> {
        let list = match self.object.get(name)? {
            Value::Null => return None,
            Value::Array(list) => list.as_slice(),
            one if self.is_form => std::slice::from_ref(one),
            _ => return self.wrong(name, "Expected a list of ids."),
        };
        if list.len() > count_max {
            return self.wrong(name, format!("Ensure this field has no more than {count_max} elements."));
        }
        let ids: Option<Vec<i64>> = list.iter().map(id_in).collect();
        let Some(mut ids) = ids else { return self.wrong(name, "A valid id is required.") };
        let mut seen = std::collections::HashSet::with_capacity(ids.len());
        ids.retain(|id| seen.insert(*id));
        Some(ids)
    }

    /// A boolean that may be left out; `null` is as good as not there.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        if self.is_null(name) { None } else { self.flag(name) }
    }

    /// A boolean; `null` is a fault.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let flag = match self.object.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Null => return self.wrong(name, NULL),
            Value::String(given) => parse_flag(given.trim()),
            _ => None,
        };
        if flag.is_some() { flag } else { self.wrong(name, "Must be a valid boolean.") }
    }

    /// A time; `null` is as good as not there.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let parsed = match self.object.get(name)? {
            Value::Null => return None,
            Value::String(given) => parse_time(given),
            _ => None,
        };
        if parsed.is_none() {
            return self.wrong(name, "Datetime has wrong format. Use RFC 3339.");
        }
        parsed
    }

    /// A second: Unix time as a number, or a time. The outer `None`: not there; the inner one: `null`.
    pub fn second(&mut self, name: &'static str) -> Option<Option<i64>> {
        /// The end of the year 9999, the last second that a time can be written of.
        const LAST: i64 = 253_402_300_799;
        let parsed = match self.object.get(name)? {
            Value::Null => return Some(None),
            Value::Number(number) => number.as_i64(),
            // A token of the same second but before the fraction counts as issued before.
            Value::String(given) => {
                parse_time(given).map(|at| at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0))
            }
            _ => None,
        };
        match parsed.filter(|second| (0..=LAST).contains(second)) {
            Some(second) => Some(Some(second)),
            None => self.wrong(name, "A time, or the seconds since 1970, is required."),
        }
    }

    fn wrong<T>(&mut self, name: &'static str, problem: impl Into<String>) -> Option<T> {
        self.fault(name, problem.into());
        None
    }
}

/// Reads a UUID in its usual form, or without the hyphens.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| matches!(text.len(), 32 | 36))
}

/// Reads a boolean in one of the ways that Django REST framework knows.
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" | "t" | "T" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On"
        | "ON" => Some(true),
        "false" | "False" | "FALSE" | "0" | "f" | "F" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
        | "OFF" => Some(false),
        _ => None,
    }
}

fn id_in(value: &Value) -> Option<i64> {
    match value {
        Value::String(given) => parse_id(given.trim()),
        value => value.as_i64().filter(|id| *id > 0),
    }
}

/// Reads an id of the host application, written plainly.
pub(super) fn parse_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id > 0 && id.to_string() == text)
}

/// Reads a time as ISO 8601 has it; without a zone it is UTC.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // Years beyond these bounds are more than the database holds.
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
            Fields { object: Map::from_iter([("x".to_owned(), value)]), is_form, faults: Faults::new() };
        let read = by(&mut fields);
        if fields.faults.is_empty() { Ok(read) } else { Err(()) }
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
    }
}
