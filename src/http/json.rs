//! A strict JSON parser: input that parsers read differently is refused.

use std::fmt;

use actors::protocol::surrogates;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses one JSON value. Duplicate keys, NaN, trailing input and more than 128 levels are errors. A lone
/// UTF-16 surrogate becomes U+FFFD.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    read(bytes).or_else(|error| {
        let mended = str::from_utf8(bytes).ok().and_then(surrogates::replace_lone);
        mended.map_or(Err(error), |mended| read(mended.as_bytes()))
    })
}

fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            let value = entries.next_value_seed(Strict)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\":1,\"a\":2}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "NaN",
            "{\"a\":NaN}",
            "{} {}",
            "{\"a\":1e999}",
            "{'a':1}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn half_an_emoji_becomes_a_replacement_character() {
        let value = parse(br#"{"a\ud83d": ["\ude00x", "\ud83d\ude00"]}"#).expect("JSON");
        assert_eq!(value["a\u{FFFD}"], serde_json::json!(["\u{FFFD}x", "\u{1F600}"]));
        assert!(parse(br#"{"a\ud83d": 1, "a\ude00": 2}"#).is_err(), "the same key by now");
    }

    #[test]
    fn plain_values_pass() {
        let value = parse(br#" {"a": [1, -2, 1.5, null, true, "x\u0000"], "b": {}} "#).expect("JSON");
        assert_eq!(value["a"][5], "x\0");
        assert!(value["b"].is_object());
    }
}
