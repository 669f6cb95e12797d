//! What was used between two looks, by account.
//!
//! Processor time and traffic are counted by the kernel, so what they grew by is right however long
//! ago the last look was. Memory, what was asked for and GPUs are only seen at looks: in between they
//! are taken to change evenly, and what began or ended in between was there for half of the time.
//! After more than [`LONGEST_GAP`] intervals nobody knows what they were, and nothing is said of them.

use crate::sources::{Known, Look, Note, ServerUse, Unattributed};
use jiff::{SignedDuration, Timestamp};
use model::names::UserName;
use model::usage::{Account, Amounts, Increment, Totals};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// In intervals between looks.
const LONGEST_GAP: u32 = 3;

/// A user whom the hub does not know.
pub(super) const UNKNOWN_USER: &str = "unknown user";

/// Who is charged for a process, unit or container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Charge {
    Account(Account),
    /// Why.
    Nobody(&'static str),
}

/// What everybody used, as one look saw it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) uses: BTreeMap<Charge, Use>,
    pub(super) notes: Vec<Note>,
}

/// What somebody used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Use {
    /// Processes, units, containers.
    pub(super) n_things: u64,
    /// Since the last look; `None` at the first.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) rx_bytes: Option<f64>,
    pub(super) tx_bytes: Option<f64>,
    /// What is used at this moment; what is used per second follows from the above.
    pub(super) amounts: Amounts,
    /// Most memory since the last look, where more than at the looks is known.
    pub(super) peak_bytes: Option<f64>,
}

impl Use {
    /// Adds another unit or container. What is unknown of one of two is unknown of both, since half of
    /// somebody's memory is a wrong number and not a low one.
    pub(super) fn add(&mut self, more: &Self) {
        if self.n_things == 0 {
            *self = *more;
            return;
        }
        let both = |left: Option<f64>, right: Option<f64>| Some(left? + right?);
        let (mine, theirs) = (self.amounts, more.amounts);
        self.amounts.add(&theirs);
        self.amounts.memory_bytes = both(mine.memory_bytes, theirs.memory_bytes);
        self.amounts.gpus_used = both(mine.gpus_used, theirs.gpus_used);
        // Two of which one has no limit have none together.
        self.amounts.memory_limit_bytes = both(mine.memory_limit_bytes, theirs.memory_limit_bytes);
        self.cpu_seconds = both(self.cpu_seconds, more.cpu_seconds);
        self.rx_bytes = both(self.rx_bytes, more.rx_bytes);
        self.tx_bytes = both(self.tx_bytes, more.tx_bytes);
        // Of each at its own time, so no sum.
        self.peak_bytes = largest(self.peak_bytes, more.peak_bytes);
        self.n_things += more.n_things;
    }
}

/// A moment, by the clock and by one that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) instant: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            at: crate::poll::clock::now(),
            instant: Instant::now(),
        }
    }
}

/// Makes looks of what is seen.
#[derive(Debug)]
pub(super) struct Ledger {
    longest_gap: Duration,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    instant: Instant,
    held: BTreeMap<Account, Amounts>,
}

/// The time since the last look.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    seconds: f64,
    /// Whether it is known what was held all the time.
    is_watched: bool,
}

