//! Builds queries. A label's value gets into one only through a [`Selector`], which escapes it.
//!
//! What is asked for does not belong here.

use std::fmt;

/// Series of one metric.
#[derive(Clone, Debug)]
pub struct Selector {
    metric: String,
    matchers: Vec<String>,
}

/// The series of one metric and namespace, whichever of two labels says which namespace it is.
///
/// Prometheus names a label `exported_namespace` when it scrapes an exporter that tells about other
/// namespaces and `namespace` is that of the exporter itself (no `honor_labels`).
#[derive(Clone, Debug)]
pub struct InNamespace {
    plain: Selector,
    exported: Selector,
}

impl Selector {
    /// All series of this metric.
    pub fn new(metric: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            matchers: Vec::new(),
        }
    }

    /// Those whose label has this value; with an empty one those that do not have the label.
    #[must_use]
    pub fn equals(self, label: &str, value: &str) -> Self {
        self.matching(label, "=", value)
    }

    /// Those whose label has another value.
    #[must_use]
    pub fn differs(self, label: &str, value: &str) -> Self {
        self.matching(label, "!=", value)
    }

    /// Those that have the label.
    #[must_use]
    pub fn not_empty(self, label: &str) -> Self {
        self.differs(label, "")
    }

    /// Those whose label has one of these values.
    #[must_use]
    pub fn one_of(self, label: &str, values: &[&str]) -> Self {
        let mut pattern = String::new();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                pattern.push('|');
            }
            for character in value.chars() {
                if r"\.+*?()|[]{}^$".contains(character) {
                    pattern.push('\\');
                }
                pattern.push(character);
            }
        }
        self.matching(label, "=~", &pattern)
    }

    /// Of one namespace.
    pub fn in_namespace(self, namespace: &str) -> InNamespace {
        let plain = self.clone().equals("namespace", namespace);
        InNamespace {
            plain: plain.equals("exported_namespace", ""),
            exported: self.equals("exported_namespace", namespace),
        }
    }

    /// Their samples of the last milliseconds.
    pub fn over(&self, milliseconds: i64) -> String {
        format!("{self}[{milliseconds}ms]")
    }

    fn matching(mut self, label: &str, operator: &str, value: &str) -> Self {
        self.matchers
            .push(format!("{label}{operator}\"{}\"", escaped(value)));
        self
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{{{}}}", self.metric, self.matchers.join(","))
    }
}

impl InNamespace {
    /// As they are at the moment of the query.
    pub fn now(&self) -> String {
        format!("{} or {}", self.plain, self.exported)
    }

    /// A function of their samples of the last milliseconds.
    pub fn over(&self, function: &str, milliseconds: i64) -> String {
        let (plain, exported) = (
            self.plain.over(milliseconds),
            self.exported.over(milliseconds),
        );
        format!("{function}({plain}) or {function}({exported})")
    }
}

/// Series that are alike in these labels made one by `sum`, `max` or `min`.
pub fn grouped(operator: &str, labels: &[&str], inner: &str) -> String {
    format!("{operator} by ({}) ({inner})", labels.join(","))
}

/// Whether this can stand for a label in a query.
pub fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A query or message with nothing between its quotation marks, so that it names nobody.
pub(super) fn without_values(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut quoted_by = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match quoted_by {
            None => {
                kept.push(character);
                if matches!(character, '"' | '`') {
                    quoted_by = Some(character);
                    kept.push('…');
                }
            }
            Some(_) if character == '\\' => {
                characters.next();
            }
            Some(mark) if character == mark => {
                kept.push(character);
                quoted_by = None;
            }
            Some(_) => {}
        }
    }
    kept
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            '\r' => text.push_str(r"\r"),
            '\t' => text.push_str(r"\t"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotation_marks() {
        let selector = Selector::new("m")
            .equals("a", "x\"} or up{b=\"\\")
            .not_empty("c");
        assert_eq!(selector.to_string(), r#"m{a="x\"} or up{b=\"\\",c!=""}"#);
        assert_eq!(
            selector.over(3_599_999).split('[').next_back(),
            Some("3599999ms]")
        );
        let lines = Selector::new("m").equals("a", "x\ny\tz\r");
        assert_eq!(lines.to_string(), r#"m{a="x\ny\tz\r"}"#);
    }

    #[test]
    fn one_of_several_values_is_no_pattern_of_theirs() {
        let selector = Selector::new("m").one_of("a", &["b.c", "d|e", "f"]);
        assert_eq!(selector.to_string(), r#"m{a=~"b\\.c|d\\|e|f"}"#);
    }

    #[test]
    fn a_namespace_is_found_under_either_label() {
        let series = Selector::new("m").in_namespace("hub");
        assert_eq!(
            series.now(),
            r#"m{namespace="hub",exported_namespace=""} or m{exported_namespace="hub"}"#
        );
        assert_eq!(
            grouped("max", &["pod", "id"], &series.over("rate", 1)),
            "max by (pod,id) (rate(m{namespace=\"hub\",exported_namespace=\"\"}[1ms]) or \
             rate(m{exported_namespace=\"hub\"}[1ms]))"
        );
    }

    #[test]
    fn what_is_quoted_is_left_out_of_messages() {
        let query = Selector::new("m").equals("pod", "jupyter-\"ada");
        assert_eq!(without_values(&query.to_string()), r#"m{pod="…"}"#);
        assert_eq!(
            without_values("for `jupyter-ada` and \"eve"),
            "for `…` and \"…"
        );
        assert!(is_label("annotation_hub_jupyter_org_username"));
        assert!(!is_label("hub.jupyter.org/username"));
        assert!(!is_label("0") && !is_label(""));
    }
}
