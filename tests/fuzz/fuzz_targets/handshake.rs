//! Upgrade requests: no panic, no foreign origin is accepted, and no token appears in the response or in
//! `Debug`.
//!
//! The input is a request as text: path and query on the first line, then one header per line.

#![no_main]

use actix_http::{
    Method, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use aristay_chat_fuzz::handshake::{self, Origins, UpgradeRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (line, rest) = input.split_once('\n').unwrap_or((input, ""));
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let mut headers = HeaderMap::new();
    for header in rest.lines() {
        if let Some((name, value)) = header.split_once(':')
            && let (Ok(name), Ok(value)) = (
                name.parse::<HeaderName>(),
                HeaderValue::from_str(value.trim()),
            )
        {
            headers.append(name, value);
        }
    }
    let request = UpgradeRequest {
        method: &Method::GET,
        version: Version::HTTP_11,
        headers: &headers,
        path,
        query,
    };
    let origins = Origins::parse(["https://app.example"]).expect("an origin");
    match handshake::check(&request, &origins) {
        Ok(accepted) => {
            let answer = handshake::accept_response(&accepted);
            assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\n"));
            if let Some(origin) = headers.get("origin") {
                let origin = origin.to_str().expect("only text is let through");
                let host = headers.get("host").and_then(|host| host.to_str().ok());
                assert!(is_listed(origin) || host.is_some_and(|host| names_host(origin, host)));
            }
            let token = accepted.token.clone().unwrap_or_default();
            if token.len() > 30 {
                assert!(!format!("{accepted:?}").contains(&token));
            }
        }
        Err(rejection) => {
            assert!(matches!(rejection.status, 400 | 403 | 404 | 405 | 426));
            assert!(rejection.to_bytes().starts_with(b"HTTP/1.1 4"));
        }
    }
});

fn is_listed(origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let port = origin.strip_prefix("https://app.example");
    port.is_some_and(|port| matches!(port.trim_start_matches([':', '0']), "" | "443"))
}

/// Whether an origin has the host of a `Host` header; unit tests cover the ports.
fn names_host(origin: &str, host: &str) -> bool {
    let alone = |text: &str| match text.split_once(']') {
        Some((address, _)) => address.to_ascii_lowercase(),
        None => text
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase(),
    };
    let origin_host = origin.split_once("://").map_or("", |(_, host)| host);
    !host.is_empty() && alone(origin_host) == alone(host)
}
