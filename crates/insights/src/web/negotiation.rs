//! What a client's `Accept` and `Accept-Encoding` ask for.

use crate::metrics::exposition::{Dialect, Encoding};
use axum::http::{HeaderMap, header};
use mediatype::{MediaTypeList, ReadParams, names};

/// What is served where both pages and metrics are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A browser.
    Page,
    /// A scraper, or somebody with curl.
    Metrics,
}

/// A browser names `text/html`; scrapers never do.
pub(super) fn page_or_metrics(headers: &HeaderMap) -> Wanted {
    let html = quality(headers, |kind, subtype| kind == "text" && subtype == "html");
    let metrics = quality(headers, |kind, subtype| {
        (kind == "text" && subtype == "plain") || subtype == "openmetrics-text"
    });
    if html > metrics {
        Wanted::Page
    } else {
        Wanted::Metrics
    }
}

/// The format that the client likes best; text 0.0.4 if it does not say.
pub(super) fn dialect(headers: &HeaderMap) -> Dialect {
    let open_metrics = quality(headers, |_, subtype| subtype == "openmetrics-text");
    let text = quality(headers, |kind, subtype| {
        kind == "text" && subtype == "plain"
    });
    if open_metrics > 0.0 && open_metrics >= text {
        Dialect::OpenMetrics
    } else {
        Dialect::Text
    }
}

/// gzip where the client takes it.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let takes_gzip = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|item| {
                let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
                let weight = parameters
                    .trim()
                    .strip_prefix("q=")
                    .map_or(Ok(1.0), str::parse::<f32>);
                name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
            })
        });
    if takes_gzip {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// The largest weight of a media type that fits; 0 if none does.
pub(super) fn quality(headers: &HeaderMap, fits: impl Fn(&str, &str) -> bool) -> f32 {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(MediaTypeList::new)
        .filter_map(Result::ok)
        .filter(|media| {
            let kind = media.ty.as_str().to_ascii_lowercase();
            fits(&kind, &media.subty.as_str().to_ascii_lowercase())
        })
        .map(|media| {
            media
                .get_param(names::Q)
                .map_or(1.0, |q| q.as_str().parse().unwrap_or(0.0))
        })
        .fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))])
    }

    /// As Prometheus 2.42 sends it.
    const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    /// As Chromium sends it.
    const BROWSER: &str =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

    #[test]
    fn prometheus_gets_open_metrics_and_everybody_else_text() {
        assert_eq!(dialect(&accept(PROMETHEUS)), Dialect::OpenMetrics);
        assert_eq!(dialect(&accept("*/*")), Dialect::Text);
        assert_eq!(dialect(&accept("text/plain;version=0.0.4")), Dialect::Text);
        let refused = "application/openmetrics-text;q=0,text/plain";
        assert_eq!(dialect(&accept(refused)), Dialect::Text);
        assert_eq!(dialect(&HeaderMap::new()), Dialect::Text);
    }

    #[test]
    fn a_browser_gets_a_page() {
        assert_eq!(page_or_metrics(&accept(BROWSER)), Wanted::Page);
        assert_eq!(page_or_metrics(&accept(PROMETHEUS)), Wanted::Metrics);
        assert_eq!(page_or_metrics(&accept("*/*")), Wanted::Metrics);
        assert_eq!(page_or_metrics(&HeaderMap::new()), Wanted::Metrics);
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let check = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            encoding(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        assert_eq!(check("gzip"), Encoding::Gzip);
        assert_eq!(check("deflate, GZIP;q=0.5"), Encoding::Gzip);
        assert_eq!(check("gzip;q=0, br"), Encoding::Identity);
        assert_eq!(check("br"), Encoding::Identity);
    }
}
