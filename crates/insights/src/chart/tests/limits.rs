//! Much, little and odd data; how much text it makes; what pages may contain.

use super::super::{Reference, page_parts};
use super::xml::{Element, parse};
use super::*;

/// The texts that are shown.
fn words(elements: &[Element]) -> Vec<&str> {
    let texts = elements.iter().filter(|element| element.tag == "text");
    texts.map(|element| &*element.text).collect()
}

fn year(kind: Kind) -> Chart {
    let group = |name: &str, more: u32| series(name, (0..365).map(|i| Some(weekly(i + more))));
    Chart {
        title: "Users per day".to_owned(),
        series: vec![
            group("physics", 0),
            group("mathematics", 3),
            group("chemistry", 11),
        ],
        ..Chart::new(kind, days(365), Unit::Count)
    }
}

#[test]
fn a_year_of_three_groups_is_small() {
    for kind in [Kind::Line, Kind::StackedBars, Kind::Bars] {
        for width in [560, 900] {
            let size = Size { width, ..SIZE };
            let svg = year(kind).svg(size, Style::Themed);
            assert!(svg.len() < 60_000, "{kind:?}: {} bytes", svg.len());
        }
    }
    assert!(year(Kind::Line).svg(SIZE, Style::Static).len() < 25_000);
}

#[test]
fn thousands_of_points_are_drawn_and_a_few_hundred_can_be_pointed_at() {
    let minute = |i: i64| moment("2026-03-01T00:00:00Z") + jiff::SignedDuration::from_mins(i);
    let axis = Axis::Moments {
        at: (0..3000).map(minute).collect(),
        zone: jiff::tz::TimeZone::UTC,
    };
    // Every other minute is unknown, so nothing is left of the line but dots.
    for known in [1, 2] {
        let points = (0..3000u32).map(|i| (i % known == 0).then(|| f64::from(i % 700)));
        let chart = Chart {
            series: vec![series("servers", points)],
            ..Chart::new(Kind::Line, axis.clone(), Unit::Count)
        };
        let svg = chart.svg(SIZE, Style::Themed);
        let elements = parse(&svg);
        let hits = elements
            .iter()
            .filter(|element| element.is_within("hits"))
            .count();
        assert!((300..=400).contains(&hits), "{hits}");
        assert!(svg.len() < 150_000, "{} bytes", svg.len());
        let n_gaps = elements.iter().filter(|element| element.is("gap")).count();
        assert_eq!(n_gaps, usize::from(known > 1), "thin gaps are one");
    }
}

#[test]
fn nothing_at_all_says_so() {
    for kind in ALL_KINDS {
        for axis in [days(0), days(3), names(&["a", "b"])] {
            for data in [
                vec![],
                vec![series("a", [])],
                vec![series("a", [None, Some(f64::NAN), Some(f64::INFINITY)])],
            ] {
                let chart = Chart {
                    series: data,
                    ..Chart::new(kind, axis.clone(), Unit::Bytes)
                };
                for style in BOTH_STYLES {
                    let elements = parse(&chart.svg(SIZE, style));
                    assert_eq!(words(&elements).last(), Some(&"no data"), "{chart:?}");
                }
            }
        }
    }
}

#[test]
fn only_zero_is_not_nothing() {
    for kind in ALL_KINDS {
        let chart = Chart {
            series: vec![series("a", [Some(0.0), Some(0.0)])],
            ..Chart::new(kind, days(2), Unit::Count)
        };
        let elements = parse(&chart.svg(SIZE, Style::Themed));
        assert!(!words(&elements).contains(&"no data"), "{kind:?}");
        assert!(
            !elements.iter().any(|element| element.is("gap")),
            "{kind:?}"
        );
    }
}

/// What the bands of a chart say, its legend, and what is said to those who cannot see it.
fn told(kind: Kind, all: Vec<Series>) -> (Vec<String>, Vec<String>, String) {
    let chart = Chart {
        description: "Users.".to_owned(),
        series: all,
        ..Chart::new(kind, days(4), Unit::Count)
    };
    let elements = parse(&chart.svg(SIZE, Style::Themed));
    let texts = |is_one: &dyn Fn(&&Element) -> bool| {
        let found = elements.iter().filter(is_one);
        found.map(|element| element.text.clone()).collect()
    };
    let description = elements.iter().find(|element| element.tag == "desc");
    (
        texts(&|element| element.tag == "title" && element.is_within("gap")),
        texts(&|element| element.tag == "text" && element.is_within("legend")),
        description.unwrap().text.clone(),
    )
}

