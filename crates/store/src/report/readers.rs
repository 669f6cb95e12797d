//! Who may read a report beside administrators, and what of it is not for them: the part of a head
//! that says so.
//!
//! What becomes of an answer is the business of [`super::shown_to`], who somebody is that of the web.

use super::definition::{BadReport, Definition, Filter, Kind, ParameterKind, named};
use std::fmt;
use std::str::FromStr;

/// Who reads a report beside administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// The owner of a group, about that group.
    Owner,
    /// A person, about themselves.
    User,
    /// Whoever has a link that an administrator made.
    Share,
}

/// How many people stand behind the rows of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum People {
    /// Rows are about no person at all.
    Nobody,
    /// The row of the number `users` counts those behind all rows of a hub.
    Total {
        /// Further numbers that count people themselves.
        counts: Vec<String>,
    },
    /// Columns count them, row by row.
    Counted(Counted),
}

/// Columns that count the people behind a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The first counts those behind the row's sums; none of the others may be small either.
    pub columns: Vec<String>,
    /// Whether rows are parts of a whole.
    pub rows: Rows,
    /// Columns beside the hub that say what a row is about: they stay where it is left empty.
    pub about: Vec<String>,
}

/// Columns that follow from each other, or a single one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// Those that are counts count people among those behind the row.
    pub columns: Vec<String>,
}

/// Whether rows are parts of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Each stands for itself.
    Alone,
    /// Those of a hub add up to something that may be known.
    Parts,
}

/// What of a report is not for an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// For whom.
    pub from: Audience,
    /// What.
    pub what: WithheldPart,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithheldPart {
    /// A column.
    Column(String),
    /// Something that may be chosen, as `by=image`.
    Choice {
        /// The parameter.
        parameter: String,
        /// Its value.
        value: String,
    },
    /// Rows in which this column is empty.
    RowsWithout(String),
    /// Rows in which this column holds this word.
    RowsOf {
        /// The column.
        column: String,
        /// What it holds.
        value: String,
    },
}

/// Its key in the head and the audience.
pub(super) const WITHHELD: [(&str, Audience); 3] = [
    ("hidden-from-owners", Audience::Owner),
    ("hidden-from-users", Audience::User),
    ("hidden-from-shares", Audience::Share),
];

const AUDIENCES: [(&str, Audience); 3] = [
    ("owner", Audience::Owner),
    ("user", Audience::User),
    ("share", Audience::Share),
];

impl FromStr for Audience {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        named(text, "reader", &AUDIENCES)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = AUDIENCES.iter().find(|(_, known)| known == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// `none`, `total`, `total, new-users`, `users, weekly per day` or `participants, members split by group`.
impl FromStr for People {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        match text {
            "none" => return Ok(Self::Nobody),
            "total" => return Ok(Self::Total { counts: Vec::new() }),
            _ => {}
        }
        if let Some(counts) = text.strip_prefix("total, ") {
            return Ok(Self::Total {
                counts: names(counts),
            });
        }
        let ways = [(" per ", Rows::Alone), (" split by ", Rows::Parts)];
        let mut found = ways.into_iter().filter_map(|(word, rows)| {
            let (columns, about) = text.split_once(word)?;
            Some(Counted {
                columns: names(columns),
                rows,
                about: names(about),
            })
        });
        found.next().map(Self::Counted).ok_or_else(|| {
            BadReport(format!(
                "`people: {text}` is not `users per day`, `users split by group`, `total` or `none`"
            ))
        })
    }
}

/// `new, returning`.
impl FromStr for Together {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        Ok(Self {
            columns: names(text),
        })
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// `image`, `by=image`, `rows without ended` or `rows of number=gpu`.
impl FromStr for WithheldPart {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        if let Some(column) = text.strip_prefix("rows without ") {
            return Ok(Self::RowsWithout(column.to_owned()));
        }
        if let Some((column, value)) = text
            .strip_prefix("rows of ")
            .and_then(|rest| rest.split_once('='))
        {
            return Ok(Self::RowsOf {
                column: column.to_owned(),
                value: value.to_owned(),
            });
        }
        Ok(match text.split_once('=') {
            Some((parameter, value)) => Self::Choice {
                parameter: parameter.to_owned(),
                value: value.to_owned(),
            },
            None => Self::Column(text.to_owned()),
        })
    }
}

impl fmt::Display for WithheldPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => write!(f, "`{column}`"),
            Self::Choice { parameter, value } => write!(f, "`{parameter}={value}`"),
            Self::RowsWithout(column) => write!(f, "rows without `{column}`"),
            Self::RowsOf { column, value } => write!(f, "rows of `{column}={value}`"),
        }
    }
}

impl Definition {
    /// Whether this audience may read it.
    pub fn is_for(&self, audience: Audience) -> bool {
        self.readers.contains(&audience)
    }

    /// Whether this audience may choose this; a parameter that is not named has its default.
    pub fn lets_choose(&self, audience: Audience, parameter: &str, value: &str) -> bool {
        !self.withheld_from(audience).any(|what| {
            matches!(what, WithheldPart::Choice { parameter: of, value: it } if of == parameter && it == value)
        })
    }

