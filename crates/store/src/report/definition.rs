//! What a report says of itself: the comments at the head of its `.sql` file.
//!
//! Where files come from is the business of [`super::registry`], running them that of
//! [`super::run`].

use super::readers::{Audience, People, Together, WITHHELD, Withheld};
use super::usual::UsualMonths;
use crate::tables::ColumnKind;
use std::fmt;
use std::str::FromStr;

/// A question with its definition, query and picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name in commands and addresses: the name of the file.
    pub name: String,
    /// As a heading.
    pub title: String,
    /// Where it stands in the table of contents.
    pub section: Section,
    /// The question in plain words.
    pub question: String,
    /// How the figures are defined, so that somebody else could compute them.
    pub definition: String,
    /// Which filters make sense beside the hub and accounts to leave out.
    pub scope: Vec<Filter>,
    /// How much time before the period is read.
    pub lead: Lead,
    /// What it is about where nobody chose a period, if it needs more than the usual days.
    pub usual_months: Option<UsualMonths>,
    /// What has to be known of a day.
    pub needs: Vec<Need>,
    /// Who may read it beside administrators.
    pub readers: Vec<Audience>,
    /// How many people stand behind its rows; known of each report that may be shared.
    pub people: Option<People>,
    /// Columns that are told together, or not at all where one of them counts few people.
    pub people_among: Vec<Together>,
    /// What of it is not for some of the readers.
    pub withheld: Vec<Withheld>,
    /// What a reader may choose.
    pub parameters: Vec<Parameter>,
    /// What a row holds.
    pub columns: Vec<ReportColumn>,
    /// What a reader should know before believing it.
    pub caveats: Vec<String>,
    /// The picture, if one helps.
    pub chart: Option<ChartSpec>,
    /// The query.
    pub sql: String,
}

/// Parts of the table of contents, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The one page.
    Overview,
    /// Who came.
    Activity,
    /// Servers that ran.
    Sessions,
    /// What they used.
    Resources,
    /// How well the hub works.
    Operation,
    /// Launches of a BinderHub.
    Binder,
    /// What the site added.
    Site,
}

/// A choice of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Members of a group.
    Group,
    /// One person.
    User,
}

/// How much time before the period a report reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// So many days; 0 is none.
    Days(u16),
    /// As many days as the period has.
    Period,
}

/// What figures stand on, and may be unknown for a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Who ran a server.
    Sessions,
    /// Who was in which group.
    Members,
    /// What servers used.
    Usage,
    /// Which accounts the hub had.
    Accounts,
    /// What the hub's hooks tell: logins, spawns.
    Hooks,
    /// Sizes of homes.
    Storage,
}

/// What a reader may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As in `by=week`.
    pub name: String,
    /// Without a choice.
    pub default: String,
    /// What may be chosen.
    pub kind: ParameterKind,
    /// What it does.
    pub doc: String,
}

/// What may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// One of these.
    Choice(Vec<String>),
    /// A number.
    Number,
    /// Any text.
    Text,
}

/// One column of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportColumn {
    /// Its name.
    pub name: String,
    /// What a value is, with its unit.
    pub kind: Kind,
    /// What it means.
    pub doc: String,
}

/// What a value of a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that names nobody.
    Text,
    /// A person's, group's or server's name.
    Name,
    /// A day of the hub's calendar.
    Day,
    /// A moment.
    Time,
    /// Yes or no.
    Flag,
    /// A whole number of things.
    Count,
    /// A number without unit.
    Number,
    /// Hours.
    Hours,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A part of a whole: 0 to 1.
    Share,
    /// CPU cores.
    Cores,
    /// Hours of a CPU core.
    CoreHours,
    /// Hours of a gibibyte of memory.
    GibHours,
    /// Hours of a GPU.
    GpuHours,
}

/// What a picture shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartSpec {
    /// What kind of picture.
    pub kind: ChartKind,
    /// Column along the x axis; of rows the names, of heatmaps the columns.
    pub x: String,
    /// Columns of values; of a heatmap the one with its rows.
    pub y: Vec<String>,
    /// Column that tells lines or colours apart.
    pub series: Option<String>,
    /// Column of a heatmap's values.
    pub value: Option<String>,
    /// Only so many rows with the largest values.
    pub top: Option<usize>,
}

/// Kinds of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// Values over time.
    Line,
    /// Upright bars.
    Bars,
    /// Upright bars upon each other.
    Stacked,
    /// Lying bars, one for each name.
    Rows,
    /// Colours in a grid.
    Heatmap,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadReport(pub String);