#[test]
fn only_where_nothing_is_known_is_hatched_and_a_series_that_has_a_gap_is_named() {
    let (hatched, legend, said) = told(
        Kind::Line,
        vec![
            series("users", [Some(1.0), Some(2.0), None, Some(3.0)]),
            series("weekly", [None, None, None, Some(1.0)]),
            series("monthly", [None; 4]),
        ],
    );
    assert_eq!(hatched, ["not known: 2026-01-03 Sat"]);
    let names = ["users", "weekly (known in part)", "monthly (not known)"];
    assert_eq!(legend[..3], names);
    assert_eq!(legend[3..], ["not known"], "the hatching");
    let weekly = "weekly (2026-01-01 Thu to 2026-01-02 Fri)";
    assert_eq!(said, format!("Users. Not known: {weekly}, monthly."));
}

#[test]
fn beside_a_series_that_is_known_nothing_is_hatched() {
    for kind in [Kind::Line, Kind::Area, Kind::Bars] {
        let all = vec![
            series("users", [Some(1.0); 4]),
            series("monthly", [None, Some(1.0), None, Some(2.0)]),
        ];
        let (hatched, legend, said) = told(kind, all);
        assert!(hatched.is_empty(), "{kind:?}: {hatched:?}");
        assert_eq!(legend, ["users", "monthly (known in part)"], "{kind:?}");
        let gaps = "monthly (2026-01-01 Thu, 2026-01-03 Sat)";
        assert_eq!(said, format!("Users. Not known: {gaps}."), "{kind:?}");
    }
}

#[test]
fn a_sum_without_one_of_its_parts_is_hatched() {
    let all = vec![
        series("physics", [Some(1.0), None, None, Some(1.0)]),
        series("law", [Some(1.0), Some(2.0), None, Some(3.0)]),
    ];
    let (hatched, legend, said) = told(Kind::StackedBars, all);
    let expected = [
        "not known for physics: 2026-01-02 Fri",
        "not known: 2026-01-03 Sat",
    ];
    assert_eq!(hatched, expected);
    assert_eq!(legend, ["physics", "law", "not known"]);
    assert_eq!(said, "Users. Not known: physics (2026-01-02 Fri).");
}

#[test]
fn the_only_point_of_a_picture_can_be_seen() {
    for (kind, n) in [(Kind::Line, 1), (Kind::Line, 90), (Kind::Area, 90)] {
        let points = (0..n).map(|i| (i == n / 2).then_some(7.0));
        let only = vec![series("users", points)];
        for style in BOTH_STYLES {
            let chart = Chart {
                series: only.clone(),
                ..Chart::new(kind, days(n), Unit::Count)
            };
            let elements = parse(&chart.svg(SIZE, style));
            let dots = elements.iter().filter(|element| element.is("dot"));
            let sizes: Vec<f64> = dots.map(|dot| dot.number("r")).collect();
            assert_eq!(sizes, [5.0], "{kind:?} of {n}, {style:?}");
            // Nothing stands on it.
            assert!(!elements.iter().any(|element| element.is("mark")));
        }
    }
}

#[test]
fn the_only_points_of_several_series_keep_their_shapes_without_colours() {
    let chart = Chart {
        series: vec![
            series("users", (0..90).map(|i| (i == 40).then_some(7.0))),
            series("weekly", (0..90).map(|i| (i == 50).then_some(9.0))),
        ],
        ..Chart::new(Kind::Line, days(90), Unit::Count)
    };
    let elements = parse(&chart.svg(SIZE, Style::Static));
    let marks = elements.iter().filter(|element| element.is("mark"));
    let marks = marks.filter(|element| element.is_within("series"));
    let shapes: Vec<&str> = marks.map(|mark| mark.get("d").unwrap()).collect();
    assert_eq!(shapes.len(), 2);
    assert!(
        shapes[0].contains('a') && shapes[1].contains("h6v6"),
        "{shapes:?}"
    );
}

