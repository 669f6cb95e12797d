//! Colours, dashes and textures. They are defined in `chart.css` alone; a chart that stands alone
//! gets the light ones written out, since mail programs and converters know no variables.

use super::markup::Svg;
use std::fmt::Write;
use std::sync::LazyLock;

/// The style sheet of pages.
pub(super) const CSS: &str = include_str!("chart.css");
/// How many series have colours of their own.
pub(super) const N_COLOURS: usize = 8;
/// How many shades a heatmap has, the faintest for the lowest value.
pub(super) const N_SHADES: usize = 8;

/// The class with the colour of a series; from the ninth on they come again.
pub(super) fn class(series: usize) -> String {
    format!("s{}", series % N_COLOURS + 1)
}

/// Lines of a tile of 8 x 8, by colour, that tell bars apart in grey.
const TEXTURES: [&str; N_COLOURS] = [
    "",
    "M-2 2l4-4M0 8l8-8M6 10l4-4",
    "M0 4h8",
    "M-2 6l4 4M0 0l8 8M6-2l4 4",
    "M1 2h2M5 6h2",
    "M4 0v8",
    "M0 4h8M4 0v8",
    "M0 8l8-8M0 0l8 8",
];

/// The id of a texture in a chart.
pub(super) fn texture_id(chart: &str, series: usize) -> String {
    format!("{chart}-t{}", series % N_COLOURS + 1)
}

/// Defines the textures of so many series.
pub(super) fn define_textures(svg: &mut Svg, chart: &str, n_series: usize) {
    for (series, lines) in TEXTURES.iter().enumerate().take(n_series) {
        let pattern = svg.start("pattern").set("id", texture_id(chart, series));
        let pattern = pattern.set("class", class(series));
        let pattern = pattern.set("width", 8).set("height", 8);
        pattern.set("patternUnits", "userSpaceOnUse").inside();
        let ground = svg.start("rect").set("class", "swatch");
        ground.set("width", 8).set("height", 8).alone();
        if !lines.is_empty() {
            svg.start("path")
                .set("class", "texture")
                .set("d", lines)
                .alone();
        }
        svg.end();
    }
}

/// Rules for a chart that stands alone.
pub(super) static STATIC_CSS: LazyLock<String> = LazyLock::new(|| {
    let rules = between("/* rules */", "/* the page */");
    let dashes = between("/* without colour */", "/* and no more */");
    let mut text = String::new();
    for line in rules.lines().chain(dashes.lines()).map(str::trim) {
        // Other charts of the page it may be pasted into keep their looks.
        let line = line.replace(".chart", ".chart-static");
        // Writing to a string does not fail.
        let _ = write!(text, "{}", without_variables(&line));
    }
    text
});

fn between(start: &str, end: &str) -> &'static str {
    let rest = CSS.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(part, _)| part)
}

/// The light values instead of the variables.
fn without_variables(rule: &str) -> String {
    let mut parts = rule.split("var(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(')').unwrap_or((part, ""));
        text.push_str(light(name));
        text.push_str(rest);
    }
    text
}

