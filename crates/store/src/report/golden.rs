//! Runs the golden file of each report: a tiny history as text, questions, and their rows.
//!
//! `INSIGHTS_WRITE_GOLDEN=1` writes the rows, to be checked by hand; `INSIGHTS_REPORT=name` runs one.

use super::*;
use crate::query::{Engine, EngineSettings, Limits, Part};
use crate::tables::{self, Row, RowId, TableDef, batch_of};
use crate::{Cell, Sources};
use datafusion::catalog::{MemTable, TableProvider};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
use model::days::{Day, SessionSpan, user_days};
use model::fact::ActiveHour;
use model::filter::GroupFilter;
use model::names::UserName;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tiny history.
struct Past {
    hub: Arc<str>,
    zone: TimeZone,
    now: Option<Timestamp>,
    n_rows: u32,
    events: Vec<tables::Event>,
    memberships: Vec<tables::Membership>,
    sessions: Vec<tables::Session>,
    running: Vec<tables::Session>,
    active: Vec<(usize, bool, Vec<ActiveHour>)>,
    usage: Vec<tables::Usage>,
    storage: Vec<tables::Storage>,
    observations: Vec<tables::Observation>,
    networks: Vec<Network>,
    zones: Vec<(Arc<str>, TimeZone, String)>,
}

/// Words of a line: `key=value` and the others.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
    json: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let (mut plain, mut named, mut json) = (Vec::new(), BTreeMap::new(), None);
        let mut rest = line.trim();
        while !rest.is_empty() {
            if rest.starts_with('{') {
                let end = rest.find('}').map_or(rest.len(), |end| end + 1);
                json = Some(&rest[..end]);
                rest = rest[end..].trim_start();
                continue;
            }
            let end = match rest.find('{') {
                // JSON may hold spaces.
                Some(brace) if !rest[..brace].contains(' ') => rest.find('}').unwrap() + 1,
                _ => rest.find(' ').unwrap_or(rest.len()),
            };
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            match word.split_once('=') {
                Some((key, value)) if !key.contains('{') => {
                    named.insert(key, value);
                }
                _ => plain.push(word),
            }
        }
        Self { plain, named, json }
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.named.get(key).map(|value| value.parse().unwrap())
    }
}

fn server(name: &str) -> Arc<str> {
    if name == "-" { "".into() } else { name.into() }
}

impl Past {
    fn new() -> Self {
        Self {
            hub: "".into(),
            zone: TimeZone::UTC,
            now: None,
            n_rows: 0,
            events: Vec::new(),
            memberships: Vec::new(),
            sessions: Vec::new(),
            running: Vec::new(),
            active: Vec::new(),
            usage: Vec::new(),
            storage: Vec::new(),
            observations: Vec::new(),
            networks: Vec::new(),
            zones: Vec::new(),
        }
    }

    fn id(&mut self) -> RowId {
        self.n_rows += 1;
        RowId::of(&[&self.n_rows.to_string()])
    }

    fn at(&self, text: &str) -> Timestamp {
        if text.ends_with('Z') {
            return text
                .parse()
                .unwrap_or_else(|_| panic!("`{text}` is no time"));
        }
        let local: DateTime = text
            .parse()
            .unwrap_or_else(|_| panic!("`{text}` is no time"));
        local.to_zoned(self.zone.clone()).unwrap().timestamp()
    }

    fn add(&mut self, line: &str) {
        let line = line.split(" # ").next().unwrap_or(line);
        let words = Words::of(line);
        let plain = words.plain.clone();
        match plain[..] {
            ["hub", name, zone] => {
                self.hub = name.into();
                self.zone = TimeZone::get(zone).unwrap();
                self.zones
                    .push((name.into(), self.zone.clone(), zone.to_owned()));
            }
            ["now", at] => self.now = Some(self.at(at)),
            ["watched", from, to] => self.watch(self.at(from), self.at(to)),
            ["account", user] => {
                let at = self.first_reading();
                self.account(user, at, None, "user-added");
            }
            ["account", user, at] => {
                let at = self.at(at);
                let before = at - SignedDuration::from_mins(1);
                self.account(user, at, Some(before), "user-added");
            }
            ["account-removed", user, at] => {
                let at = self.at(at);
                self.account(user, at, None, "user-removed");
            }
            ["member", user, group, joined] => self.member(user, group, joined, "joined"),
            ["member", user, group, joined, left] => {
                self.member(user, group, joined, "joined");
                self.member(user, group, left, "left");
            }
            ["session", user, name, started, ended] => {
                let session = self.session(user, name, started, Some(ended), &words);
                self.sessions.push(session);
                let index = self.sessions.len() - 1;
                self.activity(index, false, &words);
            }
            ["running", user, name, started] => {
                let session = self.session(user, name, started, None, &words);
                self.running.push(session);
                let index = self.running.len() - 1;
                self.activity(index, true, &words);
            }
            ["usage", hour, user, name] => self.use_of(hour, user, name, &words),
            ["storage", day, user, bytes] => self.home(day, user, bytes, None),
            ["storage", day, user, bytes, files] => self.home(day, user, bytes, Some(files)),
            ["event", at, kind, user, name] => self.event(at, kind, user, name, &words),
            ["reading", at, name, ref values @ ..] => self.reading(at, name, values, &words),
            ["network", name, range] => self.networks.push(Network::parse(name, range).unwrap()),
            _ => panic!("`{line}` is not understood"),
        }
    }

