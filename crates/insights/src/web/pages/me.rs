//! *Me*: what somebody used, and what is kept about them.

use super::asked::AskedPeriod;
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{PartSpec, no_history, part, part_box};
use super::view::{
    Badge, Bar, Erasure, Fact, Kept, LastSession, MePage, Number, PartBox, Shape, Tone, Width,
};
use crate::chart::Unit;
use crate::me::{self, SessionUse};
use crate::poll::clock::now;
use crate::web::Site;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use std::time::Instant;
use store::StoreError;

static PARTS: &[PartSpec] = &[
    part("sessions", "My sessions", Look::Table, Width::Whole),
    part(
        "concurrency",
        "My servers at once",
        Look::Chart,
        Width::Half,
    ),
    part("session-lengths", "My hours", Look::Both, Width::Half),
    part(
        "usage-by-day",
        "My resources by day",
        Look::Chart,
        Width::Half,
    ),
    part("home-storage", "My home", Look::Chart, Width::Half),
];

/// `GET me`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut asked = match AskedPeriod::of(&site, &query.unwrap_or_default()).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    asked.request.user = Some(visitor.viewer.user.to_string());
    asked.request.group = None;
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "me",
    };
    let prefix = &site.config.web.prefix;
    let mut notices = Vec::new();
    let mut last = None;
    match last_session(&site, &visitor).await {
        Some(Ok(found)) => last = found,
        Some(Err(())) => notices.push(super::view::Notice::new(
            Tone::Warning,
            "Your last session could not be read now; try again in a minute.",
        )),
        None => notices.push(no_history()),
    }
    let has_history = site.answers.is_some();
    let parts = PARTS.iter().map(|part| part_box(part, &asked, prefix));
    let share = my_share(&asked, prefix);
    let parts = parts.chain(std::iter::once(share));
    let page = MePage {
        layout: frame.layout("Me", "What you used, and what is kept about you."),
        notices,
        last,
        nothing: "You had no server yet: start one at the hub, and it is told of here when it has \
                  ended."
            .to_owned(),
        picker: asked.picker(
            super::view::Address::below(prefix, "me"),
            Vec::new(),
            Vec::new(),
        ),
        parts: if has_history {
            parts.collect()
        } else {
            Vec::new()
        },
        kept: kept(&site),
        download_href: format!("{prefix}api/v1/me/data"),
        erasure: erasure(&site, &visitor).await,
    };
    html(StatusCode::OK, &page)
}

fn my_share(asked: &AskedPeriod, prefix: &str) -> PartBox {
    let period = super::view::Address::below(prefix, "me/share")
        .with("from", asked.request.from.as_deref().unwrap_or_default())
        .with("to", asked.request.to.as_deref().unwrap_or_default());
    PartBox {
        title: "My share of my groups".to_owned(),
        url: period.to_string(),
        report_href: period.to_string(),
        width: Width::Whole,
        shape: Shape::Table,
    }
}

/// The last session; `None` where no history is kept, an error where it could not be read.
async fn last_session(site: &Site, visitor: &Visitor) -> Option<Result<Option<LastSession>, ()>> {
    let asker = site.asker.as_deref()?;
    let zone = site.config.hub.time_zone();
    let sources = me::Sources {
        hub: &site.config.hub.name,
        zone: &zone,
        asker,
        usage: &site.usage,
        published: &site.published,
        now: now(),
    };
    match me::last_session(&sources, &visitor.viewer.user).await {
        Ok(None) => Some(Ok(None)),
        Ok(Some(found)) => {
            let at = found.as_of;
            let session = found.last_session.as_ref().or(found.running.first());
            let told = session.map(|session| of_session(session, found.home.as_ref(), at));
            Some(Ok(told))
        }
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!("A last session could not be read: {cause:#}");
            Some(Err(()))
        }
    }
}

fn of_session(session: &SessionUse, home: Option<&me::Home>, at: Timestamp) -> LastSession {
    LastSession {
        server: session.server.clone(),
        state: match (&session.end_reason, session.is_running) {
            (_, true) => Badge::new(Tone::Good, "running"),
            (Some(reason), false) if reason == "stopped" => Badge::new(Tone::Plain, "stopped"),
            (Some(reason), false) => Badge::new(Tone::Warning, reason.clone()),
            (None, false) => Badge::new(Tone::Plain, "ended"),
        },
        started: session.started,
        ended: session.ended,
        facts: facts(session, home, at),
    }
}