    /// What of it is not for this audience.
    pub fn withheld_from(&self, audience: Audience) -> impl Iterator<Item = &WithheldPart> {
        let all = self.withheld.iter();
        all.filter(move |withheld| withheld.from == audience)
            .map(|withheld| &withheld.what)
    }

    /// What is wrong with what the head says of readers.
    pub(super) fn check_readers(&self) -> Result<(), BadReport> {
        for (audience, filter) in [
            (Audience::Owner, Filter::Group),
            (Audience::User, Filter::User),
        ] {
            if self.is_for(audience) && !self.scope.contains(&filter) {
                return Err(BadReport(format!(
                    "`readers: {audience}` asks about one {filter}, which `scope` does not allow"
                )));
            }
        }
        if self.is_for(Audience::Share) && self.people.is_none() {
            return Err(BadReport(
                "`readers: share` needs a `-- people: …` that says how many people stand behind a row"
                    .to_owned(),
            ));
        }
        self.check_people()?;
        self.check_together()?;
        self.withheld.iter().try_for_each(|it| self.check_part(it))
    }

    fn check_people(&self) -> Result<(), BadReport> {
        match &self.people {
            None | Some(People::Nobody) => Ok(()),
            Some(People::Total { .. }) => ["number", "value", "before"]
                .iter()
                .try_for_each(|name| self.has_column("people", name)),
            Some(People::Counted(counted)) => {
                for name in counted.columns.iter().chain(&counted.about) {
                    self.has_column("people", name)?;
                }
                match counted.columns.iter().find(|name| !self.is_count(name)) {
                    Some(name) => Err(BadReport(format!(
                        "`people` names `{name}`, which is no column of the kind `count`"
                    ))),
                    None => Ok(()),
                }
            }
        }
    }

