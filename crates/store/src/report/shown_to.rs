//! An answer as somebody sees it who is no administrator: without what is not for them.
//!
//! What that is says the report's head ([`super::readers`]), which rows are left empty
//! [`model::suppression`]. Who somebody is, and which group is theirs, does not belong here: whoever
//! calls has asked about that group or person alone.

use super::answer::{ACCOUNTS_LEFT_OUT, Answer, MEMBERS_LEFT_OUT};
use super::definition::{Definition, Kind, ParameterKind};
use super::readers::{Audience, Counted, People, Rows, WithheldPart};
use crate::table::{Cell, Table};
use model::suppression::{Fate, Row, fates, is_few};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who sees an answer and is no administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The owner of the group that was asked about.
    Owner,
    /// The person who was asked about.
    Person,
    /// Anybody: nothing is told of fewer people than this.
    Shared {
        /// How many at least.
        least_people: u64,
    },
}

impl Reader {
    /// As heads of reports call it.
    pub fn audience(self) -> Audience {
        match self {
            Self::Owner => Audience::Owner,
            Self::Person => Audience::User,
            Self::Shared { .. } => Audience::Share,
        }
    }
}

impl Answer {
    /// The answer as this reader may see it: without rows if nothing of it is for them.
    ///
    /// What is not told anybody is gone, also from the definition of the report. An answer so changed
    /// is no longer one to the question, so keep the whole one.
    #[must_use]
    pub fn shown_to(&self, reader: Reader) -> Self {
        let audience = reader.audience();
        let is_for_them = self.is_for(audience);
        let mut table = self.table.only_rows(|_| is_for_them);
        table = without_rows(&table, &self.report, audience);
        let mut caveats = self.told_caveats();
        if let Reader::Shared { least_people } = reader {
            table = without_few(&table, &self.report, least_people);
            table = without_few_among(&table, &self.report, least_people);
            caveats.extend(told_few(&self.report, least_people));
        }
        Self {
            report: seen_by(&self.report, audience),
            from: self.from,
            to: self.to,
            hubs: self.hubs.clone(),
            group: self.group.clone(),
            user: self.user.clone(),
            chosen: self.chosen.clone(),
            table: table.only_columns(|name| !withholds(&self.report, audience, name)),
            caveats,
            never_known: self.never_known.clone(),
            computed: self.computed,
        }
    }

    /// Whether an answer to this question is for them at all.
    fn is_for(&self, audience: Audience) -> bool {
        let is_about_theirs = match audience {
            Audience::Owner => self.group.is_some(),
            Audience::User => self.user.is_some(),
            Audience::Share => self.user.is_none(),
        };
        let mut chosen = self.chosen.iter();
        is_about_theirs
            && self.report.is_for(audience)
            && chosen.all(|it| self.report.lets_choose(audience, &it.name, &it.text))
    }

    /// Without names of accounts and groups.
    fn told_caveats(&self) -> Vec<String> {
        let names = |caveat: &str| {
            caveat.starts_with(ACCOUNTS_LEFT_OUT) || caveat.starts_with(MEMBERS_LEFT_OUT)
        };
        let nameless = self.caveats.iter().filter(|caveat| !names(caveat)).cloned();
        let mut told: Vec<String> = nameless.collect();
        if told.len() < self.caveats.len() {
            told.push("Some accounts are left out.".to_owned());
        }
        told
    }
}

fn withholds(report: &Definition, audience: Audience, column: &str) -> bool {
    let mut withheld = report.withheld_from(audience);
    withheld.any(|what| matches!(what, WithheldPart::Column(name) if name == column))
}

/// The report without what is withheld, so that it fits the table.
fn seen_by(report: &Arc<Definition>, audience: Audience) -> Arc<Definition> {
    if report.withheld_from(audience).next().is_none() {
        return Arc::clone(report);
    }
    let mut seen = Definition::clone(report);
    seen.columns
        .retain(|column| !withholds(report, audience, &column.name));
    for parameter in &mut seen.parameters {
        if let ParameterKind::Choice(choices) = &mut parameter.kind {
            choices.retain(|choice| report.lets_choose(audience, &parameter.name, choice));
        }
    }
    seen.chart = seen.chart.filter(|chart| {
        let mut columns = chart.columns();
        !columns.any(|column| withholds(report, audience, column))
    });
    Arc::new(seen)
}

