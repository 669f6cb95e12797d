//! Finding a name in text, in whatever way the text writes it.
//!
//! What a match is replaced by and which texts are searched is [`super::person`]'s matter.

/// What may stand beside a name for it to be a name and not a part of another word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Anything but letters and digits: `jupyter-ada` and `ada_old` hold the name `ada`. For text
    /// of which a leftover is worse than a word too many.
    Loose,
    /// What cannot be part of a longer user name: `ada-2` and `ada.b` are other people.
    Strict,
    /// As `Strict`, and words around it say that it is a user: `/user/ada`, `ada@`.
    Marked,
}

/// What KubeSpawner puts before the slug of a name.
const OBJECT_PREFIXES: [&str; 2] = ["jupyter-", "claim-"];
/// What stands before a user's name, in lower case.
const MARKERS: [&str; 10] = [
    "/user/",
    "/users/",
    "/home/",
    "user ",
    "user=",
    "user:",
    "username=",
    "username:",
    "jupyter-",
    "claim-",
];

/// A name and the ways in which other systems write it.
#[derive(Debug)]
pub(super) struct Words {
    /// The longest first, in lower case: upper case is no hiding place.
    words: Vec<Vec<char>>,
    /// Bytes with which one of the words or an encoded character can begin: looking closer at every
    /// character of millions of texts would take minutes.
    may_begin: [bool; 256],
}

impl Words {
    pub(super) fn of(name: &str) -> Self {
        let forms = [
            name.to_owned(),
            model::slug::escaped(name),
            model::slug::safe(name),
        ];
        let mut words: Vec<Vec<char>> = forms
            .iter()
            .map(|form| form.chars().flat_map(char::to_lowercase).collect())
            .collect();
        words.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        words.dedup();
        words.retain(|word| !word.is_empty());
        let firsts = words.iter().filter_map(|word| word.first());
        let is_foreign = firsts.clone().any(|first| !first.is_ascii());
        let firsts: Vec<char> = firsts.copied().collect();
        let may_begin = std::array::from_fn(|byte| match u8::try_from(byte) {
            Ok(b'\\' | b'%' | b'&' | b'+') => true,
            Ok(byte) if byte.is_ascii() => firsts.contains(&char::from(byte.to_ascii_lowercase())),
            _ => is_foreign,
        });
        Self { words, may_begin }
    }

    /// Whether the text holds the name, in the loosest sense.
    pub(super) fn are_in(&self, text: &str) -> bool {
        self.starts(text)
            .any(|at| self.at(text, at, Edge::Loose).is_some())
    }

    /// The text with every occurrence replaced; `None` if there is none.
    pub(super) fn replaced(&self, text: &str, with: &str, edge: Edge) -> Option<String> {
        let mut replaced = String::new();
        let mut done = 0;
        for at in self.starts(text) {
            if at < done {
                continue;
            }
            if let Some(length) = self.at(text, at, edge) {
                replaced.push_str(&text[done..at]);
                replaced.push_str(with);
                done = at + length;
            }
        }
        (done > 0).then(|| {
            replaced.push_str(&text[done..]);
            replaced
        })
    }

    fn starts(&self, text: &str) -> impl Iterator<Item = usize> {
        let bytes = text.bytes().enumerate();
        let may_begin = bytes.filter(|(_, byte)| self.may_begin[usize::from(*byte)]);
        may_begin
            .map(|(at, _)| at)
            .filter(|at| text.is_char_boundary(*at))
    }

    /// Length of the name if it begins here.
    fn at(&self, text: &str, at: usize, edge: Edge) -> Option<usize> {
        self.words.iter().find_map(|word| {
            let length = length_of(&text[at..], word)?;
            let (before, after) = (&text[..at], &text[at + length..]);
            let is_free = edge.allows_before(before, word[0])
                && edge.allows_after(after, word[word.len() - 1])
                && (edge != Edge::Marked || is_marked(before, after));
            is_free.then_some(length)
        })
    }
}

/// Length of the word at the beginning of the text, each character as it is or encoded.
fn length_of(text: &str, word: &[char]) -> Option<usize> {
    let mut rest = text;
    for wanted in word {
        // Encoded first: a backslash may be the beginning of an encoded backslash.
        let encoded = decoded(rest).filter(|decoded| is_same(decoded.character, *wanted));
        let literal = || rest.chars().next().filter(|found| is_same(*found, *wanted));
        let length = match encoded {
            Some(encoded) => encoded.length,
            None => literal()?.len_utf8(),
        };
        rest = &rest[length..];
    }
    Some(text.len() - rest.len())
}

