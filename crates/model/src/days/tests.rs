//! Days of zones that change their clocks, and sessions cut into them.

use super::*;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> Day {
    Day::new(text.parse().unwrap())
}

fn check_span(zone_name: &str, date: &str, start: &str, hours: i64) {
    let span = day(date).span(&zone(zone_name));
    assert_eq!(span.start, at(start));
    assert_eq!(
        span.end.duration_since(span.start),
        SignedDuration::from_hours(hours)
    );
}

#[test]
fn a_day_has_23_or_25_hours_when_clocks_change_in_berlin() {
    check_span("Europe/Berlin", "2026-03-28", "2026-03-27T23:00:00Z", 24);
    check_span("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23);
    check_span("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25);
}

#[test]
fn a_day_in_india_begins_at_half_past_in_utc() {
    check_span("Asia/Kolkata", "2026-05-01", "2026-04-30T18:30:00Z", 24);
}

#[test]
fn a_day_without_midnight_begins_at_one_in_santiago() {
    check_span("America/Santiago", "2024-09-07", "2024-09-07T04:00:00Z", 24);
    check_span("America/Santiago", "2024-09-08", "2024-09-08T04:00:00Z", 23);
    check_span("America/Santiago", "2024-04-06", "2024-04-06T03:00:00Z", 25);
}

#[test]
fn a_skipped_day_has_no_time() {
    check_span("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0);
    assert_eq!(
        Day::of(at("2011-12-30T10:00:00Z"), &zone("Pacific/Apia")),
        day("2011-12-31")
    );
}

#[test]
fn a_clock_set_back_over_midnight_does_not_bring_back_yesterday() {
    // In 2010 Newfoundland turned 0:01 of the 7th into 23:01 of the 6th, at 02:31Z.
    let newfoundland = zone("America/St_Johns");
    assert_eq!(
        Day::of(at("2010-11-07T02:45:00Z"), &newfoundland),
        day("2010-11-07")
    );
}

#[test]
fn days_at_the_ends_of_time_do_not_panic() {
    for moment in [Timestamp::MIN, Timestamp::MAX] {
        for zone in [
            TimeZone::UTC,
            zone("Asia/Kolkata"),
            zone("America/Santiago"),
        ] {
            let day = Day::of(moment, &zone);
            assert!(day.span(&zone).start <= day.span(&zone).end);
            assert!(hour_start(moment, &zone) <= moment);
        }
    }
}

/// A session as `ada 10:00..12:00`, days of May 2026 as `2T10:00`; with `a10:00=60` for activity,
/// or `?` where it is not known.
#[derive(Debug)]
struct Given {
    user: UserName,
    started: Timestamp,
    until: Timestamp,
    active_hours: Option<Vec<ActiveHour>>,
}

fn local(text: &str, zone: &TimeZone) -> Timestamp {
    let (day, time) = text.split_once('T').unwrap();
    let civil: jiff::civil::DateTime = format!("2026-05-{day:0>2}T{time}").parse().unwrap();
    civil.to_zoned(zone.clone()).unwrap().timestamp()
}

fn given(text: &str, zone: &TimeZone) -> Given {
    let mut words = text.split_whitespace();
    let user = UserName::from(words.next().unwrap());
    let (started, until) = words.next().unwrap().split_once("..").unwrap();
    let mut active_hours = Some(Vec::new());
    for word in words {
        let Some((hour, seconds)) = word.split_once('=') else {
            active_hours = None;
            continue;
        };
        let hour = local(hour, zone);
        let seconds = seconds.parse().unwrap();
        if let Some(hours) = &mut active_hours {
            hours.push(ActiveHour { hour, seconds });
        }
    }
    Given {
        user,
        started: local(started, zone),
        until: local(until, zone),
        active_hours,
    }
}

fn span(given: &Given) -> SessionSpan<'_> {
    SessionSpan {
        user: &given.user,
        server: "",
        started: given.started,
        until: given.until,
        active_hours: given.active_hours.as_deref(),
    }
}

/// Rows from 1 to 3 May as `day user sessions hours h active`.
fn check(zone_name: &str, sessions: &str, expected: &str) {
    let zone = zone(zone_name);
    let sessions: Vec<Given> = sessions.split(';').map(|text| given(text, &zone)).collect();
    let days = day("2026-05-01")..=day("2026-05-03");
    let rows = user_days(sessions.iter().map(span), &zone, days).into_iter();
    let rows = rows.map(|row| {
        let active = row
            .active_seconds
            .map_or("?".to_owned(), |seconds| seconds.to_string());
        let day = row.day.date().day();
        format!(
            "{day} {} {} {}h {active}",
            row.user, row.sessions, row.hours
        )
    });
    assert_eq!(rows.collect::<Vec<_>>().join("; "), expected);
}

#[test]
fn a_session_over_midnight_is_split_there() {
    check(
        "Asia/Kolkata",
        "ada 1T22:00..3T01:30",
        "1 ada 1 2h 0; 2 ada 1 24h 0; 3 ada 1 1.5h 0",
    );
}

#[test]
fn a_session_that_ends_at_midnight_does_not_count_on_the_next_day() {
    check("Europe/Berlin", "ada 1T22:00..2T00:00", "1 ada 1 2h 0");
    check("Europe/Berlin", "ada 2T00:00..2T00:00", "2 ada 1 0h 0");
}

#[test]
fn a_session_that_ends_before_it_starts_has_no_length() {
    check("UTC", "ada 2T10:00..1T09:00", "2 ada 1 0h 0");
}

#[test]
fn two_servers_at_once_count_both() {
    check(
        "UTC",
        "ada 1T10:00..1T12:00; ada 1T11:00..1T12:00",
        "1 ada 2 3h 0",
    );
}

#[test]
fn days_outside_the_range_are_left_out() {
    check(
        "UTC",
        "ada 4T10:00..4T12:00; bob 3T23:00..5T00:00",
        "3 bob 1 1h 0",
    );
    let april = given("ada 1T00:00..1T02:00 1T00:00=60", &TimeZone::UTC);
    let days = day("2026-05-02")..=day("2026-05-03");
    assert_eq!(
        user_days([span(&april)].into_iter(), &TimeZone::UTC, days),
        []
    );
}

#[test]
fn a_range_that_ends_before_it_begins_has_no_days() {
    let given = given("ada 1T00:00..1T02:00 1T00:00=60", &TimeZone::UTC);
    let days = Day::of(Timestamp::MAX, &TimeZone::UTC)..=day("2026-05-01");
    assert_eq!(
        user_days([span(&given)].into_iter(), &TimeZone::UTC, days),
        []
    );
}

#[test]
fn activity_counts_on_the_day_of_its_hour() {
    check(
        "Asia/Kolkata",
        "ada 1T22:00..2T10:00 1T23:00=600 2T00:00=300 2T09:00=60",
        "1 ada 1 2h 600; 2 ada 1 10h 360",
    );
}

#[test]
fn activity_outside_of_the_session_counts_on_its_nearest_day() {
    check("UTC", "ada 1T22:00..2T00:00 2T00:00=60", "1 ada 1 2h 60");
    check("UTC", "ada 2T01:00..2T02:00 1T23:00=60", "2 ada 1 1h 60");
}

#[test]
fn unknown_activity_of_one_session_makes_the_day_unknown() {
    check(
        "UTC",
        "ada 1T22:00..2T01:00 ?; ada 2T10:00..3T01:00 2T10:00=60 3T00:00=30",
        "1 ada 1 2h ?; 2 ada 2 15h ?; 3 ada 1 1h 30",
    );
}

/// Sessions within the last ten days of October 2026, when clocks go back in Berlin.
fn some_sessions() -> impl Strategy<Value = Vec<Given>> {
    let noon = at("2026-10-21T12:00:00Z");
    let session = (
        0u8..3,
        0i64..800_000_000_000,
        0i64..90_000_000_000,
        0u32..3600,
    );
    let session = session.prop_map(move |(user, offset, length, seconds)| {
        let started = noon + SignedDuration::from_micros(offset);
        let until = started + SignedDuration::from_micros(length);
        let active_hours = vec![ActiveHour {
            hour: hour_start(until, &TimeZone::UTC),
            seconds,
        }];
        let user = UserName::new(format!("u{user}"));
        Given {
            user,
            started,
            until,
            active_hours: Some(active_hours),
        }
    });
    proptest::collection::vec(session, 0..20)
}

proptest! {
    #[test]
    fn days_add_up_to_the_sessions(
        sessions in some_sessions(),
        zone_name in prop_oneof!["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Santiago"],
    ) {
        let zone = zone(&zone_name);
        let days = || day("2026-10-20")..=day("2026-11-02");
        let rows = user_days(sessions.iter().map(span), &zone, days());
        let hours: f64 = rows.iter().map(|row| row.hours).sum();
        let expected: i64 = sessions.iter()
            .map(|session| session.until.as_microsecond() - session.started.as_microsecond()).sum();
        prop_assert!((hours - super::hours(expected)).abs() <= 1e-9 * hours);
        let active: u64 = rows.iter().map(|row| row.active_seconds.unwrap()).sum();
        let expected: u32 = sessions.iter().flat_map(|session| &session.active_hours)
            .flatten().map(|active| active.seconds).sum();
        prop_assert_eq!(active, u64::from(expected));
        let reversed = user_days(sessions.iter().rev().map(span), &zone, days());
        prop_assert_eq!(reversed, rows);
    }

    #[test]
    fn each_moment_lies_in_its_hour_and_day(
        offset in 0i64..400_000_000,
        zone_name in prop_oneof!["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia",
            "Australia/Lord_Howe", "America/Santiago"],
    ) {
        let zone = zone(&zone_name);
        let at = at("2005-01-01T00:00:00Z") + SignedDuration::from_secs(offset);
        let span = Day::of(at, &zone).span(&zone);
        prop_assert!(span.start <= at && at < span.end);
        let hour = hour_start(at, &zone);
        prop_assert!(hour <= at && at.duration_since(hour) < SignedDuration::from_secs(5400));
        prop_assert!(hour >= span.start, "hours do not reach over the start of a day");
        prop_assert_eq!(hour_start(hour, &zone), hour);
    }
}

/// Hours follow each other without a gap, in every zone.
#[test]
fn the_end_of_an_hour_is_the_start_of_the_next() {
    for name in [
        "UTC",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/New_York",
        "Africa/Monrovia",
    ] {
        let zone = TimeZone::get(name).unwrap();
        let mut start = hour_start("2026-03-01T00:00:00Z".parse().unwrap(), &zone);
        let until: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        while start < until {
            let end = hour_end(start, &zone);
            let minutes = end.duration_since(start).as_mins();
            assert!(minutes == 60 || minutes == 30, "{name} {start} {minutes}");
            assert_eq!(hour_start(end, &zone), end, "{name}");
            let last_moment = end - SignedDuration::from_nanos(1);
            assert_eq!(hour_start(last_moment, &zone), start, "{name}");
            start = end;
        }
    }
}

#[test]
fn hours_before_1970_follow_each_other_too() {
    for (start, end) in [
        ("1926-11-22T03:00:00Z", "1926-11-22T04:00:00Z"),
        ("1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        let last_moment = at(end) - SignedDuration::from_nanos(1);
        assert_eq!(hour_start(last_moment, &TimeZone::UTC), at(start));
        assert_eq!(hour_end(at(start), &TimeZone::UTC), at(end));
    }
}

/// A clock that is changed in the midst of an hour by less than what is left of it.
#[test]
fn of_two_ends_within_an_hour_the_first_is_its_end() {
    let zone = TimeZone::posix("STD0DST-0:20,J100/2:10,J300/2:10").unwrap();
    let at = |text: &str| -> Timestamp { format!("2026-{text}Z").parse().unwrap() };
    // From 2:10 to 2:30, so 3:00 is at 2:40 of the old clock; and back from 2:10 to 1:50.
    let ends = [
        ("04-10T02:00:00", "04-10T02:10:00"),
        ("04-10T02:10:00", "04-10T02:40:00"),
        ("04-10T02:40:00", "04-10T03:40:00"),
        ("10-27T01:40:00", "10-27T01:50:00"),
        ("10-27T01:50:00", "10-27T02:00:00"),
        ("10-27T02:00:00", "10-27T03:00:00"),
    ];
    for (start, end) in ends {
        assert_eq!(hour_start(at(start), &zone), at(start), "{start}");
        assert_eq!(hour_end(at(start), &zone), at(end), "{start}");
    }
}