#[test]
fn a_sum_of_what_is_known_in_part_is_not_shown() {
    let chart = Chart {
        series: vec![
            series("physics", [Some(1.0), None]),
            series("law", [Some(1.5), Some(2.0)]),
        ],
        ..Chart::new(Kind::StackedBars, days(2), Unit::Hours)
    };
    let elements = parse(&chart.svg(SIZE, Style::Themed));
    let values: Vec<_> = elements
        .iter()
        .filter_map(|element| element.get("data-values"))
        .collect();
    let expected = [
        "1.0\u{a0}h|1.5\u{a0}h|2.5\u{a0}h",
        "not known|2.0\u{a0}h|not known",
    ];
    assert_eq!(values, expected);
}

#[test]
fn a_page_with_a_strict_policy_can_show_it() {
    for kind in ALL_KINDS {
        let chart = Chart {
            references: vec![Reference {
                value: 500.0,
                label: "licences".to_owned(),
            }],
            ..year(kind)
        };
        for element in parse(&chart.svg(SIZE, Style::Themed)) {
            assert!(!matches!(&*element.tag, "style" | "script" | "a" | "image"));
            let is_bad = |name: &str| name == "style" || name == "href" || name.starts_with("on");
            assert!(
                !element.attributes.iter().any(|(name, _)| is_bad(name)),
                "{element:?}"
            );
        }
    }
}

#[test]
fn every_class_has_looks_or_is_for_the_script() {
    let for_the_script = [
        "chart", "series", "entry", "legend", "values", "names", "note", "name", "gap", "s9",
    ];
    let css = page_parts().css;
    for kind in ALL_KINDS {
        for element in parse(&year(kind).svg(SIZE, Style::Themed)) {
            for class in element.get("class").unwrap_or_default().split_whitespace() {
                let selector = format!(".{class}");
                let mut rests = css.split(&*selector).skip(1);
                let is_styled = rests.any(|rest| rest.starts_with([' ', ',', ':']));
                assert!(is_styled || for_the_script.contains(&class), "{class}");
            }
        }
    }
}

#[test]
fn the_script_is_small_and_asks_nobody() {
    let script = page_parts().js;
    assert!(script.len() < 10_000, "{} bytes", script.len());
    // It may stand inside `<script>`, and the style sheet inside `<style>`.
    assert!(!script.contains("</") && !script.contains("<!--"));
    assert!(!page_parts().css.contains('<'));
    for bad in [
        "innerHTML",
        "eval",
        "fetch",
        "import",
        "XMLHttpRequest",
        "setAttribute('style'",
    ] {
        assert!(!script.contains(bad), "{bad}");
    }
    assert_eq!(script.matches("http").count(), 1, "only the name of SVG");
    assert!(!page_parts().css.contains("url("));
}

#[test]
fn charts_of_a_page_do_not_share_ids() {
    let id = |chart: &Chart| {
        parse(&chart.svg(SIZE, Style::Themed))[0]
            .get("id")
            .unwrap()
            .to_owned()
    };
    let (line, bars) = (id(&year(Kind::Line)), id(&year(Kind::Bars)));
    assert_ne!(line, bars);
    assert_eq!(line, id(&year(Kind::Line)));
}

#[test]
fn a_size_has_room_for_every_name() {
    let people: Vec<_> = (0..40).map(|i| format!("user-{i}")).collect();
    let chart = Chart {
        title: "Top users".to_owned(),
        y_label: "Hours".to_owned(),
        series: vec![series("hours", (0..40).map(|i| Some(f64::from(i))))],
        ..Chart::new(
            Kind::HorizontalBars,
            Axis::Categories(people.clone()),
            Unit::Hours,
        )
    };
    let elements = parse(&chart.svg(chart.size(700, Style::Static), Style::Static));
    let words = words(&elements);
    assert!(
        people.iter().all(|name| words.contains(&&**name)),
        "{words:?}"
    );
}

#[test]
fn counts_have_no_fractions_and_bars_begin_at_zero() {
    for kind in [Kind::Line, Kind::Bars, Kind::StackedBars] {
        let chart = Chart {
            series: vec![series("users", [Some(2.0), Some(1.0), Some(2.0)])],
            ..Chart::new(kind, names(&["a", "b", "c"]), Unit::Count)
        };
        let elements = parse(&chart.svg(SIZE, Style::Themed));
        assert_eq!(words(&elements), ["0", "1", "2", "a", "b", "c"], "{kind:?}");
    }
}
