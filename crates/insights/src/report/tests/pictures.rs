use super::{answer, days, definition, names, week};
use crate::chart::{Axis, Chart, Kind, Unit};
use crate::report::{charts, svg};
use jiff::civil::date;
use store::Column;
use store::report::Answer;

fn one(answer: &Answer) -> Chart {
    let mut charts = charts(answer);
    assert_eq!(charts.len(), 1, "{charts:?}");
    charts.remove(0)
}

/// A chart in few words: its values, by series.
fn series(chart: &Chart) -> Vec<String> {
    let series = chart.series.iter();
    series
        .map(|series| format!("{}: {:?}", series.name, series.points))
        .collect()
}

fn categories(chart: &Chart) -> &[String] {
    match &chart.x {
        Axis::Categories(names) => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_over_days_have_gaps_where_nothing_is_known() {
    let chart = one(&days());
    assert_eq!(chart.kind, Kind::Line);
    assert_eq!(chart.unit, Unit::Count);
    assert!(matches!(&chart.x, Axis::Days(days) if days.len() == 4));
    assert_eq!(
        series(&chart),
        [
            "Users: [Some(1200.0), Some(30.0), None, Some(0.0)]",
            "Weekly: [Some(1200.0), Some(1210.0), None, Some(1210.0)]",
        ]
    );
    assert_eq!(
        chart.description,
        "Lines: users and weekly, 1–4 March 2026."
    );
}

#[test]
fn names_stand_from_the_largest_on_and_cannot_move_the_chart() {
    let chart = one(&names());
    assert_eq!(chart.kind, Kind::HorizontalBars);
    assert_eq!(chart.unit, Unit::Bytes);
    assert_eq!(
        categories(&chart)[..3],
        ["\"'&</td>", "turned\\u{202e}txt", "red\\u{1b}[31m\\nnext"]
    );
    let svg = svg(&names()).unwrap();
    assert!(
        svg.contains("&#60;script&#62;") || svg.contains("&lt;script&gt;"),
        "{svg}"
    );
    assert!(!svg.contains("<script"));
}

#[test]
fn rows_about_days_or_months_are_drawn_over_time_and_all_of_them() {
    let about = |names: [&'static str; 3]| {
        let head = "-- title: Lengths\n-- section: Activity\n-- question: How long?\n-- definition: So.\n\
            -- scope: none\n-- needs: none\n-- column: hub text The hub.\n-- column: of name What.\n\
            -- column: n count How many.\n-- chart: rows x=of y=n top=2";
        let columns = vec![
            Column::text("hub", [Some("lab"); 3]),
            Column::text("of", names.map(Some)),
            Column::integer("n", [Some(5), None, Some(9)]),
        ];
        one(&answer(definition("lengths", head), columns))
    };
    for names in [
        ["2026-03-02", "2026-03-03", "2026-03-04"],
        ["2026-01", "2026-02", "2026-03"],
    ] {
        let chart = about(names);
        assert_eq!(chart.kind, Kind::Line);
        assert!(matches!(&chart.x, Axis::Days(days) if days.len() == 3));
        assert_eq!(series(&chart), ["N: [Some(5.0), None, Some(9.0)]"]);
    }
    let chart = about(["2026-03-02", "2026-03-03", "(unknown)"]);
    assert_eq!(chart.kind, Kind::HorizontalBars);
    assert_eq!(categories(&chart), ["(unknown)", "2026-03-02"]);
}

#[test]
fn each_hub_has_a_grid_of_its_own() {
    let charts = charts(&week());
    let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
    assert_eq!(titles, ["Hours of the week: lab", "Hours of the week: far"]);
    assert_eq!(categories(&charts[0]), ["09:00", "10:00"]);
    assert_eq!(
        series(&charts[0]),
        ["Mon: [Some(0.5), Some(1.0)]", "Sun: [None]"]
    );
    assert_eq!(
        series(&charts[1]),
        ["Mon: [Some(3.0), Some(0.0)]", "Sun: [None, Some(2.0)]"]
    );
}

#[test]
fn what_is_to_come_is_not_drawn_as_unknown() {
    let head = "-- title: Cohorts\n-- section: Activity\n-- question: Who stays?\n-- definition: Who.\n\
        -- scope: none\n-- needs: none\n-- column: hub text The hub.\n-- column: cohort day When.\n\
        -- column: later count Months.\n-- column: share share Of all.\n\
        -- chart: heatmap x=later y=cohort value=share";
    let cohorts = [1, 1, 1, 2, 2, 3].map(|month| Some(date(2026, month, 1)));
    let columns = vec![
        Column::text("hub", [Some("lab"); 6]),
        Column::day("cohort", cohorts),
        Column::integer("later", [0, 1, 2, 0, 1, 0].map(Some)),
        Column::real(
            "share",
            [Some(1.0), None, Some(0.5), Some(1.0), Some(0.5), None],
        ),
    ];
    let answer = answer(definition("cohorts", head), columns);
    let rows: Vec<String> = series(&one(&answer))
        .iter()
        .map(|row| row.split(": ").last().unwrap().to_owned())
        .collect();
    assert_eq!(
        rows,
        [
            "[Some(100.0), None, Some(50.0)]",
            "[Some(100.0), Some(50.0)]",
            "[None]"
        ]
    );
    // Two cells, and the sample beside the shades.
    assert_eq!(svg(&answer).unwrap().matches("<title>not known").count(), 3);
}

const HEAD: &str = "\
-- title: Usage
-- section: Resources
-- question: How much?
-- definition: So much.
-- scope: none
-- needs: usage
-- column: hub text The hub.
-- column: day day Day.
-- column: group name The group.
-- column: cpu_core_hours core-hours CPU.
-- column: sent_bytes bytes Network.
-- column: cpu_idle_core_hours core-hours CPU.
-- column: share share Of all.
";

fn usage(chart: &str) -> Answer {
    let days = [1, 1, 2, 2].map(|day| Some(date(2026, 3, day)));
    answer(
        definition("usage", &format!("{HEAD}-- chart: {chart}")),
        vec![
            Column::text("hub", [Some("lab"); 4]),
            Column::day("day", days),
            Column::text("group", ["a", "b", "a", "c"].map(Some)),
            Column::real("cpu_core_hours", [1.0, 2.0, 3.0, 4.0].map(Some)),
            Column::real("sent_bytes", [5.0, 6.0, 7.0, 8.0].map(Some)),
            Column::real("cpu_idle_core_hours", [9.0, 0.0, 0.0, 0.0].map(Some)),
            Column::real("share", [Some(0.25), Some(0.5), None, Some(1.0)]),
        ],
    )
}

#[test]
fn values_of_different_kinds_are_charts_of_their_own() {
    let answer = usage("bars x=group y=cpu_core_hours,sent_bytes,cpu_idle_core_hours");
    let charts = charts(&answer);
    let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "Usage: CPU core hours and CPU idle core hours",
            "Usage: sent"
        ]
    );
    assert_eq!(charts[0].unit, Unit::Other("core h".to_owned()));
    assert_eq!(charts[1].unit, Unit::Bytes);
    let svg = svg(&answer).unwrap();
    assert_eq!(svg.matches("<svg").count(), 3);
    // Only the first says of when and of what they are.
    assert!(svg.contains("translate(0 344)") && svg.contains("height=\"670\""));
    assert_eq!(svg.matches("hub lab (Europe/Berlin)").count(), 1);
    assert!(svg.contains("<title>Usage</title>") && svg.contains("<desc>Bars: CPU core hours"));
}

