//! A session as its person sees it: how long it was, and what it used.

use super::Sources;
use crate::usage::Metered;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use model::session::EndReason;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::ServerSession;

/// A person's last session, and what runs of theirs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LastSession {
    /// When this was so.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// The session that ended last; null if none is known.
    pub last_session: Option<SessionUse>,
    /// Servers that run now.
    pub running: Vec<SessionUse>,
    /// Their home; null if nobody looks at homes.
    pub home: Option<Home>,
}

/// One session and what it used. Null is unknown, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SessionUse {
    /// Name of the server; empty is the default server.
    pub server: String,
    /// When the hub started it.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When it ended, or the last moment it surely ran if nobody saw the end; null while it runs.
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
    /// Whether it runs now.
    pub is_running: bool,
    /// `stopped`, `crashed or evicted`, `hub restart` or `unobserved`; null while it runs.
    pub end_reason: Option<String>,
    /// How long it was, or is until now.
    pub hours: f64,
    /// Seconds with activity; null if only start and stop are known.
    pub active_seconds: Option<u64>,
    /// CPU used.
    pub cpu_core_seconds: Option<f64>,
    /// Most memory at a moment.
    pub memory_peak_bytes: Option<f64>,
    /// Memory that it could not have more of; null also if nothing limited it.
    pub memory_limit_bytes: Option<f64>,
    /// Memory that was asked for.
    pub memory_requested_bytes: Option<f64>,
    /// GPUs that were asked for.
    pub gpus_requested: Option<f64>,
    /// GPU time at work.
    pub gpu_used_seconds: Option<f64>,
    /// Container image, if the hub tells it.
    pub image: Option<String>,
    /// Of what time the use is; null if nothing is known of it.
    pub measured: Option<Measured>,
}

/// Of what time it is known what a session used.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// How.
    pub by: MeasuredBy,
    /// From when on.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Seconds of it in which it was measured.
    pub seconds: f64,
    /// Where it is read: `prometheus`, `local`, `simulated`; null if that is not known any more.
    pub source: Option<String>,
}

/// How a session's use is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeasuredBy {
    /// By looks at this very server.
    Looks,
    /// By the hours in which it ran, whole ones: other sessions of the server in its first and last
    /// hour are in it.
    Hours,
}

/// How large a home is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Home {
    /// Bytes on the disk.
    pub bytes: f64,
    /// The day on which it was looked at.
    #[schemars(with = "String")]
    pub day: Date,
}

/// A look so soon after the start of a server has seen all of it, but for very little.
const AT_ITS_START: SignedDuration = SignedDuration::from_mins(5);

impl SessionUse {
    pub(super) fn is_measured_from_its_start(&self) -> bool {
        let measured = self.measured.as_ref();
        measured.is_some_and(|it| it.from.duration_since(self.started) < AT_ITS_START)
    }

    /// Of what looks saw of a server that ran before this service looked, and what its hours add up to,
    /// whatever was measured for longer.
    pub(super) fn told_by_more(looks: Option<Self>, hours: Self) -> Self {
        let seconds = |of: &Self| of.measured.as_ref().map_or(0.0, |it| it.seconds);
        match looks {
            Some(looks) if seconds(&looks) >= seconds(&hours) => looks,
            Some(looks) => Self {
                memory_limit_bytes: looks.memory_limit_bytes,
                memory_requested_bytes: looks.memory_requested_bytes,
                gpus_requested: looks.gpus_requested,
                ..hours
            },
            None => hours,
        }
    }
}

/// A session without what it used.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) server: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    end_reason: Option<String>,
    active_seconds: Option<u64>,
    image: Option<String>,
}

impl Run {
    pub(super) fn of(ServerSession { server, session }: ServerSession) -> Self {
        Self {
            server: server.to_string(),
            started: session.started,
            ended: session.end.map(|end| end.at),
            end_reason: session
                .end
                .map(|end| EndReason::as_str(end.reason).to_owned()),
            active_seconds: session.active_seconds,
            image: session.image.map(|image| image.to_string()),
        }
    }

    /// A row of `sessions`.
    pub(super) fn of_row(row: &Map<String, Json>) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Json::as_str);
        Some(Self {
            server: text("server")?.to_owned(),
            started: text("started")?.parse().ok()?,
            ended: Some(text("ended")?.parse().ok()?),
            end_reason: text("end_reason").map(str::to_owned),
            active_seconds: row.get("active_seconds").and_then(Json::as_u64),
            image: text("image").map(str::to_owned),
        })
    }

    /// With what looks saw of it.
    pub(super) fn told(self, metered: Option<&Metered>, sources: &Sources<'_>) -> SessionUse {
        let ended = self.ended;
        let bare = self.bare(sources.now);
        let Some(metered) = metered else {
            return bare;
        };
        // The look after its end has seen the last of it.
        let late = ended.map(|ended| metered.until.duration_since(ended).as_secs_f64());
        let seconds = metered.measured_seconds() - late.unwrap_or(0.0).max(0.0);
        SessionUse {
            cpu_core_seconds: metered.cpu_core_seconds,
            memory_peak_bytes: metered.memory_peak_bytes,
            memory_limit_bytes: metered.memory_limit_bytes,
            memory_requested_bytes: metered.memory_requested_bytes,
            gpus_requested: metered.gpus_requested,
            gpu_used_seconds: metered.gpu_used_seconds,
            measured: Some(Measured {
                by: MeasuredBy::Looks,
                from: metered.from,
                until: metered.until.min(ended.unwrap_or(metered.until)),
                seconds: seconds.max(0.0),
                source: sources.usage.condition().map(|it| it.source.to_owned()),
            }),
            ..bare
        }
    }

    /// With what the rows of its hours add up to.
    pub(super) fn told_by_hours(
        self,
        row: Option<&Map<String, Json>>,
        sources: &Sources<'_>,
    ) -> SessionUse {
        let bare = self.bare(sources.now);
        let number = |name: &str| row?.get(name)?.as_f64();
        let time = |name: &str| row?.get(name)?.as_str()?.parse::<Timestamp>().ok();
        let until = time("last").map(|last| model::days::hour_end(last, sources.zone));
        let measured = time("first").zip(until).map(|(from, until)| Measured {
            by: MeasuredBy::Hours,
            from,
            until,
            seconds: until.duration_since(from).as_secs_f64(),
            source: None,
        });
        SessionUse {
            cpu_core_seconds: number("cpu_core_seconds"),
            memory_peak_bytes: number("memory_peak_bytes"),
            gpu_used_seconds: number("gpu_used_seconds"),
            measured,
            ..bare
        }
    }

    fn bare(self, now: Timestamp) -> SessionUse {
        let until = self.ended.unwrap_or(now);
        SessionUse {
            hours: until.duration_since(self.started).as_secs_f64().max(0.0) / 3600.0,
            is_running: self.ended.is_none(),
            server: self.server,
            started: self.started,
            ended: self.ended,
            end_reason: self.end_reason,
            active_seconds: self.active_seconds,
            image: self.image,
            cpu_core_seconds: None,
            memory_peak_bytes: None,
            memory_limit_bytes: None,
            memory_requested_bytes: None,
            gpus_requested: None,
            gpu_used_seconds: None,
            measured: None,
        }
    }
}
