//! Which values name the person, and what they become.
//!
//! Names are opaque text, so that a user may be called `server` or `a`. A leftover of a name is
//! worse than a word too many in a message; but what other people chose, and the words that make
//! JSON readable by programs, must stay. Hence:
//!
//! - *Free text* (what could not be read, what an auditor wrote): every whole word, in any encoding.
//! - *JSON of the person's own rows*: every string and key. The keys and values that sessions are
//!   derived from stay, so that `store rebuild` still reads them.
//! - *JSON of other rows*: under keys that name people (`user`, `created_by`, `members`…) always;
//!   what somebody chose (`options`, `profile`, `image`…) never; elsewhere where the name is a word
//!   that only a person can mean. An ordinary word ([`is_ordinary`]) is replaced there only where the
//!   text says that it is a user (`/user/gpu`, `gpu@…`); left alone it points at nobody.

use super::text::{Edge, Words};
use crate::state::facts;
use model::names::UserName;
use serde_json::{Map, Value};

/// The erased person.
#[derive(Debug)]
pub(super) struct Person {
    name: UserName,
    pseudonym: UserName,
    words: Words,
    is_ordinary: bool,
}

/// Whose row a value stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The person's.
    Own,
    /// Somebody else's, or nobody's.
    Other,
}

/// Where in a piece of JSON a value stands.
#[derive(Clone, Copy)]
struct Place {
    whose: Whose,
    /// Its key, or that of the list or map that it stands in, names people.
    names_people: bool,
    /// It is below something that people choose from a list.
    is_choice: bool,
}

fn chosen(whose: Whose) -> Place {
    Place {
        whose,
        names_people: false,
        is_choice: true,
    }
}

impl Person {
    pub(super) fn new(name: &UserName, pseudonym: UserName) -> Self {
        Self {
            name: name.clone(),
            pseudonym,
            words: Words::of(name.as_str()),
            is_ordinary: is_ordinary(name.as_str()),
        }
    }

    pub(super) fn name(&self) -> &UserName {
        &self.name
    }

    pub(super) fn pseudonym(&self) -> &UserName {
        &self.pseudonym
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_str() == name
    }

    /// Free text without the name; `None` if it does not hold it.
    pub(super) fn without_in_text(&self, text: &str) -> Option<String> {
        self.words
            .replaced(text, self.pseudonym.as_str(), Edge::Loose)
    }

    /// What somebody chose, as JSON, without the name.
    pub(super) fn without_in_options(&self, text: &str, whose: Whose) -> Option<String> {
        self.without_in(text, |person, value| person.value(value, chosen(whose)))
    }

    /// What somebody chose, as plain text, without the name.
    pub(super) fn without_in_choice(&self, text: &str, whose: Whose) -> Option<String> {
        self.string(text, chosen(whose))
    }

    /// A label's value without the name.
    pub(super) fn without_in_label(&self, text: &str, whose: Whose) -> Option<String> {
        let place = Place {
            whose,
            names_people: false,
            is_choice: false,
        };
        self.string(text, place)
    }

    /// JSON without the name.
    pub(super) fn without_in_json(&self, text: &str, whose: Whose) -> Option<String> {
        let place = Place {
            whose,
            names_people: false,
            is_choice: false,
        };
        self.without_in(text, |person, value| person.value(value, place))
    }

    /// The detail of an event without the name.
    pub(super) fn without_in_detail(&self, kind: &str, text: &str, whose: Whose) -> Option<String> {
        if facts::KINDS.contains(&kind) {
            self.without_in_fact(text, whose)
        } else {
            self.without_in_json(text, whose)
        }
    }

    /// A fact without the name: everything but what was chosen is ours and stays readable.
    pub(super) fn without_in_fact(&self, text: &str, whose: Whose) -> Option<String> {
        self.without_in(text, |person, fact| {
            let mut is_changed = false;
            for key in ["options", "image"] {
                if let Some(choice) = fact.get_mut(key) {
                    is_changed |= person.value(choice, chosen(whose));
                }
            }
            is_changed
        })
    }

