use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{FOREIGN, SECRET, craft, good, simple_jwt, vectors, verifier, with, with_header, with_payload};
use crate::auth::tokens::{InvalidToken, now_seconds};

#[tokio::test]
async fn all_forged_tokens_get_the_same_error() {
    let now = now_seconds();
    let public = vectors(FOREIGN)["pem"]["RS256"].as_str().expect("a key").to_owned();
    let whole = with(&json!({}));
    let parts: Vec<_> = whole.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let other_payload =
        encode(&json!({"token_type": "access", "exp": now + 300, "iat": now, "user_id": 1}).to_string());
    let good_text = good().to_string();
    let bad: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("dots", "..".into()),
        ("one part", header.into()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{whole}.{signature}")),
        ("a dot more", format!("{whole}.")),
        ("a dot before", format!(".{whole}")),
        ("white space", format!(" {whole}")),
        ("a line end", format!("{whole}\n")),
        ("the word Bearer", format!("Bearer {whole}")),
        ("garbage", "not a token at all".into()),
        ("bytes beyond ASCII", "é.é.é".into()),
        ("NUL", format!("{whole}\0")),
        ("no signature", format!("{header}.{payload}.")),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..20])),
        ("a signature with padding", format!("{whole}=")),
        ("standard base64", format!("{header}.{payload}.{}", "+/".repeat(22))),
        ("a signature of something else", format!("{header}.{other_payload}.{signature}")),
        ("bad base64 in the header", format!("{}.{payload}.{signature}", "!!!")),
        ("bad base64 in the payload", format!("{header}.%%%.{signature}")),
        ("alg none", format!("{}.{payload}.", encode(r#"{"alg":"none","typ":"JWT"}"#))),
        ("alg None", format!("{}.{payload}.{signature}", encode(r#"{"alg":"None","typ":"JWT"}"#))),
        ("alg nOnE with a signature", with_header(&json!({"alg": "nOnE", "typ": "JWT"}))),
        ("no alg", with_header(&json!({"typ": "JWT"}))),
        ("alg empty", with_header(&json!({"alg": "", "typ": "JWT"}))),
        ("alg a list", with_header(&json!({"alg": ["HS256"], "typ": "JWT"}))),
        ("alg in small letters", with_header(&json!({"alg": "hs256", "typ": "JWT"}))),
        ("alg RS256 over an HMAC", with_header(&json!({"alg": "RS256", "typ": "JWT"}))),
        (
            "HS512 by the key of HS256",
            craft(r#"{"alg":"HS512","typ":"JWT"}"#, &good_text, SECRET.as_bytes(), Algorithm::HS512),
        ),
        (
            "an HMAC by a public key",
            craft(
                r#"{"alg":"HS256","typ":"JWT","kid":"RS256"}"#,
                &good_text,
                public.as_bytes(),
                Algorithm::HS256,
            ),
        ),
        ("another secret", craft(r#"{"alg":"HS256"}"#, &good_text, &[b'k'; 40], Algorithm::HS256)),
        ("an empty secret", craft(r#"{"alg":"HS256"}"#, &good_text, b"", Algorithm::HS256)),
        ("typ of something else", with_header(&json!({"alg": "HS256", "typ": "JWE"}))),
        ("typ a number", with_header(&json!({"alg": "HS256", "typ": 1}))),
        ("a critical extension", with_header(&json!({"alg": "HS256", "crit": ["exp"]}))),
        ("compressed", with_header(&json!({"alg": "HS256", "zip": "DEF"}))),
        ("nested", with_header(&json!({"alg": "HS256", "cty": "JWT"}))),
        ("header no object", craft("[]", &good_text, SECRET.as_bytes(), Algorithm::HS256)),
        ("payload no JSON", with_payload("hello")),
        ("payload null", with_payload("null")),
        ("payload a list", with_payload("[]")),
        ("payload empty", with_payload("{}")),
        ("payload deep", with_payload(&"[".repeat(2000))),
        ("over 4 KiB", with(&json!({"jti": "x".repeat(4000)}))),
        ("5 KiB of letters", "x".repeat(5120)),
        ("a refresh token", simple_jwt("refresh")),
        ("no token_type", with(&json!({"token_type": null}))),
        ("token_type Access", with(&json!({"token_type": "Access"}))),
        ("token_type a list", with(&json!({"token_type": ["access"]}))),
        ("token_type sliding", with(&json!({"token_type": "sliding"}))),
        ("expired", with(&json!({"exp": now - 31}))),
        ("expired long ago", with(&json!({"exp": 0}))),
        ("exp before 1970", with(&json!({"exp": -1}))),
        ("no exp", with(&json!({"exp": null}))),
        ("exp a string", with(&json!({"exp": (now + 300).to_string()}))),
        ("exp a truth", with(&json!({"exp": true}))),
        (
            "exp without end",
            with_payload(&good_text.replace(&format!("\"exp\":{}", now + 300), "\"exp\":1e400")),
        ),
        ("exp beyond 9999", with(&json!({"exp": i64::MAX}))),
        ("not yet good", with(&json!({"nbf": now + 60}))),
        ("issued in the future", with(&json!({"iat": now + 60}))),
        ("iat a string", with(&json!({"iat": "now"}))),
        ("no user", with(&json!({"user_id": null}))),
        ("user 0", with(&json!({"user_id": 0}))),
        ("user -1", with(&json!({"user_id": -1}))),
        ("user -1 as text", with(&json!({"user_id": "-1"}))),
        ("user 1.0", with(&json!({"user_id": 1.0}))),
        ("user 42.5", with(&json!({"user_id": 42.5}))),
        ("user empty", with(&json!({"user_id": ""}))),
        ("user with a space", with(&json!({"user_id": "42 "}))),
        ("user with a plus", with(&json!({"user_id": "+42"}))),
        ("user with zeros", with(&json!({"user_id": "0042"}))),
        ("user in hex", with(&json!({"user_id": "0x2a"}))),
        ("user admin", with(&json!({"user_id": "admin"}))),
        ("user in Arabic digits", with(&json!({"user_id": "٤٢"}))),
        ("user a list", with(&json!({"user_id": [42]}))),
        ("user a truth", with(&json!({"user_id": true}))),
        ("user over 64 bits", with(&json!({"user_id": 9_223_372_036_854_775_808_u64}))),
        ("user over 64 bits as text", with(&json!({"user_id": "9223372036854775808"}))),
        ("two users", with_payload(&good_text.replacen('{', "{\"user_id\":1,", 1))),
        ("two exps", with_payload(&good_text.replacen('{', "{\"exp\":1,", 1))),
        ("two types", with_payload(&good_text.replacen('{', "{\"token_type\":\"refresh\",", 1))),
        ("a scope that isn't service, and no user", with(&json!({"user_id": null, "scope": "services"}))),
        (
            "service within a list of scopes, and no user",
            with(&json!({"user_id": null, "scope": ["service"]})),
        ),
    ];
    assert!(bad.len() >= 40);
    let verifier = verifier(&[]);
    assert!(verifier.verify(&whole).await.is_ok(), "the pattern of them all is good");
    for (name, token) in &bad {
        assert_eq!(verifier.verify(token).await, Err(InvalidToken::Refused), "{name}");
    }
}
