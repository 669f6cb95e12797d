//! What can be asked: the table of contents, the definition of one report, and `docs/reports.md`.

use super::USUAL_DAYS;
use std::fmt::Write as _;
use store::report::{
    Audience, CALENDAR_FUNCTIONS, Definition, Filter, Parameter, ParameterKind, REPORT_VIEWS,
    Registry, Section,
};

const SECTIONS: [Section; 7] = [
    Section::Overview,
    Section::Activity,
    Section::Sessions,
    Section::Resources,
    Section::Operation,
    Section::Binder,
    Section::Site,
];

/// What a section is about.
fn about(section: Section) -> &'static str {
    match section {
        Section::Overview => "the one page",
        Section::Activity => "who comes, and how often",
        Section::Sessions => "servers that ran",
        Section::Resources => "what they used, and what was short",
        Section::Operation => "how well the hub works",
        Section::Binder => "launches of a BinderHub",
        Section::Site => "what this site added",
    }
}

/// The table of contents, for a terminal.
pub fn contents(registry: &Registry) -> String {
    let all = registry.all();
    let width = all
        .iter()
        .map(|report| report.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for section in SECTIONS {
        let mut of_section = all
            .iter()
            .filter(|report| report.section == section)
            .peekable();
        if of_section.peek().is_none() {
            continue;
        }
        let _ = writeln!(text, "{section}: {}", about(section));
        for report in of_section {
            let _ = writeln!(text, "  {:width$}  {}", report.name, report.question);
        }
        text.push('\n');
    }
    for file in registry.left_out() {
        let _ = writeln!(text, "Left out: `{}`: {}", file.path.display(), file.reason);
    }
    text.push_str(
        "jupyterhub-insights report NAME answers, report NAME --explain tells how it is defined.\n",
    );
    text
}

/// How a report is defined, for a terminal.
pub fn explained(report: &Definition) -> String {
    let mut text = format!(
        "{} ({})\n{}\n\n",
        report.title, report.name, report.question
    );
    let _ = writeln!(text, "{}\n", report.definition);
    for caveat in &report.caveats {
        let _ = writeln!(text, "Note: {caveat}");
    }
    if !report.caveats.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "Can be asked about: {}", scope(report));
    let _ = writeln!(text, "May also be read by: {}", readers(report));
    let _ = writeln!(text, "Period unless chosen: {}\n", period(report));
    if !report.parameters.is_empty() {
        text.push_str("Choices:\n");
        for parameter in &report.parameters {
            let _ = writeln!(text, "  {}  {}", choice(parameter), parameter.doc);
        }
        text.push('\n');
    }
    text.push_str("Columns:\n");
    let width = report
        .columns
        .iter()
        .map(|column| column.name.len())
        .max()
        .unwrap_or(0);
    for column in &report.columns {
        let kind = column.kind.to_string();
        let _ = writeln!(text, "  {:width$}  {kind:10}  {}", column.name, column.doc);
    }
    let _ = writeln!(
        text,
        "\nThe query reads the views of the period:\n\n{}",
        report.sql
    );
    text
}

fn scope(report: &Definition) -> String {
    let more = report.scope.iter().map(|filter| match filter {
        Filter::Group => ", a group",
        Filter::User => ", a person",
    });
    format!("everything, a hub{}", more.collect::<String>())
}

/// Who beside administrators, and without what.
fn readers(report: &Definition) -> String {
    let told = report.readers.iter().map(|reader| {
        let who = match reader {
            Audience::Owner => "the owner of the group asked about",
            Audience::User => "the person asked about",
            Audience::Share => "whoever has a share link",
        };
        let withheld: Vec<String> = report
            .withheld_from(*reader)
            .map(ToString::to_string)
            .collect();
        if withheld.is_empty() {
            who.to_owned()
        } else {
            format!("{who} (without {})", withheld.join(", "))
        }
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        return "nobody".to_owned();
    }
    told.join("; ")
}

fn period(report: &Definition) -> String {
    match report.usual_months {
        Some(months) => months.to_string(),
        None => format!("{USUAL_DAYS} days"),
    }
}

fn choice(parameter: &Parameter) -> String {
    let Parameter {
        name,
        default,
        kind,
        ..
    } = parameter;
    match kind {
        ParameterKind::Choice(choices) => {
            format!("{name}={} (default {default})", choices.join("|"))
        }
        ParameterKind::Number => format!("{name}=NUMBER (default {default})"),
        ParameterKind::Text => format!("{name}=TEXT (default {default})"),
    }
}

const HEAD: &str = "\
# Reports

This page is made by `jupyterhub-insights docs reports`; a test keeps it true.

A report is a question, a definition, a query, a picture and a test. `jupyterhub-insights report` lists them,
`report NAME` answers, `report NAME --explain` tells the definition, and `GET api/v1/reports` and
`GET api/v1/reports/NAME` give the same to programs that send an administrator's hub token ([access.md](access.md);
`api/v1/openapi.json` describes it).