/// Without rows that are not for the audience, by what one of their columns holds.
fn without_rows(table: &Table, report: &Definition, audience: Audience) -> Table {
    let withheld: Vec<(usize, Cell)> = report
        .withheld_from(audience)
        .filter_map(|what| match what {
            WithheldPart::RowsWithout(column) => Some((place(table, column)?, Cell::Null)),
            WithheldPart::RowsOf { column, value } => {
                Some((place(table, column)?, Cell::Text(value.clone())))
            }
            WithheldPart::Column(_) | WithheldPart::Choice { .. } => None,
        })
        .collect();
    if withheld.is_empty() {
        return table.only_rows(|_| true);
    }
    let is_for_them = |row: Vec<Cell>| withheld.iter().all(|(column, cell)| row[*column] != *cell);
    let kept: Vec<bool> = table.rows().map(is_for_them).collect();
    table.only_rows(|row| kept[row])
}

fn place(table: &Table, column: &str) -> Option<usize> {
    table.names().position(|name| name == column)
}

/// With nothing where fewer people are behind it.
fn without_few(table: &Table, report: &Definition, least_people: u64) -> Table {
    match &report.people {
        Some(People::Nobody) => table.only_rows(|_| true),
        Some(People::Counted(counted)) => {
            let fates = fates(&counted_rows(table, counted), least_people);
            let stays = |column: &str| {
                column == first(table) || counted.about.iter().any(|name| name == column)
            };
            table.emptied(|row, column| fates[row] == Fate::Hidden && !stays(column))
        }
        Some(People::Total { counts }) => without_few_in_all(table, report, counts, least_people),
        // The head of such a report cannot name shares as readers.
        None => table.only_rows(|_| false),
    }
}

/// With nothing in columns that are told together where one of them counts few people.
fn without_few_among(table: &Table, report: &Definition, least_people: u64) -> Table {
    let mut table = table.only_rows(|_| true);
    for together in &report.people_among {
        let counts = together.columns.iter().filter(|name| report.is_count(name));
        let counts: Vec<usize> = counts.filter_map(|name| place(&table, name)).collect();
        let tells_of_few = |row: Vec<Cell>| {
            let mut numbers = counts.iter().filter_map(|column| n_people(&row[*column]));
            numbers.any(|people| is_few(people, least_people))
        };
        let hidden: Vec<bool> = table.rows().map(tells_of_few).collect();
        let is_among = |column: &str| together.columns.iter().any(|name| name == column);
        table = table.emptied(|row, column| hidden[row] && is_among(column));
    }
    table
}

fn first(table: &Table) -> &str {
    table.names().next().unwrap_or_default()
}

/// Rows of different hubs do not add up; one that stands alone is a family of its own.
fn counted_rows(table: &Table, counted: &Counted) -> Vec<Row<(String, usize)>> {
    let columns = counted.columns.iter().map(|name| place(table, name));
    let columns: Vec<Option<usize>> = columns.collect();
    let rows = table.rows().enumerate().map(|(number, row)| {
        let mut numbers = columns
            .iter()
            .map(|column| column.and_then(|column| n_people(&row[column])));
        Row {
            family: match counted.rows {
                Rows::Parts => (hub_of(&row), 0),
                Rows::Alone => (String::new(), number),
            },
            people: numbers.next().flatten(),
            further: numbers.flatten().collect(),
        }
    });
    rows.collect()
}

fn hub_of(row: &[Cell]) -> String {
    match row.first() {
        Some(Cell::Text(hub)) => hub.clone(),
        _ => String::new(),
    }
}

