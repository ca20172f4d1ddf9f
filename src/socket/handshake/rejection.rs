//! Responses to rejected upgrade requests.

use bytes::Bytes;
use serde_json::json;

/// A response in place of an upgrade, with the body `{"detail", "code"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeRejection {
    /// HTTP status.
    pub status: u16,
    /// Stable code for programs.
    pub code: &'static str,
    /// Text for people; contains nothing from the client.
    pub detail: &'static str,
    /// Headers besides those of the body.
    pub headers: Vec<(&'static str, String)>,
}

impl UpgradeRejection {
    /// A rejection without additional headers.
    pub const fn new(status: u16, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail, headers: Vec::new() }
    }

    /// Adds a header; `value` must be a valid header value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 401 with the challenge that the contract specifies.
    pub fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        Self::new(401, code, detail).with("WWW-Authenticate", "Bearer realm=\"api\"")
    }

    /// 403 with the code `forbidden`.
    pub const fn forbidden(detail: &'static str) -> Self {
        Self::new(403, "forbidden", detail)
    }

    pub(super) const fn invalid(detail: &'static str) -> Self {
        Self::new(400, "invalid", detail)
    }

    pub(super) const fn not_found() -> Self {
        Self::new(404, "not_found", "Not found.")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(405, "method_not_allowed", "Method not allowed.").with("Allow", allow)
    }

    pub(super) fn upgrade_required(detail: &'static str) -> Self {
        Self::new(426, "upgrade_required", detail)
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        json!({"detail": self.detail, "code": self.code}).to_string()
    }

    /// The complete response, after which the connection must be closed.
    pub fn to_bytes(&self) -> Bytes {
        let body = self.body();
        let reason = actix_http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mut response = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.status,
            body.len()
        );
        // A 426 names the protocol to switch to, which requires the `Upgrade` option in `Connection` (RFC
        // 9110, 7.8).
        let upgrades = self.headers.iter().any(|(name, _)| *name == "Upgrade");
        response.push_str(if upgrades { "Connection: close, Upgrade\r\n" } else { "Connection: close\r\n" });
        for (name, value) in &self.headers {
            response.push_str(&format!("{name}: {value}\r\n"));
        }
        response.push_str("\r\n");
        response.push_str(&body);
        response.into()
    }
}
