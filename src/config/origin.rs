//! A web origin: scheme, host and port, compared as browsers compare them.

use std::fmt;

use super::ConfigError;

/// An origin in its normalized form: lower case, without a default port, path or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// Parses `http(s)://host[:port]`; `None` for anything else, including `null` and `*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            "http" => "80",
            "https" => "443",
            _ => return None,
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let is_host = if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        };
        let is_port = port.is_none_or(|port| {
            port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_host || !is_port {
            return None;
        }
        Some(Self(match port.filter(|port| *port != default_port) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse_all(setting: &'static str, texts: &[String]) -> Result<Vec<Self>, ConfigError> {
        texts
            .iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| {
                Self::parse(text).ok_or_else(|| {
                    ConfigError::invalid(
                        setting,
                        format!("{text:?} is no http(s)://host[:port] without a path"),
                    )
                })
            })
            .collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn origins_are_compared_in_normalized_form() {
        let parse = |text| Origin::parse(text).map(|origin| origin.to_string());
        assert_eq!(parse("HTTPS://Chat.Example:443").as_deref(), Some("https://chat.example"));
        assert_eq!(parse("http://localhost:5173").as_deref(), Some("http://localhost:5173"));
        assert_eq!(parse("http://[::1]:8000").as_deref(), Some("http://[::1]:8000"));
        assert_eq!(parse("http://[::1]").as_deref(), Some("http://[::1]"));
    }

    #[test]
    fn an_invalid_origin_is_rejected() {
        for text in [
            "",
            "*",
            "null",
            "chat.example",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a/path",
            "https://user@a",
            "https://a:0",
            "https://a:99999",
            "https://a:+1",
            "https://a b",
            "http://[x]",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }
}
