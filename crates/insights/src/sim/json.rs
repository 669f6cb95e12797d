//! JSON as Python writes it: ASCII only, a space after `,` and `:`.
//!
//! A client that reads names without unescaping them would pass against a hub that sends plain
//! UTF-8, and fail against a real one.

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// The value as the hub would send it.
pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Python);
    value
        .serialize(&mut serializer)
        .expect("memory takes everything, and all keys are text");
    bytes
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        separate(writer, first)
    }

    fn begin_object_key<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        separate(writer, first)
    }

    fn begin_object_value<W>(&mut self, writer: &mut W) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            write_character(writer, character)?;
        }
        Ok(())
    }
}

fn separate<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first {
        Ok(())
    } else {
        writer.write_all(b", ")
    }
}

fn write_character<W: ?Sized + io::Write>(writer: &mut W, character: char) -> io::Result<()> {
    if character.is_ascii() {
        return write!(writer, "{character}");
    }
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        write!(writer, "\\u{unit:04x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_python_does() {
        let value = serde_json::json!({"café": ["a\"b", "🚀", 1, null]});
        let text = String::from_utf8(to_bytes(&value)).unwrap();
        assert_eq!(text, r#"{"caf\u00e9": ["a\"b", "\ud83d\ude80", 1, null]}"#);
    }
}