const FIRST_COLUMN: &str = "hub";

impl Definition {
    /// Reads the text of a file.
    pub fn parse(name: &str, text: &str) -> Result<Self, BadReport> {
        let is_fine =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || !name.chars().all(is_fine) {
            let told = format!("the name `{name}` may have small letters, digits and `-` only");
            return Err(BadReport(told));
        }
        let head = Head::read(text)?;
        let definition = Self {
            name: name.to_owned(),
            title: head.one("title")?.to_owned(),
            section: head.one("section")?.parse()?,
            question: head.one("question")?.to_owned(),
            definition: head.one("definition")?.to_owned(),
            scope: list(head.one("scope")?)?,
            lead: head.maybe("lead")?.map_or(Ok(Lead::Days(0)), str::parse)?,
            usual_months: head.maybe("period")?.map(str::parse).transpose()?,
            needs: list(head.one("needs")?)?,
            readers: head.maybe("readers")?.map_or(Ok(Vec::new()), list)?,
            people: head.maybe("people")?.map(str::parse).transpose()?,
            people_among: each(&head, "people-among")?,
            withheld: withheld(&head)?,
            parameters: each(&head, "parameter")?,
            columns: each(&head, "column")?,
            caveats: head.all("caveat").map(str::to_owned).collect(),
            chart: head.maybe("chart")?.map(str::parse).transpose()?,
            sql: head.sql,
        };
        definition.check()?;
        Ok(definition)
    }

    fn check(&self) -> Result<(), BadReport> {
        let first = self.columns.first().map(|column| column.name.as_str());
        if first != Some(FIRST_COLUMN) {
            return Err(BadReport(format!(
                "the first column has to be `{FIRST_COLUMN}`"
            )));
        }
        for parameter in &self.parameters {
            let told = |why| BadReport(format!("the default of a parameter is none: {why}"));
            parameter.value(&parameter.default).map_err(told)?;
        }
        let chart = self.chart.iter();
        for name in chart.flat_map(ChartSpec::columns) {
            if self.column(name).is_none() {
                return Err(BadReport(format!(
                    "the chart names `{name}`, which is no column"
                )));
            }
        }
        self.check_readers()
    }

    /// Whether it can be asked about these.
    pub fn allows(&self, group: &Option<String>, user: &Option<String>) -> bool {
        let allows = |filter| self.scope.contains(&filter);
        (group.is_none() || allows(Filter::Group)) && (user.is_none() || allows(Filter::User))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&ReportColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The comments at the head, as keys and values.
struct Head {
    lines: Vec<Line>,
    sql: String,
}

struct Line {
    key: String,
    value: String,
}

const KEYS: [&str; 18] = [
    "title",
    "section",
    "question",
    "definition",
    "scope",
    "lead",
    "period",
    "needs",
    "readers",
    "people",
    "people-among",
    "hidden-from-owners",
    "hidden-from-users",
    "hidden-from-shares",
    "parameter",
    "column",
    "caveat",
    "chart",
];

impl Head {
    fn read(text: &str) -> Result<Self, BadReport> {
        let mut lines: Vec<Line> = Vec::new();
        let mut rest = text;
        while let Some(comment) = rest.strip_prefix("--") {
            let (line, after) = comment.split_once('\n').unwrap_or((comment, ""));
            rest = after;
            if let Some(more) = line.strip_prefix("   ") {
                let last = lines.last_mut();
                let last = last.ok_or_else(|| BadReport("the head begins in the middle".into()))?;
                last.value.push(' ');
                last.value.push_str(more.trim());
                continue;
            }
            let (key, value) = line
                .trim()
                .split_once(": ")
                .ok_or_else(|| BadReport(format!("`--{line}` is not `-- key: value`")))?;
            if !KEYS.contains(&key) {
                let keys = KEYS.join("`, `");
                return Err(BadReport(format!("`{key}` is none of `{keys}`")));
            }
            lines.push(Line {
                key: key.to_owned(),
                value: value.trim().to_owned(),
            });
        }
        Ok(Self {
            lines,
            sql: rest.trim().to_owned(),
        })
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        let of_key = self.lines.iter().filter(move |line| line.key == key);
        of_key.map(|line| line.value.as_str())
    }

    fn maybe(&self, key: &str) -> Result<Option<&str>, BadReport> {
        let mut values = self.all(key);
        let value = values.next();
        match values.next() {
            Some(_) => Err(BadReport(format!("`-- {key}: …` stands there twice"))),
            None => Ok(value),
        }
    }

    fn one(&self, key: &str) -> Result<&str, BadReport> {
        let value = self.maybe(key)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| BadReport(format!("there is no `-- {key}: …`")))
    }
}

fn each<T: FromStr<Err = BadReport>>(head: &Head, key: &str) -> Result<Vec<T>, BadReport> {
    head.all(key).map(str::parse).collect()
}

/// What is not for whom.
fn withheld(head: &Head) -> Result<Vec<Withheld>, BadReport> {
    let mut all = Vec::new();
    for (key, from) in WITHHELD {
        let parts = head.maybe(key)?.map_or(Ok(Vec::new()), list)?;
        all.extend(parts.into_iter().map(|what| Withheld { from, what }));
    }
    Ok(all)
}

/// Names between commas; `none` is none.
fn list<T: FromStr<Err = BadReport>>(text: &str) -> Result<Vec<T>, BadReport> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(|part| part.trim().parse()).collect()
}