    fn first_reading(&self) -> Timestamp {
        let mine = self.observations.iter().filter(|row| row.hub == self.hub);
        let first = mine.map(|row| row.at).min();
        first.expect("`watched` stands before `account`")
    }

    fn watch(&mut self, from: Timestamp, to: Timestamp) {
        let mut at = from;
        while at < to {
            let id = self.id();
            self.observations.push(tables::Observation {
                id,
                hub: self.hub.clone(),
                at,
                name: "api_active_servers".into(),
                labels: "{}".into(),
                value: 0.0,
                min: Some(0.0),
                max: Some(0.0),
                last: Some(0.0),
                n: Some(60),
            });
            at += SignedDuration::from_hours(1);
        }
    }

    fn account(&mut self, user: &str, at: Timestamp, before: Option<Timestamp>, kind: &str) {
        let id = self.id();
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at,
            not_before: before,
            kind: kind.into(),
            user: Some(user.into()),
            server: None,
            detail: None,
            source: "poll".into(),
            schema: None,
            schema_version: None,
        });
    }

    fn member(&mut self, user: &str, group: &str, at: &str, change: &str) {
        let (id, at) = (self.id(), self.at(at));
        self.memberships.push(tables::Membership {
            id,
            hub: self.hub.clone(),
            user: user.into(),
            group: group.into(),
            at,
            not_before: None,
            change: change.into(),
            reason: None,
        });
    }

    fn session(
        &mut self,
        user: &str,
        name: &str,
        started: &str,
        ended: Option<&str>,
        words: &Words<'_>,
    ) -> tables::Session {
        let id = self.id();
        let (started, now) = (self.at(started), self.now.unwrap());
        let ended = ended.map_or(now, |ended| self.at(ended));
        let hours = words
            .named
            .get("active")
            .map(|text| self.active_hours(text, started));
        let seconds = hours.map(|hours| hours.iter().map(|hour| i64::from(hour.seconds)).sum());
        tables::Session {
            id,
            revision: 1,
            hub: self.hub.clone(),
            user: user.into(),
            server: server(name),
            started,
            ended,
            last_seen: ended,
            end_reason: words
                .named
                .get("end")
                .map_or("stopped", |end| end)
                .replace('_', " ")
                .into(),
            active_seconds: seconds,
            options: words.named.get("options").map(|options| (*options).into()),
            image: words.named.get("image").map(|image| (*image).into()),
            withdrawn: false,
        }
    }

    /// `600`, of the hour of the start, or `600@2026-03-01T22:00+300@2026-03-02T01:00`.
    fn active_hours(&self, text: &str, started: Timestamp) -> Vec<ActiveHour> {
        let hours = text.split('+').map(|part| {
            let (seconds, hour) = match part.split_once('@') {
                Some((seconds, hour)) => (seconds, self.at(hour)),
                None => (part, model::days::hour_start(started, &self.zone)),
            };
            ActiveHour {
                hour,
                seconds: seconds.parse().unwrap(),
            }
        });
        hours.collect()
    }

    fn activity(&mut self, index: usize, is_running: bool, words: &Words<'_>) {
        let Some(text) = words.named.get("active") else {
            return;
        };
        let list = if is_running {
            &self.running
        } else {
            &self.sessions
        };
        let session = list[index].clone();
        let hours = self.active_hours(text, session.started);
        let by_hour: BTreeMap<String, u32> = hours
            .iter()
            .map(|hour| (hour.hour.to_string(), hour.seconds))
            .collect();
        let detail = serde_json::json!({
            "started": session.started.to_string(),
            "active_seconds_by_hour": by_hour,
        });
        let id = self.id();
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at: session.ended,
            not_before: None,
            kind: "server-activity".into(),
            user: Some(session.user.clone()),
            server: Some(session.server.clone()),
            detail: Some(detail.to_string().into()),
            source: "poll".into(),
            schema: None,
            schema_version: None,
        });
        self.active.push((index, is_running, hours));
    }

    fn use_of(&mut self, hour: &str, user: &str, name: &str, words: &Words<'_>) {
        let (id, hour) = (self.id(), self.at(hour));
        self.usage.push(tables::Usage {
            id,
            revision: 1,
            hub: self.hub.clone(),
            hour,
            user: user.into(),
            server: (name != "?").then(|| server(name)),
            cpu_core_seconds: words.number("cpu"),
            memory_byte_seconds: words.number("memory"),
            cpu_requested_core_seconds: words.number("cpu_requested"),
            memory_requested_byte_seconds: words.number("memory_requested"),
            gpu_requested_seconds: words.number("gpu_requested"),
            gpu_used_seconds: words.number("gpu_used"),
            network_rx_bytes: words.number("rx"),
            network_tx_bytes: words.number("tx"),
            memory_peak_bytes: words.number("peak"),
            samples: words
                .named
                .get("samples")
                .map_or(60, |n| n.parse().unwrap()),
        });
    }

    fn home(&mut self, day: &str, user: &str, bytes: &str, files: Option<&str>) {
        let id = self.id();
        self.storage.push(tables::Storage {
            id,
            revision: 1,
            hub: self.hub.clone(),
            day: day.parse().unwrap(),
            user: user.into(),
            home_bytes: bytes.parse().unwrap(),
            files: files.map(|files| files.parse().unwrap()),
        });
    }

    fn event(&mut self, at: &str, kind: &str, user: &str, name: &str, words: &Words<'_>) {
        let (id, at) = (self.id(), self.at(at));
        let before = words.named.get("not_before").map(|before| self.at(before));
        self.events.push(tables::Event {
            id,
            hub: self.hub.clone(),
            at,
            not_before: before,
            kind: kind.into(),
            user: (user != "?").then(|| user.into()),
            server: (name != "?").then(|| server(name)),
            detail: words.json.map(Into::into),
            source: words
                .named
                .get("source")
                .map_or("hooks", |source| source)
                .into(),
            schema: None,
            schema_version: None,
        });
    }

    fn reading(&mut self, at: &str, name: &str, values: &[&str], words: &Words<'_>) {
        let (id, at) = (self.id(), self.at(at));
        let values: Vec<f64> = values.iter().map(|value| value.parse().unwrap()).collect();
        let value = |index: usize| values.get(index).copied();
        #[expect(clippy::cast_possible_truncation, reason = "a small count")]
        let n = value(4).map(|n| n as i64);
        self.observations.push(tables::Observation {
            id,
            hub: self.hub.clone(),
            at,
            name: name.into(),
            labels: words.json.unwrap_or("{}").into(),
            value: values[0],
            min: value(1),
            max: value(2),
            last: value(3),
            n,
        });
    }

    /// The roll-up as the service makes it: every day before today.
    fn rolled(&self) -> Vec<tables::UserDay> {
        let mut rows = Vec::new();
        for (hub, zone, _) in &self.zones {
            self.roll(hub, zone, &mut rows);
        }
        rows
    }

    fn roll(&self, hub: &Arc<str>, zone: &TimeZone, rows: &mut Vec<tables::UserDay>) {
        let today = Day::of(self.now.unwrap(), zone);
        let first = Day::new(today.date().saturating_sub(800.days()));
        let last = Day::new(today.date().yesterday().unwrap());
        let listed = [(&self.sessions, false), (&self.running, true)];
        let spans = listed.into_iter().flat_map(|(sessions, is_running)| {
            sessions
                .iter()
                .enumerate()
                .filter(|(_, session)| session.hub == *hub)
                .map(move |(index, session)| SessionSpan {
                    user: &session.user,
                    server: &session.server,
                    started: session.started,
                    until: session.ended,
                    active_hours: self
                        .active
                        .iter()
                        .find(|(known, running, _)| *known == index && *running == is_running)
                        .map(|(.., hours)| &hours[..]),
                })
        });
        let mut days: BTreeMap<(Date, UserName), tables::UserDay> = BTreeMap::new();
        for day in user_days(spans, zone, first..=last) {
            let row = Self::user_day(hub, day.day.date(), &day.user);
            let row = tables::UserDay {
                sessions: i64::from(day.sessions),
                hours: day.hours,
                active_seconds: day
                    .active_seconds
                    .map(|seconds| i64::try_from(seconds).unwrap()),
                ..row
            };
            days.insert((row.day, row.user.clone()), row);
        }
        for used in self.usage.iter().filter(|used| used.hub == *hub) {
            let day = Day::of(used.hour, zone).date();
            if day > last.date() {
                continue;
            }
            let row = days.entry((day, used.user.clone()));
            let row = row.or_insert_with(|| Self::user_day(hub, day, &used.user));
            let add = |sum: &mut Option<f64>, more: Option<f64>| {
                *sum = more.map(|more| more + sum.unwrap_or(0.0)).or(*sum);
            };
            add(&mut row.cpu_core_seconds, used.cpu_core_seconds);
            add(&mut row.memory_byte_seconds, used.memory_byte_seconds);
            add(&mut row.gpu_seconds, used.gpu_requested_seconds);
        }
        rows.extend(days.into_values());
    }

    fn user_day(hub: &Arc<str>, day: Date, user: &UserName) -> tables::UserDay {
        tables::UserDay {
            id: RowId::of(&[hub, &day.to_string(), user.as_str()]),
            revision: 1,
            hub: hub.clone(),
            day,
            user: user.clone(),
            sessions: 0,
            hours: 0.0,
            active_seconds: None,
            cpu_core_seconds: None,
            memory_byte_seconds: None,
            gpu_seconds: None,
        }
    }

    fn sources(&self, rollup: RollUp) -> Sources {
        let now = self.now.expect("the history says `now`");
        let mut sources = Sources::new(now);
        for (hub, zone, name) in &self.zones {
            sources = sources.with_hub(hub, name);
            if rollup == RollUp::Used {
                let today = Day::of(now, zone).date();
                sources = sources.with_closed(hub, today.yesterday().unwrap());
            }
        }
        sources = with(sources, &self.events);
        sources = with(sources, &self.memberships);
        sources = with(sources, &self.sessions);
        sources = with(sources, &self.usage);
        sources = with(sources, &self.storage);
        sources = with(sources, &self.observations);
        if rollup == RollUp::Used {
            sources = with(sources, &self.rolled());
        }
        sources.with_running(self.running_table())
    }

    fn running_table(&self) -> Arc<dyn TableProvider> {
        use arrow::array::{
            ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        };
        let running = &self.running;
        let text = |pick: &dyn Fn(&tables::Session) -> Option<String>| -> ArrayRef {
            Arc::new(running.iter().map(pick).collect::<StringArray>())
        };
        let time = |pick: &dyn Fn(&tables::Session) -> Timestamp| -> ArrayRef {
            let all = running.iter().map(|row| Some(pick(row).as_microsecond()));
            Arc::new(
                all.collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            )
        };
        let columns: Vec<ArrayRef> = vec![
            text(&|row| Some(row.hub.to_string())),
            text(&|row| Some(row.user.to_string())),
            text(&|row| Some(row.server.to_string())),
            time(&|row| row.started),
            time(&|row| row.last_seen),
            time(&|row| row.last_seen),
            Arc::new(running.iter().map(|_| Some(true)).collect::<BooleanArray>()),
            Arc::new(
                running
                    .iter()
                    .map(|row| row.active_seconds)
                    .collect::<Int64Array>(),
            ),
            text(&|row| row.options.as_deref().map(str::to_owned)),
            text(&|row| row.image.as_deref().map(str::to_owned)),
        ];
        let batch = RecordBatch::try_new(Sources::running_schema(), columns).unwrap();
        provider(batch)
    }
}

