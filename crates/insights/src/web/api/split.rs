//! A body as its items: one JSON object, a JSON array, or lines.
//!
//! Items are cut out without being read, so that one that cannot be read spoils no other.

/// The items of a body, in order, and one more than `most` if there are more; empty lines are none.
pub(crate) fn items(body: &[u8], most: usize) -> Vec<&[u8]> {
    // Some editors put a mark at the beginning of a file.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match body.trim_ascii().first() {
        None => Vec::new(),
        Some(b'[') => array_items(&body.trim_ascii()[1..], most),
        Some(b'{') if is_spread_over_lines(body) => vec![body.trim_ascii()],
        Some(_) => {
            let lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
            lines
                .filter(|line| !line.is_empty())
                .take(most + 1)
                .collect()
        }
    }
}

/// Whether it is one object as people write it, rather than an object per line.
fn is_spread_over_lines(body: &[u8]) -> bool {
    let first = body.trim_ascii_start().split(|&byte| byte == b'\n').next();
    first.is_some_and(|line| !line.trim_ascii_end().ends_with(b"}"))
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// The elements after an array's opening bracket. What follows its end is an element as well, which
/// cannot be read; so is the last one of an array that does not end.
fn array_items(rest: &[u8], most: usize) -> Vec<&[u8]> {
    let mut items = Vec::new();
    let (mut start, mut depth, mut is_text, mut is_escaped) = (0, 0_usize, false, false);
    let mut has_ended = false;
    for (index, &byte) in rest.iter().enumerate() {
        if is_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'[' | b'{' => depth += 1,
            b']' if depth == 0 && !has_ended => {
                items.push(rest[start..index].trim_ascii());
                start = index + 1;
                has_ended = true;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 && !has_ended => {
                items.push(rest[start..index].trim_ascii());
                start = index + 1;
                if items.len() > most {
                    return items;
                }
            }
            _ => {}
        }
    }
    let last = rest[start..].trim_ascii();
    if !last.is_empty() {
        items.push(last);
    } else if items.len() == 1 && items[0].is_empty() {
        items.clear();
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[&str]) {
        let items = items(body.as_bytes(), 100);
        let items: Vec<&str> = items
            .iter()
            .map(|item| str::from_utf8(item).unwrap())
            .collect();
        assert_eq!(items, expected, "{body}");
    }

    #[test]
    fn objects_arrays_and_lines_are_told_apart() {
        check("", &[]);
        check(" \n\n", &[]);
        check("[]", &[]);
        check("[ ]", &[]);
        check(r#"{"a":1}"#, &[r#"{"a":1}"#]);
        check("{\n \"a\": 1\n}\n", &["{\n \"a\": 1\n}"]);
        check("{\"a\":1}\n\n{\"b\":2}\r\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(
            r#" [{"a":[1,2]},{"b":"],\"["}] "#,
            &[r#"{"a":[1,2]}"#, r#"{"b":"],\"["}"#],
        );
    }

    #[test]
    fn no_more_than_asked_for_are_cut_out() {
        for body in ["1\n".repeat(1000), format!("[{}", ",".repeat(1000))] {
            assert_eq!(items(body.as_bytes(), 10).len(), 11);
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_item_of_its_own() {
        check("{\"a\":1}\nrubbish\n{", &[r#"{"a":1}"#, "rubbish", "{"]);
        check(r#"[{"a":1},,2"#, &[r#"{"a":1}"#, "", "2"]);
        check(r#"[{"a":1},{"b""#, &[r#"{"a":1}"#, r#"{"b""#]);
        check(r#"[{"a":1}] and more"#, &[r#"{"a":1}"#, "and more"]);
        check(r#"[{"a":1},]"#, &[r#"{"a":1}"#, ""]);
        check("{\n\"a\": 1", &["{", "\"a\": 1"]);
    }
}
