//! The fields of a JSON object, read one by one; every fault is kept, so that one answer names all.

use actors::domain::text::{self, TextError};
use chrono::{DateTime, Utc};
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
pub struct Fields {
    object: Map<String, Value>,
    faults: Faults,
}

impl Fields {
    /// Reads a body of the form of `T` out of `object`.
    ///
    /// # Errors
    /// 400 with every fault.
    pub fn read<T: FromFields>(object: Map<String, Value>) -> Result<T, ApiError> {
        let mut fields = Self { object, faults: Faults::new() };
        let body = T::from_fields(&mut fields);
        match body {
            Some(body) if fields.faults.is_empty() => Ok(body),
            _ => Err(ApiError::Fields(fields.faults)),
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

    /// Insists on a field that was read.
    pub fn require<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.faults.contains_key(name) {
            self.fault(name, if self.has(name) { NULL } else { REQUIRED });
        }
        value
    }

    /// A text that may be left out; `null` is as good as not there.
    pub fn optional_text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        if self.object.get(name)?.is_null() { None } else { self.text(name, chars_max) }
    }

    /// A text, trimmed; `null` is a fault.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        match self.object.get(name)? {
            Value::String(given) => match text::optional(given, chars_max) {
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
            value => match value.as_i64().filter(|id| *id > 0) {
                Some(id) => Some(id),
                None => self.wrong(name, "A valid id is required."),
            },
        }
    }

    /// A list of such ids, each once; `null` is as good as not there.
    pub fn ids(&mut self, name: &'static str, count_max: usize) -> Option<Vec<i64>> {
        let list = match self.object.get(name)? {
            Value::Null => return None,
            Value::Array(list) => list,
            _ => return self.wrong(name, "Expected a list of ids."),
        };
        if list.len() > count_max {
            return self.wrong(name, format!("Ensure this field has no more than {count_max} elements."));
        }
        let ids: Option<Vec<i64>> = list.iter().map(|value| value.as_i64().filter(|id| *id > 0)).collect();
        let Some(mut ids) = ids else { return self.wrong(name, "A valid id is required.") };
        let mut seen = std::collections::HashSet::with_capacity(ids.len());
        ids.retain(|id| seen.insert(*id));
        Some(ids)
    }

    /// A boolean; `null` is a fault.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.object.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Null => self.wrong(name, NULL),
            _ => self.wrong(name, "Must be a valid boolean."),
        }
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

/// Reads a UUID in its usual form with hyphens, and in no other.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

/// Reads an id of the host application, written plainly.
pub(super) fn parse_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id > 0 && id.to_string() == text)
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // Years beyond these bounds are more than the database holds.
    let bounds = DateTime::from_timestamp(-62_000_000_000, 0)?..DateTime::from_timestamp(253_402_300_799, 0)?;
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    bounds.contains(&at).then_some(at)
}
