//! Many rows: sums against those of the plainest way to add up, whatever happens in between.

use super::*;
use crate::StoreError;
use model::days::{Day, hour_start};
use proptest::prelude::*;

/// What rows come to, added up in the plainest way.
fn sums(rows: &[Usage], zone: &str, last: Date) -> BTreeMap<(Date, String), f64> {
    let zone = TimeZone::get(zone).unwrap();
    let mut newest: BTreeMap<&str, &Usage> = BTreeMap::new();
    for row in rows {
        let known = newest.entry(row.id.as_str()).or_insert(row);
        if known.revision < row.revision {
            *known = row;
        }
    }
    let mut sums = BTreeMap::new();
    for row in newest.into_values() {
        let day = Day::of(row.hour, &zone).date();
        if let Some(seconds) = row.cpu_core_seconds.filter(|_| day <= last) {
            let sum = sums.entry((day, row.user.to_string())).or_insert(0.0);
            *sum += seconds;
        }
    }
    sums
}

/// The same, as the table says.
async fn told(store: &Store) -> BTreeMap<(Date, String), f64> {
    let rows = newest(store).await.into_iter();
    rows.filter_map(|(key, row)| Some((key, row.cpu_core_seconds?)))
        .collect()
}

#[track_caller]
fn check_same(told: &BTreeMap<(Date, String), f64>, expected: &BTreeMap<(Date, String), f64>) {
    // Who used nothing and ran nothing has no row.
    let expected = expected.iter().filter(|(_, sum)| **sum > 0.0);
    let told = told.iter().filter(|(_, sum)| **sum > 0.0);
    let pairs: Vec<_> = expected.clone().zip(told.clone()).collect();
    assert_eq!(told.count(), expected.count());
    for (expected, told) in pairs {
        assert_eq!(expected.0, told.0);
        assert!(
            (expected.1 - told.1).abs() <= 1e-9 * expected.1.abs(),
            "{expected:?} {told:?}"
        );
    }
}

/// Rows of some users in every sixth hour from a time on.
fn backfill(users: &[&str], first: &str, n_days: i64) -> Vec<Usage> {
    let first = at(first);
    let hours = (0..n_days * 24).step_by(6);
    let times = hours.map(|hour| first + SignedDuration::from_hours(hour));
    let rows = times.enumerate().flat_map(|(n, hour)| {
        let seconds = f64::from(u32::try_from(n % 7).unwrap()) / 3.0;
        users
            .iter()
            .map(move |user| cores(user, &hour.to_string(), seconds))
    });
    rows.collect()
}

#[tokio::test]
async fn a_year_that_is_filled_in_is_summed_month_by_month() {
    let kept = kept().await;
    run_on(&kept.keeper, "ada", "2026-11-19").await;
    take_look(&kept.keeper, look("2026-11-20T12:00:00Z", &[])).await;
    let rows = backfill(&["ada", "bob"], "2025-11-25T00:00:00Z", 360);
    for part in rows.chunks(500) {
        take(&kept.keeper, part).await;
    }
    kept.keeper.flush().await.unwrap();
    let expected = sums(&rows, BERLIN, "2026-11-19".parse().unwrap());
    assert!(expected.len() > 700, "{}", expected.len());
    check_same(&told(&kept.store).await, &expected);
    let state = kept.store.read_state(|connection| {
        Ok(connection.query_row("select count(*) from used_days", [], |row| row.get(0))?)
    });
    let n_marked: i64 = state.await.unwrap();
    assert_eq!(n_marked, 0);
    check_settled(&kept).await;
}

#[tokio::test]
async fn a_new_time_zone_cuts_usage_anew() {
    let in_zone = |zone: &str| KeeperSettings {
        zone: TimeZone::get(zone).unwrap(),
        ..settings("hub")
    };
    let mut kept = kept_with(in_zone(BERLIN)).await;
    run_on(&kept.keeper, "ada", "2026-11-18").await;
    let rows = backfill(&["ada", "bob"], "2026-10-22T18:00:00Z", 29);
    take(&kept.keeper, &rows).await;
    // Already the 21st in Tokyo, still the 20th in Los Angeles.
    take_look(&kept.keeper, look("2026-11-20T18:00:00Z", &[])).await;
    let last = |day: &str| day.parse().unwrap();
    check_same(
        &told(&kept.store).await,
        &sums(&rows, BERLIN, last("2026-11-19")),
    );
    for (zone, last_closed) in [
        ("America/Los_Angeles", "2026-11-19"),
        ("Asia/Tokyo", "2026-11-20"),
        ("Asia/Kathmandu", "2026-11-19"),
        ("Pacific/Kiritimati", "2026-11-20"),
        (BERLIN, "2026-11-19"),
    ] {
        kept = kept.again_with(in_zone(zone)).await;
        kept.keeper.flush().await.unwrap();
        check_same(
            &told(&kept.store).await,
            &sums(&rows, zone, last(last_closed)),
        );
        check_settled(&kept).await;
    }
    // A day that was closed in another zone is closed again.
    take_look(&kept.keeper, look("2026-11-21T18:00:00Z", &[])).await;
    check_same(
        &told(&kept.store).await,
        &sums(&rows, BERLIN, last("2026-11-20")),
    );
    check_settled(&kept).await;
}