    fn without_in(
        &self,
        text: &str,
        change: impl FnOnce(&Self, &mut Value) -> bool,
    ) -> Option<String> {
        // Parsing millions of details for the few that hold the name would take minutes.
        if !self.words.are_in(text) {
            return None;
        }
        match serde_json::from_str(text) {
            Ok(mut value) => change(self, &mut value).then(|| value.to_string()),
            Err(_) => self.without_in_text(text),
        }
    }

    /// Takes the name out; whether it was there.
    fn value(&self, value: &mut Value, place: Place) -> bool {
        match value {
            Value::String(text) => match self.string(text, place) {
                Some(replaced) => {
                    *text = replaced;
                    true
                }
                None => false,
            },
            // Names made of digits are student numbers at many places.
            Value::Number(number) if place.names_people && self.is(&number.to_string()) => {
                *value = Value::String(self.pseudonym.as_str().to_owned());
                true
            }
            Value::Array(values) => values
                .iter_mut()
                .fold(false, |changed, value| self.value(value, place) | changed),
            Value::Object(map) => self.map(map, place),
            _ => false,
        }
    }

    fn map(&self, map: &mut Map<String, Value>, place: Place) -> bool {
        let mut is_changed = false;
        for (key, mut value) in std::mem::take(map) {
            let is_choice = place.is_choice || is_choice_key(&key);
            let below = Place {
                whose: place.whose,
                names_people: names_people(&key, is_choice),
                is_choice,
            };
            is_changed |= self.value(&mut value, below);
            let replaced = self.key(&key, place);
            is_changed |= replaced.is_some();
            map.insert(replaced.unwrap_or(key), value);
        }
        is_changed
    }

    fn string(&self, text: &str, place: Place) -> Option<String> {
        let edge = match (place.whose, place.names_people, place.is_choice) {
            (_, true, _) if self.is(text) => return Some(self.pseudonym.as_str().to_owned()),
            (Whose::Other, false, true) => return None,
            (Whose::Own, _, true) | (Whose::Other, false, false) if self.is_ordinary => {
                Edge::Marked
            }
            (Whose::Own, _, _) => Edge::Loose,
            (Whose::Other, _, _) => Edge::Strict,
        };
        self.words.replaced(text, self.pseudonym.as_str(), edge)
    }

    /// Keys that are the name of an ordinary thing stay unless they stand in a map of people.
    fn key(&self, key: &str, place: Place) -> Option<String> {
        let edge = match (place.whose, place.names_people) {
            (_, true) if self.is(key) => return Some(self.pseudonym.as_str().to_owned()),
            (Whose::Other, false) if place.is_choice => return None,
            (_, false) if self.is_ordinary => Edge::Marked,
            (Whose::Own, _) => Edge::Loose,
            (Whose::Other, _) => Edge::Strict,
        };
        self.words.replaced(key, self.pseudonym.as_str(), edge)
    }
}

/// Whether a name is also a word that programs and people use for other things.
///
/// A list and not statistics of what the hub's rows hold: what is erased must not depend on what
/// others do.
fn is_ordinary(name: &str) -> bool {
    const WORDS: &str = "
        active activity add added admin alert all allow alpha always anaconda and any api app arm
        array asked auth base bash beta bin bool bytes cache class code command conda config
        container cpu crashed created cuda culled data date day dead debug default delete deny
        detail dev disk docker down empty end ended environment error event events example exec
        failed false file files free gpu group groups guest header hidden high home host hour hub
        idle image info instance internal ip java json julia jupyter jupyterhub kernel kind lab
        label large last latest level line linux list local log login logout low main master max
        medium memory message method micro min minimal mode model name nano no node none normal
        notebook null number octave off ok on open option options other page path ping pod poll
        port post private prod prof profile progress project proxy public python r ram read ready
        reason regular remote request result role root rstudio rust scale scipy scope seen server
        service session shared shell short size small source spawn staff standard start started
        state status stop stopped storage student sudo system tag teacher temp tensorflow test time
        tiny tmp token torch total true type undefined unknown unobserved up update url usage user
        users value version view volume web work worker workspace write yes zone";
    name.len() <= 2
        || WORDS
            .split_whitespace()
            .any(|word| word.eq_ignore_ascii_case(name))
        || facts::KINDS.contains(&name)
}

