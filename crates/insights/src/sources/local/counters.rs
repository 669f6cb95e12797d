//! What counters of units and containers grew by between two looks.

use std::collections::HashMap;

/// Counters of things, by the things' names.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: Option<HashMap<String, Counted>>,
}

/// Counters of a thing, which begin with it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counted {
    /// Another thing of the same name has another number.
    pub(super) identity: u64,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) rx_bytes: Option<f64>,
    pub(super) tx_bytes: Option<f64>,
}

impl Counters {
    /// What all things grew by: one that was not there at the last look by all that it has. At the
    /// first look that is unknown.
    ///
    /// A thing that is there and could not be read has counters of which all are unknown; it goes on
    /// from where it was when it can be read again.
    pub(super) fn turn(&mut self, now: HashMap<String, Counted>) -> HashMap<String, Counted> {
        let before = self.last.take();
        let grown = now.iter().map(|(name, now)| {
            let grown = before.as_ref().map(|before| now.since(before.get(name)));
            (name.clone(), grown.unwrap_or_default())
        });
        let grown = grown.collect();
        let before = before.unwrap_or_default();
        let kept = now.into_iter().map(|(name, now)| {
            let kept = now.or(before.get(&name));
            (name, kept)
        });
        self.last = Some(kept.collect());
        grown
    }
}

impl Counted {
    fn since(&self, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.identity == self.identity);
        let grown = |of: fn(&Self) -> Option<f64>| match (before, of(self)) {
            (_, None) => None,
            (None, Some(now)) => Some(now),
            // Unknown until now, so nobody knows since when; or begun anew, as with a container that
            // was started again.
            (Some(before), Some(now)) => of(before).map(|b| if now < b { now } else { now - b }),
        };
        Self {
            identity: self.identity,
            cpu_seconds: grown(|counted| counted.cpu_seconds),
            rx_bytes: grown(|counted| counted.rx_bytes),
            tx_bytes: grown(|counted| counted.tx_bytes),
        }
    }

    fn or(self, before: Option<&Self>) -> Self {
        let Some(before) = before.filter(|before| before.identity == self.identity) else {
            return self;
        };
        Self {
            identity: self.identity,
            cpu_seconds: self.cpu_seconds.or(before.cpu_seconds),
            rx_bytes: self.rx_bytes.or(before.rx_bytes),
            tx_bytes: self.tx_bytes.or(before.tx_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks as `name#identity=seconds`, and what each brings; `-` is unknown.
    fn check(looks: &[(&str, &str)]) {
        let mut counters = Counters::default();
        for (text, expected) in looks {
            let now = text.split_whitespace().map(|part| {
                let (name, seconds) = part.split_once('=').unwrap();
                let identity = name.split_once('#').unwrap().1.parse().unwrap();
                let counted = Counted {
                    identity,
                    cpu_seconds: seconds.parse().ok(),
                    ..Counted::default()
                };
                (name[..1].to_owned(), counted)
            });
            let grown = counters.turn(now.collect());
            let mut grown: Vec<String> = grown
                .iter()
                .map(|(name, counted)| {
                    let seconds = counted.cpu_seconds;
                    format!(
                        "{name}={}",
                        seconds.map_or("-".to_owned(), |s| s.to_string())
                    )
                })
                .collect();
            grown.sort();
            assert_eq!(grown.join(" "), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_new_counts_as_a_whole_but_at_the_first_look() {
        check(&[
            ("a#1=50", "a=-"),
            ("a#1=52 b#2=7", "a=2 b=7"),
            ("b#2=7", "b=0"),
        ]);
    }

    #[test]
    fn what_began_anew_counts_from_there() {
        check(&[("a#1=50", "a=-"), ("a#2=60", "a=60"), ("a#2=3", "a=3")]);
    }

    #[test]
    fn what_could_not_be_read_goes_on_from_where_it_was() {
        check(&[
            ("a#1=50", "a=-"),
            ("a#1=-", "a=-"),
            ("a#1=55", "a=5"),
            ("a#1=55 b#1=-", "a=0 b=-"),
            ("a#1=55 b#1=9", "a=0 b=-"),
        ]);
    }
}
