//! The proxies that are trusted to say where a request comes from.

use std::net::IpAddr;

use super::ConfigError;
use super::network::Network;

/// The proxies whose `X-Forwarded-For` is trusted; none by default, because any client can send the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub(crate) fn parse(texts: &[String]) -> Result<Self, ConfigError> {
        texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .map(|text| {
                Network::parse(text).ok_or_else(|| {
                    ConfigError::invalid("TRUSTED_PROXIES", format!("{text:?} is no address or network"))
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Determines the address of the client behind `peer`, the other end of the connection.
    ///
    /// Walks `forwarded_for` from its end for as long as a trusted proxy wrote the entry. Whatever precedes
    /// the first untrusted address is the client's own claim. An entry that is not an address ends the walk
    /// as well.
    #[must_use]
    pub fn client(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for entry in forwarded_for.unwrap_or_default().rsplit(',') {
            if !self.contains(client) {
                break;
            }
            let Ok(address) = entry.trim().parse::<IpAddr>() else {
                break;
            };
            client = address.to_canonical();
        }
        client
    }

    /// Whether `address` is a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::TrustedProxies;

    fn client(trusted: &str, peer: &str, forwarded: Option<&str>) -> String {
        let trusted: Vec<String> = trusted.split(',').map(str::to_owned).collect();
        let peer: IpAddr = peer.parse().expect("an address");
        TrustedProxies::parse(&trusted).expect("networks").client(peer, forwarded).to_string()
    }

    #[test]
    fn only_configured_proxies_are_trusted() {
        assert_eq!(client("", "10.0.0.1", Some("1.2.3.4")), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", Some("1.2.3.4")), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "10.0.0.2", Some("1.2.3.4")), "10.0.0.2");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", Some("1.2.3.4")), "1.2.3.4");
        assert_eq!(client("0.0.0.0/0", "10.0.0.1", None), "10.0.0.1");
        assert_eq!(client("fd00::/8", "fd00::1", Some("2001:db8::7")), "2001:db8::7");
    }

    #[test]
    fn a_client_cannot_spoof_its_address() {
        let forwarded = Some("6.6.6.6, 1.2.3.4, 10.0.0.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", forwarded), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", Some("6.6.6.6, garbage")), "10.0.0.1");
    }

    #[test]
    fn an_invalid_network_is_rejected() {
        for text in ["x", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8"] {
            assert!(TrustedProxies::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
