//! What holds for every chart, however odd its data.

use super::super::places::Room;
use super::super::plan::Plan;
use super::super::text;
use super::super::{Axis, Chart, Kind, Reference, Series, Size, Style, Unit};
use super::xml::{Element, parse, points};
use super::{ALL_KINDS, BOTH_STYLES};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn units() -> impl Strategy<Value = Unit> {
    let named = select(vec![
        Unit::None,
        Unit::Count,
        Unit::Hours,
        Unit::Seconds,
        Unit::Bytes,
        Unit::Cores,
        Unit::Percent,
    ]);
    prop_oneof![9 => named, 1 => ".{0,40}".prop_map(Unit::Other)]
}

fn values() -> impl Strategy<Value = Option<f64>> {
    let usual = (-10_000.0..100_000.0f64).prop_map(Some);
    let counts = (0..50i32).prop_map(|count| Some(f64::from(count)));
    prop_oneof![4 => usual, 4 => counts, 2 => Just(None), 2 => any::<f64>().prop_map(Some)]
}

fn axes(n: usize) -> impl Strategy<Value = Axis> {
    let day = (-9999..9999i16, 1..=12i8, 1..=28i8);
    let day = day.prop_map(|(year, month, day)| Date::new(year, month, day).unwrap());
    let days = vec(day.clone(), n);
    let in_order = (day, 1..40i64).prop_map(move |(first, step)| {
        let next = |day: &Date| {
            day.checked_add(jiff::SignedDuration::from_hours(24 * step))
                .ok()
        };
        let days = std::iter::successors(Some(first), next).take(n);
        let mut days: Vec<_> = days.collect();
        days.resize(n, Date::MAX);
        Axis::Days(days)
    });
    let moments = (0..4_000_000_000i64, 1..100_000i64).prop_map(move |(first, step)| {
        let moments = (0..n).map(|i| first + step * i64::try_from(i).unwrap());
        let at = moments
            .map(|at| Timestamp::from_second(at).unwrap())
            .collect();
        let zone = TimeZone::get("America/New_York").unwrap();
        Axis::Moments { at, zone }
    });
    prop_oneof![
        days.prop_map(Axis::Days),
        in_order,
        moments,
        vec(".{0,30}", n).prop_map(Axis::Categories),
        vec(any::<f64>(), n).prop_map(Axis::Numbers),
    ]
}

fn charts() -> impl Strategy<Value = Chart> {
    let series = (".{0,40}", vec(values(), 0..70));
    let series = series.prop_map(|(name, points)| Series { name, points });
    let reference = (any::<f64>(), ".{0,40}");
    let reference = reference.prop_map(|(value, label)| Reference { value, label });
    let words = (".{0,80}", ".{0,80}", ".{0,80}", ".{0,20}", ".{0,80}");
    let data = (vec(series, 0..12), vec(reference, 0..3));
    (
        select(ALL_KINDS.to_vec()),
        (0..60usize).prop_flat_map(axes),
        units(),
        words,
        data,
    )
        .prop_map(
            |(
                kind,
                x,
                unit,
                (title, subtitle, description, x_label, y_label),
                (series, references),
            )| Chart {
                title,
                subtitle,
                description,
                x_label,
                y_label,
                series,
                references,
                ..Chart::new(kind, x, unit)
            },
        )
}

fn sizes() -> impl Strategy<Value = Size> {
    (0..1600u32, 0..900u32).prop_map(|(width, height)| Size { width, height })
}

