//! Sizes of homes, as the dirsize exporter tells them by directory.
//!
//! A directory is whose it is by the names that users' homes can have; it is not taken apart.

use super::asker::Asker;
use super::error::PrometheusError;
use super::promql::{InNamespace, Selector, grouped};
use super::{DayEnd, DayHomes};
use crate::sources::{HomeSize, Homes, Known, Note, Unattributed};
use jiff::{SignedDuration, Timestamp};
use model::homes::{Owners, Template};
use model::names::UserName;
use std::collections::{BTreeMap, HashMap};

const DIRECTORY: &[&str] = &["directory"];
const UNKNOWN_DIRECTORY: &str = "unknown directory";
/// Days that are asked about at once.
const BLOCK_DAYS: usize = 31;
const HOUR_MS: i64 = 3_600_000 - 1;
const DAY_MS: i64 = 24 * 3_600_000 - 1;

/// What was found when homes were last looked at.
#[derive(Debug)]
pub(super) struct LastLook {
    pub(super) at: Timestamp,
    pub(super) note: Option<Note>,
    pub(super) unattributed: Option<Unattributed>,
}

/// What one directory takes.
#[derive(Clone, Copy, Debug, Default)]
struct Directory {
    bytes: Option<f64>,
    entries: Option<f64>,
}

/// Directories by name.
type Directories = HashMap<Box<str>, Directory>;

/// Homes of one moment.
#[derive(Debug, Default)]
struct Sizes {
    by_user: Vec<HomeSize>,
    n_unattributed: u64,
    unattributed_bytes: f64,
}

/// Whose homes can have which name.
pub(super) fn owners(known: &Known, templates: &[Template]) -> Owners {
    let users = known.users.iter().flat_map(|users| users.iter());
    Owners::new(users, templates)
}

/// Homes as they are now.
pub(super) async fn now(
    asker: &mut Asker<'_>,
    at: Timestamp,
    owners: &Owners,
) -> Result<(LastLook, Homes), PrometheusError> {
    let mut directories = Directories::new();
    for metric in Metric::BOTH {
        let query = grouped("max", DIRECTORY, &metric.series(asker).now());
        for series in asker.now(&query, at).await?.series {
            let directory = directories.entry(series.labels.get("directory").into());
            metric.set(
                directory.or_default(),
                series.points.first().map(|point| point.value),
            );
        }
    }
    let sizes = sizes(&directories, owners);
    let note = directories.is_empty().then(|| Note {
        about: "homes",
        text: format!(
            "there is no `dirsize_total_size_bytes` of namespace `{}`: sizes of homes need \
             prometheus-dirsize-exporter",
            asker.namespace
        ),
    });
    let unattributed = (sizes.n_unattributed > 0).then(|| Unattributed {
        reason: UNKNOWN_DIRECTORY,
        n_things: sizes.n_unattributed,
        amounts: model::usage::Amounts::default(),
        home_bytes: Some(sizes.unattributed_bytes),
    });
    let last = LastLook {
        at,
        note,
        unattributed,
    };
    let sizes = sizes.by_user;
    Ok((last, Homes { at, sizes }))
}

/// Homes as they were last seen before each of these ends: if not in the last hour, then on that day.
pub(super) async fn at_ends(
    asker: &mut Asker<'_>,
    days: &[DayEnd],
    owners: &Owners,
) -> Result<Vec<DayHomes>, PrometheusError> {
    let mut all = Vec::with_capacity(days.len());
    let mut parts = runs(days, asker.most_points);
    parts.reverse();
    while let Some(part) = parts.pop() {
        match of_run(asker, part).await {
            Ok(found) => all.extend(part.iter().zip(found).map(|(day, directories)| {
                let sizes = sizes(&directories, owners);
                DayHomes {
                    day: day.day,
                    sizes: sizes.by_user,
                    n_unattributed: sizes.n_unattributed,
                    unattributed_bytes: sizes.unattributed_bytes,
                }
            })),
            Err(error) if error.is_too_much() && part.len() > 1 => {
                let (sooner, later) = part.split_at(part.len() / 2);
                parts.push(later);
                parts.push(sooner);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Days whose ends are equally far apart, so that one query can be asked about them.
fn runs(days: &[DayEnd], most_points: u64) -> Vec<&[DayEnd]> {
    let most = BLOCK_DAYS
        .min(usize::try_from(most_points).unwrap_or(usize::MAX))
        .max(1);
    let a_day = SignedDuration::from_hours(24);
    days.chunk_by(|left, right| right.end.duration_since(left.end) == a_day)
        .flat_map(|run| run.chunks(most))
        .collect()
}

async fn of_run(
    asker: &mut Asker<'_>,
    days: &[DayEnd],
) -> Result<Vec<Directories>, PrometheusError> {
    let mut found: Vec<Directories> = days.iter().map(|_| Directories::new()).collect();
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Ok(found);
    };
    let step = SignedDuration::from_hours(24).as_secs();
    for metric in Metric::BOTH {
        for window in [HOUR_MS, DAY_MS] {
            let series = metric.series(asker).over("last_over_time", window);
            let query = grouped("max", DIRECTORY, &series);
            let answer = asker.range(&query, first.end, last.end, step).await?;
            for series in &answer.series {
                for point in &series.points {
                    let days_since = point.at.duration_since(first.end).as_secs() / step;
                    let Some(day) = usize::try_from(days_since)
                        .ok()
                        .and_then(|day| found.get_mut(day))
                    else {
                        continue;
                    };
                    let directory = day.entry(series.labels.get("directory").into());
                    metric.set(directory.or_default(), Some(point.value));
                }
            }
        }
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug)]
enum Metric {
    Bytes,
    Entries,
}

impl Metric {
    const BOTH: [Self; 2] = [Self::Bytes, Self::Entries];

    fn series(self, asker: &Asker<'_>) -> InNamespace {
        let metric = match self {
            Self::Bytes => "dirsize_total_size_bytes",
            Self::Entries => "dirsize_entries_count",
        };
        asker.mine(Selector::new(metric))
    }

    /// What was said first counts.
    fn set(self, directory: &mut Directory, value: Option<f64>) {
        let place = match self {
            Self::Bytes => &mut directory.bytes,
            Self::Entries => &mut directory.entries,
        };
        *place = place.or(value);
    }
}

/// Homes by user. A user can have several, of which some may be left from another way to name them.
fn sizes(directories: &Directories, owners: &Owners) -> Sizes {
    let mut sizes = Sizes::default();
    let mut by_user: BTreeMap<&UserName, (f64, Option<f64>)> = BTreeMap::new();
    let mut sorted: Vec<_> = directories.iter().collect();
    // Sums of floating-point numbers depend on their order.
    sorted.sort_unstable_by(|left, right| left.0.cmp(right.0));
    for (name, directory) in sorted {
        let Some(bytes) = directory.bytes else {
            continue;
        };
        if let Some(user) = owners.owner_of(name) {
            let home = by_user.entry(user).or_default();
            home.0 += bytes;
            let entries = home.1.into_iter().chain(directory.entries);
            home.1 = entries.reduce(|left, right| left + right);
        } else {
            sizes.n_unattributed += 1;
            sizes.unattributed_bytes += bytes;
        }
    }
    let homes = by_user.into_iter();
    sizes.by_user = homes
        .map(|(user, (bytes, entries))| HomeSize {
            user: user.clone(),
            bytes,
            files: entries.map(whole),
        })
        .collect();
    sizes
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is out of range becomes the nearest number"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
