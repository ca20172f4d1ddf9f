//! Commands that bots offer: what their names and texts may be.

/// The most code points of a command's name.
const NAME_CHARS_MAX: usize = 32;
/// The most commands of one bot.
pub const COMMANDS_MAX: usize = 100;
/// The most code points of a command's description.
pub const DESCRIPTION_CHARS_MAX: usize = 200;
/// The most code points of the hint at what stands behind a command's name.
pub const HINT_CHARS_MAX: usize = 100;
/// What a name has to be, for whoever gives another one.
pub const NAME_RULE: &str = "A name has 1 to 32 of the characters a to z, 0 to 9, _ and -.";

/// Whether a command may be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_sign = |sign: u8| matches!(sign, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_sign)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["remind", "a", "task-42", "_x", &"a".repeat(32)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Remind", "re mind", "/remind", "erinnern\u{e4}", "a\n", &"a".repeat(33)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