/// As XML can say it.
fn clean(name: &str) -> String {
    let is_bad = |c: char| {
        c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    name.chars()
        .map(|c| if is_bad(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Everything stands on the picture, and every number is one.
fn check_places(element: &Element, width: f64, height: f64) {
    let is_on = |x: f64, y: f64| {
        let (across, down) = (-0.5..=width + 0.5, -0.5..=height + 0.5);
        assert!(
            across.contains(&x) && down.contains(&y),
            "{x},{y} of {element:?}"
        );
    };
    match &*element.tag {
        "path" if !element.is("texture") && !element.is("gap-line") => {
            for at in points(element.get("d").unwrap()) {
                is_on(at.x, at.y);
            }
        }
        "rect" if element.get("width") != Some("100%") => {
            let (x, y) = (element.number("x"), element.number("y"));
            let (width, height) = (element.number("width"), element.number("height"));
            assert!(width >= 0.0 && height >= 0.0, "{element:?}");
            is_on(x, y);
            is_on(x + width, y + height);
        }
        "circle" => is_on(element.number("cx"), element.number("cy")),
        "text" => {
            let room = extent(element);
            is_on(room.from, element.number("y"));
            is_on(room.to, element.number("y"));
        }
        _ => {}
    }
}

/// From where to where a text goes.
fn extent(element: &Element) -> Room {
    let font = match element.get("class").unwrap() {
        "title" => text::LARGE,
        "name" | "no-data" => text::NORMAL,
        _ => text::SMALL,
    };
    let (x, width) = (element.number("x"), text::width(&element.text, font));
    let from = match element.get("text-anchor") {
        None => x,
        Some("middle") => x - width / 2.0,
        _ => x - width,
    };
    let to = from + width;
    Room { from, to }
}

/// The points of a series are those that are known: none is made up, none is lost.
fn check_lines(chart: &Chart, elements: &[Element]) {
    let drawn = |element: &&Element| {
        element.is_within("series") && (element.is("line") || element.is("dot"))
    };
    let n_drawn: usize = elements
        .iter()
        .filter(drawn)
        .map(|element| match element.get("d") {
            Some(path) => points(path).len(),
            None => 1,
        })
        .sum();
    let n = chart.x.len();
    let known = (0..chart.series.len()).flat_map(|series| (0..n).map(move |x| (series, x)));
    let n_known = known
        .filter(|(series, x)| chart.known(*series, *x).is_some())
        .count();
    assert_eq!(n_drawn, n_known);
}

/// Where nothing that is drawn is known is hatched, and nothing else is unless it is too thin to be told
/// apart. Of bars on top of each other their sum is drawn.
fn check_gaps(chart: &Chart, plan: &Plan<'_>, elements: &[Element]) {
    let gaps: Vec<_> = elements
        .iter()
        .filter(|element| element.is("gap"))
        .collect();
    let titles = elements
        .iter()
        .filter(|element| element.tag == "title" && element.is_within("gap"));
    assert_eq!(titles.clone().count(), gaps.len());
    for (gap, title) in gaps.iter().zip(titles) {
        assert!(title.text.starts_with("not known"), "{gap:?} {title:?}");
    }
    for x in 0..chart.x.len() {
        let middle = plan.places.room(x).middle();
        let covers = |gap: &&Element| {
            let from = gap.number("x");
            (from - 0.1..=from + gap.number("width") + 0.1).contains(&middle)
        };
        let is_hatched = gaps.iter().copied().any(|gap| covers(&gap));
        let mut all = (0..chart.series.len()).map(|series| chart.known(series, x).is_none());
        let is_unknown = match chart.kind {
            Kind::StackedBars => all.any(|is_unknown| is_unknown),
            _ => all.all(|is_unknown| is_unknown),
        };
        if is_unknown || plan.places.room(x).width() > 2.0 {
            assert_eq!(is_hatched, is_unknown, "place {x}");
        }
    }
}

proptest! {
    #[test]
    fn every_chart_is_well_formed_and_on_its_picture(chart in charts(), size in sizes()) {
        for style in BOTH_STYLES {
            let plan = Plan::new(&chart, size, style);
            let elements = parse(&chart.svg(size, style));
            prop_assert_eq!(elements[0].get("role"), Some("img"));
            for element in &elements {
                check_places(element, plan.width, plan.height);
            }
            if chart.has_data() && matches!(chart.kind, Kind::Line | Kind::Area) {
                check_lines(&chart, &elements);
            }
            if chart.has_data() && !matches!(chart.kind, Kind::Heatmap | Kind::HorizontalBars) {
                check_gaps(&chart, &plan, &elements);
            }
        }
    }

    #[test]
    fn a_cell_or_a_row_that_is_unknown_is_hatched(chart in charts()) {
        let size = Size { width: 700, height: 500 };
        if chart.has_data() && matches!(chart.kind, Kind::Heatmap | Kind::HorizontalBars) {
            let elements = parse(&chart.svg(size, Style::Themed));
            let n_hatched = elements.iter().filter(|element| element.is("gap")).count();
            let n = chart.x.len() * chart.series.len();
            let all = (0..n).map(|i| (i / chart.x.len(), i % chart.x.len()));
            // A row of a grid may end early.
            let is_drawn = |series: usize, x: usize| chart.kind != Kind::Heatmap || x < chart.series[series].points.len();
            let n_unknown = all.filter(|(series, x)| is_drawn(*series, *x) && chart.known(*series, *x).is_none()).count();
            prop_assert_eq!(n_hatched, n_unknown);
        }
    }

    #[test]
    fn names_of_places_do_not_touch(axis in (0..60usize).prop_flat_map(axes), width in 100..1600u32) {
        let chart = Chart { series: vec![Series { name: String::new(), points: vec![Some(1.0); 60] }], ..Chart::new(Kind::Line, axis, Unit::None) };
        let plan = Plan::new(&chart, Size { width, height: 300 }, Style::Themed);
        let half = |label: &str| text::width(label, text::SMALL) / 2.0;
        for pair in plan.named.windows(2) {
            let end = pair[0].at + half(&pair[0].label.shown);
            prop_assert!(end < pair[1].at - half(&pair[1].label.shown), "{:?}", pair);
        }
    }

    #[test]
    fn no_name_gets_into_the_markup(name in ".{0,60}") {
        let chart = Chart {
            title: name.clone(),
            subtitle: name.clone(),
            description: name.clone(),
            x_label: name.clone(),
            y_label: name.clone(),
            series: vec![
                Series { name: name.clone(), points: vec![Some(1.0), None] },
                Series { name: name.clone(), points: vec![Some(1.0), Some(2.0)] },
            ],
            references: vec![Reference { value: 1.0, label: name.clone() }],
            ..Chart::new(Kind::Line, Axis::Categories(vec![name.clone(), name.clone()]), Unit::Other(name.clone()))
        };
        let plain = "a".to_owned();
        let other = Chart { description: if name.is_empty() { String::new() } else { plain.clone() }, ..chart.clone() };
        for style in BOTH_STYLES {
            let size = Size { width: 800, height: 300 };
            let elements = parse(&chart.svg(size, style));
            let said: Vec<_> = elements.iter().filter_map(|element| element.get("data-name")).collect();
            prop_assert_eq!(said, vec![clean(&name); 2]);
            // The words change nothing but words: the same elements stand there as without them.
            let tags = |elements: &[Element]| elements.iter().map(|element| element.tag.clone()).filter(|tag| tag != "title").collect::<Vec<_>>();
            prop_assert_eq!(tags(&elements), tags(&parse(&other.svg(size, style))));
        }
    }
}
