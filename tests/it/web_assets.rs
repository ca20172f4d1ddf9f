//! The web page's files as they are served.

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY};
use actix_web::middleware::Compress;
use actix_web::{App, test};
use aristay_chat::http::assets;

/// A file that is long enough to be compressed.
const PART: &str = "icon.svg";

/// Requests `path` with these headers.
async fn request(
    path: &str,
    headers: &[(&str, &str)],
) -> ServiceResponse<impl actix_web::body::MessageBody + use<>> {
    let app = test::init_service(App::new().configure(assets::routes).wrap(Compress::default())).await;
    let request = headers.iter().fold(test::TestRequest::get().uri(path), |request, (name, value)| {
        request.insert_header((*name, *value))
    });
    test::call_service(&app, request.to_request()).await
}

fn header<'a, B>(answer: &'a ServiceResponse<B>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The built file `name`; the page is built before the tests.
fn built(name: &str) -> Vec<u8> {
    std::fs::read(format!("web/dist/{name}")).unwrap_or_else(|_| panic!("npm run build in web/ makes {name}"))
}

#[actix_web::test]
async fn each_client_gets_the_smallest_encoding_it_accepts() {
    for (accepts, encoding, file) in [
        ("gzip, deflate, br, zstd", Some("br"), "icon.svg.br"),
        ("gzip, deflate", Some("gzip"), "icon.svg.gz"),
        ("br;q=0, gzip;q=0.5", Some("gzip"), "icon.svg.gz"),
        ("br;q=0.1, gzip;q=0.5", Some("gzip"), "icon.svg.gz"),
        ("identity", None, "icon.svg"),
    ] {
        let answer = request(&format!("/chat/{PART}"), &[(ACCEPT_ENCODING.as_str(), accepts)]).await;
        assert_eq!(header(&answer, CONTENT_ENCODING.as_str()), encoding, "{accepts}");
        assert_eq!(header(&answer, "content-type"), Some("image/svg+xml"), "{accepts}");
        assert!(
            header(&answer, VARY.as_str()).unwrap().to_lowercase().contains("accept-encoding"),
            "{accepts}"
        );
        assert_eq!(test::read_body(answer).await, built(file), "{accepts}");
    }
    let answer = request(&format!("/chat/{PART}"), &[]).await;
    assert_eq!(header(&answer, CONTENT_ENCODING.as_str()), None);
    assert!(header(&answer, VARY.as_str()).is_some(), "a cache must know it even then");
    assert_eq!(test::read_body(answer).await, built(PART));
}

#[actix_web::test]
async fn a_cached_encoding_is_not_sent_again_nor_taken_for_another() {
    let path = format!("/chat/{PART}");
    let brotli = (ACCEPT_ENCODING.as_str(), "br");
    let tag = header(&request(&path, &[brotli]).await, ETAG.as_str()).unwrap().to_owned();
    let known = (IF_NONE_MATCH.as_str(), tag.as_str());
    let again = request(&path, &[brotli, known]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(header(&again, VARY.as_str()).is_some());
    assert_eq!(request(&path, &[known]).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn compressed_files_have_no_url() {
    for end in ["br", "gz"] {
        let _ = built(&format!("{PART}.{end}"));
        let answer = request(&format!("/chat/{PART}.{end}"), &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
}

#[actix_web::test]
async fn files_that_name_others_are_revalidated_each_time() {
    for path in ["/chat/", "/chat/r/2c1f4a0e-3a58-4f0e-9d51-0d4e5c1f7a11", "/chat/sw.js"] {
        let answer = request(path, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&answer, CACHE_CONTROL.as_str()), Some("no-cache"), "{path}");
    }
}
