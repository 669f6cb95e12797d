//! The form that chooses a period, a hub, a group, and whatever else a report lets choose.

use super::address::Address;
use askama::Template;
use askama::filters::HtmlSafe;
use jiff::civil::Date;

/// A form that asks for the same page again; it works without the script.
#[derive(Clone, Debug, Template)]
#[template(path = "picker.html")]
pub(crate) struct PeriodPicker {
    /// The page.
    pub(crate) page: Address,
    /// Today in the hub's zone.
    pub(crate) today: Date,
    /// First day that is shown.
    pub(crate) from: Date,
    /// Last day that is shown.
    pub(crate) to: Date,
    /// Hubs, groups, parameters; none of a single hub.
    pub(crate) selects: Vec<Select>,
    /// What the page has to be told again, such as the name of a user.
    pub(crate) kept: Vec<Field>,
}

impl HtmlSafe for PeriodPicker {}

/// A hidden field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The key in the address.
    pub(crate) name: String,
    /// What stands behind it.
    pub(crate) value: String,
}

/// One of several.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    /// The key in the address.
    pub(crate) name: String,
    /// Before it.
    pub(crate) label: String,
    /// All of them; the value of `all groups` is empty.
    pub(crate) choices: Vec<Choice>,
}

impl Select {
    fn chosen(&self) -> &str {
        let chosen = self.choices.iter().find(|choice| choice.is_chosen);
        chosen.map_or("", |choice| &choice.value)
    }
}

/// One of a [`Select`].
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// As the address says it.
    pub(crate) value: String,
    /// As people read it.
    pub(crate) label: String,
    /// Whether it is the one.
    pub(crate) is_chosen: bool,
}

impl Choice {
    /// A choice that is called as it is written; it is chosen if that is `chosen`.
    pub(crate) fn new(value: &str, chosen: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: value.to_owned(),
            is_chosen: value == chosen,
        }
    }

    /// The same under another name.
    pub(crate) fn called(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }
}

/// A period that is one click away.
struct Preset {
    label: &'static str,
    href: String,
    is_current: bool,
}

/// Words of the link, and days before today.
const PRESETS: [(&str, i32); 4] = [
    ("7 days", 6),
    ("30 days", 29),
    ("90 days", 89),
    ("A year", 364),
];

impl PeriodPicker {
    /// Links that say the period by its length, so that a bookmark stays up to date.
    fn presets(&self) -> Vec<Preset> {
        let presets = PRESETS.map(|(label, days)| Preset {
            label,
            href: self
                .kept_address()
                .with("from", &format!("{days} days ago"))
                .to_string(),
            is_current: self.to == self.today && (self.to - self.from).get_days() == days,
        });
        presets.into()
    }

    fn kept_address(&self) -> Address {
        let kept = self.kept.iter().map(|field| (&*field.name, &*field.value));
        let chosen = self
            .selects
            .iter()
            .map(|select| (&*select.name, select.chosen()));
        kept.chain(chosen)
            .fold(self.page.clone(), |page, (key, value)| {
                page.with(key, value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn picker() -> PeriodPicker {
        PeriodPicker {
            page: Address::below("/x/", "activity"),
            today: date(2026, 11, 22),
            from: date(2026, 10, 24),
            to: date(2026, 11, 22),
            selects: vec![Select {
                name: "group".to_owned(),
                label: "Group".to_owned(),
                choices: vec![
                    Choice::new("", "a&b").called("all groups"),
                    Choice::new("a&b", "a&b"),
                ],
            }],
            kept: vec![Field {
                name: "name".to_owned(),
                value: "ada".to_owned(),
            }],
        }
    }

    #[test]
    fn a_period_one_click_away_keeps_the_rest() {
        let presets = picker().presets();
        assert_eq!(
            presets[0].href,
            "/x/activity?name=ada&group=a%26b&from=6+days+ago"
        );
        let current: Vec<_> = presets.iter().filter(|preset| preset.is_current).collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0].label, "30 days");
    }

    #[test]
    fn a_period_in_the_past_is_none_of_them() {
        let past = PeriodPicker {
            to: date(2026, 11, 21),
            ..picker()
        };
        assert!(past.presets().iter().all(|preset| !preset.is_current));
    }
}