fn n_people(cell: &Cell) -> Option<u64> {
    match cell {
        Cell::Integer(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// Whether few people came to a hub, in the period and in the time before.
#[derive(Clone, Copy)]
struct Few {
    now: bool,
    before: bool,
}

/// One number of all rows counts the people behind them; some others count people themselves.
fn without_few_in_all(
    table: &Table,
    report: &Definition,
    counts: &[String],
    least_people: u64,
) -> Table {
    let place = |name| place(table, name);
    let (Some(number), Some(value), Some(before)) =
        (place("number"), place("value"), place("before"))
    else {
        return table.only_rows(|_| false);
    };
    if least_people < 2 {
        return table.only_rows(|_| true);
    }
    // A hub without a known number of people tells nothing.
    let is_few = |cell: &Cell| match cell {
        #[expect(clippy::cast_precision_loss, reason = "a number of people")]
        Cell::Real(people) => *people < least_people as f64,
        _ => true,
    };
    let mut by_hub: BTreeMap<String, Few> = BTreeMap::new();
    for row in table.rows() {
        if row[number] == Cell::Text("users".to_owned()) {
            let (now, before) = (is_few(&row[value]), is_few(&row[before]));
            by_hub.insert(hub_of(&row), Few { now, before });
        }
    }
    let unknown = Few {
        now: true,
        before: true,
    };
    let of_row = |row: Vec<Cell>| {
        let of_hub = by_hub.get(&hub_of(&row)).copied().unwrap_or(unknown);
        let counts_people =
            matches!(&row[number], Cell::Text(name) if counts.iter().any(|it| it == name));
        Few {
            now: of_hub.now || counts_people && counts_few(&row[value], least_people),
            before: of_hub.before || counts_people && counts_few(&row[before], least_people),
        }
    };
    let of_rows: Vec<Few> = table.rows().map(of_row).collect();
    let is_text = |name: &str| report.column(name).is_some_and(|it| it.kind == Kind::Text);
    table.emptied(|row, column| match column {
        "value" => of_rows[row].now,
        "before" => of_rows[row].before,
        column => !is_text(column) && (of_rows[row].now || of_rows[row].before),
    })
}

/// Whether a number is one of few people, and not of nobody.
fn counts_few(cell: &Cell, least_people: u64) -> bool {
    match cell {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of people"
        )]
        Cell::Real(people) => is_few(*people as u64, least_people),
        _ => false,
    }
}

/// What a reader should know of what is empty.
fn told_few(report: &Definition, least_people: u64) -> Option<String> {
    if least_people < 2 {
        return None;
    }
    let told = match &report.people {
        Some(People::Counted(counted)) => match counted.rows {
            Rows::Alone => format!("Rows of fewer than {least_people} people are left empty."),
            Rows::Parts => format!(
                "Rows of fewer than {least_people} people, and as many more as keep them from being computed, are left empty."
            ),
        },
        Some(People::Total { .. }) => {
            format!("Where fewer than {least_people} people came, numbers are left empty.")
        }
        Some(People::Nobody) | None => return None,
    };
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::super::asked::Chosen;
    use super::*;
    use crate::query::Value;
    use crate::table::{Column, Format};

    const HEAD: &str = "-- title: People\n-- section: Activity\n-- question: How many?\n\
        -- definition: All of them.\n-- scope: group, user\n-- needs: none\n";

    /// An answer of a report with this head, about a group and without a choice.
    fn answer(head: &str, columns: Vec<Column>) -> Answer {
        let report = Definition::parse("people", &format!("{HEAD}{head}select 1"));
        Answer {
            report: Arc::new(report.unwrap()),
            from: "2026-03-02".parse().unwrap(),
            to: "2026-03-08".parse().unwrap(),
            hubs: Vec::new(),
            group: Some("physics".to_owned()),
            user: None,
            chosen: Vec::new(),
            table: Table::new(columns).unwrap(),
            caveats: Vec::new(),
            never_known: Vec::new(),
            computed: "2026-03-10T12:00:00Z".parse().unwrap(),
        }
    }

    fn rows(answer: &Answer) -> String {
        let mut text = Vec::new();
        answer.table.write(Format::Csv, &mut text).unwrap();
        let names: Vec<&str> = answer
            .report
            .columns
            .iter()
            .map(|column| &*column.name)
            .collect();
        let of_table: Vec<&str> = answer.table.names().collect();
        assert_eq!(names, of_table, "the report says what the table holds");
        String::from_utf8(text).unwrap()
    }

    fn shared(answer: &Answer) -> Answer {
        answer.shown_to(Reader::Shared { least_people: 5 })
    }

    const GROUPS: &str = "-- readers: owner, share\n-- people: participants, members split by group\n\
        -- column: hub text The hub.\n-- column: group name The group.\n\
        -- column: members count Members.\n-- column: participants count Who came.\n\
        -- column: hours hours Hours.\n-- column: last day The last day.\n\
        -- chart: rows x=group y=hours\n";

    #[test]
    fn numbers_of_few_among_many_are_empty_with_those_that_tell_them() {
        let head = "-- readers: share\n-- people: users per week\n\
            -- people-among: new, staying, share\n-- people-among: added\n\
            -- column: hub text The hub.\n-- column: week day The week.\n\
            -- column: users count People.\n-- column: new count New ones.\n\
            -- column: staying count Others.\n-- column: share share Of them.\n\
            -- column: added count Accounts.\n";
        let columns = vec![
            Column::text("hub", ["lab"; 4].map(Some)),
            Column::day("week", ["2026-03-02".parse().unwrap(); 4].map(Some)),
            Column::integer("users", [Some(30), Some(30), Some(30), Some(3)]),
            Column::integer("new", [Some(5), Some(4), Some(0), Some(0)]),
            Column::integer("staying", [Some(25), Some(26), None, Some(3)]),
            Column::real("share", [Some(0.8), Some(0.9), None, Some(1.0)]),
            Column::integer("added", [Some(1), Some(0), Some(6), Some(9)]),
        ];
        let seen = shared(&answer(head, columns));
        insta::assert_snapshot!(rows(&seen), @r"
        hub,week,users,new,staying,share,added
        lab,2026-03-02,30,5,25,0.8,
        lab,2026-03-02,30,,,,0
        lab,2026-03-02,30,0,,,6
        lab,2026-03-02,,,,,
        ");
    }

    fn groups() -> Answer {
        let columns = vec![
            Column::text("hub", ["lab"; 5].map(Some).into_iter().chain([Some("far")])),
            Column::text(
                "group",
                ["art", "bio", "chem", "law", "math", "art"].map(Some),
            ),
            Column::integer("members", [30, 12, 5, 3, 9, 3].map(Some)),
            Column::integer("participants", [20, 7, 3, 0, 9, 3].map(Some)),
            Column::real("hours", [90.0, 20.0, 9.5, 0.0, 30.0, 1.0].map(Some)),
            Column::day("last", ["2026-03-07".parse().unwrap(); 6].map(Some)),
        ];
        answer(GROUPS, columns)
    }

    #[test]
    fn groups_of_few_are_empty_in_a_share_and_the_next_smallest_too() {
        let seen = shared(&groups());
        insta::assert_snapshot!(rows(&seen), @r"
        hub,group,members,participants,hours,last
        lab,art,30,20,90.0,2026-03-07
        lab,bio,,,,
        lab,chem,,,,
        lab,law,,,,
        lab,math,9,9,30.0,2026-03-07
        far,art,,,,
        ");
        insta::assert_snapshot!(
            seen.caveats.join("\n"),
            @"Rows of fewer than 5 people, and as many more as keep them from being computed, are left empty."
        );
        assert!(seen.report.chart.is_some());
    }

    #[test]
    fn an_owner_sees_numbers_of_few() {
        let all = groups();
        assert_eq!(rows(&all.shown_to(Reader::Owner)), rows(&all));
    }

    #[test]
    fn nobody_sees_what_was_not_asked_for_them() {
        let mut of_all = groups();
        of_all.group = None;
        let head = "hub,group,members,participants,hours,last\n";
        assert_eq!(rows(&of_all.shown_to(Reader::Owner)), head);
        assert_eq!(rows(&of_all.shown_to(Reader::Person)), head);
        let mut of_a_person = groups();
        of_a_person.user = Some("ada".to_owned());
        assert_eq!(rows(&shared(&of_a_person)), head);
        // No reader but owners and shares is named.
        assert_eq!(rows(&of_a_person.shown_to(Reader::Person)), head);
    }

    #[test]
    fn days_of_few_are_empty_one_by_one() {
        let head = "-- readers: share\n-- people: users, weekly per day\n\
            -- column: hub text The hub.\n-- column: day day The day.\n\
            -- column: users count People.\n-- column: weekly count In a week.\n";
        let columns = vec![
            Column::text("hub", ["lab"; 5].map(Some)),
            Column::day(
                "day",
                (2..7).map(|day| Some(format!("2026-03-0{day}").parse().unwrap())),
            ),
            Column::integer("users", [Some(9), Some(4), Some(0), Some(0), None]),
            Column::integer("weekly", [Some(9), Some(12), Some(12), Some(3), None]),
        ];
        let seen = shared(&answer(head, columns));
        insta::assert_snapshot!(rows(&seen), @r"
        hub,day,users,weekly
        lab,2026-03-02,9,9
        lab,2026-03-03,,
        lab,2026-03-04,0,12
        lab,2026-03-05,,
        lab,2026-03-06,,
        ");
        assert_eq!(
            seen.caveats,
            ["Rows of fewer than 5 people are left empty."]
        );
    }

    const NUMBERS: &str = "-- readers: share\n-- people: total, new-users\n\
        -- hidden-from-shares: rows of number=gpu\n-- column: hub text The hub.\n\
        -- column: number text Its name.\n-- column: value number It.\n\
        -- column: before number Before.\n-- column: change share Growth.\n";

    fn numbers(users: [Option<f64>; 2]) -> String {
        let columns = vec![
            Column::text("hub", ["lab"; 2].map(Some)),
            Column::text("number", ["users", "hours"].map(Some)),
            Column::real("value", [users[0], Some(70.5)]),
            Column::real("before", [users[1], Some(50.0)]),
            Column::real("change", [Some(0.5), Some(0.41)]),
        ];
        rows(&shared(&answer(NUMBERS, columns)))
    }

    #[test]
    fn the_ten_numbers_are_shown_where_enough_people_came() {
        insta::assert_snapshot!(numbers([Some(5.0), Some(5.0)]), @r"
        hub,number,value,before,change
        lab,users,5.0,5.0,0.5
        lab,hours,70.5,50.0,0.41
        ");
        insta::assert_snapshot!(numbers([Some(9.0), Some(4.0)]), @r"
        hub,number,value,before,change
        lab,users,9.0,,
        lab,hours,70.5,,
        ");
        let nothing = "hub,number,value,before,change\nlab,users,,,\nlab,hours,,,\n";
        assert_eq!(numbers([Some(4.0), None]), nothing);
        // Homes may lie there all the same.
        assert_eq!(numbers([Some(0.0), None]), nothing);
        assert_eq!(numbers([None, None]), nothing);
    }

    #[test]
    fn a_number_of_few_new_people_is_empty_and_what_few_use_is_gone() {
        let columns = vec![
            Column::text("hub", ["lab"; 4].map(Some)),
            Column::text("number", ["users", "new-users", "gpu", "hours"].map(Some)),
            Column::real("value", [20.0, 1.0, 7.5, 70.5].map(Some)),
            Column::real("before", [30.0, 6.0, 0.5, 50.0].map(Some)),
            Column::real("change", [-0.3, -0.8, 14.0, 0.41].map(Some)),
        ];
        insta::assert_snapshot!(rows(&shared(&answer(NUMBERS, columns))), @r"
        hub,number,value,before,change
        lab,users,20.0,30.0,-0.3
        lab,new-users,,6.0,
        lab,hours,70.5,50.0,0.41
        ");
    }

    const SESSIONS: &str = "-- readers: owner, user\n\
        -- hidden-from-owners: image, by=image, rows without ended\n\
        -- parameter: by = user (user, image) What a row is.\n\
        -- column: hub text The hub.\n-- column: user name Who.\n\
        -- column: ended time When it ended.\n-- column: image text What it ran.\n\
        -- chart: rows x=image y=ended\n";

    fn sessions(by: &str) -> Answer {
        let ended = "2026-03-02T10:00:00Z".parse().unwrap();
        let columns = vec![
            Column::text("hub", ["lab"; 2].map(Some)),
            Column::text("user", ["ada", "ben"].map(Some)),
            Column::time("ended", [Some(ended), None]),
            Column::text("image", ["scipy"; 2].map(Some)),
        ];
        let mut answer = answer(SESSIONS, columns);
        answer.chosen = vec![Chosen {
            name: "by".to_owned(),
            text: by.to_owned(),
            value: Value::Text(by.to_owned()),
        }];
        answer
    }

    #[test]
    fn an_owner_sees_no_withheld_column_choice_or_row() {
        let seen = sessions("user").shown_to(Reader::Owner);
        assert_eq!(
            rows(&seen),
            "hub,user,ended\nlab,ada,2026-03-02T10:00:00Z\n"
        );
        assert_eq!(seen.report.chart, None);
        let choices = ParameterKind::Choice(vec!["user".to_owned()]);
        assert_eq!(seen.report.parameters[0].kind, choices);
        let by_image = sessions("image").shown_to(Reader::Owner);
        assert_eq!(rows(&by_image), "hub,user,ended\n");
    }

    #[test]
    fn a_person_sees_all_that_is_about_them() {
        let mut own = sessions("image");
        own.user = Some("ada".to_owned());
        assert_eq!(rows(&own.shown_to(Reader::Person)), rows(&own));
    }

    #[test]
    fn caveats_name_no_account_and_no_group() {
        let mut all = groups();
        let told = [
            "The period ends today.",
            "Accounts left out: `zoe`.",
            "Members of these groups are left out: `staff`.",
        ];
        all.caveats = told.map(str::to_owned).to_vec();
        let seen = all.shown_to(Reader::Owner);
        assert_eq!(
            seen.caveats,
            ["The period ends today.", "Some accounts are left out."]
        );
    }
}
