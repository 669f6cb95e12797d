//! Sessions from facts in any order.

use super::*;
use crate::fact::{StopEvidence, Watch, What};
use proptest::prelude::*;
use proptest::sample::select;

fn at(text: &str) -> Timestamp {
    Timestamp::from_second(text.parse().unwrap()).unwrap()
}

/// Times are seconds. `seen 100 @110 small`, `active 100 0=60 @110`, `start 105`, `stop 200`,
/// `died 200`, `gone 100 150..160`, also with `unwatched`, `restart=155`, `asked`, `notasked`;
/// `gone ? 150..160` for a server that no poll ever saw.
fn fact(text: &str) -> Fact {
    let mut words = text.split_whitespace();
    let (kind, first) = (words.next().unwrap(), words.next().unwrap());
    let rest: Vec<&str> = words.collect();
    let told_at = rest.iter().find_map(|word| word.strip_prefix('@')).map(at);
    match kind {
        "seen" => {
            let options = rest.iter().find(|word| !word.starts_with('@'));
            let what = What::Seen {
                started: at(first),
                options: options.map(|&text| text.into()),
                image: None,
            };
            Fact {
                at: told_at.unwrap(),
                what,
            }
        }
        "active" => {
            let hours = rest.iter().filter_map(|word| word.split_once('='));
            let hours = hours.map(|(hour, seconds)| ActiveHour {
                hour: at(hour),
                seconds: seconds.parse().unwrap(),
            });
            let what = What::Activity {
                started: at(first),
                hours: hours.collect(),
            };
            Fact {
                at: told_at.unwrap(),
                what,
            }
        }
        "gone" => gone(first, &rest),
        "start" => Fact {
            at: at(first),
            what: What::Start,
        },
        "stop" => Fact {
            at: at(first),
            what: What::Stop,
        },
        "hubstop" => Fact {
            at: at(first),
            what: What::HubStop,
        },
        "died" => Fact {
            at: at(first),
            what: What::Died,
        },
        _ => panic!("no such fact: {text}"),
    }
}

fn gone(started: &str, words: &[&str]) -> Fact {
    let (last_seen, missing_at) = words[0].split_once("..").unwrap();
    let restarted = words.iter().find_map(|word| word.strip_prefix("restart="));
    let watch = if words.contains(&"unwatched") {
        Watch::Unwatched
    } else {
        Watch::Watched
    };
    let stop_counted = if words.contains(&"asked") {
        StopEvidence::Asked
    } else if words.contains(&"notasked") {
        StopEvidence::NotAsked
    } else {
        StopEvidence::Unknown
    };
    let what = What::Gone {
        started: (started != "?").then(|| at(started)),
        last_seen: at(last_seen),
        watch,
        hub_restarted: restarted.map(at),
        stop_counted,
    };
    Fact {
        at: at(missing_at),
        what,
    }
}

fn facts(text: &str) -> Vec<Fact> {
    let lines = text.split(';').map(str::trim);
    lines.filter(|line| !line.is_empty()).map(fact).collect()
}

/// `100-160 stopped`, `100- seen 150` while it runs; `event` where only events tell of it, `a60`
/// for active seconds.
fn render(session: &Session) -> String {
    let started = session.started.as_second();
    let mut words = vec![match session.end {
        Some(end) => format!("{started}-{} {}", end.at.as_second(), end.reason.as_str()),
        None => format!("{started}- seen {}", session.last_seen.as_second()),
    }];
    let is_event = session.origin == Origin::EventsOnly;
    words.extend(is_event.then(|| "event".to_owned()));
    words.extend(session.active_seconds.map(|seconds| format!("a{seconds}")));
    words.extend(session.options.as_ref().map(ToString::to_string));
    words.join(" ")
}

#[track_caller]
fn check(given: &str, expected: &str) {
    let sessions: Vec<String> = sessions(&facts(given)).iter().map(render).collect();
    assert_eq!(sessions.join("; "), expected);
}

#[test]
fn nothing_known_is_no_session() {
    check("", "");
}

