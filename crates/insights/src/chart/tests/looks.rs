//! Small charts as text, one element a line. What the pictures look like is for people to judge;
//! a change here says that somebody should look again.

use super::*;
use crate::chart::Reference;
use crate::chart::plan::Plan;

/// One element a line, without the parts that are the same in all.
fn check(chart: &Chart, style: Style) -> String {
    let size = Size {
        width: 320,
        height: 180,
    };
    let id = Plan::new(chart, size, style).id;
    let svg = chart.svg(size, style).replace(&id, "ID");
    let svg = svg.replace("><", ">\n<");
    let (start, rest) = svg.split_once("<defs>").unwrap();
    let (definitions, rest) = rest.split_once("</defs>").unwrap();
    let definitions = if style == Style::Static {
        definitions
    } else {
        ""
    };
    let lines = [start, definitions, rest].into_iter().flat_map(str::lines);
    let is_shown = |line: &&str| !line.is_empty() && !line.starts_with("<style>");
    lines.filter(is_shown).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_line_with_a_gap_a_lone_point_and_a_limit() {
    let chart = Chart {
        title: "Users".to_owned(),
        description: "Users by day".to_owned(),
        y_label: "Users with a server".to_owned(),
        series: vec![series(
            "users",
            [Some(1.0), Some(3.0), None, Some(2.0), None],
        )],
        references: vec![Reference {
            value: 2.0,
            label: "licences".to_owned(),
        }],
        ..Chart::new(Kind::Line, days(5), Unit::Count)
    };
    insta::assert_snapshot!(check(&chart, Style::Themed), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart" id="ID" role="img" aria-labelledby="ID-title" aria-describedby="ID-desc" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">Users</title>
    <desc id="ID-desc">Users by day</desc>
    <text class="about" x="4" y="40">Users with a server</text>
    <g class="values">
    <path class="grid" d="M20.7 140H310"/>
    <text class="tick" x="12.7" y="144" text-anchor="end">0</text>
    <path class="grid" d="M20.7 96H310"/>
    <text class="tick" x="12.7" y="100" text-anchor="end">2</text>
    <path class="grid" d="M20.7 52H310"/>
    <text class="tick" x="12.7" y="56" text-anchor="end">4</text>
    </g>
    <rect class="gap" x="136.4" y="52" width="57.9" height="88" fill="url(#ID-gap)">
    <title>not known: 2026-01-03 Sat</title>
    </rect>
    <rect class="gap" x="252.1" y="52" width="57.9" height="88" fill="url(#ID-gap)">
    <title>not known: 2026-01-05 Mon</title>
    </rect>
    <g class="series s1" data-series="0" data-name="users">
    <path class="line" d="M49.6 118 107.5 74"/>
    <circle class="dot" r="2.5" cx="223.2" cy="96"/>
    <path class="mark" d="M46.6 118a3 3 0 1 0 6 0a3 3 0 1 0-6 0zM104.5 74a3 3 0 1 0 6 0a3 3 0 1 0-6 0zM220.2 96a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"/>
    </g>
    <path class="axis" d="M20.7 140H310"/>
    <path class="reference" d="M20.7 96H310"/>
    <text class="reference-name" x="310" y="91" text-anchor="end">licences</text>
    <g class="names">
    <text class="tick" x="49.6" y="156" text-anchor="middle">1 Jan</text>
    <text class="tick" x="49.6" y="170" text-anchor="middle">2026</text>
    <text class="tick" x="107.5" y="156" text-anchor="middle">2 Jan</text>
    <text class="tick" x="165.4" y="156" text-anchor="middle">3 Jan</text>
    <text class="tick" x="223.2" y="156" text-anchor="middle">4 Jan</text>
    <text class="tick" x="281.1" y="156" text-anchor="middle">5 Jan</text>
    <path class="axis" d="M49.6 140v4M107.5 140v4M165.4 140v4M223.2 140v4M281.1 140v4"/>
    </g>
    <g class="legend">
    <g class="note">
    <rect x="4" y="8.5" width="11" height="11" rx="2" fill="url(#ID-gap)"/>
    <text class="name" x="22" y="18">not known</text>
    </g>
    </g>
    <g class="hits" stroke-width="58.1">
    <path d="M49.6 52v88" data-label="2026-01-01 Thu" data-values="1"/>
    <path d="M107.5 52v88" data-label="2026-01-02 Fri" data-values="3"/>
    <path d="M165.4 52v88" data-label="2026-01-03 Sat" data-values="not known"/>
    <path d="M223.2 52v88" data-label="2026-01-04 Sun" data-values="2"/>
    <path d="M281.1 52v88" data-label="2026-01-05 Mon" data-values="not known"/>
    </g>
    </svg>
    "#);
}

#[test]
fn an_area() {
    let chart = Chart {
        series: vec![series("memory", [Some(1e9), Some(3e9)])],
        ..Chart::new(Kind::Area, days(2), Unit::Bytes)
    };
    insta::assert_snapshot!(check(&chart, Style::Themed), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart" id="ID" role="img" aria-labelledby="ID-title" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">chart</title>
    <g class="values">
    <path class="grid" d="M43.8 140H310"/>
    <text class="tick" x="35.8" y="144" text-anchor="end">0</text>
    <path class="grid" d="M43.8 76H310"/>
    <text class="tick" x="35.8" y="80" text-anchor="end">2 GiB</text>
    <path class="grid" d="M43.8 12H310"/>
    <text class="tick" x="35.8" y="16" text-anchor="end">4 GiB</text>
    </g>
    <g class="series s1" data-series="0" data-name="memory">
    <path class="area" d="M110.4 110.2 243.5 50.6L243.5 140 110.4 140z"/>
    <path class="line" d="M110.4 110.2 243.5 50.6"/>
    <path class="mark" d="M107.4 110.2a3 3 0 1 0 6 0a3 3 0 1 0-6 0zM240.5 50.6a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"/>
    </g>
    <path class="axis" d="M43.8 140H310"/>
    <g class="names">
    <text class="tick" x="110.4" y="156" text-anchor="middle">1 Jan</text>
    <text class="tick" x="110.4" y="170" text-anchor="middle">2026</text>
    <text class="tick" x="243.5" y="156" text-anchor="middle">2 Jan</text>
    <path class="axis" d="M110.4 140v4M243.5 140v4"/>
    </g>
    <g class="hits" stroke-width="133.3">
    <path d="M110.4 12v128" data-label="2026-01-01 Thu" data-values="953.7 MiB"/>
    <path d="M243.5 12v128" data-label="2026-01-02 Fri" data-values="2.8 GiB"/>
    </g>
    </svg>
    "#);
}

#[test]
fn bars_side_by_side() {
    let chart = Chart {
        series: vec![
            series("<started>", [Some(3.0), Some(-1.0)]),
            series("\"&'", [Some(2.0), None]),
        ],
        ..Chart::new(Kind::Bars, names(&["physics", "law"]), Unit::None)
    };
    insta::assert_snapshot!(check(&chart, Style::Themed), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart" id="ID" role="img" aria-labelledby="ID-title" aria-describedby="ID-desc" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">chart</title>
    <desc id="ID-desc">Not known: &#34;&#38;&#39; (law).</desc>
    <g class="values">
    <path class="grid" d="M32.8 154H310"/>
    <text class="tick" x="24.8" y="158" text-anchor="end">−2</text>
    <path class="grid" d="M32.8 115H310"/>
    <text class="tick" x="24.8" y="118.7" text-anchor="end">0</text>
    <path class="grid" d="M32.8 75H310"/>
    <text class="tick" x="24.8" y="79.3" text-anchor="end">2</text>
    <path class="grid" d="M32.8 36H310"/>
    <text class="tick" x="24.8" y="40" text-anchor="end">4</text>
    </g>
    <g class="series s1" data-series="0" data-name="&#60;started&#62;">
    <path class="bar" stroke-width="47" d="M78.1 55.7v59M216.7 114.7v19.6"/>
    </g>
    <g class="series s2" data-series="1" data-name="&#34;&#38;&#39;">
    <path class="bar" stroke-width="47" d="M126.1 75.3v39.4"/>
    </g>
    <path class="axis" d="M32.8 115H310"/>
    <g class="names">
    <text class="tick" x="102.1" y="170" text-anchor="middle">physics</text>
    <text class="tick" x="240.7" y="170" text-anchor="middle">law</text>
    <path class="axis" d="M102.1 154v4M240.7 154v4"/>
    </g>
    <g class="legend">
    <g class="entry s1" data-series="0">
    <rect class="pad" rx="4" x="0" y="4" width="87.4" height="19"/>
    <rect x="4" y="8.5" width="11" height="11" rx="2" class="swatch"/>
    <text class="name" x="22" y="18">&#60;started&#62;</text>
    </g>
    <g class="entry s2" data-series="1">
    <rect class="pad" rx="4" x="95.4" y="4" width="140.1" height="19"/>
    <rect x="99.4" y="8.5" width="11" height="11" rx="2" class="swatch"/>
    <text class="name" x="117.4" y="18">&#34;&#38;&#39; (known in part)</text>
    </g>
    </g>
    <g class="hits" stroke-width="138.8">
    <path d="M102.1 36v118" data-label="physics" data-values="3.00|2.00"/>
    <path d="M240.7 36v118" data-label="law" data-values="−1.00|not known"/>
    </g>
    </svg>
    "#);
}

#[test]
fn bars_on_top_of_each_other_without_colours() {
    let chart = Chart {
        title: "Hours".to_owned(),
        series: vec![
            series("physics", [Some(3.0), Some(1.0)]),
            series("law", [Some(2.0), None]),
        ],
        ..Chart::new(Kind::StackedBars, days(2), Unit::Hours)
    };
    insta::assert_snapshot!(check(&chart, Style::Static), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart-static" id="ID" role="img" aria-labelledby="ID-title" aria-describedby="ID-desc" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">Hours</title>
    <desc id="ID-desc">Not known: law (2026-01-02 Fri).</desc>
    <rect class="paper" width="100%" height="100%"/>
    <pattern id="ID-gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <rect class="gap-ground" width="6" height="6"/>
    <path class="gap-line" d="M0 0v6"/>
    </pattern>
    <pattern id="ID-t1" class="s1" width="8" height="8" patternUnits="userSpaceOnUse">
    <rect class="swatch" width="8" height="8"/>
    </pattern>
    <pattern id="ID-t2" class="s2" width="8" height="8" patternUnits="userSpaceOnUse">
    <rect class="swatch" width="8" height="8"/>
    <path class="texture" d="M-2 2l4-4M0 8l8-8M6 10l4-4"/>
    </pattern>
    <text class="title" x="12" y="26">Hours</text>
    <g class="values">
    <path class="grid" d="M38.8 132H302"/>
    <text class="tick" x="30.8" y="136" text-anchor="end">0</text>
    <path class="grid" d="M38.8 70H302"/>
    <text class="tick" x="30.8" y="74" text-anchor="end">5 h</text>
    </g>
    <rect class="gap some" x="170.4" y="70" width="131.6" height="62" fill="url(#ID-gap)">
    <title>not known for law: 2026-01-02 Fri</title>
    </rect>
    <g class="series s1" data-series="0" data-name="physics">
    <path class="bar" stroke-width="48" style="stroke:url(#ID-t1)" d="M104.6 94.8v37.2M236.2 119.6v12.4"/>
    </g>
    <g class="series s2" data-series="1" data-name="law">
    <path class="bar" stroke-width="48" style="stroke:url(#ID-t2)" d="M104.6 70v23.8"/>
    </g>
    <path class="axis" d="M38.8 132H302"/>
    <g class="names">
    <text class="tick" x="104.6" y="148" text-anchor="middle">1 Jan</text>
    <text class="tick" x="104.6" y="162" text-anchor="middle">2026</text>
    <text class="tick" x="236.2" y="148" text-anchor="middle">2 Jan</text>
    <path class="axis" d="M104.6 132v4M236.2 132v4"/>
    </g>
    <g class="legend">
    <g class="entry s1" data-series="0">
    <rect x="12" y="42.5" width="11" height="11" rx="2" fill="url(#ID-t1)"/>
    <text class="name" x="30" y="52">physics</text>
    </g>
    <g class="entry s2" data-series="1">
    <rect x="93.6" y="42.5" width="11" height="11" rx="2" fill="url(#ID-t2)"/>
    <text class="name" x="111.6" y="52">law</text>
    </g>
    <g class="note">
    <rect x="150.1" y="42.5" width="11" height="11" rx="2" fill="url(#ID-gap)"/>
    <text class="name" x="168.1" y="52">not known</text>
    </g>
    </g>
    </svg>
    "#);
}

#[test]
fn horizontal_bars() {
    let chart = Chart {
        series: vec![series("home", [Some(2048.0), Some(512.0), None])],
        ..Chart::new(
            Kind::HorizontalBars,
            names(&["ada", "grace", "edsger"]),
            Unit::Bytes,
        )
    };
    insta::assert_snapshot!(check(&chart, Style::Themed), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart" id="ID" role="img" aria-labelledby="ID-title" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">chart</title>
    <text class="name" x="47.4" y="62.7" text-anchor="end">ada</text>
    <text class="name" x="47.4" y="108" text-anchor="end">grace</text>
    <text class="name" x="47.4" y="153.3" text-anchor="end">edsger</text>
    <g class="series s1" data-series="0" data-name="home">
    <rect class="gap" x="55.4" y="139.3" width="212.7" height="20" fill="url(#ID-gap)">
    <title>not known: edsger</title>
    </rect>
    <path class="bar" stroke-width="20" d="M55.4 58.7h212.7M55.4 104h53.2"/>
    <text class="value" x="273.1" y="62.7">2.0 KiB</text>
    <text class="value" x="113.6" y="108">512 B</text>
    </g>
    <path class="axis" d="M55 36V172"/>
    <g class="legend">
    <g class="note">
    <rect x="4" y="8.5" width="11" height="11" rx="2" fill="url(#ID-gap)"/>
    <text class="name" x="22" y="18">not known</text>
    </g>
    </g>
    <g class="hits" stroke-width="45.5">
    <path d="M0 58.7h320" data-label="ada" data-values="2.0 KiB"/>
    <path d="M0 104h320" data-label="grace" data-values="512 B"/>
    <path d="M0 149.3h320" data-label="edsger" data-values="not known"/>
    </g>
    </svg>
    "#);
}

#[test]
fn a_heatmap() {
    let chart = Chart {
        series: vec![
            series("Monday", [Some(0.0), Some(7.0)]),
            series("Tuesday", [None, Some(3.0)]),
        ],
        ..Chart::new(Kind::Heatmap, names(&["10:00", "11:00"]), Unit::Count)
    };
    insta::assert_snapshot!(check(&chart, Style::Themed), @r#"
    <svg xmlns="http://www.w3.org/2000/svg" class="chart" id="ID" role="img" aria-labelledby="ID-title" viewBox="0 0 320 180" width="320" height="180">
    <title id="ID-title">chart</title>
    <g class="series" data-series="0" data-name="Monday">
    <rect class="cell h0" x="60.4" y="38" width="126.8" height="57" data-label="10:00" data-values="0"/>
    <rect class="cell h7" x="188.2" y="38" width="126.8" height="57" data-label="11:00" data-values="7"/>
    </g>
    <g class="series" data-series="1" data-name="Tuesday">
    <rect class="gap" x="60.4" y="96" width="126.8" height="57" fill="url(#ID-gap)">
    <title>not known: Tuesday, 10:00</title>
    </rect>
    <rect class="cell h3" x="188.2" y="96" width="126.8" height="57" data-label="11:00" data-values="3"/>
    </g>
    <text class="tick" x="52.4" y="71" text-anchor="end">Monday</text>
    <text class="tick" x="52.4" y="129" text-anchor="end">Tuesday</text>
    <g class="names">
    <text class="tick" x="124.3" y="170" text-anchor="middle">10:00</text>
    <text class="tick" x="252.1" y="170" text-anchor="middle">11:00</text>
    </g>
    <g class="legend">
    <text class="name" x="4" y="18">0</text>
    <rect class="h0" x="19.3" y="8" width="16" height="12"/>
    <rect class="h1" x="35.3" y="8" width="16" height="12"/>
    <rect class="h2" x="51.3" y="8" width="16" height="12"/>
    <rect class="h3" x="67.3" y="8" width="16" height="12"/>
    <rect class="h4" x="83.3" y="8" width="16" height="12"/>
    <rect class="h5" x="99.3" y="8" width="16" height="12"/>
    <rect class="h6" x="115.3" y="8" width="16" height="12"/>
    <rect class="h7" x="131.3" y="8" width="16" height="12"/>
    <text class="name" x="155.3" y="18">7</text>
    <rect class="note" x="182.6" y="8.5" width="11" height="11" fill="url(#ID-gap)">
    <title>not known</title>
    </rect>
    <text class="name" x="200.6" y="18">not known</text>
    </g>
    </svg>
    "#);
}
