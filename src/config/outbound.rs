//! The destinations beyond the public internet that this server may call.

use std::net::IpAddr;

use super::ConfigError;
use super::network::Network;

/// Hosts and networks that calls to the outside may reach though they aren't public, also without TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundAllow {
    networks: Vec<Network>,
    hosts: Vec<String>,
}

impl OutboundAllow {
    pub(crate) fn parse(texts: &[String]) -> Result<Self, ConfigError> {
        let mut allow = Self::default();
        for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            if let Some(network) = Network::parse(text) {
                allow.networks.push(network);
            } else if is_host(text) {
                allow.hosts.push(text.to_ascii_lowercase());
            } else {
                let problem = format!("{text:?} is no address, network (CIDR) or host");
                return Err(ConfigError::invalid("OUTBOUND_ALLOW", problem));
            }
        }
        Ok(allow)
    }

    /// Whether `host` is listed by its name.
    #[must_use]
    pub fn contains_host(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }

    /// Whether `address` belongs to a listed network.
    #[must_use]
    pub fn contains_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// Whether a text is a host name: what looks like a mistyped network isn't.
fn is_host(text: &str) -> bool {
    let has_letter = text.chars().any(|c| c.is_ascii_alphabetic());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    has_letter && text.split('.').all(|label| !label.is_empty() && label.chars().all(fits))
}

#[cfg(test)]
mod tests {
    use super::OutboundAllow;

    fn parse(text: &str) -> Option<OutboundAllow> {
        let texts: Vec<String> = text.split(',').map(str::to_owned).collect();
        OutboundAllow::parse(&texts).ok()
    }

    #[test]
    fn hosts_and_networks_are_told_apart() {
        let allow = parse("10.0.0.0/8, Push.Internal,fd00::/8").expect("a list");
        assert!(allow.contains_address([10, 2, 3, 4].into()));
        assert!(!allow.contains_address([11, 2, 3, 4].into()));
        assert!(allow.contains_host("push.internal") && allow.contains_host("PUSH.INTERNAL."));
        assert!(!allow.contains_host("x.push.internal") && !allow.contains_host("10.0.0.1"));
        assert_eq!(parse(""), Some(OutboundAllow::default()));
    }

    #[test]
    fn mistyped_networks_are_refused() {
        for text in ["10.0.0.0/33", "10.0.0/8", "10.0.0", "a b", "https://x.example", "x.example:80", "*.x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
