//! Previews of links, of a site on this machine that the server may call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::client::{ApiClient, new_user, new_user_at, text_of};
use crate::server::{Server, start};

/// A PNG of 2 by 2 pixels.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::from(image::RgbaImage::new(2, 2));
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).expect("a picture");
    bytes
}

/// A site, and the paths that it was asked for with their cookies.
struct Site {
    address: SocketAddr,
    asked: Data<Mutex<Vec<String>>>,
}

async fn page(request: HttpRequest, asked: Data<Mutex<Vec<String>>>) -> HttpResponse {
    let path = request.path().to_owned();
    asked.lock().expect("no panic").push(path.clone());
    let html = |body: String| HttpResponse::Ok().content_type("text/html; charset=utf-8").body(body);
    match path.as_str() {
        "/listing" => html(
            "<title>Flat 4</title><meta name=description content='Two rooms &amp; a bath'>
             <meta property=og:site_name content=Homes><meta property=og:image content=/picture.png>"
                .to_owned(),
        ),
        "/picture.png" => HttpResponse::Ok().content_type("image/png").body(png()),
        "/moved" => HttpResponse::Found().insert_header(("location", "/listing")).finish(),
        "/away" => HttpResponse::Found().insert_header(("location", "http://169.254.169.254/")).finish(),
        "/inside" => {
            html("<title>In</title><meta property=og:image content='http://127.0.0.2/x.png'>".to_owned())
        }
        "/endless" => html(format!("<title>Long</title>{}", "x".repeat(4 << 20))),
        "/pdf" => HttpResponse::Ok().content_type("application/pdf").body("<title>no</title>"),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(8)).await;
            html("<title>late</title>".to_owned())
        }
        "/broken" => HttpResponse::InternalServerError().finish(),
        _ => HttpResponse::NotFound().content_type("text/html").body("<title>Not found</title>"),
    }
}

async fn site() -> Site {
    let (tell, told) = tokio::sync::oneshot::channel();
    let asked = Data::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server =
                HttpServer::new(move || App::new().app_data(asked.clone()).default_service(web::to(page)));
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
            tell.send(server.addrs()[0]).expect("the test waits");
            server.run().await.expect("a site that runs");
        });
    });
    Site { address: told.await.expect("an address"), asked: kept }
}

impl Site {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn count(&self, path: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| *asked == path).count()
    }
}

async fn started() -> (Server, ApiClient, Site) {
    let site = site().await;
    let allowed = format!("{}", site.address.ip());
    let server = start(&["--link-previews", "on", "--outbound-allow", &allowed]).await;
    let alice = new_user_at(&server, "alice").await;
    (server, alice, site)
}

async fn previews_of(who: &ApiClient, message: &Value) -> Value {
    let path = format!("/api/chat/messages/{}/link_previews/", text_of(&message["id"]));
    who.get(&path).await.expect_status(200)
}

#[tokio::test]
async fn a_page_is_asked_once_for_all_and_shown_in_the_order_of_the_text() {
    let (server, alice, site) = started().await;
    let bob = new_user_at(&server, "bob").await;
    let room = alice.creates_group(&[&bob]).await;
    let text = format!("{} and {}#top, {}", site.url("/moved"), site.url("/listing"), site.url("/nothing"));
    let message = alice.says(&room, &text).await;
    assert_eq!(site.count("/listing"), 0, "nobody has looked");
    let shown = previews_of(&alice, &message).await;
    assert_eq!((&shown["is_enabled"], &shown["is_complete"]), (&json!(true), &json!(true)));
    let previews = shown["previews"].as_array().expect("previews");
    let urls: Vec<String> = previews.iter().map(|preview| text_of(&preview["url"])).collect();
    assert_eq!(urls, [site.url("/moved"), site.url("/listing")], "a page that isn't found has none");
    assert_eq!(
        (&previews[1]["title"], &previews[1]["description"], &previews[1]["site_name"]),
        (&json!("Flat 4"), &json!("Two rooms & a bath"), &json!("Homes"))
    );
    assert!(text_of(&previews[1]["picture"]).starts_with("data:image/jpeg;base64,/9j/"));
    let listing = site.count("/listing");
    let other = bob.says(&room, &site.url("/listing")).await;
    assert_eq!(previews_of(&bob, &other).await["previews"][0], previews[1]);
    previews_of(&alice, &message).await;
    assert_eq!(site.count("/listing"), listing, "kept");
}

#[tokio::test]
async fn many_who_look_at_once_have_the_page_asked_once() {
    let (_server, alice, site) = started().await;
    let room = alice.creates_group(&[]).await;
    let message = Arc::new(alice.says(&room, &site.url("/listing")).await);
    let looking = (0..20).map(|_| previews_of(&alice, &message));
    let shown = futures_util::future::join_all(looking).await;
    assert_eq!(site.count("/listing"), 1);
    for shown in shown {
        let found = shown["previews"].as_array().expect("previews").len();
        assert_eq!(shown["is_complete"], json!(found == 1), "{shown}");
    }
    assert_eq!(previews_of(&alice, &message).await["previews"][0]["title"], "Flat 4");
}

#[tokio::test]
async fn the_inside_and_what_is_no_page_have_no_preview() {
    let (_server, alice, site) = started().await;
    let room = alice.creates_group(&[]).await;
    for text in [
        site.url("/away"),
        site.url("/pdf"),
        site.url("/broken"),
        site.url("/slow"),
        "http://169.254.169.254/latest/meta-data/ https://localhost:1/ https://[::1]/".to_owned(),
        "no link".to_owned(),
    ] {
        let message = alice.says(&room, &text).await;
        let shown = previews_of(&alice, &message).await;
        assert_eq!((&shown["previews"], &shown["is_complete"]), (&json!([]), &json!(true)), "{text}");
    }
    let message = alice.says(&room, &format!("{} {}", site.url("/inside"), site.url("/endless"))).await;
    let shown = previews_of(&alice, &message).await;
    assert_eq!(
        (&shown["previews"][0]["title"], &shown["previews"][0]["picture"]),
        (&json!("In"), &Value::Null)
    );
    assert_eq!(shown["previews"][1]["title"], "Long", "only its start is read");
}

#[tokio::test]
async fn only_who_may_read_a_message_has_its_links_asked() {
    let (server, alice, site) = started().await;
    let eve = new_user_at(&server, "eve").await;
    let room = alice.creates_group(&[]).await;
    let message = alice.says(&room, &site.url("/listing")).await;
    let path = format!("/api/chat/messages/{}/link_previews/", text_of(&message["id"]));
    eve.get(&path).await.expect_status(404);
    alice.without_token().get(&path).await.expect_status(401);
    alice.get("/api/chat/messages/x/link_previews/").await.expect_status(404);
    assert_eq!(site.count("/listing"), 0);
}

#[tokio::test]
async fn previews_are_off_unless_the_operator_switches_them_on() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let message = alice.says(&room, "https://example.com/").await;
    let expected = json!({"is_enabled": false, "previews": [], "is_complete": true});
    assert_eq!(previews_of(&alice, &message).await, expected);
}
