//! The hosts that absolute URLs in responses may name.
//!
//! The `Host` header of a request can contain anything. An absolute URL built from it would lead a client,
//! with its token, to a host of the sender's choice.

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use super::ConfigError;

/// Decides which hosts absolute URLs may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts {
    /// The configured patterns. If empty, hosts that can't belong to anyone else are allowed.
    named: Vec<Pattern>,
    /// The address that this server listens on.
    bind: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exactly(String),
    /// Includes the leading dot.
    Below(String),
}

impl AllowedHosts {
    pub(super) fn parse(texts: &[String], bind: IpAddr) -> Result<Self, ConfigError> {
        let given = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let named = given.map(|text| {
            Pattern::parse(text).ok_or_else(|| {
                let problem = format!("{text:?} is no host, .domain or *; ports are not compared");
                ConfigError::invalid("ALLOWED_HOSTS", problem)
            })
        });
        Ok(Self { named: named.collect::<Result<_, _>>()?, bind })
    }

    /// Whether a URL may name the host of `url`, to which the request was sent.
    ///
    /// Without configured patterns these are allowed: private and loopback addresses, that of `BIND`, names
    /// without a dot or under `localhost`, and any host that a trusted proxy has forwarded.
    #[must_use]
    pub fn allow(&self, url: &Url, is_of_trusted_proxy: bool) -> bool {
        let Some(host) = url.host() else { return false };
        if !self.named.is_empty() {
            let name = host.to_string();
            return self.named.iter().any(|pattern| pattern.covers(&name));
        }
        is_of_trusted_proxy
            || match host {
                Host::Domain(name) => !name.contains('.') || name.ends_with(".localhost"),
                Host::Ipv4(address) => {
                    let is_near = address.is_loopback() || address.is_private() || address.is_link_local();
                    is_near || self.bind == IpAddr::V4(address)
                }
                Host::Ipv6(address) => {
                    let is_near =
                        address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local();
                    is_near || self.bind == IpAddr::V6(address)
                }
            }
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Some(Self::Any);
        }
        let name = text.strip_prefix('.').unwrap_or(&text);
        let host = Host::parse(name).ok()?;
        let is_below = name != text;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        match host {
            Host::Domain(name) if !name.chars().all(is_name) => None,
            Host::Domain(name) if is_below => Some(Self::Below(format!(".{name}"))),
            host => (!is_below).then(|| Self::Exactly(host.to_string())),
        }
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(own) => own == name,
            Self::Below(domain) => name == &domain[1..] || name.ends_with(domain.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(named: &str, bind: &str) -> AllowedHosts {
        let named: Vec<String> = named.split(',').map(str::to_owned).collect();
        AllowedHosts::parse(&named, bind.parse().expect("an address")).expect("hosts")
    }

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}/")).expect("a URL")
    }

    #[test]
    fn private_hosts_are_allowed_by_default() {
        let hosts = hosts("", "198.51.100.7");
        for host in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "localhost",
            "chat.localhost",
            "chat",
            "10.1.2.3",
            "192.168.0.9:8000",
            "[fd00::7]",
            "198.51.100.7",
        ] {
            assert!(hosts.allow(&url(host), false), "{host}");
        }
        for host in ["evil.com", "evil.com:8000", "localhost.evil.com", "6.6.6.6", "[2001:db8::6]"] {
            assert!(!hosts.allow(&url(host), false), "{host}");
            assert!(hosts.allow(&url(host), true), "{host}");
        }
    }

    #[test]
    fn configured_hosts_are_the_only_ones_allowed() {
        let hosts = hosts("Chat.Example, .aristay.example,203.0.113.5", "127.0.0.1");
        for host in
            ["chat.example", "chat.example:8443", "aristay.example", "a.aristay.example", "203.0.113.5"]
        {
            assert!(hosts.allow(&url(host), false), "{host}");
        }
        for host in ["evil.com", "chat.example.evil.com", "xaristay.example", "127.0.0.1", "a.chat.example"] {
            assert!(!hosts.allow(&url(host), true), "{host}");
        }
        assert!(self::hosts("*", "127.0.0.1").allow(&url("evil.com"), false));
    }

    #[test]
    fn an_invalid_host_is_rejected() {
        for text in [
            "https://chat.example",
            "chat.example:8000",
            "a b",
            "chat.example/path",
            ".10.0.0.1",
            "*.example",
        ] {
            let refused = AllowedHosts::parse(&[text.to_owned()], IpAddr::from([127, 0, 0, 1]));
            assert!(refused.is_err(), "{text}");
        }
    }
}