#[test]
fn a_server_that_polling_sees_is_a_running_session() {
    check("seen 100 @110", "100- seen 110");
}

#[test]
fn a_watched_disappearance_ends_a_session_when_it_was_missed() {
    check("seen 100 @110; gone 100 150..160", "100-160 unobserved");
    check("seen 100 @110; gone 100 150..160 asked", "100-160 stopped");
    check(
        "seen 100 @110; gone 100 150..160 notasked",
        "100-160 crashed or evicted",
    );
}

#[test]
fn an_unwatched_disappearance_ends_a_session_when_it_was_last_seen() {
    check(
        "seen 100 @110; gone 100 150..900 unwatched",
        "100-150 unobserved",
    );
    check(
        "seen 100 @110; start 170; gone 100 150..900 unwatched",
        "100-170 unobserved",
    );
    check(
        "seen 100 @110; gone 100 150..900 unwatched asked",
        "100-150 stopped",
    );
}

#[test]
fn activity_moves_the_last_sign_of_a_session_but_does_not_refute_its_end() {
    let active = "active 100 0=600 @900";
    check(
        &format!("{active}; gone 100 150..900 unwatched"),
        "100-600 unobserved a600",
    );
    check(
        &format!("{active}; gone 100 150..200"),
        "100-200 unobserved a600",
    );
    check(&format!("{active}; stop 200"), "100-200 stopped a600");
    check(
        &format!("{active}; seen 3000 @3010"),
        "100-600 unobserved a600; 3000- seen 3010",
    );
}

#[test]
fn where_the_hub_tells_of_stops_a_watched_end_without_a_stop_is_a_crash() {
    check(
        "seen 100 @110; start 105; gone 100 150..160",
        "100-160 crashed or evicted",
    );
}

#[test]
fn a_stop_is_exact() {
    check(
        "seen 100 @110; stop 155; gone 100 150..160",
        "100-155 stopped",
    );
    check(
        "seen 100 @110; died 155; gone 100 150..160 asked",
        "100-155 crashed or evicted",
    );
}

#[test]
fn a_stop_before_polling_saw_the_session_is_ignored() {
    check("seen 100 @110; stop 107", "100- seen 110");
    check("seen 100 @110; stop 108", "100-108 stopped");
}

#[test]
fn a_stop_after_polling_missed_the_session_is_ignored() {
    check("gone 100 150..160; stop 162", "100-162 stopped");
    check("gone 100 150..160; stop 163", "100-160 unobserved");
}

#[test]
fn a_stop_without_a_session_is_ignored() {
    check("stop 99; seen 100 @110", "100- seen 110");
    check("stop 99; died 98", "");
}

#[test]
fn the_first_of_several_stops_counts() {
    check(
        "seen 100 @110; stop 155; stop 158; died 159",
        "100-155 stopped",
    );
    check(
        "seen 100 @110; died 150; stop 158",
        "100-150 crashed or evicted",
    );
}

#[test]
fn a_stop_right_after_a_death_takes_its_place() {
    check("seen 100 @110; died 155; stop 156", "100-156 stopped");
}

#[test]
fn a_hub_restart_is_a_reason() {
    check("gone 100 150..160 restart=155", "100-160 hub restart");
    check(
        "gone 100 150..900 restart=155 unwatched asked",
        "100-150 hub restart",
    );
    check("gone 100 150..160 restart=150", "100-160 unobserved");
}

#[test]
fn a_stop_shortly_before_a_hub_restart_was_the_hubs() {
    check(
        "stop 160; gone 100 150..900 restart=400 unwatched",
        "100-160 hub restart",
    );
    check(
        "stop 160; gone 100 150..900 restart=461 unwatched",
        "100-160 stopped",
    );
    check(
        "stop 160; gone 100 150..900 restart=159 unwatched",
        "100-160 stopped",
    );
}

#[test]
fn a_session_outlives_hub_restarts() {
    check(
        "seen 100 @110; seen 100 @500; gone 100 900..910",
        "100-910 unobserved",
    );
}