/// Keys below which stands what people choose from a list that an admin made.
fn is_choice_key(key: &str) -> bool {
    const KEYS: [&str; 12] = [
        "options",
        "user_options",
        "profile",
        "profiles",
        "image",
        "kind",
        "type",
        "action",
        "state",
        "status",
        "environment",
        "kernel",
    ];
    KEYS.iter().any(|choice| choice.eq_ignore_ascii_case(key))
}

/// Whether a part of the key says that its value is a person: `user`, `created_by`, `ownerName`.
fn names_people(key: &str, is_choice: bool) -> bool {
    const PARTS: &str = "
        account actor admin admins approver assignee attendee attendees author authors by
        collaborator collaborators contact creator email for from invitee login mail member members
        owner owners participant participants people person persons principal recipient recipients
        requester requestor sender student students sub subject teacher teachers to uid user userid
        username usernames users viewer viewers who with";
    let parts = parts(key);
    let is_person = parts
        .iter()
        .any(|part| PARTS.split_whitespace().any(|person| person == part));
    // `name` is a person's in an event of a user, and a profile's below one.
    is_person || (!is_choice && parts == ["name"])
}

/// The words of a key, in lower case.
fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for character in key.chars() {
        let is_break = !character.is_alphanumeric();
        if is_break || (was_lower && character.is_uppercase()) {
            parts.push(String::new());
        }
        was_lower = character.is_lowercase();
        if !is_break && let Some(part) = parts.last_mut() {
            part.extend(character.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, whose: Whose, text: &str, expected: &str) {
        let person = Person::new(&name.into(), "E".into());
        let without = person.without_in_json(text, whose);
        assert_eq!(without.as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn own_rows_lose_the_name_everywhere() {
        check(
            "ada",
            Whose::Own,
            r#"{"ada":"x","pod":"jupyter-ada","options":{"home":"/h/ada"},"n":["ada"]}"#,
            r#"{"E":"x","pod":"jupyter-E","options":{"home":"/h/E"},"n":["E"]}"#,
        );
    }

    #[test]
    fn other_rows_lose_the_name_where_it_names_a_person() {
        check(
            "ada",
            Whose::Other,
            r#"{"created_by":"ada","members":["ada","adam","ada-2"],"users":{"ada":1},"text":"to ada.","shared":"ada"}"#,
            r#"{"created_by":"E","members":["E","adam","ada-2"],"users":{"E":1},"text":"to E.","shared":"E"}"#,
        );
        check(
            "12345",
            Whose::Other,
            r#"{"userId":12345,"n":12345}"#,
            r#"{"userId":"E","n":12345}"#,
        );
    }

    #[test]
    fn what_others_chose_and_ordinary_words_stay() {
        let other =
            r#"{"profile":"gpu","options":{"gpu":"gpu"},"reason":"gpu","gpu":1,"text":"a gpu"}"#;
        check("gpu", Whose::Other, other, other);
        check("a", Whose::Other, other, other);
        check(
            "gpu",
            Whose::Other,
            r#"{"user":"gpu","url":"/user/gpu/","text":"user gpu logged in"}"#,
            r#"{"user":"E","url":"/user/E/","text":"user E logged in"}"#,
        );
        let chosen = r#"{"profile":{"name":"ada"},"image":"ada"}"#;
        check("ada", Whose::Other, chosen, chosen);
    }

    #[test]
    fn facts_stay_readable_whatever_the_name() {
        for name in ["started", "asked", "watched", "stop_counted"] {
            let person = Person::new(&name.into(), "E".into());
            let fact =
                r#"{"started":"2026-01-01T00:00:00Z","watch":"watched","stop_counted":"asked"}"#;
            assert_eq!(
                person.without_in_detail("server-gone", fact, Whose::Own),
                None
            );
        }
        let person = Person::new(&"ada".into(), "E".into());
        let fact = r#"{"started":"x","options":{"dir":"ada"},"image":"ada"}"#;
        assert_eq!(
            person
                .without_in_detail("server-seen", fact, Whose::Own)
                .unwrap(),
            r#"{"started":"x","options":{"dir":"E"},"image":"E"}"#
        );
    }

    #[test]
    fn broken_json_is_text() {
        check("ada", Whose::Other, r#"{"x": "ada"#, r#"{"x": "E"#);
    }
}
