//! One look at what is used now: every account, what is nobody's, homes, and the ceilings.

use super::expected::{Charged, Present, ceilings, present, real};
use super::exporters::{DIRSIZE_OFFSET, home_bytes};
use super::month::{INTERVAL, Month, NAMESPACE};
use super::{Kind, server};
use crate::support::block_on;
use insights::config::{PrometheusConfig, UsageConfig};
use insights::sources::prometheus::Prometheus as Source;
use insights::sources::{Known, Look};
use model::usage::Amounts;
use std::collections::BTreeMap;

/// What one look brings is what arithmetic gives, on either server.
pub(super) fn a_look_at_the_present() {
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let (url, month) = server(kind);
        let look = look(&url, &month);
        let at = look.at.as_second();
        compare_amounts(&look, &present(&month, at));
        compare_homes(&look, &month, at);
        let numbers = look.numbers.iter().map(|number| {
            let name = number.name.to_string();
            ((name, number.labels_json()), number.value)
        });
        compare_numbers(&numbers.collect(), &ceilings(&month));
        assert_eq!(look.notes, []);
    }
}

fn compare_amounts(look: &Look, expected: &BTreeMap<Charged, Present>) {
    assert!(expected.len() > 100, "{}", expected.len());
    let mut seen: BTreeMap<Charged, Amounts> = BTreeMap::new();
    for server in &look.servers {
        let account = &server.account;
        let name = account.server.as_deref().map(str::to_owned);
        let charged = Charged::Account(account.user.to_string(), name);
        seen.insert(charged, server.amounts);
        // Of the first look it is not known since when.
        assert!(server.cpu_seconds_more.abs() < f64::EPSILON, "{server:?}");
    }
    for it in look
        .unattributed
        .iter()
        .filter(|it| it.home_bytes.is_none())
    {
        let charged = Charged::Nobody(it.reason);
        assert_eq!(it.n_things, expected[&charged].n_pods, "{charged:?}");
        seen.insert(charged, it.amounts);
    }
    assert!(seen.keys().eq(expected.keys()), "{seen:#?}");
    for (charged, expected) in expected {
        let seen = &seen[charged];
        for (seen, expected) in [
            (seen.memory_bytes, expected.memory_bytes),
            (seen.cpu_cores, expected.cpu_cores),
            (seen.memory_requested_bytes, expected.memory_requested_bytes),
            (seen.cpu_requested_cores, expected.cpu_requested_cores),
            (seen.gpus_requested, expected.gpus_requested),
            (
                seen.network_rx_bytes_per_second,
                expected.received_per_second,
            ),
            (seen.network_tx_bytes_per_second, expected.sent_per_second),
        ] {
            assert_close(seen.unwrap(), expected, charged);
        }
        assert_eq!(
            seen.gpus_used.is_some(),
            expected.gpus_used.is_some(),
            "{charged:?}"
        );
        let used = seen.gpus_used.unwrap_or_default();
        assert_close(used, expected.gpus_used.unwrap_or_default(), charged);
    }
}

/// Everybody's home, and directories that are no known user's.
fn compare_homes(look: &Look, month: &Month, at: i64) {
    let scraped = at - (at - DIRSIZE_OFFSET).rem_euclid(INTERVAL);
    let people = month.people.iter().enumerate();
    let known = people.filter(|(_, person)| person.is_known);
    let expected =
        known.map(|(number, person)| (person.name.as_str(), home_bytes(number, scraped)));
    let expected: BTreeMap<&str, i64> = expected.collect();
    let sizes = &look.homes.as_ref().unwrap().sizes;
    let seen = sizes.iter().map(|home| (home.user.as_str(), home.bytes));
    let seen: BTreeMap<&str, f64> = seen.collect();
    assert!(seen.keys().eq(expected.keys()), "{seen:?}");
    for (user, bytes) in expected {
        assert_close(seen[user], real(bytes), &user);
    }
    let mut nobodys = look.unattributed.iter();
    let nobodys = nobodys.find(|it| it.reason == "unknown directory").unwrap();
    assert_eq!(nobodys.n_things, 2);
    assert_close(
        nobodys.home_bytes.unwrap(),
        nobodys_homes(month, scraped),
        &nobodys,
    );
}

/// Everybody's, and that of somebody who is not known any more.
pub(super) fn nobodys_homes(month: &Month, scraped: i64) -> f64 {
    let n_people = month.people.len();
    let numbers = (0..=n_people).filter(|number| {
        let person = month.people.get(*number);
        person.is_none_or(|person| !person.is_known)
    });
    numbers
        .map(|number| real(home_bytes(number, scraped)))
        .sum()
}

#[track_caller]
pub(super) fn compare_numbers(
    seen: &BTreeMap<(String, String), f64>,
    expected: &BTreeMap<(String, String), f64>,
) {
    assert!(seen.keys().eq(expected.keys()), "{seen:#?}\n{expected:#?}");
    for (key, expected) in expected {
        assert_close(seen[key], *expected, key);
    }
}

/// A source that asks this server about the month's hub.
pub(super) fn source(url: &str) -> Source {
    let config = PrometheusConfig {
        url: Some(url.parse().unwrap()),
        ..PrometheusConfig::default()
    };
    Source::new(&config, &UsageConfig::default(), NAMESPACE).unwrap()
}

fn look(url: &str, month: &Month) -> Look {
    let users = month.people.iter().filter(|person| person.is_known);
    let known = Known {
        users: Some(users.map(|person| person.name.as_str().into()).collect()),
        spawner: None,
    };
    block_on(source(url).look(&known)).unwrap()
}

#[track_caller]
pub(super) fn assert_close(left: f64, right: f64, what: &impl std::fmt::Debug) {
    let is_close = (left - right).abs() <= right.abs() * 1e-9;
    assert!(is_close, "{left} is not {right} of {what:?}");
}