fn provider(batch: arrow::array::RecordBatch) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn with<R: Row>(sources: Sources, rows: &[R]) -> Sources {
    if rows.is_empty() {
        return sources;
    }
    let table: &'static TableDef = R::TABLE;
    sources.with_part(Part::new(table, provider(batch_of(rows).unwrap())))
}

fn asked(words: &Words<'_>, past: &Past) -> Asked {
    let mut words = words.named.clone();
    let mut day = |name: &str| words.remove(name).unwrap().parse().unwrap();
    let (from, to) = (day("from"), day("to"));
    let mut list = |name: &str| -> Vec<String> {
        let text = words.remove(name).unwrap_or_default();
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let left_out = LeftOutAccounts {
        users: list("leave_out"),
        groups: list("leave_out_groups"),
    };
    let rule = match words.remove("rule") {
        None | Some("split") => MultiGroupRule::Split,
        Some("in-each") => MultiGroupRule::InEach,
        Some("bucket") => MultiGroupRule::Bucket("several".into()),
        Some(other) => {
            let groups = other.strip_prefix("primary:").expect("a rule");
            MultiGroupRule::Primary(groups.split('>').map(Into::into).collect())
        }
    };
    let site = Site {
        left_out,
        groups: Attribution {
            filter: GroupFilter::default(),
            rule,
            extra_row: ExtraMultipleRow::Omit,
        },
        networks: past.networks.clone(),
    };
    let mut asked = Asked::period(from, to, site);
    let mut text = |name: &str| words.remove(name).map(str::to_owned);
    asked.hub = text("hub");
    asked.group = text("group");
    asked.user = text("user");
    for (name, value) in words {
        asked.choices.insert(name.to_owned(), value.to_owned());
    }
    asked
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => "?".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Cell::Time(time) => time.to_string(),
        Cell::Day(day) => day.to_string(),
        Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
    }
}

