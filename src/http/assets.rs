//! The web client and the `<chat-room>` element, embedded in the binary by the build.
//!
//! The build compresses them too, so each client is sent the smallest encoding that it accepts, as it is.

use std::borrow::Cow;
use std::io::Read as _;

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, Encoding, Header,
    HeaderValue, IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::endpoint::at;
use super::error::ApiError;

/// The output of the web client's build; empty where it wasn't built.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'";
/// The content of a file with a hash in its name never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
pub(super) const MINUTES: &str = "public, max-age=300";
const REVALIDATE: &str = "no-cache";
/// The encodings that the build produces, with the suffix of their files, the smallest first.
static ENCODINGS: [(Encoding, &str, &str); 2] =
    [(Encoding::brotli(), "br", ".br"), (Encoding::gzip(), "gzip", ".gz")];
const NOT_BUILT: &str = "The page was not built into this binary: run `npm ci && npm run build` in web/ and \
     build again. The API is at /api/docs/.\n";

/// Registers the web client under `/chat/` and the element's script at the root.
pub fn routes(config: &mut ServiceConfig) {
    at("/").get(redirect_to_page).register(config);
    at("/chat").get(redirect_to_page).register(config);
    at("/chat-room.js").get(element).register(config);
    at("/chat/{path:.*}").get(page_or_asset).register(config);
}

async fn redirect_to_page() -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, "/chat/")).finish()
}

async fn element(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    asset(&request, "chat-room.js", MINUTES).ok_or_else(ApiError::not_found)
}

async fn page_or_asset(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, ApiError> {
    // Paths without an extension, such as /chat/rooms/<id>, are routed by the page itself.
    if path.rsplit('/').next().is_none_or(|name| !name.contains('.')) {
        return Ok(page(&request));
    }
    let caching = match path.as_str() {
        // The service worker decides what the browser caches, so it is revalidated each time.
        "sw.js" => REVALIDATE,
        path if path.starts_with("assets/") => IMMUTABLE,
        _ => MINUTES,
    };
    asset(&request, &path, caching).ok_or_else(ApiError::not_found)
}

fn page(request: &HttpRequest) -> HttpResponse {
    match asset(request, "index.html", REVALIDATE) {
        Some(mut page) => {
            let headers = page.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            page
        }
        None => HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body(NOT_BUILT),
    }
}

/// Answers with a file of the build, or `None` if there is none of that name.
pub(super) fn asset(request: &HttpRequest, path: &str, caching: &'static str) -> Option<HttpResponse> {
    // The compressed files aren't served under their own names.
    if ENCODINGS.iter().any(|(_, _, end)| path.ends_with(end)) {
        return None;
    }
    let (EmbeddedFile { data, metadata, .. }, encoding) = match compressed(request, path) {
        Some((file, encoding)) => (file, Some(encoding)),
        None => (plain(path)?, None),
    };
    let tag = format!("\"{}\"", hex(&metadata.sha256_hash()[..12]));
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, caching)).insert_header((ETAG, tag.clone()));
    answer.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff")).insert_header((VARY, "accept-encoding"));
    // Pages of other origins load the modules and must be allowed to read them.
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

/// Returns a file as it is. Of large ones that nearly every client takes compressed the build keeps no other form.
fn plain(path: &str) -> Option<EmbeddedFile> {
    if let Some(file) = Dist::get(path) {
        return Some(file);
    }
    let mut file = Dist::get(&format!("{path}.gz"))?;
    let mut data = Vec::new();
    flate2::read::GzDecoder::new(&file.data[..]).read_to_end(&mut data).ok()?;
    file.data = Cow::Owned(data);
    Some(file)
}

/// Returns the smallest encoding of a file that the client accepts, and the encoding's name.
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