#[test]
fn a_disappearance_is_refuted_when_polling_sees_the_session_again() {
    check(
        "seen 100 @110; gone 100 150..160; seen 100 @170",
        "100- seen 170",
    );
    check("gone 100 150..160; gone 100 250..260", "100-260 unobserved");
}

#[test]
fn the_earliest_of_two_disappearances_counts() {
    check("gone 100 150..260; gone 100 140..160", "100-160 unobserved");
    check(
        "gone 100 140..160 unwatched; gone 100 150..160",
        "100-160 unobserved",
    );
}

#[test]
fn of_two_disappearances_at_one_time_the_one_that_knows_of_a_restart_counts() {
    check(
        "gone 100 150..160 notasked; gone 100 150..160 notasked restart=170",
        "100-160 hub restart",
    );
    check(
        "gone 100 150..160 notasked; gone 100 150..160 notasked restart=170; seen 100 @180",
        "100- seen 180",
    );
}

#[test]
fn an_open_session_ends_when_the_next_begins() {
    check(
        "seen 100 @110; seen 200 @210",
        "100-110 unobserved; 200- seen 210",
    );
    check(
        "start 100; start 200",
        "100-100 unobserved event; 200- seen 200 event",
    );
}

#[test]
fn sessions_do_not_overlap() {
    check(
        "gone 100 250..260; seen 200 @210",
        "100-200 unobserved; 200- seen 210",
    );
    check(
        "seen 100 @250; seen 200 @210",
        "100-200 unobserved; 200- seen 210",
    );
}

#[test]
fn a_clock_that_jumps_back_does_not_end_a_session_before_it_starts() {
    check("gone 100 150..50", "100-150 unobserved");
    check("gone 100 40..50", "100-100 unobserved");
    check("seen 100 @50", "100- seen 100");
}

#[test]
fn a_start_event_belongs_to_the_session_that_polling_saw() {
    check("start 130; seen 100 @140", "100- seen 140");
    check("start 98; seen 100 @110", "100- seen 110");
    check(
        "start 97; seen 100 @110",
        "97-97 unobserved event; 100- seen 110",
    );
}

#[test]
fn a_start_event_opens_a_session_that_polling_missed() {
    check("start 100; stop 130", "100-130 stopped event");
    check(
        "gone 50 60..70; start 73; stop 90",
        "50-70 unobserved; 73-90 stopped event",
    );
    check(
        "gone 50 60..70; start 72; stop 90",
        "50-70 crashed or evicted",
    );
}

#[test]
fn a_second_start_event_is_a_repetition_unless_the_session_ended() {
    check("seen 100 @110; start 105; start 120", "100- seen 120");
    check(
        "seen 100 @110; start 105; stop 115; start 120",
        "100-115 stopped; 120- seen 120 event",
    );
}

#[test]
fn a_stop_by_a_hub_that_stops_is_the_restarts() {
    let facts = [
        "seen 100 @110",
        "start 105",
        "hubstop 200",
        "gone 100 190..210",
    ]
    .map(fact);
    let [session] = &sessions(&facts)[..] else {
        panic!("one session");
    };
    let end = session.end.unwrap();
    assert_eq!((end.at, end.reason), (at("200"), EndReason::HubRestart));
}

/// As a real hub told it: between the first start event and the second `started` are 1.7 seconds.
#[test]
fn a_server_that_is_stopped_and_started_at_once_has_two_sessions() {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let told = |at: &str, what| Fact { at: time(at), what };
    let second = time("2026-11-21T15:18:26.340496Z");
    let seen = What::Seen {
        started: second,
        options: None,
        image: None,
    };
    let facts = [
        told("2026-11-21T15:18:24.627143Z", What::Start),
        told("2026-11-21T15:18:25.999049Z", What::Stop),
        told("2026-11-21T15:18:29.235370Z", What::Start),
        told("2026-11-21T15:18:29.491029Z", seen),
    ];
    let found = sessions(&facts);
    let found: Vec<_> = found
        .iter()
        .map(|session| (session.started, session.end.map(|end| end.reason)))
        .collect();
    let first = (
        time("2026-11-21T15:18:24.627143Z"),
        Some(EndReason::Stopped),
    );
    assert_eq!(found, [first, (second, None)]);
}

