use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Parser;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AccessClaims, InvalidToken, RoomGrant, SubjectKind, TokenVerifier, now_seconds};
use crate::{
    auth::token_issuer::{AccessTokenClaims, TokenIssuer},
    config::{AuthConfig, AuthSettings},
};

mod crafted;

const SIMPLE_JWT: &str = include_str!("../../../tests/fixtures/tokens/simplejwt.json");
const FOREIGN: &str = include_str!("../../../tests/fixtures/tokens/foreign.json");
const SECRET: &str = "a-key-that-is-only-for-the-tests-of-this-crate";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    auth: AuthConfig,
}

fn settings(flags: &[&str]) -> AuthSettings {
    Flags::try_parse_from([&["chat"], flags].concat()).expect("flags").auth.validate(false).expect("settings")
}

fn verifier(flags: &[&str]) -> TokenVerifier {
    let settings = settings(&[&["--jwt-secret", SECRET], flags].concat());
    TokenVerifier::new(&settings, settings.secret.as_ref())
}

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("vectors")
}

fn simple_jwt(name: &str) -> String {
    vectors(SIMPLE_JWT)["tokens"][name].as_str().expect(name).to_owned()
}

/// Signs the given header and payload, valid or not.
fn craft(header: &str, payload: &str, key: &[u8], algorithm: Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature =
        crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), algorithm).expect("signed");
    format!("{message}.{signature}")
}

fn with_header(header: &Value) -> String {
    craft(&header.to_string(), &good().to_string(), SECRET.as_bytes(), Algorithm::HS256)
}

