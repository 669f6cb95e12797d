//! The question about usage that the demo prints for copying.

use jiff::civil::Date;

/// What each group used in the month of a date: core hours, memory, GPU hours. A user of two groups
/// counts in both, as long as both memberships last.
///
/// Nothing in it is quoted with `'`, since people copy it into a shell. Months begin in UTC.
pub(super) fn usage_by_group(date: Date) -> String {
    let from = date.first_of_month();
    let to = date.last_of_month().tomorrow().unwrap_or(Date::MAX);
    let day = |date: Date| {
        format!(
            "make_date({}, {}, {})",
            date.year(),
            date.month(),
            date.day()
        )
    };
    format!(
        r#"select group, count(distinct user) as users,
    round(sum(cpu_core_seconds) / 3600, 1) as core_hours,
    round(sum(memory_byte_seconds) / 3600 / power(2, 30), 1) as gib_hours,
    round(sum(gpu_used_seconds) / 3600, 1) as gpu_hours
from usage join membership_intervals using (hub, user)
where hour >= {} and hour < {}
    and joined <= hour and ("left" is null or "left" > hour)
group by group
order by core_hours desc"#,
        day(from),
        day(to)
    )
}

/// The month that the question is about: the last one that is over, if the history reaches into it.
pub(super) fn month_to_ask(today: Date, n_days: u32) -> Date {
    let is_in_last_month = i64::from(n_days) >= i64::from(today.day());
    let last_month = today.first_of_month().yesterday();
    last_month
        .ok()
        .filter(|_| is_in_last_month)
        .unwrap_or(today)
}

#[cfg(test)]
mod tests {
    use super::super::{config, history};
    use super::*;
    use crate::cli::block_on;
    use crate::cli::sql::Answer;
    use crate::sim::history::{History, HistoryShape};
    use crate::sim::{Shape, World};
    use jiff::Timestamp;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use model::diff::Move;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};
    use store::{Folder, Format, Limits, Store};

    /// Who was in a group, from when, and until when.
    struct Stay {
        user: String,
        group: String,
        joined: Timestamp,
        left: Option<Timestamp>,
    }

    #[derive(Debug, Default)]
    struct Used {
        users: BTreeSet<String>,
        core_seconds: f64,
        byte_seconds: f64,
        gpu_seconds: f64,
    }

    fn stays(history: &History) -> Vec<Stay> {
        let mut stays: Vec<Stay> = Vec::new();
        for news in history.members() {
            let (user, group) = (news.change.user.to_string(), news.change.group.to_string());
            match news.change.change {
                Move::Joined => stays.push(Stay {
                    user,
                    group,
                    joined: news.at,
                    left: None,
                }),
                Move::Left => {
                    let mut open = stays.iter_mut();
                    let stay = open.rfind(|stay| stay.user == user && stay.group == group);
                    stay.unwrap().left = Some(news.at);
                }
            }
        }
        stays
    }

    /// What groups used in a time, as the made-up history says it without any table.
    fn expected(history: &mut History, from: Timestamp, to: Timestamp) -> BTreeMap<String, Used> {
        let stays = stays(history);
        let mut groups: BTreeMap<String, Used> = BTreeMap::new();
        for month in 0..history.n_months() {
            let servers = history.servers(month, 0..history.n_users());
            let hours = servers.iter().flat_map(|server| &server.usage);
            for used in hours.filter(|used| from <= used.hour && used.hour < to) {
                let user = used.account.user.as_str();
                let of_user = stays.iter().filter(|stay| stay.user == user);
                let then = of_user.filter(|stay| {
                    stay.joined <= used.hour && stay.left.is_none_or(|left| left > used.hour)
                });
                for stay in then {
                    let group = groups.entry(stay.group.clone()).or_default();
                    group.users.insert(user.to_owned());
                    group.core_seconds += used.totals.cpu_core_seconds.unwrap();
                    group.byte_seconds += used.totals.memory_byte_seconds.unwrap();
                    group.gpu_seconds += used.totals.gpu_used_seconds.unwrap();
                }
            }
        }
        groups
    }

    fn ask(store: &Store, sql: &str, folder: &std::path::Path) -> Vec<Value> {
        let answer = Answer {
            store,
            sql,
            format: Format::Json,
            limits: Limits::default(),
        };
        let path = folder.join("answer.json");
        block_on(answer.write(Some(&path))).unwrap().unwrap();
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_question_gives_what_each_group_used() {
        let until: Timestamp = "2026-11-20T12:34:56.789012Z".parse().unwrap();
        let world = || {
            let shape = Shape {
                n_users: 80,
                n_groups: 8,
                n_active: 8,
                groups_per_user: 1.5,
                seed: 1,
            };
            World::generate(&shape, until)
        };
        let shape = HistoryShape {
            n_days: 60,
            seed: 1,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            until,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(Folder::prepare(&path).unwrap()).unwrap();
        history::make(&mut world(), &shape, &config(0), &store).unwrap();
        let month = month_to_ask(date(2026, 11, 20), shape.n_days);
        let answer = ask(&store, &usage_by_group(month), folder.path());
        let at = |text: &str| text.parse().unwrap();
        let (from, to) = (at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
        let expected = expected(&mut History::plan(&world(), &shape), from, to);
        assert!(expected.len() > 4, "{expected:?}");
        assert_eq!(answer.len(), expected.len());
        for row in &answer {
            let group = &expected[row["group"].as_str().unwrap()];
            assert_eq!(row["users"].as_u64(), Some(group.users.len() as u64));
            let sums = [
                ("core_hours", group.core_seconds / 3600.0),
                ("gib_hours", group.byte_seconds / 3600.0 / 1_073_741_824.0),
                ("gpu_hours", group.gpu_seconds / 3600.0),
            ];
            for (name, sum) in sums {
                let told = row[name].as_f64().unwrap();
                assert!((told - sum).abs() < 0.051, "{name} {told} {sum}");
            }
        }
        let hours = answer.iter().map(|row| row["core_hours"].as_f64().unwrap());
        assert!(hours.is_sorted_by(|left, right| left >= right));

        // So do the questions that stand in the documentation.
        let page = include_str!("../../../../../docs/usage.md");
        let questions = page.split("```sql\n").skip(1);
        let questions = questions.filter_map(|rest| rest.split("\n```").next());
        let questions: Vec<&str> = questions.collect();
        assert_eq!(questions[0], usage_by_group(month));
        for sql in &questions {
            assert!(ask(&store, sql, folder.path()).len() > 2, "{sql}");
        }
        assert_eq!(questions.len(), 2);
    }

    #[test]
    fn the_month_before_is_asked_for_where_there_is_one() {
        assert_eq!(month_to_ask(date(2026, 11, 21), 365), date(2026, 10, 31));
        assert_eq!(month_to_ask(date(2026, 1, 2), 2), date(2025, 12, 31));
        assert_eq!(month_to_ask(date(2026, 11, 21), 20), date(2026, 11, 21));
        let sql = usage_by_group(date(2025, 12, 31));
        let month = "hour >= make_date(2025, 12, 1) and hour < make_date(2026, 1, 1)";
        assert!(sql.contains(month), "{sql}");
        assert!(!sql.contains('\''), "{sql}");
    }
}
