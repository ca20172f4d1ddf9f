//! Rejects shared signing keys that are too weak.

/// Minimum key length of HS256 in bytes (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// Words from tutorials, sample files and default settings. A key that consists of them can be guessed.
const WELL_KNOWN: &[&str] = &[
    "secret",
    "secretkey",
    "mysecret",
    "mysecretkey",
    "supersecret",
    "supersecretkey",
    "topsecret",
    "jwtsecret",
    "jwtsecretkey",
    "yoursecretkey",
    "yoursecret",
    "your256bitsecret",
    "your384bitsecret",
    "your512bitsecret",
    "changeme",
    "changethis",
    "changethissecret",
    "pleasechangeme",
    "changemeinproduction",
    "replaceme",
    "password",
    "passw0rd",
    "default",
    "example",
    "test",
    "testing",
    "testsecret",
    "testkey",
    "dev",
    "devsecret",
    "development",
    "developmentsecret",
    "insecure",
    "key",
    "signingkey",
    "privatekey",
    "admin",
    "root",
    "qwerty",
    "letmein",
    "aristay",
    "aristayapp",
    "aristaychat",
    "aristaysecret",
    "django",
    "djangosecretkey",
    "chat",
    "chatsecret",
    "averysecretkey",
    "averylongsecretkey",
    "thisisasecret",
    "thisisasecretkey",
    "keyboardcat",
    "shhhhh",
    "none",
    "null",
    "undefined",
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "1234567890",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "abcdefghijklmnopqrstuvwxyz123456",
    "12345678",
];

/// Prefixes with which frameworks mark keys that must be replaced.
const MARKED: &[&str] =
    &["djangoinsecure", "insecure", "changeme", "changethis", "replaceme", "yoursecret", "your256bit"];

/// Says why `secret` is too weak for a signing key; `None` if it isn't. The text never contains the secret.
#[must_use]
pub fn weakness(secret: &str) -> Option<&'static str> {
    if secret.len() < SECRET_BYTES_MIN {
        return Some("is shorter than 32 bytes");
    }
    let plain: String = secret.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let word = shortest_period(&plain);
    if word.len() < 8 || (word.len() <= 16 && word.len() < plain.len()) {
        return Some("is a few characters repeated");
    }
    if MARKED.iter().any(|mark| plain.starts_with(mark)) {
        return Some("is marked as one that must be changed");
    }
    if is_made_of_words(&plain) {
        return Some("is well known");
    }
    None
}

/// The shortest prefix of `text` that yields `text` when repeated and possibly cut off.
fn shortest_period(text: &str) -> &str {
    let bytes = text.as_bytes();
    for (at, _) in text.char_indices().skip(1) {
        if bytes[at..] == bytes[..bytes.len() - at] {
            return &text[..at];
        }
    }
    text
}

/// Whether `plain` consists of well-known words, with digits at its end.
fn is_made_of_words(plain: &str) -> bool {
    let plain = match plain.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "" => plain,
        letters => letters,
    };
    let mut reached = vec![false; plain.len() + 1];
    reached[0] = true;
    for at in 0..plain.len() {
        if !reached[at] {
            continue;
        }
        for word in WELL_KNOWN {
            if plain.as_bytes()[at..].starts_with(word.as_bytes()) {
                reached[at + word.len()] = true;
            }
        }
    }
    reached[plain.len()]
}

#[cfg(test)]
mod tests {
    use super::weakness;

    #[test]
    fn short_and_well_known_keys_are_rejected() {
        for secret in [
            "",
            "secret",
            "0123456789012345678901234567890",
            "secretsecretsecretsecretsecretsecret",
            "secret secret secret secret secret secr",
            "changeme-changeme-changeme-changeme-1",
            "django-insecure-k2#x8$q!v0z7m@w3n5b9c1d4f6g8h0j2",
            "your-256-bit-secret-your-256-bit-secret",
            "this-is-a-secret-key-change-me-in-production",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012",
            "0123456789abcdef0123456789abcdef",
            "super-secret-key-super-secret-key-123",
            "--------------------------------------",
        ] {
            assert!(weakness(secret).is_some(), "{secret:?}");
        }
    }

    #[test]
    fn random_keys_are_accepted() {
        for secret in [
            "f3b0c6e1a94d4f7d8c52e7a9106b3d58",
            "Zr4u7x!A%D*G-KaPdSgVkYp3s6v9y$B?",
            "correct horse battery staple and then some more",
            "a-key-that-is-only-for-the-tests-of-this-crate",
        ] {
            assert_eq!(weakness(secret), None, "{secret:?}");
        }
    }
}
