//! The period of a report that needs more than the usual days, where nobody chose one.

use super::definition::BadReport;
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::fmt;
use std::str::FromStr;

/// So many whole months, and what there is of the one of the last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualMonths(u16);

impl UsualMonths {
    /// The first day, if this is the last one.
    pub fn before(self, to: Date) -> Date {
        to.first_of_month()
            .saturating_sub(i32::from(self.0).months())
    }
}

impl FromStr for UsualMonths {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        let months = text.strip_suffix(" months");
        let months = months.and_then(|months| months.parse().ok());
        months
            .map(Self)
            .ok_or_else(|| BadReport(format!("`period: {text}` is not `12 months`")))
    }
}

impl fmt::Display for UsualMonths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} whole months and the one that runs", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn months_are_whole() {
        let year: UsualMonths = "12 months".parse().unwrap();
        assert_eq!(year.before(date(2026, 11, 22)), date(2025, 11, 1));
        assert_eq!(year.before(date(2024, 2, 29)), date(2023, 2, 1));
        assert_eq!(year.before(Date::MIN), Date::MIN);
        let bad = "a year".parse::<UsualMonths>().unwrap_err();
        assert_eq!(bad.to_string(), "`period: a year` is not `12 months`");
    }
}
