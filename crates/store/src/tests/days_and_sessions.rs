//! Derived rows: the same figures whatever the order, batches and repetitions of the news.

use super::*;
use crate::tables::Session;
use model::fact::ActiveHour;
use proptest::prelude::*;
use std::time::Duration;

#[tokio::test]
async fn a_session_of_weeks_counts_on_each_day_while_it_runs() {
    let kept = kept().await;
    let started = "2026-11-17T10:00:00Z";
    kept.keeper
        .take(intake(&[seen("ada", started, "2026-11-17T10:01:00Z")]))
        .await
        .unwrap();
    take_look(
        &kept.keeper,
        look("2026-11-20T12:00:00Z", &[("ada", started)]),
    )
    .await;
    let (sessions, days) = figures(&kept.store).await;
    assert!(sessions.is_empty());
    assert_eq!(
        days,
        [
            "2026-11-17 ada 1 13.000000 None",
            "2026-11-18 ada 1 24.000000 None",
            "2026-11-19 ada 1 24.000000 None"
        ]
    );
}

#[tokio::test]
async fn late_news_corrects_a_session_and_the_days_that_were_closed() {
    let kept = kept().await;
    let started = "2026-11-18T10:00:00Z";
    let gone = What::Gone {
        started: Some(at(started)),
        last_seen: at("2026-11-19T11:00:00Z"),
        watch: Watch::Unwatched,
        hub_restarted: None,
        stop_counted: StopEvidence::Unknown,
    };
    let news = [
        seen("ada", started, "2026-11-18T10:01:00Z"),
        fact("ada", "2026-11-20T08:00:00Z", gone),
    ];
    kept.keeper.take(intake(&news)).await.unwrap();
    take_look(&kept.keeper, look("2026-11-20T12:00:00Z", &[])).await;
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        ["ada 2026-11-18T10:00:00Z - 2026-11-19T11:00:00Z unobserved None"]
    );
    assert_eq!(
        days,
        [
            "2026-11-18 ada 1 13.000000 None",
            "2026-11-19 ada 1 12.000000 None"
        ]
    );
    let late = intake(&[fact("ada", "2026-11-19T21:00:00Z", What::Stop)]);
    kept.keeper.take(late).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let (sessions, days) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        ["ada 2026-11-18T10:00:00Z - 2026-11-19T21:00:00Z stopped None"]
    );
    assert_eq!(
        days,
        [
            "2026-11-18 ada 1 13.000000 None",
            "2026-11-19 ada 1 22.000000 None"
        ]
    );
    let revisions: Vec<i64> = kept
        .rows::<Session>()
        .await
        .iter()
        .map(|row| row.revision)
        .collect();
    assert_eq!(revisions, [1, 2]);
}

/// A session in January, when it is November.
fn old_session() -> Intake {
    intake(&[
        fact("ada", "2026-01-05T10:00:00Z", What::Start),
        fact("ada", "2026-01-05T12:00:00Z", What::Stop),
    ])
}

#[tokio::test]
async fn days_of_old_news_are_closed_whenever_the_first_poll_comes() {
    let (first, then) = (kept().await, kept().await);
    first.keeper.take(old_session()).await.unwrap();
    first.keeper.flush().await.unwrap();
    take_look(&first.keeper, look("12:00", &[])).await;
    first.keeper.flush().await.unwrap();

    then.keeper.take(old_session()).await.unwrap();
    take_look(&then.keeper, look("12:00", &[])).await;

    for kept in [first, then] {
        let (sessions, days) = figures(&kept.store).await;
        assert_eq!(sessions.len(), 1);
        assert_eq!(days, ["2026-01-05 ada 1 2.000000 None"]);
    }
}

#[tokio::test]
async fn a_start_that_no_poll_ever_saw_ends_when_a_poll_has_looked() {
    let kept = kept().await;
    kept.keeper
        .take(intake(&[fact("ada", "10:00", What::Start)]))
        .await
        .unwrap();
    take_look(&kept.keeper, look("10:00", &[])).await;
    assert!(figures(&kept.store).await.0.is_empty());
    take_look(&kept.keeper, look("10:01", &[])).await;
    let (sessions, _) = figures(&kept.store).await;
    assert_eq!(
        sessions,
        ["ada 2026-11-20T10:00:00Z - 2026-11-20T10:00:00Z unobserved None"]
    );
}

#[derive(Clone, Debug)]
struct News {
    facts: Vec<KeyedFact>,
}

