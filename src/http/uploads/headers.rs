//! The headers of tus 1.0.0.

use actix_web::HttpRequest;
use actors::error::ErrorCode;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::error::ApiError;

/// The version of the protocol that is spoken here.
pub(super) const VERSION: &str = "1.0.0";
/// What of it beyond its core.
pub(super) const EXTENSIONS: &str = "creation,creation-with-upload,termination,checksum,expiration";
/// The algorithms of checksums.
pub(super) const ALGORITHMS: &str = "sha1,sha256";

pub(super) const RESUMABLE: &str = "Tus-Resumable";
pub(super) const OFFSET: &str = "Upload-Offset";
pub(super) const LENGTH: &str = "Upload-Length";
pub(super) const METADATA: &str = "Upload-Metadata";
pub(super) const EXPIRES: &str = "Upload-Expires";

/// The most bytes of `Upload-Metadata`.
const METADATA_BYTES_MAX: usize = 4_096;

/// Refuses clients of another version.
///
/// # Errors
/// 412.
pub(super) fn check_version(request: &HttpRequest) -> Result<(), ApiError> {
    if value(request, RESUMABLE) == Some(VERSION) { Ok(()) } else { Err(ApiError::UnsupportedTusVersion) }
}

/// Reads a number of bytes.
///
/// # Errors
/// 400: it is missing, or no number.
pub(super) fn bytes(request: &HttpRequest, name: &str) -> Result<i64, ApiError> {
    let digits = value(request, name).filter(|value| value.bytes().all(|digit| digit.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| invalid(format!("{name} must be a number of bytes.")))
}

/// What a client says of an upload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// As it came.
    pub(super) raw: String,
    /// The name of the file; empty if none is given.
    pub(super) name: String,
}

impl Metadata {
    /// Reads `Upload-Metadata`, which may be left out.
    ///
    /// # Errors
    /// 400: it isn't a list of keys with values in Base64, or is too long.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        match request.headers().get(METADATA).map(|value| value.to_str().ok()) {
            None => Ok(Self { raw: String::new(), name: String::new() }),
            Some(raw) => raw.and_then(Self::read).ok_or_else(|| {
                let detail = format!(
                    "{METADATA} must hold keys with values in Base64, up to {METADATA_BYTES_MAX} bytes."
                );
                invalid(detail)
            }),
        }
    }

    fn read(raw: &str) -> Option<Self> {
        if raw.len() > METADATA_BYTES_MAX {
            return None;
        }
        let mut name = String::new();
        for pair in raw.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = STANDARD.decode(value.trim()).ok()?;
            if ["filename", "name"].contains(&key) && name.is_empty() {
                name = String::from_utf8_lossy(&value).replace('\0', "");
            }
        }
        Some(Self { raw: raw.to_owned(), name })
    }
}

/// The sum that the bytes of a request must have.
pub(super) struct Checksum {
    so_far: Context,
    announced: Vec<u8>,
}

impl Checksum {
    /// Reads `Upload-Checksum`, which may be left out.
    ///
    /// # Errors
    /// 400: an unknown algorithm, or no Base64.
    pub(super) fn of(request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        const NAME: &str = "Upload-Checksum";
        if !request.headers().contains_key(NAME) {
            return Ok(None);
        }
        let read = |value: &str| {
            let (algorithm, sum) = value.split_once(' ')?;
            let sum = STANDARD.decode(sum.trim()).ok()?;
            let algorithm = match algorithm {
                "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
                "sha256" => &SHA256,
                _ => return None,
            };
            Some(Self { so_far: Context::new(algorithm), announced: sum })
        };
        let checksum = value(request, NAME).and_then(read);
        checksum
            .map(Some)
            .ok_or_else(|| invalid(format!("{NAME} must be one of {ALGORITHMS} and a sum in Base64.")))
    }

    /// Adds bytes to the sum.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.so_far.update(bytes);
    }

    /// Whether the bytes have the sum that was announced.
    pub(super) fn matches(self) -> bool {
        self.so_far.finish().as_ref() == self.announced
    }
}

fn value<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

pub(super) fn invalid(detail: impl Into<String>) -> ApiError {
    ApiError::coded(ErrorCode::Invalid, detail)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_name_is_found_in_what_a_client_says() {
        for (raw, name) in [
            ("filename a2l0Y2hlbi5qcGc=", Some("kitchen.jpg")),
            ("filetype aW1hZ2UvcG5n,filename YQ==, is_private", Some("a")),
            ("name w7w=", Some("\u{fc}")),
            ("filename YQBi", Some("ab")),
            ("", Some("")),
            ("filename not base64", None),
            ("filename \u{1}", None),
        ] {
            assert_eq!(Metadata::read(raw).map(|read| read.name).as_deref(), name, "{raw}");
        }
        assert!(Metadata::read(&"a".repeat(METADATA_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn numbers_and_sums_are_read_strictly() {
        for (value, expected) in
            [("7", Some(7)), ("0", Some(0)), ("-1", None), ("+1", None), ("", None), ("1e3", None)]
        {
            let request = TestRequest::default().insert_header((OFFSET, value)).to_http_request();
            assert_eq!(bytes(&request, OFFSET).ok(), expected, "{value}");
        }
        let of = |value: &str| {
            let request = TestRequest::default().insert_header(("Upload-Checksum", value)).to_http_request();
            Checksum::of(&request).map(|sum| {
                sum.is_some_and(|mut sum| {
                    sum.update(b"hello ");
                    sum.update(b"world");
                    sum.matches()
                })
            })
        };
        assert_eq!(of("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), Ok(true));
        assert_eq!(of("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="), Ok(true));
        assert_eq!(of("sha1 AAAA"), Ok(false));
        for bad in ["md5 AAAA", "sha1", "sha1 ?"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