    fn check_together(&self) -> Result<(), BadReport> {
        for together in &self.people_among {
            for name in &together.columns {
                self.has_column("people-among", name)?;
            }
            let mut columns = together.columns.iter();
            if !columns.any(|name| self.is_count(name)) {
                return Err(BadReport(
                    "`people-among` names no column of the kind `count`".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Whether this is a column of the kind `count`.
    pub(super) fn is_count(&self, name: &str) -> bool {
        let column = self.column(name);
        column.is_some_and(|column| column.kind == Kind::Count)
    }

    fn check_part(&self, withheld: &Withheld) -> Result<(), BadReport> {
        let key = WITHHELD.iter().find(|(_, from)| *from == withheld.from);
        let key = key.map_or("", |(key, _)| key);
        if !self.is_for(withheld.from) {
            return Err(BadReport(format!(
                "`{key}` is for what `readers` names `{}`",
                withheld.from
            )));
        }
        match &withheld.what {
            WithheldPart::Column(column) if self.holds_up(withheld.from, column) => Err(BadReport(
                format!("`{key}` names `{column}`, without which no row can be told from others"),
            )),
            WithheldPart::Column(column)
            | WithheldPart::RowsWithout(column)
            | WithheldPart::RowsOf { column, .. } => self.has_column(key, column),
            WithheldPart::Choice { parameter, value } => {
                let known = self
                    .parameters
                    .iter()
                    .find(|known| known.name == *parameter);
                let is_choice = known.is_some_and(|known| match &known.kind {
                    ParameterKind::Choice(choices) => choices.contains(value),
                    ParameterKind::Number | ParameterKind::Text => false,
                });
                let told = || {
                    BadReport(format!(
                        "`{key}` names `{parameter}={value}`, which nobody can choose"
                    ))
                };
                is_choice.then_some(()).ok_or_else(told)
            }
        }
    }

    /// Whether the column is needed to tell rows apart, or to know how many people they are about.
    fn holds_up(&self, audience: Audience, column: &str) -> bool {
        let is_first = self.columns.first().is_some_and(|it| it.name == column);
        let counts = match &self.people {
            Some(People::Counted(counted)) if audience == Audience::Share => {
                let mut needed = counted.columns.iter().chain(&counted.about);
                needed.any(|needed| needed == column)
            }
            Some(People::Total { .. }) if audience == Audience::Share => true,
            _ => false,
        };
        is_first || counts
    }

    fn has_column(&self, key: &str, name: &str) -> Result<(), BadReport> {
        match self.column(name) {
            Some(_) => Ok(()),
            None => Err(BadReport(format!(
                "`{key}` names `{name}`, which is no column"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Registry;
    use super::*;

    const FILE: &str = "-- title: People\n-- section: Activity\n-- question: How many?\n\
        -- definition: All of them.\n-- scope: group, user\n-- needs: none\n\
        -- readers: owner, user, share\n-- people: users, active split by group\n\
        -- people-among: active\n\
        -- hidden-from-owners: image, by=image, rows without ended\n\
        -- hidden-from-shares: image, rows of group=staff\n\
        -- parameter: by = week (week, image) What a row is.\n-- column: hub text The hub.\n\
        -- column: group name Group.\n-- column: users count People.\n-- column: active count Active.\n\
        -- column: image text Image.\n-- column: ended time End.\nselect 1";

    #[test]
    fn readers_are_read() {
        let report = Definition::parse("people", FILE).unwrap();
        assert!(report.is_for(Audience::Share));
        let counted = Counted {
            columns: vec!["users".to_owned(), "active".to_owned()],
            rows: Rows::Parts,
            about: vec!["group".to_owned()],
        };
        assert_eq!(report.people, Some(People::Counted(counted)));
        assert!(!report.lets_choose(Audience::Owner, "by", "image"));
        assert!(report.lets_choose(Audience::Owner, "by", "week"));
        assert!(report.lets_choose(Audience::User, "by", "image"));
        let hidden: Vec<String> = report
            .withheld_from(Audience::Owner)
            .map(ToString::to_string)
            .collect();
        assert_eq!(hidden, ["`image`", "`by=image`", "rows without `ended`"]);
        let mut shared = report.withheld_from(Audience::Share);
        let told = shared.nth(1).map(ToString::to_string);
        assert_eq!(told.as_deref(), Some("rows of `group=staff`"));
        assert_eq!(report.people_among[0].columns, ["active"]);
    }

    #[test]
    fn who_is_not_named_reads_nothing() {
        let silent: Vec<&str> = FILE
            .lines()
            .filter(|line| {
                !["-- readers", "-- hidden", "-- people"]
                    .iter()
                    .any(|key| line.starts_with(key))
            })
            .collect();
        let report = Definition::parse("people", &silent.join("\n")).unwrap();
        assert_eq!(report.readers, []);
        assert_eq!(report.people, None);
    }

    #[test]
    fn what_is_wrong_with_readers_is_named() {
        for (good, bad, told) in [
            (
                "owner, user, share",
                "owner, guests",
                "`guests` is no reader",
            ),
            ("scope: group, user", "scope: user", "asks about one group"),
            (
                "-- people: users, active split by group\n",
                "",
                "needs a `-- people: …`",
            ),
            (
                "users, active split by group",
                "users",
                "is not `users per day`",
            ),
            (
                "people-among: active",
                "people-among: group",
                "no column of the kind `count`",
            ),
            (
                "people-among: active",
                "people-among: lapsed",
                "`lapsed`, which is no column",
            ),
            (
                "rows of group=staff",
                "rows of course=staff",
                "`course`, which is no column",
            ),
            (
                "split by group",
                "split by course",
                "`course`, which is no column",
            ),
            (
                "users, active split",
                "users, image split",
                "no column of the kind `count`",
            ),
            (
                "users, active split by group",
                "total",
                "`number`, which is no column",
            ),
            (
                "hidden-from-owners: image",
                "hidden-from-owners: picture",
                "`picture`",
            ),
            (
                "hidden-from-owners: image",
                "hidden-from-owners: hub",
                "no row can be told",
            ),
            (
                "hidden-from-shares: image",
                "hidden-from-shares: users",
                "no row can be told",
            ),
            (
                ", by=image",
                ", by=year",
                "`by=year`, which nobody can choose",
            ),
            (
                "rows without ended",
                "rows without end",
                "`end`, which is no column",
            ),
            (
                "owner, user, share",
                "owner, user",
                "is for what `readers` names `share`",
            ),
        ] {
            assert!(FILE.contains(good), "{good}");
            let error = Definition::parse("people", &FILE.replace(good, bad)).unwrap_err();
            assert!(error.0.contains(told), "{bad}: {error}");
        }
    }

    /// Columns of names, and of what people chose, that this audience sees of one of our reports.
    fn telling(audience: Audience, columns: &[&str]) -> Vec<String> {
        let mut telling = Vec::new();
        for report in Registry::ours().all() {
            if !report.is_for(audience) {
                continue;
            }
            let is_withheld = |name: &str| {
                let mut withheld = report.withheld_from(audience);
                withheld.any(|what| *what == WithheldPart::Column(name.to_owned()))
            };
            for column in &report.columns {
                let tells = columns.contains(&column.name.as_str());
                if tells && !is_withheld(&column.name) {
                    telling.push(format!("{} {}", report.name, column.name));
                }
            }
        }
        telling
    }

    #[test]
    fn owners_see_neither_options_nor_who_is_here_now() {
        let columns = [
            "options",
            "image",
            "is_running",
            "last_seen",
            "running",
            "network",
            "at",
            "advice",
            "cpu_requested_cores",
            "memory_requested_bytes",
        ];
        // The moment at which most servers ran.
        assert_eq!(
            telling(Audience::Owner, &columns),
            ["concurrency-summary at"]
        );
    }

    #[test]
    fn shares_name_nobody() {
        let columns = ["user", "server", "options", "image"];
        assert_eq!(telling(Audience::Share, &columns), Vec::<String>::new());
        let of = telling(Audience::Share, &["of"]);
        // Persons with `by=user` only.
        assert_eq!(of, ["login-totals of"]);
        let logins = Registry::ours();
        let logins = logins.get("login-totals").unwrap();
        assert!(!logins.lets_choose(Audience::Share, "by", "user"));
    }
}