fn script() -> Vec<KeyedFact> {
    let mut facts = Vec::new();
    // The first two are older than what is at hand.
    for (day, user) in [
        (3, "ada"),
        (12, "cyd"),
        (17, "ada"),
        (18, "ada"),
        (18, "bob"),
        (19, "ada"),
    ] {
        let t = |hour: u32, minute: u32| format!("2026-11-{day:02}T{hour:02}:{minute:02}:00Z");
        let active = |seconds| What::Activity {
            started: at(&t(9, 0)),
            hours: vec![ActiveHour {
                hour: at(&t(10, 0)),
                seconds,
            }],
        };
        facts.push(fact(user, &t(10, 30), active(1_200)));
        facts.push(fact(user, &t(11, 1), active(2_400)));
        facts.push(seen(user, &t(9, 0), &t(9, 1)));
        facts.push(fact(user, &t(9, 2), What::Start));
        facts.push(gone(user, &t(9, 0), &t(11, 0), &t(11, 1)));
        facts.push(fact(user, &t(11, 0), What::Stop));
        facts.push(fact(user, &t(21, 0), What::Start));
    }
    facts.push(gone(
        "ada",
        "2026-11-20T07:00:00Z",
        "2026-11-20T07:30:00Z",
        "2026-11-20T07:31:00Z",
    ));
    facts
}

fn shuffled() -> impl Strategy<Value = Vec<News>> {
    (
        Just(script()).prop_shuffle(),
        proptest::collection::vec(1_usize..8, 1..6),
    )
        .prop_map(|(facts, sizes)| {
            let mut batches = Vec::new();
            let mut rest = &facts[..];
            for size in sizes.iter().cycle() {
                let (batch, after) = rest.split_at((*size).min(rest.len()));
                batches.push(News {
                    facts: batch.to_vec(),
                });
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            // Every other batch comes twice.
            let repeated: Vec<News> = batches.iter().step_by(2).cloned().collect();
            batches.extend(repeated);
            batches
        })
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn order_batches_repetitions_and_merging_change_no_figure(batches in shuffled()) {
        run(async {
            let straight = kept().await;
            straight.keeper.take(intake(&script())).await.unwrap();
            take_look(&straight.keeper, look("2026-11-21T11:00:00Z", &[])).await;
            let expected = figures(&straight.store).await;

            let kept = kept().await;
            take_look(&kept.keeper, look("2026-11-21T11:00:00Z", &[])).await;
            for (number, news) in batches.iter().enumerate() {
                kept.keeper.take(intake(&news.facts)).await.unwrap();
                if number % 2 == 0 {
                    kept.keeper.derive_gone().await.unwrap();
                }
                if number % 3 != 2 {
                    kept.keeper.flush().await.unwrap();
                }
            }
            take_look(&kept.keeper, look("2026-11-21T11:00:30Z", &[])).await;
            assert_eq!(figures(&kept.store).await, expected);
            kept.keeper.compact().await.unwrap();
            assert_eq!(figures(&kept.store).await, expected);
            let rebuilt = kept.keeper.rebuild().await.unwrap();
            assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0), "{rebuilt}");
            assert_eq!(figures(&kept.store).await, expected);
        });
    }
}

#[tokio::test]
async fn a_server_that_was_stopped_since_the_last_look_is_one_session() {
    let kept = kept().await;
    let started = "2026-11-21T09:00:00Z";
    let ada = [listed("ada", started, None)];
    poll(&kept.keeper, "2026-11-21T09:01:00Z", &ada).await;
    let ask = |sql| kept.ask(sql);
    let all = r#"select "user", started, ended from all_sessions"#;
    let running = r#"select "user", started from running_sessions"#;
    assert_eq!(ask(all).await, [format!("ada,{started},")]);
    assert_eq!(ask(running).await, [format!("ada,{started}")]);
    let stop = fact("ada", "2026-11-21T11:00:00Z", What::Stop);
    kept.keeper.take(intake(&[stop])).await.unwrap();
    kept.keeper.flush().await.unwrap();
    assert_eq!(
        ask(all).await,
        [format!("ada,{started},2026-11-21T11:00:00Z")]
    );
    assert!(ask(running).await.is_empty());
}

#[tokio::test]
async fn a_running_session_is_what_is_told_of_it_at_each_moment() {
    let kept = kept().await;
    let sql = r#"select "user", started, active_seconds, active_by_hour from running_sessions"#;
    // Who asks again remembers what was told before; who opens the folder anew does not.
    let told = async || {
        let anew = Store::open(Folder::prepare(kept.folder.path()).unwrap()).unwrap();
        let told = kept.ask(sql).await;
        assert_eq!(told, ask(&anew, sql).await);
        told
    };
    let started = "2026-11-21T09:00:00Z";
    let mut all = Vec::new();
    for time in ["2026-11-21T09:01:00Z", "2026-11-21T09:02:00Z"] {
        let ada = [listed("ada", started, Some(time))];
        poll(&kept.keeper, time, &ada).await;
        all.push(told().await);
    }
    let what = What::Activity {
        started: at(started),
        hours: vec![ActiveHour {
            hour: at(started),
            seconds: 1800,
        }],
    };
    let hour = fact("ada", "2026-11-21T09:30:00Z", what);
    kept.keeper.take(intake(&[hour])).await.unwrap();
    all.push(told().await);
    let again = [listed("ada", "2026-11-21T09:58:00Z", None)];
    poll(&kept.keeper, "2026-11-21T09:59:00Z", &again).await;
    all.push(told().await);
    poll(&kept.keeper, "2026-11-21T10:00:00Z", &[]).await;
    all.push(told().await);
    let n_told = all.len();
    all.dedup();
    assert_eq!(all.len(), n_told, "{all:?}");
}

