//! Reads SVG as strictly as is needed to trust it: no entity but numbers, no attribute twice,
//! everything closed.

use std::iter::Peekable;
use std::str::Chars;

/// An element with what it says itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    pub(super) tag: String,
    pub(super) attributes: Vec<(String, String)>,
    /// Without that of its children.
    pub(super) text: String,
    /// From the outside to the inside, their classes.
    pub(super) within: Vec<String>,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let attribute = self.attributes.iter().find(|(key, _)| key == name);
        attribute.map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        let value = self.get(name).unwrap_or("0");
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is `{value}`"))
    }

    pub(super) fn is(&self, class: &str) -> bool {
        let classes = self.get("class").unwrap_or_default();
        classes.split(' ').any(|other| other == class)
    }

    pub(super) fn is_within(&self, class: &str) -> bool {
        let is_class = |classes: &String| classes.split(' ').any(|other| other == class);
        self.within.iter().any(is_class)
    }
}

/// All elements in the order of their starts; panics where the text is not well-formed.
pub(super) fn parse(text: &str) -> Vec<Element> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        elements: Vec::new(),
        open: Vec::new(),
    };
    while reader.rest.peek().is_some() {
        reader.next();
    }
    assert!(reader.open.is_empty(), "not all is closed");
    reader.elements
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    elements: Vec<Element>,
    open: Vec<usize>,
}

impl Reader<'_> {
    fn next(&mut self) {
        if self.rest.next_if_eq(&'<').is_none() {
            let text = self.text_until('<');
            let inside = *self.open.last().expect("text outside");
            self.elements[inside].text.push_str(&text);
            return;
        }
        if self.rest.next_if_eq(&'/').is_some() {
            let tag = self.word();
            let ended = self.open.pop().expect("nothing to close");
            assert_eq!(self.elements[ended].tag, tag);
            assert_eq!(self.rest.next(), Some('>'));
            return;
        }
        self.start();
    }

    fn start(&mut self) {
        assert!(
            self.elements.is_empty() || !self.open.is_empty(),
            "two roots"
        );
        let mut element = Element {
            tag: self.word(),
            ..Element::default()
        };
        let class_of = |at: &usize| {
            self.elements[*at]
                .get("class")
                .unwrap_or_default()
                .to_owned()
        };
        element.within = self.open.iter().map(class_of).collect();
        while self.rest.next_if_eq(&' ').is_some() {
            let name = self.word();
            assert_eq!(self.rest.next(), Some('='));
            assert_eq!(self.rest.next(), Some('"'));
            let value = self.text_until('"');
            assert_eq!(self.rest.next(), Some('"'));
            assert_eq!(element.get(&name), None, "{name} stands twice");
            element.attributes.push((name, value));
        }
        self.elements.push(element);
        if self.rest.next_if_eq(&'/').is_none() {
            self.open.push(self.elements.len() - 1);
        }
        assert_eq!(self.rest.next(), Some('>'));
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphanumeric() || *c == '-')
        {
            word.push(c);
        }
        assert!(
            word.starts_with(|c: char| c.is_ascii_alphabetic()),
            "{word}"
        );
        word
    }

    fn text_until(&mut self, end: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != end) {
            assert!(c != '<', "a tag inside a tag");
            assert!(c.is_ascii_whitespace() || !c.is_control(), "{c:?}");
            assert!(
                !matches!(c, '\u{b}' | '\u{c}' | '\u{fffe}' | '\u{ffff}'),
                "{c:?}"
            );
            text.push(if c == '&' { self.entity() } else { c });
        }
        text
    }

    fn entity(&mut self) -> char {
        assert_eq!(self.rest.next(), Some('#'), "only numbers");
        let mut number = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_digit) {
            number.push(c);
        }
        assert_eq!(self.rest.next(), Some(';'));
        char::from_u32(number.parse().unwrap()).unwrap()
    }
}

/// A point that a path goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct At {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Every point that a path goes through; arcs by their ends.
pub(super) fn points(path: &str) -> Vec<At> {
    let mut points = Vec::new();
    let (mut at, mut start) = (At { x: 0.0, y: 0.0 }, At { x: 0.0, y: 0.0 });
    for part in path
        .split_inclusive(|c: char| c.is_ascii_alphabetic())
        .zip_commands()
    {
        for numbers in part.numbers.chunks(part.takes().max(1)) {
            match (part.command, numbers) {
                ('M', &[x, y]) if points.is_empty() || numbers == &part.numbers[..2] => {
                    at = At { x, y };
                    start = at;
                }
                ('M' | 'L', &[x, y]) => at = At { x, y },
                ('H', &[x]) => at.x = x,
                ('V', &[y]) => at.y = y,
                ('h', &[x]) => at.x += x,
                ('v', &[y]) => at.y += y,
                ('l', &[x, y]) | ('a', &[.., x, y]) => {
                    at = At {
                        x: at.x + x,
                        y: at.y + y,
                    }
                }
                other => panic!("{other:?} in {path}"),
            }
            points.push(at);
        }
        if part.command == 'z' {
            at = start;
        }
    }
    points
}

struct Part {
    command: char,
    numbers: Vec<f64>,
}

impl Part {
    /// How many numbers make one step.
    fn takes(&self) -> usize {
        match self.command {
            'M' | 'L' | 'l' => 2,
            'a' => 7,
            _ => 1,
        }
    }
}

trait ZipCommands<'a>: Iterator<Item = &'a str> + Sized {
    /// Each command with the numbers after it.
    fn zip_commands(self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for piece in self {
            let numbers = piece.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            if let Some(part) = parts.last_mut() {
                part.numbers = numbers_in(numbers);
            }
            if let Some(command) = piece.chars().last().filter(char::is_ascii_alphabetic) {
                let numbers = Vec::new();
                parts.push(Part { command, numbers });
            }
        }
        parts
    }
}

impl<'a, I: Iterator<Item = &'a str>> ZipCommands<'a> for I {}

/// Numbers between spaces, or signs that begin the next one.
fn numbers_in(text: &str) -> Vec<f64> {
    let spaced = text.replace('-', " -");
    let number = |part: &str| part.parse::<f64>().unwrap_or_else(|_| panic!("`{text}`"));
    spaced.split_whitespace().map(number).collect()
}

#[test]
fn paths_are_read_as_browsers_do() {
    let points = |path| {
        points(path)
            .iter()
            .map(|at| format!("{},{}", at.x, at.y))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(points("M1 2 3 4"), "1,2 3,4");
    assert_eq!(points("M1 2h3v-4z"), "1,2 4,2 4,-2");
    assert_eq!(points("M1 2a3 3 0 1 0 6 0z"), "1,2 7,2");
    assert_eq!(points("M1 2l3-4H0M5 6"), "1,2 4,-2 0,-2 5,6");
}

#[test]
fn what_is_not_well_formed_is_noticed() {
    for bad in [
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a>&amp;</a>",
        "<a>\u{1}</a>",
        "<a b=\"<\"/>",
    ] {
        assert!(std::panic::catch_unwind(|| parse(bad)).is_err(), "{bad}");
    }
}
