//! A report, what is asked of it, and the rows as they were at a moment.

use super::answer::Answer;
use super::asked::{Asked, ReportError};
use super::definition::{Definition, Need};
use super::run::run;
use crate::Sources;
use crate::query::{Engine, Limits, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::days::Day;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// A question that can be answered.
#[derive(Debug)]
pub struct Question {
    report: Arc<Definition>,
    asked: Asked,
    sources: Sources,
}

/// Equal questions have equal answers: the report, what is asked, and the files that hold rows of
/// the period.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Question {
    pub(crate) fn new(report: Arc<Definition>, asked: Asked, sources: Sources) -> Self {
        Self {
            report,
            asked,
            sources,
        }
    }

    /// The answer.
    pub async fn answer(&self, engine: &Engine, limits: Limits) -> Result<Answer, ReportError> {
        run(engine, &self.sources, &self.report, &self.asked, limits).await
    }

    /// Whether this is an answer to it, if an older one.
    pub fn is_of(&self, answer: &Answer) -> bool {
        let asked = &self.asked;
        let is_of_hub = |hub: &String| answer.hubs.iter().all(|it| it.name == *hub);
        answer.report == self.report
            && answer.from == asked.from
            && answer.to <= asked.to
            && asked.hub.iter().all(is_of_hub)
            && (answer.hubs.len() > 1 || asked.hub.is_some() || self.sources.zones().len() <= 1)
            && answer.group == asked.group
            && answer.user == asked.user
            && answer.chosen == asked.values(&self.report)
    }

    /// Rows after the period are no part of it: what is collected this minute does not change the key
    /// of last year. A server that runs since the period does, and so does today; and so does whether
    /// hooks told of the last days of the period, or of none since.
    ///
    /// # Errors
    /// Those of a query.
    pub async fn key(&self, engine: &Engine, limits: Limits) -> Result<Key, ReportError> {
        let ends = self.ends();
        let is_over = ends <= self.sources.now();
        let hooks = if is_over && self.report.needs.contains(&Need::Hooks) {
            self.hooks_told(engine, limits).await?
        } else {
            Vec::new()
        };
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        // Another version may read the same files otherwise.
        add(env!("CARGO_PKG_VERSION"));
        add(&format!("{:?}", self.report));
        add(&format!("{:?}", self.asked));
        for (hub, zone) in self.sources.zones() {
            add(hub);
            add(zone);
            add(&format!(
                "{:?}",
                self.sources.closed(hub).filter(|day| *day < self.asked.to)
            ));
        }
        let mut names: Vec<String> = self
            .sources
            .pieces_until(ends.as_microsecond())
            .map(|(table, piece)| format!("{table} {}", piece.name))
            .collect();
        names.sort_unstable();
        for name in &names {
            add(name);
        }
        for told in hooks {
            add(&told);
        }
        if !is_over || !self.sources.ran_before(ends).is_empty() {
            // To the minute: figures of what goes on need not be newer.
            add(&(self.sources.now().as_second() / 60).to_string());
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Key(text))
    }

    /// When the hooks of each hub told anything last, or that they did after the period.
    async fn hooks_told(
        &self,
        engine: &Engine,
        limits: Limits,
    ) -> Result<Vec<String>, ReportError> {
        const LAST: &str = "
            select hub, least(max(\"at\"), $ends) as last from events
            where source = 'hooks' group by hub order by hub";
        let ends = [("ends", Value::Time(self.ends()))];
        let sources = self.sources.clone();
        let told = engine.run(LAST, sources, limits, &ends).await?;
        Ok(told.rows().map(|row| format!("{row:?}")).collect())
    }

    /// The end of the period in whatever zone it ends last.
    fn ends(&self) -> Timestamp {
        let zones = self.sources.zones().values();
        let ends = zones.map(|zone| {
            let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
            Day::new(self.asked.to).span(&zone).end
        });
        let last = ends.max();
        last.unwrap_or_else(|| Day::new(self.asked.to).span(&TimeZone::UTC).end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::asked::{LeftOutAccounts, Site};
    use super::super::{Registry, RollUp};
    use super::*;
    use crate::Intake;
    use crate::query::EngineSettings;
    use crate::table::Cell;
    use crate::tables::{Event, Membership, RowId};
    use crate::tests::{Kept, at, gone, intake, kept, listed, look, poll, seen, take_look};
    use model::attribution::{Attribution, ExtraMultipleRow, MultiGroupRule};
    use model::filter::GroupFilter;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn asked(from: &str, to: &str) -> Asked {
        let site = Site {
            left_out: LeftOutAccounts::default(),
            groups: Attribution {
                filter: GroupFilter::default(),
                rule: MultiGroupRule::Split,
                extra_row: ExtraMultipleRow::Omit,
            },
            networks: Vec::new(),
        };
        Asked::period(from.parse().unwrap(), to.parse().unwrap(), site)
    }

    /// What the question about a week in October is called at a time.
    async fn key_at(kept: &Kept, now: &str) -> Key {
        key_of(kept, now, asked("2026-10-05", "2026-10-11")).await
    }

    async fn key_of(kept: &Kept, now: &str, asked: Asked) -> Key {
        key_of_report("active-users", kept, now, asked).await
    }

    async fn key_of_report(name: &str, kept: &Kept, now: &str, asked: Asked) -> Key {
        let temporary = tempfile::tempdir().unwrap();
        let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
        let report = Arc::clone(Registry::ours().get(name).unwrap());
        let question = kept.store.question(&report, asked, at(now)).await.unwrap();
        question.key(&engine, Limits::default()).await.unwrap()
    }

    /// The hooks tell of a login.
    async fn login(kept: &Kept, time: &str) {
        let event = Event {
            id: RowId::of(&[time]),
            hub: "hub".into(),
            at: at(time),
            not_before: None,
            kind: "login".into(),
            user: Some("ada".into()),
            server: None,
            detail: None,
            source: "hooks".into(),
            schema: None,
            schema_version: None,
        };
        let mut intake = Intake::default();
        intake.event(&event).unwrap();
        kept.keeper.take(intake).await.unwrap();
    }

    async fn joins(kept: &Kept, user: &str, group: &str, time: &str) {
        let membership = Membership {
            id: RowId::of(&[user, group, time]),
            hub: "hub".into(),
            user: user.into(),
            group: group.into(),
            at: at(time),
            not_before: None,
            change: "joined".into(),
            reason: None,
        };
        let mut intake = Intake::default();
        intake.row(&membership, Some(&user.into())).unwrap();
        kept.keeper.take(intake).await.unwrap();
    }

    async fn run(kept: &Kept, user: &str, started: &str, ended: &str) {
        let facts = [
            seen(user, started, started),
            gone(user, started, ended, ended),
        ];
        kept.keeper.take(intake(&facts)).await.unwrap();
    }

    /// A hub with a session in October; its days are closed.
    async fn hub() -> Kept {
        let kept = kept().await;
        run(&kept, "ada", "2026-10-06T10:00:00Z", "2026-10-06T11:00:00Z").await;
        take_look(&kept.keeper, look("2026-11-21T11:00:00Z", &[])).await;
        kept
    }

    async fn answer(kept: &Kept, name: &str, asked: Asked) -> Answer {
        let temporary = tempfile::tempdir().unwrap();
        let engine = Engine::new(EngineSettings::new(temporary.path().to_owned()));
        let report = Arc::clone(Registry::ours().get(name).unwrap());
        let question = kept.store.question(&report, asked, at(NOW)).await.unwrap();
        question.answer(&engine, Limits::default()).await.unwrap()
    }

    /// Reports of which closed days are remembered.
    const OF_CLOSED_DAYS: [&str; 10] = [
        "overview",
        "active-users",
        "stickiness",
        "new-users",
        "concurrency",
        "hour-of-week",
        "groups",
        "regular-users",
        "last-activity",
        "retention",
    ];

    #[tokio::test]
    async fn a_server_that_runs_since_closed_days_counts_once_on_those_that_are_not() {
        let kept = kept().await;
        let ada = listed("ada", "2026-11-17T10:00:00Z", None);
        let ben = listed("ben", "2026-11-20T23:00:00Z", None);
        poll(
            &kept.keeper,
            "2026-11-17T10:01:00Z",
            std::slice::from_ref(&ada),
        )
        .await;
        poll(&kept.keeper, "2026-11-21T11:59:00Z", &[ada, ben]).await;
        for name in OF_CLOSED_DAYS {
            let month = || asked("2026-11-01", "2026-11-21");
            let mut unused = month();
            unused.rollup = RollUp::Unused;
            let (used, unused) = (
                answer(&kept, name, month()).await,
                answer(&kept, name, unused).await,
            );
            let rows = |answer: &Answer| answer.table.rows().collect::<Vec<_>>();
            assert_eq!(rows(&used), rows(&unused), "{name}");
        }
    }

    #[tokio::test]
    async fn who_came_on_days_that_are_not_asked_about_is_known_in_whatever_order_periods_are_asked()
     {
        let kept = hub().await;
        run(&kept, "ben", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z").await;
        kept.keeper.flush().await.unwrap();
        for from in ["2026-11-21", "2026-11-01", "2026-11-21"] {
            let answer = answer(&kept, "last-activity", asked(from, "2026-11-21")).await;
            let rows = answer.table.rows();
            let told: Vec<_> = rows.map(|row| (row[1].clone(), row[3].clone())).collect();
            let name = |name: &str| Cell::Text(name.to_owned());
            let seen = [
                (name("ada"), Cell::Time(at("2026-10-06T11:00:00Z"))),
                (name("ben"), Cell::Time(at("2026-11-20T11:00:00Z"))),
            ];
            assert_eq!(told, seen, "{from}");
        }
    }

    #[tokio::test]
    async fn who_is_left_out_depends_on_the_whole_period() {
        let kept = kept().await;
        run(&kept, "ben", "2026-11-17T10:00:00Z", "2026-11-17T11:00:00Z").await;
        take_look(&kept.keeper, look("2026-11-21T11:00:00Z", &[])).await;
        joins(&kept, "ben", "staff", "2026-11-21T09:00:00Z").await;
        let to = |to: &str| {
            let mut asked = asked("2026-11-15", to);
            asked.site.left_out.groups = vec!["staff".to_owned()];
            asked
        };
        let peak = |answer: &Answer| {
            let rows = answer.table.rows();
            let servers = rows.filter_map(|row| match row[2] {
                Cell::Integer(servers) => Some(servers),
                _ => None,
            });
            servers.max()
        };
        let before = answer(&kept, "concurrency", to("2026-11-20")).await;
        assert_eq!(peak(&before), Some(1));
        let with_today = answer(&kept, "concurrency", to("2026-11-21")).await;
        assert_eq!(peak(&with_today), Some(0));
    }

    #[tokio::test]
    async fn rows_of_this_minute_do_not_change_the_key_of_a_period_that_is_over() {
        let kept = hub().await;
        let before = key_at(&kept, NOW).await;
        run(&kept, "ben", "2026-11-21T11:58:00Z", "2026-11-21T11:59:00Z").await;
        assert_eq!(key_at(&kept, NOW).await, before, "rows that wait");
        kept.keeper.flush().await.unwrap();
        assert_eq!(key_at(&kept, NOW).await, before, "rows in the history");
        // Nor does the time that goes by, or a day that is closed.
        take_look(&kept.keeper, look("2026-11-23T12:00:00Z", &[])).await;
        assert_eq!(
            key_at(&kept, "2026-11-23T12:00:00Z").await,
            before,
            "two days later"
        );
    }

    #[tokio::test]
    async fn a_late_row_of_the_period_changes_its_key() {
        let kept = hub().await;
        let before = key_at(&kept, NOW).await;
        run(&kept, "ben", "2026-10-07T10:00:00Z", "2026-10-07T11:00:00Z").await;
        let waiting = key_at(&kept, NOW).await;
        assert_ne!(waiting, before);
        kept.keeper.flush().await.unwrap();
        assert_ne!(key_at(&kept, NOW).await, before);
    }

    #[tokio::test]
    async fn the_first_thing_that_hooks_tell_after_a_period_changes_its_key_once() {
        let kept = hub().await;
        let week = || asked("2026-10-05", "2026-10-11");
        login(&kept, "2026-10-09T10:00:00Z").await;
        let quiet = key_of_report("logins", &kept, NOW, week()).await;
        login(&kept, "2026-10-12T10:00:00Z").await;
        let told = key_of_report("logins", &kept, NOW, week()).await;
        assert_ne!(told, quiet, "of the weekend it is known that nobody came");
        login(&kept, "2026-10-13T10:00:00Z").await;
        assert_eq!(key_of_report("logins", &kept, NOW, week()).await, told);
    }

    #[tokio::test]
    async fn the_key_of_today_and_of_a_server_that_runs_since_the_period_is_of_a_minute() {
        let kept = hub().await;
        let today = || asked("2026-11-15", "2026-11-21");
        let before = key_of(&kept, NOW, today()).await;
        assert_eq!(key_of(&kept, "2026-11-21T12:00:59Z", today()).await, before);
        assert_ne!(key_of(&kept, "2026-11-21T12:01:00Z", today()).await, before);
        let running = [("ada", "2026-10-11T10:00:00Z")];
        take_look(&kept.keeper, look("2026-11-21T11:30:00Z", &running)).await;
        let before = key_at(&kept, NOW).await;
        assert_eq!(key_at(&kept, "2026-11-21T12:00:59Z").await, before);
        assert_ne!(key_at(&kept, "2026-11-21T12:01:00Z").await, before);
    }

    #[tokio::test]
    async fn whatever_is_asked_otherwise_has_another_key() {
        let kept = hub().await;
        let week = || asked("2026-10-05", "2026-10-11");
        let mut others = vec![
            week(),
            asked("2026-10-04", "2026-10-11"),
            asked("2026-10-05", "2026-10-12"),
        ];
        for change in [
            |asked: &mut Asked| asked.hub = Some("hub".to_owned()),
            |asked: &mut Asked| asked.user = Some("hub".to_owned()),
            |asked: &mut Asked| asked.group = Some("hub".to_owned()),
            |asked: &mut Asked| asked.site.left_out.users = vec!["hub".to_owned()],
            |asked: &mut Asked| asked.site.groups.rule = MultiGroupRule::InEach,
            |asked: &mut Asked| asked.rollup = RollUp::Unused,
        ] {
            let mut other = week();
            change(&mut other);
            others.push(other);
        }
        let mut keys = Vec::new();
        for other in others {
            keys.push(key_of(&kept, NOW, other).await.0);
        }
        let n_keys = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), n_keys);
    }
}
