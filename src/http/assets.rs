//! The page, the tag and their parts, as they were built into the binary.
//!
//! The build has compressed them too: what a client takes best is sent as it lies there.

use std::borrow::Cow;

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, Encoding, Header,
    HeaderValue, IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::endpoint::at;
use super::error::ApiError;

/// What the web client's build has made. Empty where it was not built.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'";
/// A name with a hash in it never means anything else.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const FOR_MINUTES: &str = "public, max-age=300";
const NEVER: &str = "no-cache";
/// Encodings that the build makes, each with the end of its files' names, the smallest first.
static ENCODINGS: [(Encoding, &str, &str); 2] =
    [(Encoding::brotli(), "br", ".br"), (Encoding::gzip(), "gzip", ".gz")];
const NOT_BUILT: &str = "The page was not built into this binary: run `npm ci && npm run build` in web/ and \
     build again. The API is at /api/docs/.\n";

/// Puts the page under `/chat/` and the tag at the root.
pub fn routes(config: &mut ServiceConfig) {
    at("/").get(to_page).register(config);
    at("/chat").get(to_page).register(config);
    at("/chat-room.js").get(tag).register(config);
    at("/chat/{path:.*}").get(part).register(config);
}

async fn to_page() -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, "/chat/")).finish()
}

async fn tag(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    asset(&request, "chat-room.js", FOR_MINUTES).ok_or_else(ApiError::not_found)
}

async fn part(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, ApiError> {
    // A path of the page's own, such as /chat/rooms/<id>, is the page.
    if path.rsplit('/').next().is_none_or(|name| !name.contains('.')) {
        return Ok(page(&request));
    }
    let caching = match path.as_str() {
        // What decides of all else that a browser keeps is asked for each time.
        "sw.js" => NEVER,
        path if path.starts_with("assets/") => FOR_EVER,
        _ => FOR_MINUTES,
    };
    asset(&request, &path, caching).ok_or_else(ApiError::not_found)
}

fn page(request: &HttpRequest) -> HttpResponse {
    match asset(request, "index.html", NEVER) {
        Some(mut page) => {
            let headers = page.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            page
        }
        None => HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body(NOT_BUILT),
    }
}

fn asset(request: &HttpRequest, path: &str, caching: &'static str) -> Option<HttpResponse> {
    // The compressed forms have no address of their own.
    if ENCODINGS.iter().any(|(_, _, end)| path.ends_with(end)) {
        return None;
    }
    let plain = Dist::get(path)?;
    let (EmbeddedFile { data, metadata, .. }, encoding) = match compressed(request, path) {
        Some((file, encoding)) => (file, Some(encoding)),
        None => (plain, None),
    };
    let tag = format!("\"{}\"", hex(&metadata.sha256_hash()[..12]));
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, caching)).insert_header((ETAG, tag.clone()));
    answer.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff")).insert_header((VARY, "accept-encoding"));
    // Modules are loaded by pages of other origins, which must be allowed to read them.
    answer.insert_header(("Access-Control-Allow-Origin", "*"));
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some(answer.status(actix_web::http::StatusCode::NOT_MODIFIED).finish());
    }
    if let Some(encoding) = encoding {
        answer.insert_header((CONTENT_ENCODING, encoding));
    }
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    answer.content_type(kind);
    Some(match data {
        Cow::Borrowed(bytes) => answer.body(bytes),
        Cow::Owned(bytes) => answer.body(bytes),
    })
}

/// Gives the form of a file that is smallest of those which the client takes, and its encoding's name.
fn compressed(request: &HttpRequest, path: &str) -> Option<(EmbeddedFile, &'static str)> {
    let accepted = AcceptEncoding::parse(request).ok()?;
    let made = ENCODINGS.iter().map(|(encoding, ..)| encoding);
    let chosen = accepted.negotiate(made)?;
    let (_, name, end) = ENCODINGS.iter().find(|(encoding, ..)| *encoding == chosen)?;
    Some((Dist::get(&format!("{path}{end}"))?, name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