/// The value whose name this is.
pub(super) fn named<T: Copy>(text: &str, what: &str, all: &[(&str, T)]) -> Result<T, BadReport> {
    let found = all.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        BadReport(format!(
            "`{text}` is no {what}: there are `{}`",
            names.join("`, `")
        ))
    })
}

fn name_of<T: Copy + PartialEq>(value: T, all: &[(&'static str, T)]) -> &'static str {
    let found = all.iter().find(|(_, known)| *known == value);
    found.map_or("", |(name, _)| *name)
}

const SECTIONS: [(&str, Section); 7] = [
    ("Overview", Section::Overview),
    ("Activity", Section::Activity),
    ("Sessions", Section::Sessions),
    ("Resources", Section::Resources),
    ("Operation", Section::Operation),
    ("Binder", Section::Binder),
    ("Site", Section::Site),
];

const FILTERS: [(&str, Filter); 2] = [("group", Filter::Group), ("user", Filter::User)];

const NEEDS: [(&str, Need); 6] = [
    ("sessions", Need::Sessions),
    ("members", Need::Members),
    ("usage", Need::Usage),
    ("accounts", Need::Accounts),
    ("hooks", Need::Hooks),
    ("storage", Need::Storage),
];

const KINDS: [(&str, Kind); 15] = [
    ("text", Kind::Text),
    ("name", Kind::Name),
    ("day", Kind::Day),
    ("time", Kind::Time),
    ("flag", Kind::Flag),
    ("count", Kind::Count),
    ("number", Kind::Number),
    ("hours", Kind::Hours),
    ("seconds", Kind::Seconds),
    ("bytes", Kind::Bytes),
    ("share", Kind::Share),
    ("cores", Kind::Cores),
    ("core-hours", Kind::CoreHours),
    ("gib-hours", Kind::GibHours),
    ("gpu-hours", Kind::GpuHours),
];

const CHARTS: [(&str, ChartKind); 5] = [
    ("line", ChartKind::Line),
    ("bars", ChartKind::Bars),
    ("stacked", ChartKind::Stacked),
    ("rows", ChartKind::Rows),
    ("heatmap", ChartKind::Heatmap),
];

impl FromStr for Section {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        named(text, "section", &SECTIONS)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &SECTIONS))
    }
}

impl FromStr for Filter {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        named(text, "filter", &FILTERS)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &FILTERS))
    }
}

impl FromStr for Need {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        named(text, "need", &NEEDS)
    }
}

impl FromStr for Kind {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        named(text, "kind", &KINDS)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &KINDS))
    }
}

impl Kind {
    /// How the values lie in the table.
    pub(crate) fn column(self) -> ColumnKind {
        match self {
            Self::Text => ColumnKind::Text,
            Self::Name => ColumnKind::Name,
            Self::Day => ColumnKind::Day,
            Self::Time => ColumnKind::Time,
            Self::Flag => ColumnKind::Flag,
            Self::Count => ColumnKind::Integer,
            _ => ColumnKind::Real,
        }
    }
}

impl FromStr for Lead {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        if text == "period" {
            return Ok(Self::Period);
        }
        let days = text
            .strip_suffix(" days")
            .and_then(|days| days.parse().ok());
        days.map(Self::Days)
            .ok_or_else(|| BadReport(format!("`lead: {text}` is not `29 days` or `period`")))
    }
}

