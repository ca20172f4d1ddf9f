//! Word stems of the languages that users write: "leaks", "leaking" and "leak" have one.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

/// The shortest beginning that words of one stem must share, so that the index finds them.
const BEGINNING_CHARS_MIN: usize = 3;

/// The languages whose words are stemmed, by name.
const LANGUAGES: [(&str, Algorithm); 18] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

/// The languages whose words are stemmed in searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchLanguages(Vec<Algorithm>);

/// The stems of a word that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WordStems {
    /// What all words of these stems begin with.
    pub(super) beginning: String,
    stems: Vec<(Algorithm, String)>,
}

impl Default for SearchLanguages {
    fn default() -> Self {
        Self(vec![Algorithm::English, Algorithm::Spanish])
    }
}

impl SearchLanguages {
    /// Parses the names of languages; blank ones are left out.
    ///
    /// # Errors
    /// The first name that is unknown, and the names that are known.
    pub fn parse(names: &[String]) -> Result<Self, String> {
        let mut languages = Vec::new();
        for name in names.iter().map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty())
        {
            let found = LANGUAGES.iter().find(|(known, _)| *known == name);
            let (_, algorithm) = found.ok_or_else(|| {
                let known: Vec<_> = LANGUAGES.iter().map(|(known, _)| *known).collect();
                format!("{name:?} is none of {}", known.join(", "))
            })?;
            if !languages.contains(algorithm) {
                languages.push(*algorithm);
            }
        }
        Ok(Self(languages))
    }

    /// The stems of a folded word, where words of the same stem begin alike.
    pub(super) fn stems_of(&self, word: &str) -> Option<WordStems> {
        let mut beginning = word;
        let mut stems = Vec::new();
        for language in &self.0 {
            let stem = stem(*language, word);
            let shared = shared_beginning(word, &stem);
            if shared.chars().count() < BEGINNING_CHARS_MIN {
                continue;
            }
            beginning = &word[..shared.len().min(beginning.len())];
            stems.push((*language, stem));
        }
        (!stems.is_empty()).then(|| WordStems { beginning: beginning.to_owned(), stems })
    }
}

impl WordStems {
    /// Whether a folded word that begins with [`Self::beginning`] has one of the stems.
    pub(super) fn has(&self, word: &str) -> bool {
        self.stems.iter().any(|(language, expected)| stem(*language, word) == *expected)
    }
}

/// What `word` and others of its stem have in common. A vowel at the stem's end changes in some of them, as in
/// "hope" and "hoping", or "study" and "studies".
fn shared_beginning<'a>(word: &'a str, stem: &str) -> &'a str {
    let shared = word.char_indices().zip(stem.chars()).find(|((_, one), other)| one != other);
    let end = shared.map_or(word.len().min(stem.len()), |((at, _), _)| at);
    let shared = &word[..end];
    match shared.char_indices().next_back() {
        Some((at, 'a' | 'e' | 'i' | 'o' | 'u')) if shared[..at].chars().count() >= BEGINNING_CHARS_MIN => {
            &shared[..at]
        }
        _ => shared,
    }
}

fn stem(language: Algorithm, word: &str) -> String {
    Stemmer::create(language).stem(&respelt(language, word)).into_owned()
}

/// Restores the accent that the most frequent endings lost by folding, which the rules of a language ask for.
fn respelt(language: Algorithm, word: &str) -> Cow<'_, str> {
    let endings: &[(&str, &str)] = match language {
        Algorithm::Spanish => &[("cion", "ción"), ("sion", "sión")],
        Algorithm::Portuguese => &[("cao", "ção"), ("coes", "ções")],
        _ => &[],
    };
    for (folded, accented) in endings {
        if let Some(beginning) = word.strip_suffix(folded) {
            return Cow::Owned(format!("{beginning}{accented}"));
        }
    }
    Cow::Borrowed(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_stem(one: &str, other: &str) -> bool {
        let stems = SearchLanguages::default().stems_of(one);
        stems.is_some_and(|stems| other.starts_with(&stems.beginning) && stems.has(other))
    }

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for (one, other) in [
            ("leaking", "leak"),
            ("leak", "leaks"),
            ("hoping", "hopes"),
            ("studies", "study"),
            ("keys", "key"),
            ("cleaning", "cleaned"),
            ("reparacion", "reparaciones"),
            ("limpiar", "limpiando"),
            ("llaves", "llave"),
            ("inversion", "inversiones"),
        ] {
            assert!(share_stem(one, other) && share_stem(other, one), "{one} {other}");
        }
        for (one, other) in [("boiler", "boat"), ("university", "unit"), ("keys", "keyboard"), ("a", "as")] {
            assert!(!share_stem(one, other), "{one} {other}");
        }
    }

    #[test]
    fn languages_are_known_by_name() {
        let parse = |names: &[&str]| {
            SearchLanguages::parse(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(parse(&["English", " spanish", "english", ""]), Ok(SearchLanguages::default()));
        assert_eq!(parse(&[]).map(|none| none.stems_of("leaking")), Ok(None));
        assert!(parse(&["klingon"]).expect_err("unknown").contains("spanish"));
    }
}
