//! A user's name as KubeSpawner writes it into pod names, labels and home directories.
//!
//! Source: `kubespawner/slugs.py` of jupyterhub-kubespawner 7 (`escape_slug`, `safe_slug`) and
//! escapism 1. Equality with both packages is tested on generated names in `tests/it`.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longest slug that KubeSpawner allows for a user name.
const USERNAME_SLUG_MAX_LENGTH: usize = 48;
/// Hexadecimal digits of the SHA-256 at the end of a slug that could not keep its name.
const HASH_LENGTH: usize = 8;
/// Longest object name of Kubernetes (RFC 1123 label).
const OBJECT_NAME_MAX_LENGTH: usize = 63;

/// KubeSpawner's legacy scheme (`{username}` before 7.0, `{escaped_username}` since): every byte
/// but `a-z0-9` becomes `-` and its hexadecimal digits; below 16 that is one digit, as escapism has
/// it.
///
/// ```
/// assert_eq!(model::slug::escaped("Ada.L"), "-41da-2e-4c");
/// assert_eq!(model::slug::escaped("ada\n"), "ada-a");
/// ```
pub fn escaped(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_lower_alphanumeric(byte) {
            slug.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(slug, "-{byte:x}");
        }
    }
    slug
}

/// KubeSpawner 7's scheme (`{username}`, at most 48 characters): the name itself where it is a
/// valid object name, else what can be kept of it, `---` and a hash.
///
/// ```
/// assert_eq!(model::slug::safe("ada"), "ada");
/// assert_eq!(model::slug::safe("Ada L"), "ada-l---7d981b26");
/// ```
pub fn safe(name: &str) -> String {
    let keeps_its_name = !name.contains("--")
        && is_valid_object_name(name)
        && name.len() <= USERNAME_SLUG_MAX_LENGTH;
    if keeps_its_name {
        name.to_owned()
    } else {
        strip_and_hash(name)
    }
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_valid_object_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    name.len() <= OBJECT_NAME_MAX_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .last()
            .is_some_and(|&last| is_lower_alphanumeric(last))
        && bytes
            .iter()
            .all(|&byte| is_lower_alphanumeric(byte) || byte == b'-')
}

fn strip_and_hash(name: &str) -> String {
    let hash = Sha256::digest(name.as_bytes());
    let kept_length = USERNAME_SLUG_MAX_LENGTH - (HASH_LENGTH + 3);
    let mut slug = extract_safe_name(name, kept_length);
    slug.push_str("---");
    for byte in &hash[..HASH_LENGTH / 2] {
        let _ = write!(slug, "{byte:02x}");
    }
    slug
}

/// Lower-cased, each run of other characters one `-`, cut, starting with a letter.
fn extract_safe_name(name: &str, max_length: usize) -> String {
    let mut kept = String::new();
    for character in name.to_lowercase().chars() {
        let byte = u8::try_from(character).unwrap_or(b'-');
        if is_lower_alphanumeric(byte) {
            kept.push(character);
        } else if !kept.is_empty() && !kept.ends_with('-') {
            kept.push('-');
        }
    }
    kept.truncate(max_length);
    kept.truncate(kept.trim_end_matches('-').len());
    match kept.as_bytes().first() {
        None => "x".to_owned(),
        Some(first) if first.is_ascii_lowercase() => kept,
        Some(_) => {
            kept.truncate(max_length - 2);
            format!("x-{kept}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values printed by kubespawner 7.1.0 and escapism 1.1.0.
    #[test]
    fn slugs_equal_those_of_kubespawner() {
        for (name, expected_escaped, expected_safe) in [
            ("ada", "ada", "ada"),
            ("user-1", "user-2d1", "user-1"),
            ("Ada L", "-41da-20-4c", "ada-l---7d981b26"),
            ("0day", "0day", "x-0day---819d812d"),
            ("a--b", "a-2d-2db", "a-b---90827a2e"),
            ("İrem", "-c4-b0rem", "i-rem---61b76733"),
        ] {
            assert_eq!(escaped(name), expected_escaped, "{name}");
            assert_eq!(safe(name), expected_safe, "{name}");
        }
    }

    #[test]
    fn a_safe_slug_is_a_valid_object_name_whatever_the_name() {
        for name in [
            "",
            "-",
            "0",
            "é",
            "a--b",
            "ÄÖ",
            "🚀",
            &"x".repeat(500),
            "İ",
            "a\nb",
        ] {
            let slug = safe(name);
            assert!(is_valid_object_name(&slug), "{name:?} became {slug:?}");
            assert!(slug.len() <= USERNAME_SLUG_MAX_LENGTH);
        }
    }
}
