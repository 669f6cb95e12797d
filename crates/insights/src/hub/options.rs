//! `user_options`: what a user chose before the start of a server, which can be any JSON.
//!
//! Whatever it is, it is at most not understood: a poll never fails for it.

use serde_json::{Map, Value};
use std::sync::Arc;

/// Longer choices are not kept, in bytes: each start would carry them into the history.
const TEXT_MAX_BYTES: usize = 16 * 1024;
/// Longer JSON is not even read. Spaces and `\u` escapes make it longer than the text.
const JSON_MAX_BYTES: usize = 8 * TEXT_MAX_BYTES;
/// Longest name of an image that is believed, in bytes; registries allow less.
const IMAGE_MAX_BYTES: usize = 1024;
/// Members whose name holds one of these are left out: a BinderHub passes the server's token here.
const SECRET_WORDS: [&str; 3] = ["token", "password", "secret"];

/// What is kept of a user's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserOptions {
    /// Compact JSON, keys sorted, so that the same choice is the same text. `None` where nothing
    /// was chosen, and where it is too long or cannot be read.
    pub(crate) text: Option<Arc<str>>,
    /// The image, where the choice names it.
    pub(crate) image: Option<Arc<str>>,
}

impl UserOptions {
    /// Reads `user_options`.
    pub(crate) fn read(json: &str) -> Self {
        // Most servers of most hubs: nothing was chosen.
        if matches!(json, "{}" | "null") || json.len() > JSON_MAX_BYTES {
            return Self::default();
        }
        // Fails for what is nested more than 128 deep, for 1e999 and for half a surrogate pair.
        let Ok(mut options) = serde_json::from_str::<Value>(json) else {
            return Self::default();
        };
        drop_secrets(&mut options);
        if is_empty(&options) {
            return Self::default();
        }
        options.sort_all_objects();
        let text = options.to_string();
        Self {
            image: options.as_object().and_then(image),
            text: (text.len() <= TEXT_MAX_BYTES).then(|| text.into()),
        }
    }
}

fn is_empty(options: &Value) -> bool {
    match options {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn drop_secrets(options: &mut Value) {
    match options {
        Value::Object(members) => {
            members.retain(|name, _| {
                let name = name.to_ascii_lowercase();
                !SECRET_WORDS.iter().any(|word| name.contains(word))
            });
            members.values_mut().for_each(drop_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_secrets),
        _ => {}
    }
}

/// The image as the usual spawners are told it.
///
/// KubeSpawner puts what a user typed beside the choice `unlisted_choice`; its other choices are
/// names which only the hub's configuration can turn into an image, and are given as they are. The
/// form of a plain Spawner makes a list of everything.
fn image(options: &Map<String, Value>) -> Option<Arc<str>> {
    let candidates = [
        options.get("image--unlisted-choice"),
        options.get("image"),
        options
            .get("image")
            .and_then(|image| image.as_array())
            .and_then(|images| match &images[..] {
                [only] => Some(only),
                _ => None,
            }),
        options
            .get("kubespawner_override")
            .and_then(|spawner| spawner.get("image")),
    ];
    let mut images = candidates.into_iter().flatten().filter_map(Value::as_str);
    images
        .find(|image| !image.is_empty() && image.len() <= IMAGE_MAX_BYTES)
        .map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text kept of this JSON and the image in it, `-` for none.
    fn check(json: &str, text: &str, image: &str) {
        let options = UserOptions::read(json);
        let found = [&options.text, &options.image].map(|part| part.as_deref().unwrap_or("-"));
        assert_eq!(found, [text, image], "{json}");
    }

    #[test]
    fn the_same_choice_is_the_same_text() {
        let text = r#"{"b":[{"c":1,"d":2.5}],"profile":"große"}"#;
        check(
            r#" { "profile" : "große", "b": [{"d": 2.5, "c": 1}] } "#,
            text,
            "-",
        );
        check(
            r#"{"b":[{"c":1,"d":2.5}],"profile":"gro\u00dfe"}"#,
            text,
            "-",
        );
    }

    #[test]
    fn no_choice_is_no_text() {
        for json in ["{}", "null", "{ }", "[]", "\"\""] {
            check(json, "-", "-");
        }
    }

    #[test]
    fn a_choice_that_is_no_object_is_kept_as_it_is() {
        check(
            r#"["small", {"b":1,"a":2}]"#,
            r#"["small",{"a":2,"b":1}]"#,
            "-",
        );
        check(r#""image""#, r#""image""#, "-");
        check("false", "false", "-");
    }

    #[test]
    fn images_are_found_where_the_usual_spawners_have_them() {
        check(
            r#"{"image":"quay.io/a:1"}"#,
            r#"{"image":"quay.io/a:1"}"#,
            "quay.io/a:1",
        );
        check(
            r#"{"image":"unlisted_choice","image--unlisted-choice":"me/own:2"}"#,
            r#"{"image":"unlisted_choice","image--unlisted-choice":"me/own:2"}"#,
            "me/own:2",
        );
        check(r#"{"image":["a:1"]}"#, r#"{"image":["a:1"]}"#, "a:1");
        check(
            r#"{"kubespawner_override":{"image":"k:1"}}"#,
            r#"{"kubespawner_override":{"image":"k:1"}}"#,
            "k:1",
        );
        for json in [
            r#"{"image":7}"#,
            r#"{"image":""}"#,
            r#"{"image":["a","b"]}"#,
            r#"{"kubespawner_override":"x"}"#,
        ] {
            check(json, json, "-");
        }
    }

    #[test]
    fn secrets_are_left_out() {
        check(
            r#"{"image":"b:1","token":"s3cret","env":{"AWS_SECRET_KEY":"x","DB_Password":"y"}}"#,
            r#"{"env":{},"image":"b:1"}"#,
            "b:1",
        );
        check(r#"{"token":"s3cret"}"#, "-", "-");
    }

    #[test]
    fn long_choices_are_not_kept_but_their_image_is() {
        let json = |n: usize| format!(r#"{{"a":"{}","image":"i:1"}}"#, "x".repeat(n));
        let fits = json(TEXT_MAX_BYTES - json(0).len());
        check(&fits, &fits, "i:1");
        check(&json(TEXT_MAX_BYTES), "-", "i:1");
        check(&json(JSON_MAX_BYTES), "-", "-");
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for json in [deep.as_str(), "1e999", r#"{"a":"\ud800"}"#, "{", ""] {
            check(json, "-", "-");
        }
    }
}