/// A row of the script: which of three users and of sixty hours, which revision, and how much.
type Entry = (usize, i64, i64, Option<u32>);

fn row_of((user, hour, revision, amount): Entry, zone: &TimeZone) -> Usage {
    let time = at("2026-10-23T18:30:00Z") + SignedDuration::from_hours(hour);
    let hour = hour_start(time, zone).to_string();
    let user = ["ada", "bob", "cyd"][user];
    Usage {
        revision,
        ..used(
            user,
            &hour,
            [amount.map(|amount| f64::from(amount) / 3.0), None, None],
        )
    }
}

/// What may happen between two batches.
#[derive(Clone, Copy, Debug)]
enum Then {
    Flush,
    Nothing,
    Look(u32),
    Merge,
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        3 => Just(Then::Flush),
        2 => Just(Then::Nothing),
        3 => (23_u32..28).prop_map(Then::Look),
        1 => Just(Then::Merge),
    ]
}

/// Of a time that is at hand, or that the history has to be asked about.
async fn check_script(
    zone: &str,
    is_at_hand: bool,
    batches: Vec<(Vec<Entry>, Then)>,
) -> Result<(), StoreError> {
    turn_clock(if is_at_hand {
        "2026-10-27T12:00:00Z"
    } else {
        "2026-11-20T12:00:00Z"
    });
    let name = zone;
    let zone = TimeZone::get(zone).unwrap();
    let kept = kept_with(KeeperSettings {
        zone: zone.clone(),
        ..settings("hub")
    })
    .await;
    run_on(&kept.keeper, "ada", "2026-10-24").await;
    // Of one revision there is one row.
    let mut taken: BTreeMap<(String, i64), Usage> = BTreeMap::new();
    let mut day = 23;
    for (entries, then) in batches {
        let rows = entries.into_iter().map(|entry| row_of(entry, &zone));
        let rows: Vec<Usage> = rows
            .map(|row| {
                let key = (row.id.as_str().to_owned(), row.revision);
                taken.entry(key).or_insert(row).clone()
            })
            .collect();
        take(&kept.keeper, &rows).await;
        match then {
            Then::Flush => drop(kept.keeper.flush().await?),
            Then::Nothing => {}
            Then::Look(on) => {
                day = day.max(on);
                let time = format!("2026-10-{day}T12:00:00Z");
                take_look(&kept.keeper, look(&time, &[])).await;
            }
            Then::Merge => drop(kept.keeper.compact().await?),
        }
    }
    take_look(&kept.keeper, look("2026-10-26T12:00:00Z", &[])).await;
    let rows: Vec<Usage> = taken.into_values().collect();
    let last = if day == 27 {
        "2026-10-26"
    } else {
        "2026-10-25"
    };
    check_same(
        &told(&kept.store).await,
        &sums(&rows, name, last.parse().unwrap()),
    );
    check_settled(&kept).await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Over the clock change of Europe, in a zone that is ahead by three quarters of an hour, and in
    /// one whose clocks are changed by half of one.
    #[test]
    fn closed_days_say_what_their_hours_come_to(
        zone in prop_oneof![Just(BERLIN), Just("Asia/Kathmandu"), Just("Australia/Lord_Howe")],
        is_at_hand in any::<bool>(),
        batches in proptest::collection::vec(
            (
                proptest::collection::vec(
                    (0_usize..3, 0_i64..60, 0_i64..3, proptest::option::weighted(0.8, 0_u32..50)),
                    0..12,
                ),
                then(),
            ),
            1..8,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_script(zone, is_at_hand, batches)).unwrap();
    }
}
