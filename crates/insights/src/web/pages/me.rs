//! *Me*: what somebody used, and what is kept about them.

use super::asked::{AskedPeriod, Hubs};
use super::frame::{Frame, html};
use super::message;
use super::numbers::{Given, used};
use super::part::Look;
use super::shells::{PartSpec, newest_sessions, no_history, part, part_box};
use super::view::{
    Badge, Erasure, Fact, Kept, Link, MePage, Nothing, Number, PartBox, SessionBox, Shape, Tone,
    Used, Width,
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
use model::snapshot::Server;
use model::usage::Amounts;
use std::fmt::Write as _;
use std::time::Instant;
use store::StoreError;

static PARTS: &[PartSpec] = &[
    newest_sessions("My sessions"),
    part(
        "usage-by-day",
        "My resources by day",
        Look::Chart,
        Width::Whole,
    ),
    part("home-storage", "My home", Look::Chart, Width::Half),
    part("session-lengths", "My hours", Look::Both, Width::Half),
    part(
        "concurrency",
        "My servers at once",
        Look::Chart,
        Width::Whole,
    ),
];

/// `GET me`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let mut asked = match AskedPeriod::of(&site, &visitor, &query, Hubs::Ours).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    asked.request.hub = Some(site.config.hub.name.clone());
    asked.request.user = Some(visitor.viewer.user.to_string());
    asked.request.group = None;
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "me",
    };
    let prefix = &site.config.web.prefix;
    let mut notices = Vec::new();
    let mut known = None;
    match sessions(&site, &visitor).await {
        Some(Ok(found)) => known = found,
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
        running: running(&site, &visitor, known.as_ref()),
        last: known.as_ref().and_then(last),
        nothing: no_server(&site),
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

/// Their sessions; `None` where no history is kept, an error where they could not be read.
async fn sessions(site: &Site, visitor: &Visitor) -> Option<Result<Option<me::LastSession>, ()>> {
    let found = site.last_session(&visitor.viewer.user).await?;
    Some(found.map_err(|error| {
        let cause = anyhow::Error::from(error);
        tracing::error!("A last session could not be read: {cause:#}");
    }))
}

/// The session that ended last.
fn last(known: &me::LastSession) -> Option<SessionBox> {
    let session = known.last_session.as_ref()?;
    Some(of_session(session, known.home.as_ref(), known.as_of))
}

/// Servers of theirs that the hub lists now, with what they use at this moment.
fn running(site: &Site, visitor: &Visitor, known: Option<&me::LastSession>) -> Vec<SessionBox> {
    let snapshot = site.published.snapshot();
    let usage = site.published.usage_now();
    let user = &visitor.viewer.user;
    let servers = snapshot.servers.iter().flat_map(|servers| &*servers.value);
    let theirs = servers.filter(|server| server.user == *user);
    let boxes = theirs.map(|server| {
        let amounts = usage
            .as_ref()
            .and_then(|usage| usage.server(user, &server.name).copied());
        let present = Present {
            server,
            amounts: amounts.unwrap_or_default(),
            read: snapshot.servers.as_ref().map(|servers| servers.at),
            measured: site.usage.condition().and_then(|usage| usage.last_complete),
        };
        let mut sessions = known.iter().flat_map(|known| &known.running);
        let session = sessions.find(|session| *session.server == *server.name);
        present.told(session)
    });
    boxes.collect()
}

/// What somebody reads who had no server yet.
fn no_server(site: &Site) -> Nothing {
    let home = site.login.as_ref();
    Nothing {
        text: "You had no server yet: start one at the hub. It stands here as soon as it runs, and is \
               summed up when it has ended."
            .to_owned(),
        next: home.map(|hub| Link::new("Start a server", format!("{}home", hub.hub()))),
    }
}

/// A server that runs now.
struct Present<'a> {
    server: &'a Server,
    amounts: Amounts,
    /// When the hub said so.
    read: Option<Timestamp>,
    /// When it was last measured.
    measured: Option<Timestamp>,
}

impl Present<'_> {
    /// As it is shown, with what is known of the session so far.
    fn told(&self, session: Option<&SessionUse>) -> SessionBox {
        let seconds = self
            .server
            .started
            .map(|started| now().duration_since(started).as_secs_f64());
        let length = fact(
            "runs for",
            used(seconds, Given::Unknown, &Unit::Seconds),
            "From its start to now.",
            self.of_hub(),
        );
        SessionBox {
            server: self.server.name.to_string(),
            state: super::now::state(self.server),
            started: self.server.started,
            ended: None,
            facts: std::iter::once(length)
                .chain(self.used_now())
                .chain(self.so_far(session))
                .collect(),
        }
    }

    /// What it uses at this moment, beside what it may use.
    fn used_now(&self) -> [Fact; 2] {
        let amounts = &self.amounts;
        let memory = Given::of(amounts.memory_limit_bytes, amounts.memory_requested_bytes);
        let cpu = Given::of(None, amounts.cpu_requested_cores);
        [
            fact(
                "memory now",
                used(amounts.memory_bytes, memory, &Unit::Bytes),
                "Memory in use, of what the server may have if it has a limit: one that wants more is killed.",
                self.of_look(),
            ),
            fact(
                "CPU now",
                used(amounts.cpu_cores, cpu, &Unit::Cores),
                "Processor cores in use over the last minute or so, beside those that were asked for.",
                self.of_look(),
            ),
        ]
    }

    fn so_far(&self, session: Option<&SessionUse>) -> [Fact; 2] {
        let peak = session.and_then(|session| session.memory_peak_bytes);
        let active = session.and_then(|session| session.active_seconds);
        #[expect(clippy::cast_precision_loss, reason = "seconds of one session")]
        let active = active.map(|seconds| seconds as f64);
        [
            fact(
                "memory at most",
                used(peak, Given::Unknown, &Unit::Bytes),
                "The most memory that the server had at a moment so far.",
                self.of_look(),
            ),
            fact(
                "active",
                used(active, Given::Unknown, &Unit::Seconds),
                "Time with activity so far: each sign of it counts the time since the one before, at \
                 most ten minutes.",
                self.of_hub(),
            ),
        ]
    }

    fn of_hub(&self) -> Origin {
        Origin {
            source: "the hub, as it was last read".to_owned(),
            at: self.read,
        }
    }

    fn of_look(&self) -> Origin {
        Origin {
            source: "the last look at what servers use".to_owned(),
            // That nobody measures is known as long as the server is.
            at: self.measured.or(self.read),
        }
    }
}