impl Ledger {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            longest_gap: interval * LONGEST_GAP,
            last: None,
        }
    }

    /// What is seen now, and what was used since it was called last.
    pub(super) fn close(&mut self, seen: Seen, moment: Moment, known: &Known) -> Look {
        let span = self.span_until(moment);
        let users = known.users.as_deref();
        let users: Option<HashSet<&UserName>> = users.map(|users| users.iter().collect());
        let is_known = |user: &UserName| users.as_ref().is_none_or(|users| users.contains(user));
        let mut look = Look {
            at: moment.at,
            notes: seen.notes,
            ..Look::default()
        };
        let mut nobodys: BTreeMap<&'static str, Unattributed> = BTreeMap::new();
        let mut held = BTreeMap::new();
        for (charge, used) in seen.uses {
            let amounts = used.amounts_over(span);
            let reason = match charge {
                Charge::Nobody(reason) => reason,
                Charge::Account(account) => {
                    held.insert(account.clone(), amounts);
                    if let Some(span) = span {
                        let before = self.held_before(&account);
                        look.increments.push(used.increment(&account, before, span));
                    }
                    if is_known(&account.user) {
                        look.servers.push(ServerUse {
                            account,
                            amounts,
                            cpu_seconds_more: used.cpu_seconds.unwrap_or(0.0),
                        });
                        continue;
                    }
                    UNKNOWN_USER
                }
            };
            let row = nobodys.entry(reason).or_insert(Unattributed {
                reason,
                n_things: 0,
                amounts: Amounts::default(),
                home_bytes: None,
            });
            row.n_things += used.n_things;
            row.amounts.add(&amounts);
        }
        if let Some(span) = span {
            look.increments.extend(self.ended(&held, span));
        }
        look.unattributed = nobodys.into_values().collect();
        self.last = Some(Last {
            instant: moment.instant,
            held,
        });
        look
    }

    fn span_until(&self, moment: Moment) -> Option<Span> {
        let elapsed = moment.instant.duration_since(self.last.as_ref()?.instant);
        let since = SignedDuration::try_from(elapsed).ok()?;
        (!elapsed.is_zero()).then(|| Span {
            // The clock may have been set meanwhile.
            from: moment.at.checked_sub(since).unwrap_or(moment.at),
            until: moment.at,
            seconds: elapsed.as_secs_f64(),
            is_watched: elapsed <= self.longest_gap,
        })
    }

    fn held_before(&self, account: &Account) -> Option<Amounts> {
        self.last.as_ref()?.held.get(account).copied()
    }

    /// What accounts held that are gone.
    fn ended(&self, now: &BTreeMap<Account, Amounts>, span: Span) -> Vec<Increment> {
        let held = self.last.as_ref().map(|last| &last.held);
        let gone = held.into_iter().flatten();
        let gone = gone.filter(|(account, _)| span.is_watched && !now.contains_key(*account));
        let increments = gone.map(|(account, before)| Increment {
            account: account.clone(),
            from: span.from,
            until: span.until,
            totals: held_over(Some(*before), None, span),
        });
        increments.collect()
    }
}

impl Use {
    fn amounts_over(&self, span: Option<Span>) -> Amounts {
        let per_second = |more: Option<f64>| Some(more? / span?.seconds);
        Amounts {
            cpu_cores: per_second(self.cpu_seconds),
            network_rx_bytes_per_second: per_second(self.rx_bytes),
            network_tx_bytes_per_second: per_second(self.tx_bytes),
            ..self.amounts
        }
    }

    fn increment(&self, account: &Account, before: Option<Amounts>, span: Span) -> Increment {
        let held = if span.is_watched {
            held_over(before, Some(self.amounts), span)
        } else {
            Totals::default()
        };
        Increment {
            account: account.clone(),
            from: span.from,
            until: span.until,
            totals: Totals {
                cpu_core_seconds: self.cpu_seconds,
                network_rx_bytes: self.rx_bytes,
                network_tx_bytes: self.tx_bytes,
                memory_peak_bytes: largest(self.amounts.memory_bytes, self.peak_bytes),
                samples: 1,
                ..held
            },
        }
    }
}

fn largest(left: Option<f64>, right: Option<f64>) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.max(right)),
        (known, None) | (None, known) => known,
    }
}