/// Longer than anything here takes. The clock of keepers stands, so that no flush is due.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_session_that_a_look_ended_is_known_before_it_is_flushed() {
    let kept = kept().await;
    // More than one transaction takes.
    let users: Vec<String> = (0..450).map(|number| format!("user-{number}")).collect();
    let all: Vec<Server> = users
        .iter()
        .map(|user| listed(user, "09:00", None))
        .collect();
    poll(&kept.keeper, "09:01", &all).await;
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let at_work = kept.keeper.run(async { drop(stopping.await) });
    let ended = async {
        assert_eq!(turn(&kept.keeper, "11:00", &all[..1]).await.len(), 449);
        let n_ended = "select count(*) from sessions";
        while kept.ask(n_ended).await != ["449"] {
            tokio::task::yield_now().await;
        }
        assert_eq!(kept.rows::<Session>().await, [], "nothing was moved");
        let both = "select count(*), count(ended) from all_sessions";
        assert_eq!(kept.ask(both).await, ["450,449"]);
        drop(stop);
    };
    let both = async { tokio::join!(at_work, ended) };
    let in_time = tokio::time::timeout(PATIENCE, both).await;
    in_time.expect("sessions are derived without a flush");
    let moved = kept.rows::<Session>().await;
    assert_eq!(moved.len(), 449);
    assert!(moved.iter().all(|row| row.revision == 1), "derived once");
}

/// The operators of the plan of a query, the first one first.
async fn plan(kept: &Kept, sql: &str) -> String {
    let lines = kept.ask(&format!("explain {sql}")).await;
    lines.join("\n")
}

#[tokio::test]
async fn a_table_whose_corrections_were_merged_is_read_in_one_bare_scan() {
    let kept = kept().await;
    // As hubs with events do: the stop first, then the look, which knows more.
    for day in 17..20 {
        let t = |time: &str| format!("2026-11-{day}T{time}:00Z");
        let stop = [
            seen("ada", &t("09:00"), &t("09:01")),
            fact("ada", &t("11:00"), What::Stop),
        ];
        kept.keeper.take(intake(&stop)).await.unwrap();
        take_look(&kept.keeper, look(&t("11:01"), &[])).await;
        let activity = What::Activity {
            started: at(&t("09:00")),
            hours: Vec::new(),
        };
        let rest = [
            fact("ada", &t("11:01"), activity),
            gone("ada", &t("09:00"), &t("10:59"), &t("11:01")),
        ];
        kept.keeper.take(intake(&rest)).await.unwrap();
        kept.keeper.flush().await.unwrap();
    }
    // A session that was none after all, and its day.
    let other = [
        fact("bob", "2026-11-18T10:00:00Z", What::Start),
        fact("bob", "2026-11-18T11:00:00Z", What::Stop),
    ];
    kept.keeper.take(intake(&other)).await.unwrap();
    take_look(&kept.keeper, look("2026-11-20T12:00:00Z", &[])).await;
    let earlier = [
        seen("bob", "2026-11-17T10:00:00Z", "2026-11-17T10:01:00Z"),
        gone(
            "bob",
            "2026-11-17T10:00:00Z",
            "2026-11-18T11:30:00Z",
            "2026-11-18T11:31:00Z",
        ),
    ];
    kept.keeper.take(intake(&earlier)).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let before = figures(&kept.store).await;
    assert_eq!((before.0.len(), before.1.len()), (4, 5), "{before:#?}");
    let of_sessions = r#"select "user", started, active_seconds from sessions"#;
    let of_days = r#"select "user", day, hours from user_days"#;
    assert!(plan(&kept, of_sessions).await.contains("Join"));

    kept.keeper.compact().await.unwrap();
    assert_eq!(figures(&kept.store).await, before);
    for sql in [of_sessions, of_days] {
        let plan = plan(&kept, sql).await;
        assert!(plan.contains("DataSourceExec"), "{plan}");
        for more in ["Join", "Union", "Filter", "withdrawn", "cpu_core_seconds"] {
            assert!(!plan.contains(more), "{more}: {plan}");
        }
    }
    // News after it still wins.
    let stop = fact("ada", "2026-11-19T10:30:00Z", What::Stop);
    kept.keeper.take(intake(&[stop])).await.unwrap();
    kept.keeper.flush().await.unwrap();
    let (sessions, _) = figures(&kept.store).await;
    assert_eq!(sessions.len(), 4);
    let rebuilt = kept.keeper.rebuild().await.unwrap();
    assert_eq!((rebuilt.n_sessions_changed, rebuilt.n_days_changed), (0, 0));
    assert_eq!(figures(&kept.store).await.0, sessions);
    kept.keeper.compact().await.unwrap();
    assert_eq!(figures(&kept.store).await.0, sessions);
}
