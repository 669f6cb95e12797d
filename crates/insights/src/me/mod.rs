//! What one person may know of what is theirs: their last session, what it used, and their home.
//!
//! Who asks, and whether they may, is the business of `web`.

mod session;

pub use session::{Home, LastSession, Measured, MeasuredBy, SessionUse};

use crate::ask::Asker;
use crate::metrics::Published;
use crate::usage::{Metered, Usage};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use serde_json::{Map, Value as Json};
use session::Run;
use store::tables::usage::ENDED_METERS;
use store::{AskError, Format, ServerSession, Value};

/// Sessions are looked for in the history that ended in so many days, then in more: most people came
/// lately, and all of the history is read for the others only. Not by when they began: one that runs for
/// weeks may end after others that began later.
const WINDOWS_DAYS: [i64; 2] = [7, 90];
/// So old the present may be.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// Sizes of homes are of days, and looked at a few times a day at least.
const HOMES_DAYS: i64 = 8;

/// Where it is read.
pub struct Sources<'a> {
    /// Name of the hub.
    pub hub: &'a str,
    /// The hub's zone.
    pub zone: &'a TimeZone,
    /// The history.
    pub asker: &'a Asker,
    /// The present.
    pub published: &'a Published,
    /// What servers used that run, or ended lately.
    pub usage: &'a Usage,
    /// The time.
    pub now: Timestamp,
}

/// The session of theirs that ended last, and what runs of theirs; `None` if there is neither.
///
/// What ended is known when the hub was seen without it, or told of its end, and before that is
/// derived or moved: within seconds. While a server of theirs runs as far as is known, the hub is
/// read soon, so that its end is not told of later than need be.
pub async fn last_session(
    sources: &Sources<'_>,
    user: &UserName,
) -> Result<Option<LastSession>, AskError> {
    let store = sources.asker.store();
    let at_hand = store
        .sessions_at_hand(sources.hub, user, sources.now)
        .await?;
    let (ended, running): (Vec<_>, Vec<_>) =
        at_hand.into_iter().partition(|it| it.session.end.is_some());
    if !running.is_empty() {
        sources.want_news();
    }
    let last = ended.into_iter().max_by_key(ServerSession::end);
    let last = match last {
        Some(last) => Some(Run::of(last)),
        None => sources.last_of_history(user).await?,
    };
    if last.is_none() && running.is_empty() {
        return Ok(None);
    }
    let kept = sources.kept(user).await?;
    let last_session = match last {
        Some(run) => Some(sources.with_use(user, run, &kept).await?),
        None => None,
    };
    let running = running.into_iter().map(|running| {
        let run = Run::of(running);
        let metered = sources.metered(user, &run, &kept);
        run.told(metered.as_ref(), sources)
    });
    Ok(Some(LastSession {
        as_of: sources.now,
        last_session,
        running: running.collect(),
        home: sources.home(user).await?,
    }))
}