#[test]
fn shares_are_percents() {
    let chart = one(&usage("rows x=group y=share top=2"));
    assert_eq!(chart.unit, Unit::Percent);
    assert_eq!(series(&chart), ["Share: [Some(100.0), Some(50.0)]"]);
    assert_eq!(chart.y_label, "Share, the 2 largest of 4");
}

#[test]
fn the_smallest_of_many_series_are_put_together_where_they_add_up() {
    let stacked = one(&usage("stacked x=day y=cpu_core_hours series=group top=1"));
    assert_eq!(
        series(&stacked),
        [
            "a: [Some(1.0), Some(3.0)]",
            "2 others: [Some(2.0), Some(4.0)]"
        ]
    );
    let line = one(&usage("line x=day y=cpu_core_hours series=group top=2"));
    assert_eq!(
        series(&line),
        ["a: [Some(1.0), Some(3.0)]", "c: [None, Some(4.0)]"]
    );
    assert_eq!(line.y_label, "CPU core hours, the 2 largest of 3");
}

#[test]
fn a_sum_of_others_is_unknown_where_one_of_them_is() {
    let chart = one(&usage("stacked x=day y=share series=group top=1"));
    assert_eq!(
        series(&chart),
        [
            "c: [Some(0.0), Some(100.0)]",
            "2 others: [Some(75.0), None]",
        ]
    );
}

#[test]
fn a_picture_that_stands_alone_says_of_when_and_of_what_it_is() {
    let svg = svg(&days()).unwrap();
    assert!(
        svg.contains(">1–4 March 2026 · hub lab (Europe/Berlin)</text>"),
        "{svg}"
    );
}

#[test]
fn several_hubs_are_several_series() {
    let mut answer = usage("line x=day y=cpu_core_hours");
    answer.hubs.push(super::hub("far", "Asia/Kathmandu"));
    assert_eq!(one(&answer).series[0].name, "lab");
    let mut answer = usage("line x=day y=cpu_core_hours,cpu_idle_core_hours");
    answer.hubs.push(super::hub("far", "Asia/Kathmandu"));
    assert_eq!(one(&answer).series[1].name, "lab · CPU idle core hours");
    let mut answer = usage("rows x=group y=cpu_core_hours");
    answer.hubs.push(super::hub("far", "Asia/Kathmandu"));
    assert_eq!(categories(&one(&answer))[0], "c · lab");
}