```
jupyterhub-insights report active-users --from '3 months ago'
jupyterhub-insights report groups --from 2026-01-01 --to 2026-03-31 --format csv --output groups.csv
jupyterhub-insights report overview --from '12 months ago' --format html --output year.html
```

**Period.** `--from` and `--to` are days of the hub's calendar, both included; without them it is the last 30 days,
or as many whole months as the report says.
The present day is included and said to be not over. `--hub`, `--group` and `--user` narrow it to a hub, to the members of a
group on the days they were members, to a person. Where a report is about whole sessions, one counts to a group if its person
was a member on the first of its days that the report reads. Formats: `table`, `json`, `csv`, `parquet`, `md`, `html` (one file, works
offline), `svg`.

**Who counts.** Everybody but the accounts that `reports.leave_out_users` and `reports.leave_out_groups`
([config.md](config.md)) or `--leave-out` name. *Started* means that a server of theirs ran, for however short a time;
*active* that the hub recorded activity.

**Unknown is not zero.** Days before the history began, days on which nothing was collected, and days before memberships,
accounts or usage were known are gaps: empty in data (`null`) and in pictures (hatched where nothing else is known either),
left out of means, and named beneath the answer. The history of a hub begins when it was looked at first, or with the first
imported session that was over by then.
What the hub's hooks tell is known from the first day on which they told anything to the last, but for days on which nobody
looked at the hub: what hooks told then may not have arrived. A session over midnight counts on both days, each with its part;
one that ends at midnight sharp does not count on the day that begins. A server that runs ends now; if it was last seen more than 15 minutes ago, because nobody looked at the hub
since, it ended when it was last seen, `unobserved`, until the hub is looked at again.

**Who may read.** Administrators read all of them. Which others may, and without which columns, stands with each report. An
owner asks about a group of theirs, a person about themselves; in what a share link shows, rows of few people are empty.

**People in several groups.** Counts of people overlap: somebody in two groups is one of the people of each. Hours and
whatever else adds up follows `groups.multiple` ([config.md](config.md)); beneath the answer stands whether it adds up to the
whole. Groups that `groups.allowed` and `groups.denied` hide count in no report: who is in no other one is in `none`, which is
called `none_` where the hub has a group `none`.

**Your own reports.** `reports.folder` names a folder with further `.sql` files: the head below, then one `select` over the views
and tables. They only read. One that does not run is named in the log and left out. [What the head and the query of a
report may say](#your-own-reports) stands at the end of this page.

```sql
-- title: Servers by image
-- section: Site
-- question: Which images are used?
-- definition: Sessions that started in the period, by the image that the hub told.
-- scope: group, user
-- needs: sessions
-- column: hub text The hub.
-- column: image text The image.
-- column: sessions count Sessions.
-- chart: rows x=image y=sessions top=20
select hub, coalesce(image, 'not told') as image, count(*) as sessions
from period_sessions where starts_in_period
group by hub, coalesce(image, 'not told') order by hub, sessions desc, image
```
";

/// `docs/reports.md`.
pub fn markdown() -> String {
    let registry = Registry::ours();
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let of_section: Vec<_> = registry
            .all()
            .into_iter()
            .filter(|report| report.section == section)
            .collect();
        if of_section.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {section}: {}\n", about(section));
        text.push_str("| report | question |\n|---|---|\n");
        for report in &of_section {
            let Definition { name, question, .. } = &***report;
            let _ = writeln!(text, "| [`{name}`](#{name}) | {question} |");
        }
        for report in of_section {
            push(report, &mut text);
        }
    }
    push_own_reports(&mut text);
    text
}

const HEAD_OF_A_FILE: &str = "
## Your own reports

The file's name is the report's: small letters, digits and `-`, and none of the names above. `report NAME --set
reports.folder=FOLDER` tries it. Its head is comments, one line each; a line that begins with `--` and three
spaces goes on with the one before.