/// What was held from one look to the next; `None` for what was not there.
fn held_over(before: Option<Amounts>, now: Option<Amounts>, span: Span) -> Totals {
    let half = span.seconds / 2.0;
    let over = |amount: fn(&Amounts) -> Option<f64>| match (&before, &now) {
        (Some(before), Some(now)) => Some((amount(before)? + amount(now)?) * half),
        (Some(one), None) | (None, Some(one)) => Some(amount(one)? * half),
        (None, None) => None,
    };
    Totals {
        memory_byte_seconds: over(|amounts| amounts.memory_bytes),
        cpu_requested_core_seconds: over(|amounts| amounts.cpu_requested_cores),
        memory_requested_byte_seconds: over(|amounts| amounts.memory_requested_bytes),
        gpu_requested_seconds: over(|amounts| amounts.gpus_requested),
        gpu_used_seconds: over(|amounts| amounts.gpus_used),
        ..Totals::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "2026-11-21T18:00:00Z";

    fn account(user: &str) -> Account {
        Account {
            user: user.into(),
            server: None,
        }
    }

    /// `ada 10 200`: user, seconds used or `-`, bytes held; `?` for nobody's.
    fn seen(text: &str) -> Seen {
        let parts = text.split(", ").filter(|part| !part.is_empty());
        let parts = parts.map(|part| {
            let words: Vec<&str> = part.split(' ').collect();
            let charge = match words[0] {
                "?" => Charge::Nobody("left its tree"),
                name => Charge::Account(account(name)),
            };
            let used = Use {
                n_things: 1,
                cpu_seconds: words[1].parse().ok(),
                amounts: Amounts {
                    memory_bytes: words[2].parse().ok(),
                    ..Amounts::default()
                },
                ..Use::default()
            };
            (charge, used)
        });
        Seen {
            uses: parts.collect(),
            notes: Vec::new(),
        }
    }

    struct Looks {
        ledger: Ledger,
        start: Instant,
    }

    impl Looks {
        fn new() -> Self {
            Self {
                ledger: Ledger::new(Duration::from_mins(1)),
                start: Instant::now(),
            }
        }

        fn at(&mut self, second: u32, text: &str, known: &Known) -> Look {
            let start: Timestamp = START.parse().unwrap();
            let moment = Moment {
                at: start + SignedDuration::from_secs(second.into()),
                instant: self.start + Duration::from_secs(second.into()),
            };
            self.ledger.close(seen(text), moment, known)
        }

        /// Increments as `user seconds byte-seconds samples`.
        fn increments(&mut self, second: u32, text: &str) -> Vec<String> {
            let look = self.at(second, text, &Known::default());
            let increments = look.increments.iter().map(|increment| {
                let totals = increment.totals;
                let shown = |value: Option<f64>| value.map_or("-".to_owned(), |v| v.to_string());
                format!(
                    "{} {} {} {}",
                    increment.account.user,
                    shown(totals.cpu_core_seconds),
                    shown(totals.memory_byte_seconds),
                    totals.samples
                )
            });
            increments.collect()
        }
    }

    #[test]
    fn memory_changes_evenly_and_what_begins_or_ends_was_there_for_half() {
        let mut looks = Looks::new();
        assert_eq!(looks.increments(0, "ada - 100"), [""; 0]);
        assert_eq!(
            looks.increments(60, "ada 30 300, ben 4 10"),
            ["ada 30 12000 1", "ben 4 300 1"]
        );
        assert_eq!(
            looks.increments(120, "ben 0 10"),
            ["ben 0 600 1", "ada - 9000 0"]
        );
        // Unknown at one of the looks.
        assert_eq!(looks.increments(180, "ben 1 -"), ["ben 1 - 1"]);
        assert_eq!(looks.increments(240, "ben 1 10"), ["ben 1 - 1"]);
    }

    #[test]
    fn after_a_long_gap_only_what_is_counted_is_known() {
        let mut looks = Looks::new();
        looks.increments(0, "ada - 100, ben - 5");
        assert_eq!(looks.increments(181, "ada 90 100"), ["ada 90 - 1"]);
        assert_eq!(looks.increments(361, "ada 9 100"), ["ada 9 18000 1"]);
    }

    #[test]
    fn an_increment_is_of_the_time_since_the_last_look() {
        let mut looks = Looks::new();
        looks.at(0, "ada - 100", &Known::default());
        let look = looks.at(40, "ada 20 100", &Known::default());
        let start: Timestamp = START.parse().unwrap();
        assert_eq!(look.increments[0].from, start);
        assert_eq!(look.increments[0].until, look.at);
        assert_eq!(look.servers[0].amounts.cpu_cores, Some(0.5));
        assert!((look.servers[0].cpu_seconds_more - 20.0).abs() < f64::EPSILON);
        assert_eq!(look.increments[0].totals.memory_peak_bytes, Some(100.0));
    }

    #[test]
    fn a_user_whom_the_hub_does_not_know_has_no_row_but_a_past() {
        let mut looks = Looks::new();
        let known = Known {
            users: Some([UserName::from("ada")].into()),
            spawner: None,
        };
        looks.at(0, "ada - 1, eve - 7, ? - 2", &known);
        let look = looks.at(60, "ada 1 1, eve 6 7, ? 12 2", &known);
        let users: Vec<&str> = look
            .servers
            .iter()
            .map(|s| s.account.user.as_str())
            .collect();
        assert_eq!(users, ["ada"]);
        let users: Vec<&str> = look
            .increments
            .iter()
            .map(|i| i.account.user.as_str())
            .collect();
        assert_eq!(users, ["ada", "eve"]);
        let nobodys = look.unattributed.iter();
        let nobodys: Vec<_> = nobodys
            .map(|row| (row.reason, row.n_things, row.amounts.cpu_cores))
            .collect();
        assert_eq!(
            nobodys,
            [
                ("left its tree", 1, Some(0.2)),
                ("unknown user", 1, Some(0.1))
            ]
        );
    }
}