#[test]
fn a_start_event_told_twice_with_rounded_times_is_one() {
    check("start 100; start 102; stop 130", "100-130 stopped event");
    check(
        "start 100; start 103; stop 130",
        "100-100 unobserved event; 103-130 stopped event",
    );
    check(
        "start 100; stop 101; start 102",
        "100-101 stopped event; 102- seen 102 event",
    );
}

#[test]
fn a_server_that_no_poll_ever_saw_can_be_missed() {
    check(
        "start 100; gone ? 100..160",
        "100-160 crashed or evicted event",
    );
    check(
        "start 100; gone ? 100..160 unwatched",
        "100-100 unobserved event",
    );
    check(
        "start 100; stop 150; gone ? 100..160 restart=155",
        "100-150 hub restart event",
    );
    check(
        "start 100; gone ? 100..160; start 155",
        "100-155 crashed or evicted event; 155- seen 155 event",
    );
    check("gone ? 100..160; seen 90 @95", "90- seen 95");
    check("gone ? 100..160", "");
}

#[test]
fn of_several_numbers_for_an_hour_the_largest_counts() {
    check(
        "active 0 0=60 @70; active 0 0=50 3600=10 @4000; seen 0 @10",
        "0- seen 3610 a70",
    );
    check("active 100 @110", "100- seen 100 a0");
}

#[test]
fn options_are_those_seen_first() {
    check(
        "seen 100 @120 large; seen 100 @110 small; seen 100 @105",
        "100- seen 120 small",
    );
}