impl Sources<'_> {
    /// Of the sessions that are not at hand any more.
    async fn last_of_history(&self, user: &UserName) -> Result<Option<Run>, AskError> {
        const QUERY: &str = "select server, started, ended, end_reason, active_seconds, image \
                             from sessions where hub = $hub and \"user\" = $user \
                             and ended >= $from order by ended desc limit 1";
        let windows = WINDOWS_DAYS.map(|days| self.before(SignedDuration::from_hours(24 * days)));
        for from in windows.into_iter().chain([Timestamp::UNIX_EPOCH]) {
            let params = [
                ("hub", self.hub_value()),
                ("user", Value::Text(user.to_string())),
                ("from", Value::Time(from)),
            ];
            if let Some(row) = self.first(QUERY, &params).await? {
                return Ok(Run::of_row(&row));
            }
        }
        Ok(None)
    }

    /// What a session used that ended: as it was metered, else by the hours in which it ran.
    async fn with_use(
        &self,
        user: &UserName,
        run: Run,
        kept: &[Metered],
    ) -> Result<SessionUse, AskError> {
        let metered = self.metered(user, &run, kept);
        let metered = metered.map(|metered| run.clone().told(Some(&metered), self));
        match metered {
            Some(metered) if metered.is_measured_from_its_start() => Ok(metered),
            metered => {
                let row = self.hours_of(user, &run).await?;
                let by_hours = run.told_by_hours(row.as_ref(), self);
                Ok(SessionUse::told_by_more(metered, by_hours))
            }
        }
    }

    fn metered(&self, user: &UserName, run: &Run, kept: &[Metered]) -> Option<Metered> {
        let of_run = |metered: &&Metered| metered.is_of(&run.server, run.started);
        let live = self.usage.meters().of(user, &run.server, run.started);
        live.or_else(|| kept.iter().find(of_run).cloned())
    }

    /// Meters of servers that ended longer ago.
    async fn kept(&self, user: &UserName) -> Result<Vec<Metered>, AskError> {
        let store = self.asker.store();
        let source = format!("{ENDED_METERS}{user}");
        let kept = store.position(self.hub, &source).await?;
        Ok(kept.as_deref().map(Metered::read).unwrap_or_default())
    }

    /// Rows of usage of the hours in which it ran. Where servers cannot be told apart, those of all.
    async fn hours_of(
        &self,
        user: &UserName,
        run: &Run,
    ) -> Result<Option<Map<String, Json>>, AskError> {
        const QUERY: &str = "select server is null as together, min(hour) as first, \
                             max(hour) as last, sum(cpu_core_seconds) as cpu_core_seconds, \
                             max(memory_peak_bytes) as memory_peak_bytes, \
                             sum(gpu_used_seconds) as gpu_used_seconds \
                             from usage where hub = $hub and \"user\" = $user \
                             and (server = $server or server is null) \
                             and hour >= $from and hour < $until \
                             group by server is null order by together limit 1";
        let from = model::days::hour_start(run.started, self.zone);
        let params = [
            ("hub", self.hub_value()),
            ("user", Value::Text(user.to_string())),
            ("server", Value::Text(run.server.clone())),
            ("from", Value::Time(from)),
            ("until", Value::Time(run.ended.unwrap_or(self.now))),
        ];
        self.first(QUERY, &params).await
    }

    /// As it was last looked at; until that is done, as it was written down.
    async fn home(&self, user: &UserName) -> Result<Option<Home>, AskError> {
        const QUERY: &str = "select home_bytes, \"day\" from storage where hub = $hub \
                             and \"user\" = $user and \"day\" >= $from order by \"day\" desc limit 1";
        if let Some(home) = self.usage.home_bytes(user) {
            return Ok(Some(Home {
                bytes: home.value,
                day: home.at.to_zoned(self.zone.clone()).date(),
            }));
        }
        let from = self.before(SignedDuration::from_hours(24 * HOMES_DAYS));
        let params = [
            ("hub", self.hub_value()),
            ("user", Value::Text(user.to_string())),
            ("from", Value::Day(from.to_zoned(self.zone.clone()).date())),
        ];
        let row = self.first(QUERY, &params).await?;
        Ok(row.and_then(|row| {
            Some(Home {
                bytes: row.get("home_bytes")?.as_f64()?,
                day: row.get("day")?.as_str()?.parse().ok()?,
            })
        }))
    }

    async fn first(
        &self,
        query: &str,
        params: &[(&str, Value)],
    ) -> Result<Option<Map<String, Json>>, AskError> {
        let mut written = self.asker.ask(query, params, Format::Ndjson).await?;
        let mut text = Vec::new();
        while let Some(piece) = written.next().await? {
            text.extend(piece);
        }
        let line = text.split(|&byte| byte == b'\n').next();
        Ok(line.and_then(|line| serde_json::from_slice(line).ok()))
    }

    fn want_news(&self) {
        let servers = self.published.snapshot().servers;
        let is_fresh = |at: Timestamp| self.now.duration_since(at).abs() < FRESH;
        if !servers.is_some_and(|servers| is_fresh(servers.at)) {
            self.published.want_news();
        }
    }

    fn hub_value(&self) -> Value {
        Value::Text(self.hub.to_owned())
    }

    fn before(&self, span: SignedDuration) -> Timestamp {
        self.now.saturating_sub(span).unwrap_or(Timestamp::MIN)
    }
}
