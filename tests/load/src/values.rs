//! The arguments of a run: `name=value`.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, bail};

/// The values of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Parses `name=value` arguments.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut values = BTreeMap::new();
        for argument in arguments {
            let Some((name, value)) = argument.split_once('=') else {
                bail!("{argument:?} is no name=value");
            };
            values.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(values))
    }

    /// These values, overridden by `others`.
    pub(crate) fn with(&self, others: &Self) -> Self {
        let mut values = self.0.clone();
        values.extend(others.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self(values)
    }

    /// A value, or its default.
    pub(crate) fn get<T: FromStr>(&self, name: &str, unless: T) -> anyhow::Result<T> {
        match self.0.get(name) {
            Some(value) => value.parse().ok().with_context(|| format!("{name}={value} can't be")),
            None => Ok(unless),
        }
    }

    /// A text, if it is given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