fn with_payload(payload: &str) -> String {
    craft(r#"{"alg":"HS256","typ":"JWT"}"#, payload, SECRET.as_bytes(), Algorithm::HS256)
}

/// A valid payload with some claims added, replaced, or removed by `null`.
fn with(changes: &Value) -> String {
    let mut payload = good();
    for (name, value) in changes.as_object().expect("claims") {
        if value.is_null() {
            payload.as_object_mut().expect("claims").remove(name);
        } else {
            payload[name] = value.clone();
        }
    }
    with_payload(&payload.to_string())
}

fn good() -> Value {
    let now = now_seconds();
    json!({"token_type": "access", "exp": now + 300, "iat": now, "jti": "0f", "user_id": 42})
}

#[tokio::test]
async fn real_simplejwt_tokens_are_accepted() {
    let verifier = verifier(&[]);
    for name in ["access_string_id", "access_integer_id", "access_issuer", "access_other_issuer"] {
        let claims = verifier.verify(&simple_jwt(name)).await.expect(name);
        assert_eq!((claims.user_id, claims.is_service, claims.grant), (Some(42), false, None), "{name}");
        assert_eq!((claims.iat, claims.exp), (1_704_067_200, 4_102_444_800), "{name}");
    }
    let person = verifier.verify(&simple_jwt("access_person")).await.expect("a person");
    assert_eq!(person.username.as_deref(), Some("ana"));
    assert_eq!(person.full_name.as_deref(), Some("Ana Díaz"));
    assert_eq!(person.email.as_deref(), Some("ana@example.com"));
    let service = verifier.verify(&simple_jwt("access_service")).await.expect("a service");
    assert_eq!((service.user_id, service.is_service), (None, true));
    let guest = verifier.verify(&simple_jwt("access_grant")).await.expect("a grant");
    assert_eq!(guest.grant, Some(RoomGrant { kind: SubjectKind::Task, id: 7 }));
    let refresh = verifier.verify_refresh(&simple_jwt("refresh")).expect("a refresh token");
    assert_eq!(refresh.user_id, 42);
    assert_eq!(refresh.family, None);
}

#[tokio::test]
async fn the_issuer_is_checked_when_configured() {
    let verifier = verifier(&["--jwt-issuer", "aristay-app"]);
    assert!(verifier.verify(&simple_jwt("access_issuer")).await.is_ok());
    assert_eq!(verifier.verify(&simple_jwt("access_other_issuer")).await, Err(InvalidToken::Refused));
    assert_eq!(verifier.verify(&simple_jwt("access_string_id")).await, Err(InvalidToken::Refused));
    assert_eq!(verifier.verify(&with(&json!({"iss": ["aristay-app"]}))).await, Err(InvalidToken::Refused));
}

#[tokio::test]
async fn the_audience_is_checked_only_when_configured() {
    let ours = verifier(&["--jwt-audience", "chat"]);
    assert!(ours.verify(&with(&json!({"aud": "chat"}))).await.is_ok());
    assert!(ours.verify(&with(&json!({"aud": ["mail", "chat"]}))).await.is_ok());
    assert!(ours.verify(&with(&json!({"aud": "mail"}))).await.is_err());
    assert!(ours.verify(&with(&json!({}))).await.is_err());
    for aud in [json!("mail"), json!(["mail"]), json!(7)] {
        assert!(verifier(&[]).verify(&with(&json!({"aud": aud}))).await.is_ok(), "{aud}");
    }
}

#[tokio::test]
async fn a_malformed_grant_is_reported_separately() {
    let verifier = verifier(&[]);
    let bad =
        ["", "task", "task:", "task:*", "task:0", "task:-7", "task:007", "room:7"].map(|grant| json!(grant));
    for grant in bad.into_iter().chain([json!(7), json!(["task:7"])]) {
        let token = with(&json!({"grant": grant}));
        assert_eq!(verifier.verify(&token).await, Err(InvalidToken::BadGrant), "{grant}");
        let expired = with(&json!({"grant": grant, "exp": 1}));
        assert_eq!(verifier.verify(&expired).await, Err(InvalidToken::Refused), "{grant}");
    }
    let none = with_payload(&format!("{},\"grant\":null}}", good().to_string().trim_end_matches('}')));
    assert_eq!(verifier.verify(&none).await.expect("a good token").grant, None);
}

#[tokio::test]
async fn a_refresh_token_with_an_invalid_family_is_rejected() {
    let refresh = json!({"token_type": "refresh", "family": "x"});
    assert_eq!(verifier(&[]).verify_refresh(&with(&refresh)), Err(InvalidToken::Refused));
    let nameless = json!({"token_type": "refresh", "family": Uuid::new_v4().to_string(), "jti": null});
    assert_eq!(verifier(&[]).verify_refresh(&with(&nameless)), Err(InvalidToken::Refused));
}

#[tokio::test]
async fn key_references_in_a_token_header_are_ignored() {
    let verifier = verifier(&[]);
    for header in [
        json!({"alg": "HS256", "kid": "../../../../dev/null"}),
        json!({"alg": "HS256", "kid": "' UNION SELECT 'key"}),
        json!({"alg": "HS256", "jku": "https://evil.example/keys"}),
        json!({"alg": "HS256", "x5u": "https://evil.example/cert"}),
    ] {
        assert!(verifier.verify(&with_header(&header)).await.is_ok(), "{header}: the right key signed it");
        for key in [&b""[..], b"key", b"https://evil.example/keys"] {
            let token = craft(&header.to_string(), &good().to_string(), key, Algorithm::HS256);
            assert_eq!(verifier.verify(&token).await, Err(InvalidToken::Refused), "{header}");
        }
    }
}

#[tokio::test]
async fn public_keys_verify_only_their_owners_signatures() {
    let vectors = vectors(FOREIGN);
    let all: String = vectors["pem"].as_object().expect("keys").values().filter_map(Value::as_str).collect();
    let settings = settings(&["--jwt-public-keys", &all]);
    let verifier = TokenVerifier::new(&settings, None);
    for (algorithm, token) in vectors["tokens"].as_object().expect("tokens") {
        let claims = verifier.verify(token.as_str().expect("a token")).await.expect(algorithm);
        assert_eq!(claims.user_id, Some(42), "{algorithm}");
    }
    for (name, token) in vectors["bad"].as_object().expect("tokens") {
        // PEM keys have no id, so a token may name its correct key arbitrarily.
        if name != "kid_of_another_key" {
            assert_eq!(
                verifier.verify(token.as_str().expect("a token")).await,
                Err(InvalidToken::Refused),
                "{name}"
            );
        }
    }
    for pem in vectors["pem"].as_object().expect("keys").values().filter_map(Value::as_str) {
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let confused = craft(header, &good().to_string(), pem.as_bytes(), Algorithm::HS256);
        assert_eq!(verifier.verify(&confused).await, Err(InvalidToken::Refused));
    }
    assert_eq!(verifier.verify(&simple_jwt("access_string_id")).await, Err(InvalidToken::Refused));
    assert_eq!(verifier.verify_refresh(&simple_jwt("refresh")), Err(InvalidToken::Refused));
}

#[tokio::test]
async fn keys_of_a_set_are_found_by_kid_only() {
    let vectors = vectors(FOREIGN);
    let keys = vectors["jwks"]["keys"].as_array().expect("keys").clone();
    let keys: Vec<_> = keys.into_iter().map(|key| serde_json::from_value(key).expect("a key")).collect();
    let mut settings = settings(&["--jwt-secret", SECRET]);
    settings.public_keys = crate::auth::keys::PublicKeys::from_jwks(&keys);
    let verifier = TokenVerifier::new(&settings, None);
    for (algorithm, token) in vectors["tokens"].as_object().expect("tokens") {
        assert!(verifier.verify(token.as_str().expect("a token")).await.is_ok(), "{algorithm}");
    }
    for (name, token) in vectors["bad"].as_object().expect("tokens") {
        assert_eq!(
            verifier.verify(token.as_str().expect("a token")).await,
            Err(InvalidToken::Refused),
            "{name}"
        );
    }
}

#[tokio::test]
async fn issued_tokens_have_the_format_of_simplejwt() {
    let settings = settings(&["--jwt-secret", SECRET, "--jwt-issuer", "aristay-app"]);
    let secret = SecretString::from(SECRET);
    let (token_issuer, verifier) =
        (TokenIssuer::new(&settings, &secret), TokenVerifier::new(&settings, Some(&secret)));
    let (family, jti) = (Uuid::new_v4(), Uuid::new_v4());
    let pair = token_issuer.token_pair(42, family, jti);
    let names = |token: &str| -> Vec<String> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a payload")).expect("base64");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!(payload["jti"].as_str().map(str::len), Some(32));
        payload.as_object().expect("claims").keys().cloned().collect()
    };
    // Beside the sign-in that they come of.
    for token in [&pair.access, &pair.refresh] {
        let beside: Vec<_> = names(token).into_iter().filter(|name| name != "family").collect();
        assert_eq!(beside, names(&simple_jwt("access_issuer")));
    }
    let claims = verifier.verify(&pair.access).await.expect("a good token");
    assert_eq!((claims.user_id, claims.family, claims.exp - claims.iat), (Some(42), Some(family), 3600));
    let claims = verifier.verify_refresh(&pair.refresh).expect("a good token");
    assert_eq!((claims.user_id, claims.family), (42, Some((family, jti))));
    assert_eq!(verifier.verify(&pair.refresh).await, Err(InvalidToken::Refused));
    assert_eq!(verifier.verify_refresh(&pair.access), Err(InvalidToken::Refused));

    let request = AccessTokenClaims {
        is_service: true,
        grant: Some(RoomGrant { kind: SubjectKind::Property, id: 9 }),
        username: Some("bob".into()),
        ..AccessTokenClaims::default()
    };
    let AccessClaims { user_id, is_service, grant, username, .. } =
        verifier.verify(&token_issuer.access_token_for(&request, 60)).await.expect("a good token");
    assert_eq!((user_id, is_service, grant, username), (None, true, request.grant, request.username.clone()));
    assert!(verifier.verify(&token_issuer.access_token_for(&request, -31)).await.is_err());
}
