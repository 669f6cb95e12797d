//! The same news in other batches and another order, told again, flushed and merged in between: no
//! answer changes, in a real folder. Sessions and closed days are derived there as the service does.

use super::same::assert_same;
use super::stored::{roll_ups_of, user_days};
use super::story::{History, Like, Session, histories};
use super::{Desk, Rows, cases, period, reports, run_test};
use crate::query::Limits;
use crate::report::RollUp;
use crate::tables::{Event, Membership, Observation, Storage, Usage};
use crate::tests::{Kept, kept_with, settings, turn_clock};
use crate::{Intake, KeeperSettings, PresentChange, event_of};
use model::diff::{Running, StopCredit};
use model::fact::{ActiveHour, Fact, KeyedFact, ServerKey, StopEvidence, Watch, What};
use model::snapshot::Dated;
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A row that the service is told or collects.
#[derive(Clone)]
enum News {
    Event(Event),
    Membership(Membership),
    Observation(Observation),
    Usage(Usage),
    Storage(Storage),
}

impl News {
    fn add(&self, intake: &mut Intake) {
        let added = match self {
            Self::Event(row) => intake.event(row),
            Self::Membership(row) => intake.row(row, Some(&row.user)),
            Self::Observation(row) => intake.row(row, None),
            Self::Usage(row) => intake.row(row, Some(&row.user)),
            Self::Storage(row) => intake.row(row, Some(&row.user)),
        };
        added.unwrap();
    }

    /// What was said before it, and was wrong.
    fn older(&self) -> Option<Self> {
        match self {
            Self::Usage(row) => Some(Self::Usage(Usage {
                revision: row.revision - 1,
                cpu_core_seconds: Some(1e6),
                memory_byte_seconds: None,
                ..row.clone()
            })),
            Self::Storage(row) => Some(Self::Storage(Storage {
                revision: row.revision - 1,
                home_bytes: 1.0,
                ..row.clone()
            })),
            _ => None,
        }
    }
}

fn key(session: &Session) -> ServerKey {
    let server = if session.server == "-" {
        ""
    } else {
        session.server
    };
    ServerKey {
        user: session.user.into(),
        server: server.into(),
    }
}

/// What polling says of a session.
fn facts(session: &Session) -> Vec<KeyedFact> {
    let started = session.started;
    let seen = What::Seen {
        started,
        options: Some("{\"profile\":\"small\"}".into()),
        image: Some("base".into()),
    };
    let mut facts = vec![(started, seen)];
    if let Some(hours) = &session.active {
        let hours = hours.iter().map(|(hour, seconds)| ActiveHour {
            hour: *hour,
            seconds: u32::try_from(*seconds).unwrap(),
        });
        let hours = hours.collect();
        facts.push((session.until, What::Activity { started, hours }));
    }
    if !session.is_running {
        let gone = What::Gone {
            started: Some(started),
            last_seen: session.until,
            watch: Watch::Watched,
            hub_restarted: None,
            stop_counted: StopEvidence::Asked,
        };
        facts.push((session.until, gone));
    }
    let facts = facts.into_iter().map(|(at, what)| KeyedFact {
        key: key(session),
        fact: Fact { at, what },
    });
    facts.collect()
}

fn news(history: &History) -> Vec<News> {
    let past = history.past();
    let sessions = history.hubs[0].sessions(history.now());
    let facts = sessions.iter().flat_map(facts);
    let events = facts.map(|fact| event_of(&"hub".into(), &"poll".into(), &fact));
    let told = past.events.into_iter();
    let told = told.filter(|event| &*event.kind != "server-activity");
    let all = events.chain(told).map(News::Event);
    let all = all.chain(past.memberships.into_iter().map(News::Membership));
    let all = all.chain(past.observations.into_iter().map(News::Observation));
    let all = all.chain(past.usage.into_iter().map(News::Usage));
    all.chain(past.storage.into_iter().map(News::Storage))
        .collect()
}

/// A look at what runs, at the end of the history.
async fn look(kept: &Kept, history: &History) {
    let now = history.now();
    let sessions = history.hubs[0].sessions(now).into_iter();
    let running = sessions
        .filter(|session| session.is_running)
        .map(|session| Running {
            key: key(&session),
            started: session.started,
            is_cut: false,
            options: None,
            image: None,
            seen_ready: session.started,
            last_seen: now,
            tally: model::tally::Tally::default(),
        });
    let servers = Dated {
        value: running.collect(),
        at: now,
    };
    let mut intake = Intake::default();
    intake.present(PresentChange::Servers(servers, StopCredit::default()));
    kept.keeper.take(intake).await.unwrap();
    kept.keeper.flush().await.unwrap();
}

async fn take(kept: &Kept, news: &[News]) {
    let mut intake = Intake::default();
    for news in news {
        news.add(&mut intake);
    }
    kept.keeper.take(intake).await.unwrap();
}

async fn empty(history: &History) -> Kept {
    let zone = history.hubs[0].zone();
    kept_with(KeeperSettings {
        zone,
        ..settings("hub")
    })
    .await
}

/// Shuffled, each row after or before one that it corrects; every other batch comes twice.
async fn take_piecemeal(kept: &Kept, news: &[News], seed: u64) {
    let older = news.iter().filter_map(News::older);
    let all = older.chain(news.iter().cloned()).enumerate();
    let mut all: Vec<_> = all.collect();
    all.sort_by_cached_key(|(number, _)| {
        let mut hasher = DefaultHasher::new();
        (seed, number).hash(&mut hasher);
        hasher.finish()
    });
    let all: Vec<News> = all.into_iter().map(|(_, news)| news).collect();
    for (number, batch) in all.chunks(all.len() / 5 + 1).enumerate() {
        take(kept, batch).await;
        match number % 3 {
            1 => kept.keeper.derive_gone().await.unwrap(),
            _ => drop(kept.keeper.flush().await.unwrap()),
        }
        if number % 2 == 0 {
            take(kept, batch).await;
        }
        if number == 2 {
            kept.keeper.compact().await.unwrap();
        }
    }
}

async fn check(history: &History, seed: u64) {
    let (desk, now) = (Desk::new(), history.now());
    turn_clock(&now.to_string());
    let (straight, piecemeal) = (empty(history).await, empty(history).await);
    let news = news(history);
    take(&straight, &news).await;
    look(&straight, history).await;
    look(&piecemeal, history).await;
    take_piecemeal(&piecemeal, &news, seed).await;
    look(&piecemeal, history).await;
    // What everybody did, and three of the reports: answers from many small files take long, and any
    // three may come.
    let reports = reports();
    let some = (0..3).map(|nth| {
        let far = usize::try_from(seed % 1000).unwrap() + nth * reports.len() / 3;
        Arc::clone(&reports[far % reports.len()])
    });
    for report in std::iter::once(user_days()).chain(some) {
        let report = &report;
        let ask = async |kept: &Kept, rollup| {
            let asked = period(history.first(), history.last()).with_rollup(rollup);
            let question = kept.store.question(report, asked, now).await.unwrap();
            let answer = question.answer(&desk.engine, Limits::default()).await;
            Rows::of(&answer.unwrap())
        };
        let expected = ask(&straight, RollUp::Used).await;
        for &rollup in roll_ups_of(report) {
            let found = ask(&piecemeal, rollup).await;
            let what = format!("{}, roll-up {rollup:?}", report.name);
            assert_same(&expected, &found, &what);
        }
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn batches_order_repetitions_merging_and_the_roll_up_change_no_answer(
        history in histories(Like::OF_ONE_HUB),
        seed in any::<u64>(),
    ) {
        run_test(check(&history, seed));
    }
}
