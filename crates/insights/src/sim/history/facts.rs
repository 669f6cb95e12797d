//! What polls and hub events told of a run.

use super::activity::{Count, Stretch, stretches};
use super::calendar::{Calendar, SECOND, timestamp};
use super::incidents::Polls;
use super::runs::{Cause, Run, RunEnd, Told};
use crate::sim::draw::Draw;
use model::fact::{ActiveHour, Fact, StopEvidence, Watch, What};
use model::tally::Tally;

/// A fact, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldFact {
    /// What is known.
    pub fact: Fact,
    /// Who told it.
    pub teller: Teller,
    /// When it came.
    pub arrival: Arrival,
}

/// Who told a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// A poll.
    Poll,
    /// An event of the hub.
    Hub,
}

/// When a fact came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At once.
    InTime,
    /// Weeks later, after the month was written.
    Late,
}

/// Events that come late, and those that come twice, in thousandths.
const LATE: u64 = 20;
const TWICE: u64 = 10;

/// Everything told of the run, in the order of time but for equal times.
pub(super) fn facts_of(run: &Run, calendar: &Calendar, polls: &Polls, facts: &mut Vec<ToldFact>) {
    let mut events = Events::of(run);
    if run.told == Told::ByHub {
        events.push(run.ready, What::Start, facts);
    }
    let what = What::Seen {
        started: timestamp(run.started),
        options: run.options.clone(),
        image: run.image.clone(),
    };
    push(facts, run.seen, what);
    let count = tell_activity(run, calendar, polls, facts);
    let Some(end) = &run.end else { return };
    if let Some(what) = end_event(run, end) {
        events.push(end.at, what, facts);
    }
    if count.last.is_some() {
        push(facts, end.missed, activity(run, count.hours));
    }
    push(facts, end.missed, gone(run, end));
}

/// The tally of a run so far, as the poller keeps it.
pub(super) fn tally_of(run: &Run, calendar: &Calendar, polls: &Polls) -> Tally {
    let count = tell_activity(run, calendar, polls, &mut Vec::new());
    let hours = count
        .hours
        .iter()
        .map(|active| (active.hour, active.seconds));
    Tally {
        last_activity: count.last.map(timestamp),
        hours: hours.collect(),
    }
}

/// Tells the activity at the first poll of each local day, and gives what is left to tell.
fn tell_activity<'a>(
    run: &Run,
    calendar: &'a Calendar,
    polls: &Polls,
    facts: &mut Vec<ToldFact>,
) -> Count<'a> {
    let mut count = Count::new(calendar);
    let mut stretches = stretches(run);
    let mut next = stretches.next();
    let mut day = calendar.day_index(run.seen);
    loop {
        let midnight = calendar.days[day].end;
        // Nothing but a poll at midnight sharp would lie between.
        let telling = polls.after(midnight - 1);
        let is_told = telling <= run.last_seen;
        let told_until = if is_told {
            telling - telling.rem_euclid(SECOND)
        } else {
            i64::MAX
        };
        while let Some(stretch) = next.filter(|stretch| stretch.from < told_until) {
            if stretch.to > told_until {
                count.add(Stretch {
                    to: told_until,
                    ..stretch
                });
                next = Some(Stretch {
                    from: told_until,
                    ..stretch
                });
                break;
            }
            count.add(stretch);
            next = stretches.next();
        }
        if !is_told {
            return count;
        }
        if count.last.is_some() {
            push(facts, telling, activity(run, count.hours.clone()));
        }
        count.forget_finished_hours();
        day = calendar.day_index(telling);
    }
}

fn activity(run: &Run, hours: Vec<ActiveHour>) -> What {
    What::Activity {
        started: timestamp(run.started),
        hours,
    }
}

fn end_event(run: &Run, end: &RunEnd) -> Option<What> {
    match (run.told, end.cause) {
        (Told::ByHub, Cause::Stopped) => Some(What::Stop),
        (Told::ByHub, Cause::Crashed) => Some(What::Died),
        _ => None,
    }
}

fn gone(run: &Run, end: &RunEnd) -> What {
    let (stop_counted, watch) = match end.cause {
        Cause::Stopped => (StopEvidence::Asked, Watch::Watched),
        Cause::Crashed => (StopEvidence::NotAsked, Watch::Watched),
        Cause::HubRestart(_) | Cause::Unknown => (StopEvidence::Unknown, Watch::Watched),
        Cause::InOutage => (StopEvidence::Unknown, Watch::Unwatched),
    };
    let hub_restarted = match end.cause {
        Cause::HubRestart(restart) => Some(timestamp(restart)),
        _ => None,
    };
    What::Gone {
        started: Some(timestamp(run.started)),
        last_seen: timestamp(run.last_seen),
        watch,
        hub_restarted,
        stop_counted,
    }
}

fn push(facts: &mut Vec<ToldFact>, at: i64, what: What) {
    facts.push(ToldFact {
        fact: Fact {
            at: timestamp(at),
            what,
        },
        teller: Teller::Poll,
        arrival: Arrival::InTime,
    });
}

/// Events of the hub about one run, of which some come late or twice.
struct Events(Draw);

impl Events {
    fn of(run: &Run) -> Self {
        Self(Draw::of([run.seed, 9]))
    }

    fn push(&mut self, at: i64, what: What, facts: &mut Vec<ToldFact>) {
        let told = ToldFact {
            fact: Fact {
                at: timestamp(at),
                what,
            },
            teller: Teller::Hub,
            arrival: if self.0.per_mille(LATE) {
                Arrival::Late
            } else {
                Arrival::InTime
            },
        };
        if self.0.per_mille(TWICE) {
            facts.push(told.clone());
        }
        facts.push(told);
    }
}
