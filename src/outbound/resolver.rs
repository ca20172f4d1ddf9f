//! Resolves names to the addresses that may be called.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;
use crate::config::OutboundAllow;

/// A name resolves to no address that may be called.
#[derive(Debug, thiserror::Error)]
#[error("the host has no address that may be called")]
pub(super) struct ForbiddenAddress;

/// Resolves names by the system and leaves out the addresses that may not be called. The connection is made to
/// one of those that remain.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    allow: Arc<OutboundAllow>,
    permits_public: bool,
}

impl GuardedResolver {
    pub(super) fn new(allow: Arc<OutboundAllow>, permits_public: bool) -> Self {
        Self { allow, permits_public }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow, permits_public) = (self.allow.clone(), self.permits_public);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_listed = allow.contains_host(name.as_str());
            let permits = |address: &SocketAddr| {
                let ip = address.ip().to_canonical();
                is_listed || allow.contains_address(ip) || (permits_public && is_public(ip))
            };
            let permitted: Vec<SocketAddr> = found.filter(permits).collect();
            if permitted.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}