/// The value of a variable in the first block.
fn light(name: &str) -> &'static str {
    let values = CSS.split_once(&format!("{name}: "));
    let value = values.and_then(|(_, rest)| rest.split_once(';'));
    value.map_or("", |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHT: &str = "#ffffff";
    const DARK: &str = "#14161a";

    /// Red, green and blue by the amount of light.
    fn linear(colour: &str) -> [f64; 3] {
        let part = |i: usize| {
            let byte = u8::from_str_radix(&colour[i..i + 2], 16).unwrap();
            let part = f64::from(byte) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        [part(1), part(3), part(5)]
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour| {
            let [red, green, blue] = linear(colour);
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let ratio = luminance(one) / luminance(other);
        ratio.max(1.0 / ratio)
    }

    fn times(matrix: [[f64; 3]; 3], [a, b, c]: [f64; 3]) -> [f64; 3] {
        matrix.map(|[x, y, z]| x * a + y * b + z * c)
    }

    /// In Oklab, where the distance is how different colours look.
    fn looks([red, green, blue]: [f64; 3]) -> [f64; 3] {
        let cones = [
            [0.412_221, 0.536_333, 0.051_446],
            [0.211_903, 0.680_700, 0.107_397],
            [0.088_302, 0.281_719, 0.629_979],
        ];
        let seen = times(cones, [red, green, blue]).map(f64::cbrt);
        let axes = [
            [0.210_454, 0.793_618, -0.004_072],
            [1.977_998, -2.428_592, 0.450_594],
            [0.025_904, 0.782_772, -0.808_676],
        ];
        times(axes, seen)
    }

    /// What people without red, green or blue cones see (Machado and others, 2009).
    const BLIND: [[[f64; 3]; 3]; 3] = [
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ];

    fn difference(one: &str, other: &str) -> f64 {
        let seen = |matrix: [[f64; 3]; 3]| {
            let eye =
                |colour| looks(times(matrix, linear(colour)).map(|part| part.clamp(0.0, 1.0)));
            let (one, other) = (eye(one), eye(other));
            let squares = one.iter().zip(other).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        BLIND.map(seen).into_iter().fold(f64::INFINITY, f64::min)
    }

    fn colours() -> Vec<&'static str> {
        (1..=N_COLOURS)
            .map(|i| light(&format!("--chart-{i}")))
            .collect()
    }

    #[test]
    fn every_colour_is_seen_on_both_grounds() {
        for colour in colours() {
            for ground in [LIGHT, DARK] {
                let contrast = contrast(colour, ground);
                assert!(contrast >= 3.0, "{colour} on {ground}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn colours_stay_apart_for_the_colour_blind() {
        let colours = colours();
        for (i, one) in colours.iter().enumerate() {
            for other in &colours[..i] {
                let difference = difference(one, other);
                assert!(difference > 0.06, "{one} and {other}: {difference:.3}");
            }
        }
    }

    #[test]
    fn text_can_be_read_on_its_ground() {
        for part in ["--chart-text", "--chart-muted"] {
            for (block, ground) in [(":root,", LIGHT), ("[data-theme=\"dark\"]", DARK)] {
                let from = CSS.split_once(block).unwrap().1;
                let value = from.split_once(&format!("{part}: ")).unwrap().1;
                let contrast = contrast(&value[..7], ground);
                assert!(contrast >= 4.5, "{part} on {ground}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn shades_only_get_darker_in_the_light_and_lighter_in_the_dark() {
        for block in [
            ":root,",
            ":root:not([data-theme])",
            "[data-theme=\"dark\"] {",
        ] {
            let from = CSS.split_once(block).unwrap().1;
            let shades = (0..N_SHADES).map(|i| {
                let value = from.split_once(&format!("--chart-heat-{i}: ")).unwrap().1;
                contrast(&value[..7], if block == ":root," { LIGHT } else { DARK })
            });
            let shades: Vec<_> = shades.collect();
            assert!(
                shades.windows(2).all(|pair| pair[0] * 1.1 < pair[1]),
                "{shades:?}"
            );
        }
    }

    #[test]
    fn dark_is_the_same_by_the_system_and_by_choice() {
        let block = |start: &str| {
            let rest = CSS.split_once(start).unwrap().1;
            let (block, _) = rest.split_once('}').unwrap();
            block.split_whitespace().collect::<String>()
        };
        assert_eq!(
            block(":root:not([data-theme]) {"),
            block("[data-theme=\"dark\"] {")
        );
    }

    #[test]
    fn a_chart_alone_needs_no_variables_and_touches_no_other() {
        assert!(STATIC_CSS.contains(".chart-static .s1 { color: #3b8fe0; }"));
        assert!(STATIC_CSS.contains(".chart-static .s2 .line { stroke-dasharray: 7 4; }"));
        assert!(!STATIC_CSS.contains("var("));
        for rule in STATIC_CSS.split('}').filter(|rule| !rule.is_empty()) {
            let (selectors, _) = rule.split_once('{').unwrap();
            let is_own = |selector: &str| selector.trim().starts_with(".chart-static");
            assert!(selectors.split(',').all(is_own), "{rule}");
        }
    }
}