/// `name = default (choices) text`.
impl FromStr for Parameter {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        let bad = || {
            BadReport(format!(
                "`parameter: {text}` is not `name = default (choices) text`"
            ))
        };
        let (name, rest) = text.split_once(" = ").ok_or_else(bad)?;
        let (default, rest) = rest.split_once(" (").ok_or_else(bad)?;
        let (choices, doc) = rest.split_once(") ").ok_or_else(bad)?;
        let kind = match choices {
            "number" => ParameterKind::Number,
            "text" => ParameterKind::Text,
            choices => {
                let choices = choices.split(',').map(|choice| choice.trim().to_owned());
                ParameterKind::Choice(choices.collect())
            }
        };
        Ok(Self {
            name: name.to_owned(),
            default: default.to_owned(),
            kind,
            doc: doc.to_owned(),
        })
    }
}

/// `name kind text`.
impl FromStr for ReportColumn {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        let bad = || BadReport(format!("`column: {text}` is not `name kind text`"));
        let (name, rest) = text.split_once(' ').ok_or_else(bad)?;
        let (kind, doc) = rest.split_once(' ').ok_or_else(bad)?;
        Ok(Self {
            name: name.to_owned(),
            kind: kind.parse()?,
            doc: doc.to_owned(),
        })
    }
}

/// `line x=day y=users,weekly`.
impl FromStr for ChartSpec {
    type Err = BadReport;
    fn from_str(text: &str) -> Result<Self, BadReport> {
        let mut words = text.split_whitespace();
        let kind = named(words.next().unwrap_or_default(), "chart", &CHARTS)?;
        let mut spec = Self {
            kind,
            x: String::new(),
            y: Vec::new(),
            series: None,
            value: None,
            top: None,
        };
        for word in words {
            let bad = || BadReport(format!("`{word}` is not understood in `chart: {text}`"));
            let (key, value) = word.split_once('=').ok_or_else(bad)?;
            match key {
                "x" => value.clone_into(&mut spec.x),
                "y" => spec.y = value.split(',').map(str::to_owned).collect(),
                "series" => spec.series = Some(value.to_owned()),
                "value" => spec.value = Some(value.to_owned()),
                "top" => spec.top = Some(value.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        let is_whole = !spec.x.is_empty()
            && !spec.y.is_empty()
            && spec.value.is_some() == (kind == ChartKind::Heatmap);
        let incomplete = || BadReport(format!("`chart: {text}` lacks a column"));
        is_whole.then_some(spec).ok_or_else(incomplete)
    }
}

impl ChartSpec {
    /// All columns that it shows.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let more = self.series.iter().chain(&self.value);
        let all = std::iter::once(&self.x).chain(&self.y).chain(more);
        all.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-- title: People\n-- section: Activity\n-- question: How many?\n\
        -- definition: All of them,\n--   day by day.\n-- scope: group, user\n-- needs: none\n\
        -- parameter: by = week (week, month) What a row is.\n-- column: hub text The hub.\n\
        -- column: users count People.\n-- chart: bars x=hub y=users\nselect 1";

    #[test]
    fn a_file_is_read() {
        let report = Definition::parse("people", FILE).unwrap();
        assert_eq!(report.definition, "All of them, day by day.");
        assert_eq!(report.sql, "select 1");
        assert_eq!(report.parameters[0].default, "week");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        for (good, bad, told) in [
            ("-- title: People\n", "", "no `-- title: …`"),
            (
                "-- needs: none",
                "-- needs: none\n-- needs: none",
                "stands there twice",
            ),
            ("-- title: People", "-- titel: People", "`titel` is none of"),
            ("-- title: People", "--title", "is not `-- key: value`"),
            ("-- section: Activity", "-- section: Sports", "`Sports`"),
            ("-- needs: none", "-- needs: luck", "`luck`"),
            ("users count People", "users heads People", "`heads`"),
            (
                "column: hub text",
                "column: hubs text",
                "first column has to be `hub`",
            ),
            ("y=users", "y=people", "the chart names `people`"),
            (
                "chart: bars x=hub y=users",
                "chart: bars x=hub",
                "lacks a column",
            ),
            (
                "by = week (week, month)",
                "by = year (week, month)",
                "the default of a parameter",
            ),
            (
                "by = week (week, month)",
                "by: week",
                "is not `name = default (choices) text`",
            ),
        ] {
            assert!(FILE.contains(good), "{good}");
            let error = Definition::parse("people", &FILE.replace(good, bad)).unwrap_err();
            assert!(error.0.contains(told), "{bad}: {error}");
        }
        let error = Definition::parse("My People", FILE).unwrap_err();
        assert!(error.0.contains("`My People`"), "{error}");
    }
}
