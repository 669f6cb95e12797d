//! Reads lines of the Prometheus text format, as any hub's client library writes them.
//!
//! Not by the library prometheus-parse (last release of 2023): it runs regular expressions over
//! every line, builds all metrics as maps, and takes chrono and regex along, where a hub's page has
//! a thousand lines of which a hundred are wanted. Here a line costs nothing until it is wanted.

use std::borrow::Cow;

/// A line of the page that is neither empty nor a comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The metric's name as far as it looks like one.
    pub(super) name: &'a str,
    rest: &'a str,
}

/// A value with its labels, in the order of the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) labels: Vec<Label<'a>>,
    pub(super) value: f64,
}

/// One label of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    pub(super) value: Cow<'a, str>,
}

/// All lines with samples; what they say is read by [`Line::sample`].
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let lines = text.lines().map(str::trim).enumerate();
    let samples = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    samples.map(|(index, line)| {
        let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = line.find(|c| !is_name_part(c)).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        Line {
            number: index + 1,
            name,
            rest,
        }
    })
}

/// Names of the families that the page announces with `# TYPE`.
pub(super) fn families(text: &str) -> impl Iterator<Item = &str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|rest| rest.split_whitespace().next())
}

impl<'a> Line<'a> {
    /// Labels and value; the error says what is wrong. A time stamp and an exemplar behind the
    /// value are passed over.
    pub(super) fn sample(self) -> Result<Sample<'a>, &'static str> {
        let rest = self.rest.trim_start();
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_whitespace().next().ok_or("it has no value")?;
        let value = value.parse().map_err(|_| "its value is not a number")?;
        Ok(Sample { labels, value })
    }
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(Vec<Label<'_>>, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once('=').ok_or("its labels do not end")?;
        let quoted = after.trim_start().strip_prefix('"');
        let quoted = quoted.ok_or("a label's value has no quotes")?;
        let (value, after) = quoted_value(quoted).ok_or("a label's value does not end")?;
        labels.push(Label {
            name: name.trim(),
            value,
        });
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Text up to the closing quote with `\\`, `\"` and `\n` undone, and what follows the quote.
fn quoted_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each sample as `name|label=value|number`, or what is wrong with it.
    fn check(text: &str, expected: &[&str]) {
        let found = lines(text).map(|line| match line.sample() {
            Err(problem) => format!("{}: {problem}", line.number),
            Ok(sample) => {
                let labels = sample.labels.iter();
                let labels = labels.map(|label| format!("{}={}|", label.name, label.value));
                format!(
                    "{}|{}{}",
                    line.name,
                    labels.collect::<String>(),
                    sample.value
                )
            }
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn samples_have_names_labels_and_values() {
        check(
            "# HELP a text\n# TYPE a gauge\na 1\na{b=\"c\"} 2.5e3\n\na{b=\"c\",d=\"\",} -0.0\n",
            &["a|1", "a|b=c|2500", "a|b=c|d=|-0"],
        );
    }

    #[test]
    fn labels_are_unescaped_and_may_hold_what_ends_labels_elsewhere() {
        check(
            r#"a{b="x\\y\"z\n",c="{,}= # 7"} 1"#,
            &["a|b=x\\y\"z\n|c={,}= # 7|1"],
        );
        check(r#"a{b="\d"} 1"#, &["a|b=\\d|1"]);
    }

    #[test]
    fn times_exemplars_spaces_and_carriage_returns_are_passed_over() {
        check(
            "a 1 1795211214000\r\n  b { c = \"d\" , e=\"f\" }  2 \r\nx_bucket{le=\"1.0\"} 3 # {trace_id=\"7\"} 0.5 1.2\r\n# EOF\r\n",
            &["a|1", "b|c=d|e=f|2", "x_bucket|le=1.0|3"],
        );
    }

    #[test]
    fn numbers_without_end_and_no_numbers_are_values() {
        check(
            "a +Inf\na -Inf\na Inf\na NaN\na 1e+09\na 0x10\n",
            &[
                "a|inf",
                "a|-inf",
                "a|inf",
                "a|NaN",
                "a|1000000000",
                "6: its value is not a number",
            ],
        );
    }

    #[test]
    fn broken_lines_say_what_is_wrong() {
        check("a", &["1: it has no value"]);
        check("a{", &["1: its labels do not end"]);
        check("a{b=\"c\" 1", &["1: its labels do not end"]);
        check("a{b=c} 1", &["1: a label's value has no quotes"]);
        check("a{b=\"c\\\"} 1", &["1: a label's value does not end"]);
        check("a{b=\"c\\", &["1: a label's value does not end"]);
        check("<html>", &["1: its value is not a number"]);
    }

    proptest! {
        #[test]
        fn any_label_value_comes_back(value in "\\PC*|[\"\\\\\n}]*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let text = format!("a{{b=\"{escaped}\"}} 1");
            let found: Vec<_> = lines(&text).map(|line| line.sample().unwrap()).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&*found[0].labels[0].value, value.as_str());
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[a{}=\",\\\\# \n1.e+-]*") {
            lines(&text).for_each(|line| drop(line.sample()));
        }
    }
}
