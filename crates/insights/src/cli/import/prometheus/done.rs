//! What an import did, for whoever started it.

use super::covered::Span;
use crate::poll::clock::now;
use crate::sources::Note;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::process::ExitCode;
use store::{Imported, KeeperSettings};

/// Times that are named one by one.
const MOST_NAMED: usize = 20;

/// What was imported.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) n_hours: usize,
    pub(super) n_usage: usize,
    pub(super) n_homes: usize,
    /// Directories that belong to nobody who is known, summed over the days.
    pub(super) n_homes_unattributed: u64,
    pub(super) n_sessions: usize,
    /// Lives of pods that polling or the hub's events tell of already.
    pub(super) n_observed: usize,
    pub(super) n_numbers: usize,
    imported: Imported,
    /// Events that retention removes at its next round.
    n_expired: usize,
    left_out: Vec<LeftOut>,
    /// What was odd in the answers.
    notes: BTreeSet<String>,
}

/// A time that was not answered.
#[derive(Debug)]
struct LeftOut {
    span: Span,
    n_hours: usize,
    why: String,
}

impl Done {
    pub(super) fn n_rows(&self) -> usize {
        self.n_usage + self.n_homes + self.n_sessions + self.n_numbers
    }

    /// An hour was left out. Hours in a row for one reason are named together.
    pub(super) fn leave_out(&mut self, hour: Span, why: String) {
        match self.left_out.last_mut() {
            Some(last) if last.span.to == hour.from && last.why == why => {
                last.span.to = hour.to;
                last.n_hours += 1;
            }
            _ => self.left_out.push(LeftOut {
                span: hour,
                n_hours: 1,
                why,
            }),
        }
    }

    /// Hours that were left out one after another, up to the last one.
    pub(super) fn n_left_out_at_the_end(&self) -> usize {
        let mut n_hours = 0;
        let mut from = None;
        for left_out in self.left_out.iter().rev() {
            if from.is_some_and(|from| left_out.span.to != from) {
                break;
            }
            n_hours += left_out.n_hours;
            from = Some(left_out.span.from);
        }
        n_hours
    }

    pub(super) fn note(&mut self, notes: &[Note]) {
        for note in notes {
            if self.notes.len() < MOST_NAMED {
                self.notes.insert(note.text.clone());
            }
        }
    }

    pub(super) fn note_age(&mut self, at: Timestamp, keeper: &KeeperSettings) {
        let kept = keeper.retention.events;
        if kept.is_some_and(|kept| now().duration_since(at) > kept) {
            self.n_expired += 1;
        }
    }

    /// What became of the rows, and what has to be known about them.
    pub(super) fn finish(&mut self, imported: Imported, keeper: &KeeperSettings) {
        self.imported = imported;
        if imported.n_unsure > 0 {
            eprintln!(
                "Of the new rows {} are older than a day: the process that keeps the history leaves \
                 out those that it holds already when it writes them.",
                imported.n_unsure
            );
        }
        if self.n_homes_unattributed > 0 {
            eprintln!(
                "{} sizes of directories belong to nobody who is known: `prometheus.home_directories` \
                 says how they are named.",
                self.n_homes_unattributed
            );
        }
        if let (1.., Some(kept)) = (self.n_expired, keeper.retention.events) {
            eprintln!(
                "jupyterhub-insights: warning: {} events that sessions are derived from are older than \
                 {} days and will be removed within minutes; set `retention.events_days` to keep them \
                 (0: for ever).",
                self.n_expired,
                kept.as_hours() / 24
            );
        }
    }

    /// Names what is missing, and what was odd.
    pub(super) fn tell_left_out(&self) {
        for note in &self.notes {
            eprintln!("{note}");
        }
        for LeftOut { span, why, .. } in self.left_out.iter().take(MOST_NAMED) {
            eprintln!("Left out {} to {}: {why}", span.from, span.to);
        }
        if self.left_out.len() > MOST_NAMED {
            eprintln!("… and {} times more.", self.left_out.len() - MOST_NAMED);
        }
        if !self.left_out.is_empty() {
            eprintln!("The next import asks for them again.");
        }
    }

    pub(super) fn summary(&self) -> String {
        let Self {
            n_hours,
            n_usage,
            n_homes,
            n_sessions,
            n_observed,
            n_numbers,
            ..
        } = self;
        let Imported { n_new, n_known, .. } = self.imported;
        format!(
            "{n_hours} hours read: {n_usage} rows of usage, {n_homes} of homes, {n_numbers} of the hub's \
             numbers, {n_sessions} sessions ({n_observed} more were observed); {n_new} rows new, {n_known} \
             known\n"
        )
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.left_out.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64) -> Span {
        let at = |number: i64| Timestamp::from_second(1_780_000_000 + number * 3600).unwrap();
        Span {
            from: at(number),
            to: at(number + 1),
        }
    }

    #[test]
    fn hours_in_a_row_are_counted_and_named_together() {
        let mut done = Done::default();
        assert_eq!(done.n_left_out_at_the_end(), 0);
        for (number, why) in [(0, "a"), (2, "a"), (3, "a"), (4, "b")] {
            done.leave_out(hour(number), why.to_owned());
        }
        assert_eq!(done.left_out.len(), 3);
        assert_eq!(done.n_left_out_at_the_end(), 3);
        done.leave_out(hour(9), "b".to_owned());
        assert_eq!(done.n_left_out_at_the_end(), 1);
    }
}
