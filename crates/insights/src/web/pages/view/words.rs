//! Sentences in which names of settings and commands stand between backticks.

use askama::filters::{Escaper as _, Html, HtmlSafe};
use std::fmt;

/// A text with its quotes as `<code>`; all of it is escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a>(&'a str);

/// For templates: `{{ self::words(text) }}`.
pub(super) fn words(text: &str) -> Words<'_> {
    Words(text)
}

impl HtmlSafe for Words<'_> {}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((before, quoted)) = rest.split_once('`') {
            let Some((name, after)) = quoted.split_once('`') else {
                break;
            };
            Html.write_escaped_str(&mut *f, before)?;
            f.write_str("<code>")?;
            Html.write_escaped_str(&mut *f, name)?;
            f.write_str("</code>")?;
            rest = after;
        }
        Html.write_escaped_str(f, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_code_and_nothing_is_markup() {
        let cases = [
            ("set `a.b`, or not", "set <code>a.b</code>, or not"),
            ("`<b>` <i>", "<code>&#60;b&#62;</code> &#60;i&#62;"),
            ("one ` alone", "one ` alone"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).to_string(), expected);
        }
    }
}
