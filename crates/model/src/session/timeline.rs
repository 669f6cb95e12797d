//! Puts facts together: which session each of them is about.

use super::draft::{Disappearance, Draft, EventEnd};
use super::{Origin, SLACK};
use crate::fact::{Fact, What};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How much later than a start event the hub's own `started` may be: events come after it, unless
/// their times were cut to whole seconds.
///
/// More than that, and the start of a server would count to the next one, where somebody stops
/// a server and starts it again at once.
fn rounding(at: Timestamp) -> SignedDuration {
    if at.subsec_nanosecond() == 0 {
        SLACK
    } else {
        SignedDuration::ZERO
    }
}

/// Sessions under construction, by `started`.
#[derive(Default)]
pub(super) struct Timeline {
    pub(super) drafts: BTreeMap<Timestamp, Draft>,
}

impl Timeline {
    /// Polling first, as it gives the frame, then the rest in the order of time.
    pub(super) fn new(facts: &BTreeSet<&Fact>) -> Self {
        let mut timeline = Self::default();
        for fact in facts {
            timeline.add_polled(fact);
        }
        for fact in facts {
            timeline.add_event(fact);
        }
        timeline
    }

    fn add_polled(&mut self, fact: &Fact) {
        match &fact.what {
            What::Seen {
                started,
                options,
                image,
            } => {
                let draft = self.polled(*started);
                draft.seen = draft.seen.max(fact.at);
                draft.options = draft.options.take().or_else(|| options.clone());
                draft.image = draft.image.take().or_else(|| image.clone());
            }
            What::Activity { started, hours } => self.polled(*started).add_activity(hours),
            What::Gone {
                started: Some(started),
                ..
            } => {
                let disappearance = Disappearance::of(fact);
                self.polled(*started).disappearances.extend(disappearance);
            }
            What::Gone { started: None, .. }
            | What::Start
            | What::Stop
            | What::Died
            | What::HubStop => {}
        }
    }

    fn add_event(&mut self, fact: &Fact) {
        match &fact.what {
            What::Start => self.add_start(fact.at),
            What::Stop => self.add_end(EventEnd::Stop(fact.at)),
            What::Died => self.add_end(EventEnd::Died(fact.at)),
            What::HubStop => self.add_end(EventEnd::HubStop(fact.at)),
            What::Gone { started: None, .. } => self.add_disappearance(fact),
            What::Gone { .. } | What::Seen { .. } | What::Activity { .. } => {}
        }
    }

    fn add_start(&mut self, at: Timestamp) {
        let rounded = at.checked_add(rounding(at)).unwrap_or(Timestamp::MAX);
        let mut begun = self.drafts.range_mut(..=rounded).rev();
        let latest = begun.find(|(_, draft)| draft.may_have_started_at(at));
        if let Some((_, draft)) = latest.filter(|(_, draft)| draft.is_open_at(at)) {
            draft.start_event = draft.start_event.max(Some(at));
            return;
        }
        let draft = self.drafts.entry(at);
        let draft = draft.or_insert_with(|| Draft::new(at, Origin::EventsOnly));
        draft.start_event = Some(at);
    }

    fn add_end(&mut self, end: EventEnd) {
        let latest = self.drafts.range_mut(..=end.at()).next_back();
        if let Some((_, draft)) = latest {
            draft.add_event_end(end);
        }
    }

    /// Of a session that no poll ever saw: the one that was running when it was last known.
    fn add_disappearance(&mut self, fact: &Fact) {
        let Some(disappearance) = Disappearance::of(fact) else {
            return;
        };
        let latest = self.drafts.range_mut(..=disappearance.last_seen);
        if let Some((_, draft)) = latest.last()
            && draft.origin == Origin::EventsOnly
        {
            draft.disappearances.push(disappearance);
        }
    }

    fn polled(&mut self, started: Timestamp) -> &mut Draft {
        let draft = self.drafts.entry(started);
        draft.or_insert_with(|| Draft::new(started, Origin::Polled))
    }
}