#[test]
fn reasons_can_be_read_back() {
    for reason in EndReason::ALL {
        assert_eq!(EndReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(EndReason::parse("culled"), None);
}

/// Rows written for each batch of facts, `|` between batches.
#[track_caller]
fn check_changes(batches: &str, expected: &str) {
    let mut known = String::new();
    let mut recorded = Vec::new();
    let mut written = Vec::new();
    for batch in batches.split('|') {
        known = format!("{known};{batch}");
        let rows = changes(&recorded, &sessions(&facts(&known)));
        let texts = rows.iter().map(|row| {
            let withdrawn = match row.standing {
                Standing::Valid => "",
                Standing::Withdrawn => " withdrawn",
            };
            format!("r{} {}{withdrawn}", row.revision, render(&row.session))
        });
        written.push(texts.collect::<Vec<_>>().join("; "));
        recorded.extend(rows);
    }
    assert_eq!(written.join(" | "), expected);
}

#[test]
fn a_session_is_recorded_when_it_has_ended() {
    check_changes(
        "seen 100 @110 | stop 120 | stop 120",
        " | r1 100-120 stopped | ",
    );
}

#[test]
fn late_news_correct_a_recorded_session() {
    check_changes(
        "gone 100 150..160 | stop 155",
        "r1 100-160 unobserved | r2 100-155 stopped",
    );
}

#[test]
fn a_session_that_turns_out_to_be_another_is_withdrawn() {
    check_changes(
        "start 130; stop 150 | seen 100 @140",
        "r1 130-150 stopped event | r1 100-150 stopped; r2 130-150 stopped event withdrawn",
    );
}

#[test]
fn a_session_that_goes_on_is_withdrawn_and_recorded_again_at_its_end() {
    check_changes(
        "gone 100 150..160 | seen 100 @170 | seen 100 @165 | gone 100 180..190",
        "r1 100-160 unobserved | r2 100-160 unobserved withdrawn |  | r3 100-190 unobserved",
    );
}

/// Facts in a short time, so that they contradict each other in every way.
fn any_fact() -> impl Strategy<Value = Fact> {
    let time = || (0i64..60).prop_map(|second| Timestamp::from_second(second).unwrap());
    let run = || (0i64..5).prop_map(|run| Timestamp::from_second(run * 12).unwrap());
    let options = proptest::option::of(select(&["small", "large"]).prop_map(Arc::from));
    let seen = (run(), options).prop_map(|(started, options)| What::Seen {
        started,
        options,
        image: None,
    });
    let hour = (0i64..3, 0u32..30).prop_map(|(hour, seconds)| ActiveHour {
        hour: Timestamp::from_second(hour * 20).unwrap(),
        seconds,
    });
    let activity = (run(), proptest::collection::vec(hour, 0..3))
        .prop_map(|(started, hours)| What::Activity { started, hours });
    let gone = (
        proptest::option::weighted(0.7, run()),
        time(),
        select(&[Watch::Watched, Watch::Unwatched]),
        proptest::option::of(time()),
        select(&[
            StopEvidence::Asked,
            StopEvidence::NotAsked,
            StopEvidence::Unknown,
        ]),
    )
        .prop_map(
            |(started, last_seen, watch, hub_restarted, stop_counted)| What::Gone {
                started,
                last_seen,
                watch,
                hub_restarted,
                stop_counted,
            },
        );
    let event = select(&[What::Start, What::Stop, What::Died, What::HubStop]);
    let what = prop_oneof![2 => seen, 1 => activity, 2 => gone, 4 => event];
    (time(), what).prop_map(|(at, what)| Fact { at, what })
}

fn some_facts() -> impl Strategy<Value = Vec<Fact>> {
    proptest::collection::vec(any_fact(), 0..14)
}

proptest! {
    #[test]
    fn order_and_repetitions_do_not_matter(
        (facts, shuffled) in some_facts().prop_flat_map(|facts| {
            let repeated = proptest::sample::subsequence(facts.clone(), 0..=facts.len());
            let twice = (Just(facts.clone()), repeated)
                .prop_map(|(facts, repeated)| [facts, repeated].concat());
            (Just(facts), twice.prop_shuffle())
        }),
    ) {
        prop_assert_eq!(sessions(&facts), sessions(&shuffled));
    }

    #[test]
    fn sessions_are_sorted_apart_and_end_after_they_start(facts in some_facts()) {
        let sessions = sessions(&facts);
        for session in &sessions {
            prop_assert!(session.started <= session.last_seen);
            if let Some(end) = session.end {
                prop_assert!(session.last_seen <= end.at);
            }
        }
        for pair in sessions.windows(2) {
            prop_assert!(pair[0].started < pair[1].started);
            prop_assert!(pair[0].end.is_some_and(|end| end.at <= pair[1].started));
        }
    }

    #[test]
    fn each_run_that_polling_saw_is_one_session(facts in some_facts()) {
        let runs: BTreeSet<Timestamp> = facts.iter().filter_map(|fact| match fact.what {
            What::Seen { started, .. } | What::Activity { started, .. } => Some(started),
            What::Gone { started, .. } => started,
            What::Start | What::Stop | What::Died | What::HubStop => None,
        }).collect();
        let polled = sessions(&facts).into_iter()
            .filter(|session| session.origin == Origin::Polled).map(|session| session.started);
        prop_assert_eq!(polled.collect::<Vec<_>>(), runs.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn whatever_the_batches_the_records_end_up_as_the_sessions(
        facts in some_facts(),
        batch_sizes in proptest::collection::vec(1usize..5, 14),
    ) {
        let mut recorded: Vec<Recorded> = Vec::new();
        let mut n_known = 0;
        for size in batch_sizes {
            n_known = facts.len().min(n_known + size);
            recorded.extend(changes(&recorded, &sessions(&facts[..n_known])));
        }
        let derived = sessions(&facts);
        prop_assert_eq!(changes(&recorded, &derived), []);
        let mut latest = std::collections::BTreeMap::new();
        for row in recorded {
            let known = latest.insert(row.session.started, row.clone());
            prop_assert_eq!(row.revision, known.map_or(1, |known: Recorded| known.revision + 1));
        }
        let valid = latest.into_values().filter(|row| row.standing == Standing::Valid);
        let ended = derived.into_iter().filter(|session| session.end.is_some());
        prop_assert_eq!(
            valid.map(|row| row.session).collect::<Vec<_>>(),
            ended.collect::<Vec<_>>()
        );
    }
}
