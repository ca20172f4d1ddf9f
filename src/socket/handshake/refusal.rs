//! Answers to upgrade requests that don't become sockets.

use bytes::Bytes;
use serde_json::json;

/// An answer in place of an upgrade; its body is `{"detail", "code"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Stable code for programs.
    pub code: &'static str,
    /// Text for people; holds nothing that the client sent.
    pub detail: &'static str,
    /// Headers beside those of the body.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal without headers of its own.
    pub const fn new(status: u16, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail, headers: Vec::new() }
    }

    /// Adds a header; `value` must be fit for one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 401 with the challenge that the contract names.
    pub fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        Self::new(401, code, detail).with("WWW-Authenticate", "Bearer realm=\"api\"")
    }

    /// 403.
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

    /// The body.
    pub fn body(&self) -> String {
        json!({"detail": self.detail, "code": self.code}).to_string()
    }

    /// The whole answer, after which the connection is to be closed.
    pub fn to_bytes(&self) -> Bytes {
        let body = self.body();
        let reason = actix_http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mut answer = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.status,
            body.len()
        );
        // A 426 names the protocol to change to, and that option must be in `Connection` as well.
        let upgrades = self.headers.iter().any(|(name, _)| *name == "Upgrade");
        answer.push_str(if upgrades { "Connection: close, Upgrade\r\n" } else { "Connection: close\r\n" });
        for (name, value) in &self.headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        answer.push_str(&body);
        answer.into()
    }
}