fn facts(session: &SessionUse, home: Option<&me::Home>, at: Timestamp) -> Vec<Fact> {
    let measured = match &session.measured {
        Some(measured) => match &measured.source {
            Some(source) => format!("what {source} measured while it ran"),
            None => "what was measured while it ran".to_owned(),
        },
        None => "nobody measured it".to_owned(),
    };
    let fact = |name: &str, value: Option<f64>, unit: Unit, definition: &str, source: &str| Fact {
        name: name.to_owned(),
        number: Number {
            text: value.map_or("–".to_owned(), |value| unit.format(value)),
            unit: String::new(),
            definition: definition.to_owned(),
            source: source.to_owned(),
            at: Some(at),
        },
        bar: None,
    };
    let of_hub = "the hub, and its events";
    #[expect(clippy::cast_precision_loss, reason = "seconds of one session")]
    let active = session.active_seconds.map(|seconds| seconds as f64);
    let limit = session
        .memory_limit_bytes
        .or(session.memory_requested_bytes);
    let share = session
        .memory_peak_bytes
        .zip(limit.filter(|limit| *limit > 0.0));
    let memory = fact(
        "memory at most",
        session.memory_peak_bytes,
        Unit::Bytes,
        "The most memory that the server had at a moment, beside what it could have.",
        &measured,
    );
    vec![
        fact(
            "length",
            Some(session.hours * 3600.0),
            Unit::Seconds,
            "From its start to its end, or to now.",
            of_hub,
        ),
        fact(
            "active",
            active,
            Unit::Seconds,
            "Time with activity: each sign of it counts the time since the one before, at most ten minutes.",
            of_hub,
        ),
        fact(
            "CPU time",
            session.cpu_core_seconds,
            Unit::Seconds,
            "Time that processor cores worked for it; two cores at work for a second are two seconds.",
            &measured,
        ),
        Fact {
            bar: share.map(|(peak, limit)| Bar::of_limit(peak / limit)),
            ..with_limit(memory, limit)
        },
        fact(
            "home",
            home.map(|home| home.bytes),
            Unit::Bytes,
            "The size of your home directory when it was last looked at.",
            "the last look at homes",
        ),
    ]
}

fn with_limit(fact: Fact, limit: Option<f64>) -> Fact {
    let Some(limit) = limit else {
        return fact;
    };
    let text = format!("{} of {}", fact.number.text, Unit::Bytes.format(limit));
    let number = Number {
        text,
        ..fact.number
    };
    Fact { number, ..fact }
}

/// What is kept about a person, as the configuration says it.
fn kept(site: &Site) -> Vec<Kept> {
    let retention = &site.config.retention;
    let kept = |what: &str, purpose: &str, days: u64| Kept {
        what: what.to_owned(),
        purpose: purpose.to_owned(),
        how_long: match days {
            0 => "until you are erased".to_owned(),
            1 => "a day".to_owned(),
            days => format!("{days} days"),
        },
        how_much: String::new(),
    };
    vec![
        kept(
            "Sessions",
            "When which of your servers ran, and how it ended.",
            0,
        ),
        kept(
            "Usage",
            "What your servers used, by the hour, and the sums of each day.",
            0,
        ),
        kept(
            "Storage",
            "How large your home directory is, by the day.",
            0,
        ),
        kept("Groups", "When you were in which group.", 0),
        kept(
            "Events",
            "Logins, starts and stops, and what else the hub tells of you.",
            retention.events_days,
        ),
        kept(
            "Addresses",
            "From which network address you logged in, as a part of the event.",
            retention.addresses_days,
        ),
        kept(
            "Looks",
            "Which administrator looked at your page, and when.",
            0,
        ),
    ]
}

async fn erasure(site: &Site, visitor: &Visitor) -> Erasure {
    let action = format!("{}me/erasure", site.config.web.prefix);
    let Some(asker) = site.asker.as_deref() else {
        return Erasure::MayAsk { action };
    };
    let requests = asker.store().erasure_requests(&site.config.hub.name).await;
    let requests = requests.unwrap_or_else(|error| {
        let cause = anyhow::Error::from(error);
        tracing::error!("Requests for erasure could not be read: {cause:#}");
        Vec::new()
    });
    let theirs = requests
        .iter()
        .find(|request| request.user == visitor.viewer.user);
    match theirs {
        Some(request) => Erasure::Asked {
            at: request.asked_at,
            action: format!("{action}/withdraw"),
        },
        None => Erasure::MayAsk { action },
    }
}

/// `POST me/erasure`
pub(in crate::web) async fn ask_for_erasure(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let target = format!("{}me", site.config.web.prefix);
    if !visitor.is_fresh(Instant::now()) {
        return message::log_in_anew(&site, &visitor, &target);
    }
    let Some(asker) = site.asker.as_deref() else {
        return Redirect::to(&target).into_response();
    };
    let (hub, user) = (&site.config.hub.name, &visitor.viewer.user);
    let kept = asker.store().request_erasure(hub, user, now()).await;
    noted(&site, &visitor, kept.map(drop))
}

/// `POST me/erasure/withdraw`
pub(in crate::web) async fn withdraw_erasure(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let Some(asker) = site.asker.as_deref() else {
        return Redirect::to(&site.config.web.prefix).into_response();
    };
    let (hub, user) = (&site.config.hub.name, &visitor.viewer.user);
    let withdrawn = asker.store().withdraw_erasure(hub, user).await;
    noted(&site, &visitor, withdrawn.map(drop))
}

fn noted(site: &Site, visitor: &Visitor, outcome: Result<(), StoreError>) -> Response {
    match outcome {
        Ok(()) => Redirect::to(&format!("{}me", site.config.web.prefix)).into_response(),
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!("A request for erasure could not be kept: {cause:#}");
            message::to(
                site,
                visitor,
                StatusCode::SERVICE_UNAVAILABLE,
                "Your request was not kept",
                "Try again in a minute, or tell an administrator of the hub.",
            )
        }
    }
}