/// `wanted` is in lower case.
fn is_same(found: char, wanted: char) -> bool {
    found == wanted || found.to_lowercase().eq([wanted])
}

/// A character that stands encoded at the beginning of a text.
struct Decoded {
    character: char,
    length: usize,
}

/// JSON's escapes (however often they were escaped again), those of URLs and those of HTML.
fn decoded(text: &str) -> Option<Decoded> {
    match text.as_bytes().first()? {
        b'\\' => of_backslash(text),
        b'%' => of_percent(text),
        b'&' => of_entity(text),
        b'+' => Some(Decoded {
            character: ' ',
            length: 1,
        }),
        _ => None,
    }
}

fn of_backslash(text: &str) -> Option<Decoded> {
    let n_backslashes = text.bytes().take_while(|byte| *byte == b'\\').count();
    let rest = &text[n_backslashes..];
    let Some(first) = rest.chars().next() else {
        return Some(Decoded {
            character: '\\',
            length: n_backslashes,
        });
    };
    if first == 'u'
        && let Some(unit) = hex(rest.get(1..5))
    {
        return of_units(unit, &rest[5..], n_backslashes + 5);
    }
    let character = match first {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    };
    Some(Decoded {
        character,
        length: n_backslashes + first.len_utf8(),
    })
}

/// A character of one or two UTF-16 units.
fn of_units(unit: u32, rest: &str, length: usize) -> Option<Decoded> {
    if let Some(character) = char::from_u32(unit) {
        return Some(Decoded { character, length });
    }
    let n_backslashes = rest.bytes().take_while(|byte| *byte == b'\\').count();
    let low = rest[n_backslashes..].strip_prefix('u')?;
    let units = [
        u16::try_from(unit).ok()?,
        u16::try_from(hex(low.get(..4))?).ok()?,
    ];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some(Decoded {
        character,
        length: length + n_backslashes + 5,
    })
}

fn of_percent(text: &str) -> Option<Decoded> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut length = 0;
    while bytes.len() < 4 {
        let mut rest = text[length..].strip_prefix('%')?;
        let mut n_skipped = 1;
        // A URL within a URL: `%2540` is `%40` is `@`.
        while let Some(inner) = rest
            .strip_prefix("25")
            .filter(|inner| hex(inner.get(..2)).is_some())
        {
            rest = inner;
            n_skipped += 2;
        }
        bytes.push(u8::try_from(hex(rest.get(..2))?).ok()?);
        length += n_skipped + 2;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let character = text.chars().next()?;
            return Some(Decoded { character, length });
        }
    }
    None
}

fn of_entity(text: &str) -> Option<Decoded> {
    const NAMED: [(&str, char); 5] = [
        ("quot", '"'),
        ("amp", '&'),
        ("apos", '\''),
        ("lt", '<'),
        ("gt", '>'),
    ];
    let (entity, _) = text.get(1..)?.split_once(';')?;
    let number = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
    let character = match entity.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => number(digits, 16)?,
            None => number(digits, 10)?,
        },
        None => NAMED.iter().find(|(name, _)| *name == entity)?.1,
    };
    Some(Decoded {
        character,
        length: entity.len() + 2,
    })
}