/// The rows as lines, columns beneath each other.
fn written(outcome: &Result<Answer, ReportError>) -> String {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => return format!("error: {error}\n"),
    };
    let mut lines = vec![answer.table.names().map(str::to_owned).collect::<Vec<_>>()];
    lines.extend(
        answer
            .table
            .rows()
            .map(|row| row.iter().map(cell).collect()),
    );
    let n_columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join(" | ");
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    for caveat in &answer.caveats {
        if !answer.report.caveats.contains(caveat) {
            writeln!(text, "! {caveat}").unwrap();
        }
    }
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reports")
}

/// The file with the rows as they are now.
async fn answered(name: &str, golden: &str) -> String {
    let sql = std::fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
    let report = Definition::parse(name, &sql).unwrap_or_else(|error| panic!("{name}: {error}"));
    let report = Arc::new(report);
    let temporary = tempfile::tempdir().unwrap();
    let engine = Engine::new(EngineSettings::new(temporary.path().join("queries")));
    let mut past = Past::new();
    let mut text = String::new();
    let mut is_answer = false;
    for line in golden.lines() {
        if let Some(question) = line.strip_prefix("ask ") {
            is_answer = true;
            writeln!(text, "{line}").unwrap();
            let mut asked = asked(&Words::of(question), &past);
            let mut outcomes = Vec::new();
            for rollup in [RollUp::Used, RollUp::Unused] {
                asked.rollup = rollup;
                let sources = past.sources(rollup);
                let outcome = run(&engine, &sources, &report, &asked, Limits::default()).await;
                outcomes.push(written(&outcome));
            }
            assert_eq!(
                outcomes[0], outcomes[1],
                "{name}: with and without the roll-up: {question}"
            );
            text.push_str(&outcomes[0]);
        } else if line.trim().is_empty() {
            is_answer = false;
            writeln!(text).unwrap();
        } else if !is_answer {
            writeln!(text, "{line}").unwrap();
            if !line.starts_with('#') {
                past.add(line);
            }
        }
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "who runs a test chooses by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::test]
async fn every_report_gives_what_its_golden_file_says() {
    let only = variable("INSIGHTS_REPORT");
    let is_writing = variable("INSIGHTS_WRITE_GOLDEN").is_some();
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names.retain(|name| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|it| it == name))
    });
    assert!(!names.is_empty());
    let mut wrong = Vec::new();
    for name in names {
        let path = folder().join(format!("{name}.golden"));
        let golden = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("`{name}` has no golden file"));
        assert!(golden.contains("\nask "), "{name} asks nothing");
        let now = answered(&name, &golden).await;
        if is_writing {
            std::fs::write(&path, &now).unwrap();
        } else if now != golden {
            wrong.push(format!(
                "--- {name}, as it should be\n{golden}\n--- as it is\n{now}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_reports_are_read_and_their_defaults_can_be_chosen() {
    let registry = Registry::ours();
    assert_eq!(registry.left_out(), []);
    for report in registry.all() {
        for parameter in &report.parameters {
            parameter.value(&parameter.default).unwrap();
        }
    }
}