/// Where a number comes from, and of when it is.
struct Origin {
    source: String,
    at: Option<Timestamp>,
}

fn fact(name: &str, used: Option<Used>, definition: &str, from: Origin) -> Fact {
    let (text, unit, bar) = match used {
        Some(used) => (used.text, used.beside, used.bar),
        None => ("–".to_owned(), String::new(), None),
    };
    Fact {
        name: name.to_owned(),
        number: Number {
            text,
            unit,
            definition: definition.to_owned(),
            source: from.source,
            at: from.at,
        },
        bar,
    }
}

fn of_session(session: &SessionUse, home: Option<&me::Home>, at: Timestamp) -> SessionBox {
    SessionBox {
        server: session.server.clone(),
        state: match (&session.end_reason, session.is_running) {
            (_, true) => Badge::new(Tone::Good, "running"),
            (Some(reason), false) if reason == "stopped" => Badge::new(Tone::Plain, "stopped"),
            (Some(reason), false) => Badge::new(Tone::Warning, reason.clone()),
            (None, false) => Badge::new(Tone::Plain, "ended"),
        },
        started: Some(session.started),
        ended: session.ended,
        facts: facts(session, home, at),
    }
}

fn facts(session: &SessionUse, home: Option<&me::Home>, at: Timestamp) -> Vec<Fact> {
    #[expect(clippy::cast_precision_loss, reason = "seconds of one session")]
    let active = session.active_seconds.map(|seconds| seconds as f64);
    let seconds = |value: Option<f64>| used(value, Given::Unknown, &Unit::Seconds);
    let memory = Given::of(session.memory_limit_bytes, session.memory_requested_bytes);
    // What ended does not change any more.
    let of_hub = || Origin {
        source: "the hub, and its events".to_owned(),
        at: Some(session.ended.unwrap_or(at)),
    };
    vec![
        fact(
            "length",
            seconds(Some(session.hours * 3600.0)),
            "From its start to its end, or to now.",
            of_hub(),
        ),
        fact(
            "active",
            seconds(active),
            "Time with activity: each sign of it counts the time since the one before, at most ten minutes.",
            of_hub(),
        ),
        fact(
            "CPU time",
            seconds(session.cpu_core_seconds),
            "Time that processor cores worked for it; two cores at work for a second are two seconds.",
            measured(session, at),
        ),
        fact(
            "memory at most",
            used(session.memory_peak_bytes, memory, &Unit::Bytes),
            "The most memory that the server had at a moment, beside what it could have or asked for.",
            measured(session, at),
        ),
        fact(
            "home",
            used(home.map(|home| home.bytes), Given::Unknown, &Unit::Bytes),
            "The size of your home directory when it was last looked at.",
            looked_at(home, at),
        ),
    ]
}

/// What was measured for a smaller part of a session does not tell of all of it.
const MOST_OF_IT: f64 = 0.9;

/// Until when a session was measured, and by whom; that nobody did is so at the moment `at`.
fn measured(session: &SessionUse, at: Timestamp) -> Origin {
    let Some(measured) = &session.measured else {
        return Origin {
            source: "nobody measured it".to_owned(),
            at: Some(at),
        };
    };
    let mut source = match &measured.source {
        Some(source) => format!("what {source} measured while it ran"),
        None => "what was measured while it ran".to_owned(),
    };
    if measured.seconds < MOST_OF_IT * session.hours * 3600.0 {
        // Writing to a text does not fail.
        let _ = write!(
            source,
            ", for {} of it",
            Unit::Seconds.format(measured.seconds)
        );
    }
    Origin {
        source,
        at: Some(measured.until),
    }
}

/// Of homes the day is known, which stands beside the source, and no moment: so it is known at the
/// moment `at`.
fn looked_at(home: Option<&me::Home>, at: Timestamp) -> Origin {
    let source = match home {
        Some(home) => format!("the look at homes on {}", home.day),
        None => "nobody looked at it".to_owned(),
    };
    Origin {
        source,
        at: Some(at),
    }
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
            retention.audit_days,
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
