//! What a reader asks of a report: a period, some of the people, and the report's own choices.

use super::definition::{Definition, Filter, Parameter, ParameterKind};
use crate::query::{QueryError, Value};
use jiff::civil::Date;
use model::attribution::Attribution;
use std::collections::BTreeMap;
use std::fmt;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// First day of the period.
    pub from: Date,
    /// Its last day.
    pub to: Date,
    /// Only this hub.
    pub hub: Option<String>,
    /// Only members of this group, on the days they were.
    pub group: Option<String>,
    /// Only this person.
    pub user: Option<String>,
    /// Choices of the report, by name.
    pub choices: BTreeMap<String, String>,
    /// What the site decided for all reports.
    pub site: Site,
    /// Whether closed days are read from the roll-up.
    pub rollup: RollUp,
}

/// What the site decided for all reports.
#[derive(Clone, Debug)]
pub struct Site {
    /// Accounts that do not count.
    pub left_out: LeftOutAccounts,
    /// Which groups may be shown and how people in several are counted.
    pub groups: Attribution,
    /// Names of ranges of addresses, as `10.0.0.0/8`.
    pub networks: Vec<Network>,
}

/// Accounts that do not count: staff, services, tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOutAccounts {
    /// Names; `*` stands for any text.
    pub users: Vec<String>,
    /// Whoever was in one of them on a day of the period; they do not count before it either.
    pub groups: Vec<String>,
}

/// A named range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// As reports call it.
    pub name: String,
    /// First address, as 32 hexadecimal digits.
    pub(crate) first: String,
    /// Last address, the same way.
    pub(crate) last: String,
}

/// Whether closed days are read from the roll-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RollUp {
    /// As far as there is one.
    Used,
    /// Everything from the rows themselves: for tests and benches.
    Unused,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No report has this name.
    #[error("there is no report `{name}`{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// Something that cannot be asked.
    #[error("{0}")]
    Wrong(String),
    /// The report gives something else than its file says.
    #[error("{0}")]
    Columns(String),
    /// A hub or group that the history does not know.
    #[error("the history knows no {what} `{name}`{}", hint(known))]
    NotFound {
        /// `hub`, `group` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Names that it knows, where they may be told.
        known: Vec<String>,
    },
    /// The query.
    #[error(transparent)]
    Query(#[from] QueryError),
}

fn hint(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; it knows `{}`", known.join("`, `")),
    }
}

impl Network {
    /// A range as `10.0.0.0/8` or a single address; `None` if it is neither.
    pub fn parse(name: &str, range: &str) -> Option<Self> {
        let (address, length) = match range.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (range, None),
        };
        let digits = super::functions::address_digits(address)?;
        let bits = u128::from_str_radix(&digits, 16).ok()?;
        let whole = if address.contains(':') { 128 } else { 32 };
        let length = length.unwrap_or(whole);
        let free = whole.checked_sub(length)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Some(Self {
            name: name.to_owned(),
            first: format!("{:032x}", bits & mask),
            last: format!("{:032x}", bits | !mask),
        })
    }
}

impl Asked {
    /// A period of everything and everybody.
    pub fn period(from: Date, to: Date, site: Site) -> Self {
        Self {
            from,
            to,
            hub: None,
            group: None,
            user: None,
            choices: BTreeMap::new(),
            site,
            rollup: RollUp::Used,
        }
    }

    /// What is wrong with it for this report.
    pub(crate) fn check(&self, report: &Definition) -> Result<(), ReportError> {
        if self.from > self.to {
            let told = format!(
                "the period ends on {} before it begins on {}",
                self.to, self.from
            );
            return Err(ReportError::Wrong(told));
        }
        for (filter, value) in [(Filter::Group, &self.group), (Filter::User, &self.user)] {
            if value.is_some() && !report.scope.contains(&filter) {
                let told = format!("the report `{}` is not about one {filter}", report.name);
                return Err(ReportError::Wrong(told));
            }
        }
        for (name, value) in &self.choices {
            let known = report.parameters.iter().find(|known| known.name == *name);
            match known {
                Some(parameter) => {
                    parameter.value(value).map_err(ReportError::Wrong)?;
                }
                None => return Err(ReportError::Wrong(no_parameter(report, name))),
            }
        }
        Ok(())
    }

    /// The report's own parameters, chosen or by default.
    pub(crate) fn values(&self, report: &Definition) -> Vec<Chosen> {
        let all = report.parameters.iter().map(|parameter| {
            let text = self.choices.get(&parameter.name);
            let text = text.unwrap_or(&parameter.default).clone();
            // Checked before; a default is checked by a test.
            let value = parameter.value(&text).unwrap_or(Value::Null);
            let name = parameter.name.clone();
            Chosen { name, text, value }
        });
        all.collect()
    }
}

/// A parameter with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Of the parameter.
    pub name: String,
    /// As it was written.
    pub text: String,
    pub(crate) value: Value,
}

fn no_parameter(report: &Definition, name: &str) -> String {
    let names: Vec<&str> = report
        .parameters
        .iter()
        .map(|known| known.name.as_str())
        .collect();
    let has = match &names[..] {
        [] => "it has none".to_owned(),
        names => format!("it has `{}`", names.join("`, `")),
    };
    format!(
        "the report `{}` has no parameter `{name}`: {has}",
        report.name
    )
}

impl Parameter {
    /// The value of a text, or what is wrong with it.
    pub(crate) fn value(&self, text: &str) -> Result<Value, String> {
        let name = &self.name;
        match &self.kind {
            ParameterKind::Choice(choices) if choices.iter().any(|choice| choice == text) => {
                Ok(Value::Text(text.to_owned()))
            }
            ParameterKind::Choice(choices) => {
                let choices = choices.join("`, `");
                Err(format!("`{name}={text}`: `{name}` is one of `{choices}`"))
            }
            ParameterKind::Text => Ok(Value::Text(text.to_owned())),
            ParameterKind::Number => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(Value::Real(number)),
                _ => Err(format!(
                    "`{name}={text}`: `{name}` is a number that is not negative"
                )),
            },
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.text)
    }
}