| line | says |
|---|---|
| `title`, `question`, `definition` | what people read; names of columns stand between backticks |
| `section` | the chapter: `Overview`, `Activity`, `Sessions`, `Resources`, `Operation`, `Binder` or `Site` |
| `scope` | what it can be asked about: `group`, `user`, both or `none` |
| `needs` | what its figures stand on, so that days without it are named: `sessions`, `members`, `usage`, `accounts`, `hooks`, `storage` or `none` |
| `lead` | how much is read before the period, if anything: `29 days`, or `period` for as long a time |
| `period` | the usual one if it is not the last 30 days: `12 months` |
| `readers` | who may read it beside administrators: `owner` (of a group, about that group), `user` (a person, about themselves), `share` (whoever has a link that an administrator made, and sees no names), several of them, or `none`, as without this line. An owner's `scope` has to have `group`, a user's `user` |
| `people` | how many people stand behind a row, needed for `share`: `users per day` (the column that counts them, then those that say what the row is about), `users split by group` if the rows of a hub add up to something, or `none` if rows are about nobody. Further columns that count people follow the first: `participants, members split by group`. In a share a row of fewer people than `access.least_people`, or of an unknown number, is left empty but for what it is about; where rows add up, so is the next smallest. `total`: the row whose `number` is `users` counts for all rows of a hub; numbers named behind it, as in `total, new-users`, count people themselves |
| `people-among` | columns that a share tells together, or leaves empty where one of them that is a count counts few people, though the row is about many: `new, staying, returning`; several lines for several such sets |
| `hidden-from-owners`, `hidden-from-users`, `hidden-from-shares` | what of it is not for these readers: columns, choices as `by=image`, `rows without COLUMN` and `rows of COLUMN=WORD`. From shares hide what few people use, or what may be known of few only: no column counts them |
| `parameter` | `NAME = DEFAULT (choice, choice) text`; `(number)` and `(text)` are free. The query has it as `$NAME` |
| `column` | `NAME KIND text`, in the order of the query; the first is `hub text`. The kind gives unit and looks, and is `text`, `name`, `day`, `time`, `flag`, `count`, `number`, `hours`, `seconds`, `bytes`, `share`, `cores`, `core-hours`, `gib-hours` or `gpu-hours` |
| `caveat` | what a reader should know |
| `chart` | `line`, `bars`, `stacked`, `rows` or `heatmap` with `x=`, `y=` (several between commas), and if wanted `series=` (a column that tells several apart) and `top=` (how many); a `heatmap` has a `value=` |

Beside its own parameters a query has `$from`, `$to` and `$first` (days; the last is the first of the lead), `$starts` and `$ends`
(times), `$hub`, `$group` and `$user` (null if nobody asks for one), `$none` (the name of being in no group) and `$now`. Beside
the functions that `sql --help` lists there are those that know the calendars of the hubs:

| function | gives |
|---|---|
";

fn push_own_reports(text: &mut String) {
    text.push_str(HEAD_OF_A_FILE);
    for function in CALENDAR_FUNCTIONS {
        let _ = writeln!(text, "| `{}` | {} |", function.call, function.doc);
    }
    text.push_str(
        "\nThe views hold what was asked for: the days of the period, its hubs, its people, without the accounts left out.\n",
    );
    for view in REPORT_VIEWS {
        let _ = writeln!(text, "\n### {}\n\n{}\n", view.name, view.doc);
        text.push_str("| column | type | |\n|---|---|---|\n");
        for column in view.columns {
            let kind = column.kind.sql();
            let _ = writeln!(text, "| `{}` | {kind} | {} |", column.name, column.doc);
        }
    }
}

fn push(report: &Definition, text: &mut String) {
    let _ = writeln!(text, "\n### {}\n\n*{}*\n", report.name, report.question);
    let _ = writeln!(text, "{}\n", report.definition);
    for caveat in &report.caveats {
        let _ = writeln!(text, "- {caveat}");
    }
    if !report.caveats.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "Can be asked about: {}. May also be read by: {}. Period unless chosen: {}.\n",
        scope(report),
        readers(report),
        period(report)
    );
    for parameter in &report.parameters {
        let _ = writeln!(text, "- `{}`: {}", choice(parameter), parameter.doc);
    }
    if !report.parameters.is_empty() {
        text.push('\n');
    }
    text.push_str("| column | unit | |\n|---|---|---|\n");
    for column in &report.columns {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            column.name, column.kind, column.doc
        );
    }
}