fn hex(digits: Option<&str>) -> Option<u32> {
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

impl Edge {
    fn allows_before(self, before: &str, first: char) -> bool {
        let Some(previous) = before.chars().next_back() else {
            return true;
        };
        if !first.is_alphanumeric() {
            return true;
        }
        if previous.is_alphanumeric() {
            return ends_with_escape(before)
                || (self == Self::Loose && is_unspaced(previous) && is_unspaced(first));
        }
        self == Self::Loose
            || !matches!(previous, '_' | '-' | '.')
            || OBJECT_PREFIXES
                .iter()
                .any(|prefix| before.ends_with(prefix))
    }

    fn allows_after(self, after: &str, last: char) -> bool {
        let Some(next) = after.chars().next() else {
            return true;
        };
        if !last.is_alphanumeric() {
            return true;
        }
        let next = match next {
            '\\' | '%' | '&' => decoded(after).map_or(next, |decoded| decoded.character),
            other => other,
        };
        if next.is_alphanumeric() {
            return self == Self::Loose && is_unspaced(next) && is_unspaced(last);
        }
        match (self, next) {
            (Self::Loose, _) => true,
            (_, '_') => false,
            // `jupyter-ada--lab` is a server of ada.
            (_, '-') => after.starts_with("--"),
            (_, '.') => !after[1..].starts_with(char::is_alphanumeric),
            _ => true,
        }
    }
}

/// Whether what looks like a letter is the end of an escape that stands for none: `\nada`,
/// `%20ada`, `\u0022ada`.
fn ends_with_escape(before: &str) -> bool {
    let tail = |length: usize| {
        before
            .len()
            .checked_sub(length)
            .and_then(|start| before.get(start..))
    };
    let is_letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    if let Some(escape) = tail(2)
        && let Some(letter) = escape.strip_prefix('\\')
    {
        return letter.starts_with(['n', 't', 'r', 'b', 'f']);
    }
    if let Some(escape) = tail(3)
        && let Some(code) = escape.strip_prefix('%').and_then(|code| hex(Some(code)))
    {
        return code >= 0x80 || !is_letter(char::from_u32(code));
    }
    if let Some(escape) = tail(6)
        && let Some(code) = escape.strip_prefix("\\u").and_then(|code| hex(Some(code)))
    {
        return !is_letter(char::from_u32(code));
    }
    false
}

/// Letters of scripts that put no spaces between words.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_marked(before: &str, after: &str) -> bool {
    let before = before.to_lowercase();
    after.starts_with('@') || MARKERS.iter().any(|marker| before.ends_with(marker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, edge: Edge, text: &str, expected: &str) {
        let replaced = Words::of(name).replaced(text, "E", edge);
        assert_eq!(replaced.as_deref().unwrap_or(text), expected, "{text}");
    }

    #[test]
    fn a_name_is_found_as_a_whole_word_only() {
        for edge in [Edge::Loose, Edge::Strict] {
            check(
                "ada",
                edge,
                "ada, adam (ada) Ada madad",
                "E, adam (E) E madad",
            );
            check("ada", edge, "/user/ada/lab?u=ada&x", "/user/E/lab?u=E&x");
            check("ada", edge, "jupyter-ada claim-ada", "jupyter-E claim-E");
            check("ada", edge, "ada@example.org", "E@example.org");
            check("ada", edge, "that was ada.", "that was E.");
        }
    }

    #[test]
    fn what_may_be_another_name_is_left_where_that_matters() {
        check("ada", Edge::Loose, "ada-2 ada.b x_ada", "E-2 E.b x_E");
        check(
            "ada",
            Edge::Strict,
            "ada-2 ada.b x_ada x-ada",
            "ada-2 ada.b x_ada x-ada",
        );
        check("ada", Edge::Strict, "jupyter-ada--lab", "jupyter-E--lab");
        check(
            "a",
            Edge::Marked,
            "a user a is a fool, /user/a",
            "a user E is a fool, /user/E",
        );
    }

    #[test]
    fn a_name_is_found_however_it_is_encoded() {
        let name = r#"o"neil\x"#;
        for text in [
            r#"o"neil\x"#,
            r#"o\"neil\\x"#,
            r#"o\\\"neil\\\\x"#,
            r"o\u0022neil\u005cx",
            "o%22neil%5Cx",
            "o%22neil%5cx",
            "o%2522neil%255Cx",
            "o&quot;neil&#92;x",
            "o-22neil-5cx",
        ] {
            check(name, Edge::Loose, &format!("<{text}>"), "<E>");
        }
        for text in [
            "日本",
            r"\u65e5\u672c",
            r"\\u65E5\\u672C",
            "%E6%97%A5%E6%9C%AC",
        ] {
            check("日本", Edge::Strict, &format!(" {text} "), " E ");
        }
        check("🚀x", Edge::Loose, r"[\ud83d\ude80x]", "[E]");
        check("Ada L", Edge::Loose, "ada+l Ada%20L -41da-20-4c", "E E E");
    }

    #[test]
    fn an_escape_before_a_name_is_no_part_of_it() {
        check(
            "ada",
            Edge::Loose,
            r"x\nada %2Fada%2F \u0022ada",
            r"x\nE %2FE%2F \u0022E",
        );
        check(
            "ada",
            Edge::Loose,
            r"ada\u00e9 ada%C3%A9 %61ada",
            r"ada\u00e9 ada%C3%A9 %61ada",
        );
    }

    #[test]
    fn scripts_without_spaces_have_no_word_ends() {
        check("日本", Edge::Loose, "今日本語", "今E語");
        check("日本", Edge::Strict, "今日本語", "今日本語");
    }
}
