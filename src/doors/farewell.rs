//! What connections are told that end before a request of theirs could be given to anyone.

/// A last answer, after which nothing is read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// 400: the head is none.
    BadRequest,
    /// 408: the head didn't come in time.
    SlowHead,
    /// 431: the head has no end.
    HeadTooLong,
    /// 429: the address has too many connections that nobody knows.
    TooMany,
}

impl Farewell {
    /// The whole answer.
    pub(super) const fn answer(self) -> &'static [u8] {
        match self {
            Self::BadRequest => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\
                  Connection: close\r\n\r\n\
                  {\"detail\":\"The request can't be read.\",\"code\":\"bad_frame\"}"
            }
            Self::SlowHead => {
                b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\
                  Connection: close\r\n\r\n\
                  {\"detail\":\"The request came too slowly.\",\"code\":\"timeout\"}"
            }
            Self::HeadTooLong => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\n\
                  Content-Length: 63\r\nConnection: close\r\n\r\n\
                  {\"detail\":\"The request's head is too long.\",\"code\":\"too_large\"}"
            }
            Self::TooMany => {
                b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\
                  Retry-After: 5\r\nConnection: close\r\n\r\n\
                  {\"detail\":\"Too many connections of this address.\",\"code\":\"rate_limited\",\"retry_after\":5.0}"
            }
        }
    }

    /// What it is counted as.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_head",
            Self::SlowHead => "slow_head",
            Self::HeadTooLong => "long_head",
            Self::TooMany => "address",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Farewell;

    #[test]
    fn each_is_an_answer_of_the_length_that_it_says() {
        for farewell in [Farewell::BadRequest, Farewell::SlowHead, Farewell::HeadTooLong, Farewell::TooMany] {
            let answer = str::from_utf8(farewell.answer()).expect("text");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
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
