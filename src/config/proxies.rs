//! Whose word counts about where a request comes from.

use std::net::IpAddr;

use super::ConfigError;

/// The proxies whose `X-Forwarded-For` is believed; none by default, for any client can send one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

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

    /// Finds the address of the client behind `peer`, the other end of the connection.
    ///
    /// Goes through `forwarded_for` from its end as long as a trusted proxy wrote the entry; what
    /// stands before the first untrusted address is the client's own claim. An entry that is no
    /// address ends the way too.
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

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(own).checked_shr(shift) == u32::from(other).checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(own).checked_shr(shift) == u128::from(other).checked_shr(shift)
            }
            _ => false,
        }
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
    fn only_named_proxies_are_believed() {
        assert_eq!(client("", "10.0.0.1", Some("1.2.3.4")), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", Some("1.2.3.4")), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "10.0.0.2", Some("1.2.3.4")), "10.0.0.2");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", Some("1.2.3.4")), "1.2.3.4");
        assert_eq!(client("0.0.0.0/0", "10.0.0.1", None), "10.0.0.1");
        assert_eq!(client("fd00::/8", "fd00::1", Some("2001:db8::7")), "2001:db8::7");
    }

    #[test]
    fn a_client_can_not_put_an_address_in_front_of_its_own() {
        let forwarded = Some("6.6.6.6, 1.2.3.4, 10.0.0.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", forwarded), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", Some("6.6.6.6, garbage")), "10.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["x", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8"] {
            assert!(TrustedProxies::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
