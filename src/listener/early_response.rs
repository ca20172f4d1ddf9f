//! Responses sent by the listener itself, before a request reaches a handler.

/// A final response, after which nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EarlyResponse {
    /// 400: the head is malformed.
    BadRequest,
    /// 408: the head did not arrive in time.
    RequestTimeout,
    /// 431: the head is too long.
    HeadTooLarge,
    /// 429: the address has too many unauthenticated connections.
    TooManyConnections,
}

impl EarlyResponse {
    /// The complete response.
    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::BadRequest => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\
                  Connection: close\r\n\r\n\
                  {\"detail\":\"The request can't be read.\",\"code\":\"bad_frame\"}"
            }
            Self::RequestTimeout => {
                b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\
                  Connection: close\r\n\r\n\
                  {\"detail\":\"The request came too slowly.\",\"code\":\"timeout\"}"
            }
            Self::HeadTooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\n\
                  Content-Length: 63\r\nConnection: close\r\n\r\n\
                  {\"detail\":\"The request's head is too long.\",\"code\":\"too_large\"}"
            }
            Self::TooManyConnections => {
                b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\
                  Retry-After: 5\r\nConnection: close\r\n\r\n\
                  {\"detail\":\"Too many connections of this address.\",\"code\":\"rate_limited\",\"retry_after\":5.0}"
            }
        }
    }

    /// The value of the metric's `reason` label.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_head",
            Self::RequestTimeout => "slow_head",
            Self::HeadTooLarge => "long_head",
            Self::TooManyConnections => "address",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EarlyResponse;

    #[test]
    fn each_response_has_its_announced_length() {
        for early_response in [
            EarlyResponse::BadRequest,
            EarlyResponse::RequestTimeout,
            EarlyResponse::HeadTooLarge,
            EarlyResponse::TooManyConnections,
        ] {
            let bytes = str::from_utf8(early_response.bytes()).expect("text");
            let (head, body) = bytes.split_once("\r\n\r\n").expect("a head and a body");
            assert!(
                head.contains(&format!("Content-Length: {}", body.len())),
                "{} bytes: {head}",
                body.len()
            );
            assert!(!head.replace("\r\n", "").contains('\n'), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert!(body["detail"].is_string() && body["code"].is_string());
        }
    }
}
