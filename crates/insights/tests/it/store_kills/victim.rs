//! The writer as the client sees it: requests, answers, and the kill.

use super::batch::Batch;
use jiff::Timestamp;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use store::Phase;

/// Requests that wait for their answer at most.
const IN_FLIGHT: usize = 8;
/// Between two requests, but for the moments before a kill: as fast as it goes, most of the time
/// would go into reading millions of rows after each kill.
const PACE: Duration = Duration::from_millis(3);
/// Answers before a kill, so that it comes in the midst of work.
const N_ANSWERS: usize = 12;

/// All phases, in the order of the table of results.
pub(super) const PHASES: [Phase; 6] = [
    Phase::Flush,
    Phase::Compact,
    Phase::Checkpoint,
    Phase::Vacuum,
    Phase::Derive,
    Phase::Idle,
];

enum Line {
    Ready,
    Flushed,
    Taken(u64),
    Phase(Phase),
}

impl Line {
    fn of(text: &str) -> Self {
        match text.split_once(' ') {
            None if text == "ready" => Self::Ready,
            None if text == "flushed" => Self::Flushed,
            Some(("taken", number)) => Self::Taken(number.parse().unwrap()),
            Some(("phase", name)) => {
                let phase = PHASES.iter().find(|phase| format!("{phase:?}") == name);
                Self::Phase(*phase.unwrap())
            }
            _ => panic!("the writer said {text:?}"),
        }
    }
}

/// A running writer.
pub(super) struct Victim {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    log: PathBuf,
    midnight: Timestamp,
    in_flight: BTreeSet<u64>,
    answered: Vec<u64>,
    phase: Phase,
    since: Instant,
}

/// What was known when the writer was dead.
pub(super) struct Killed {
    /// The last phase that it said it had begun.
    pub(super) phase: Phase,
    pub(super) answered: Vec<u64>,
    /// Sent, and not answered.
    pub(super) in_flight: BTreeSet<u64>,
}

/// How long phases last, so that a kill can come anywhere in one.
#[derive(Default, Debug)]
pub(super) struct Durations(HashMap<&'static str, Duration>);

impl Durations {
    fn some_of(&self, phase: Phase, random: &mut SmallRng) -> Duration {
        let usual = self.0.get(name(phase)).copied().unwrap_or_default();
        usual.mul_f64(random.random_range(0.0..1.0))
    }
}

pub(super) fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "between them",
        Phase::Derive => "derivation",
        Phase::Flush => "flush",
        Phase::Compact => "compaction",
        Phase::Checkpoint => "checkpoint",
        Phase::Vacuum => "vacuum",
    }
}

impl Victim {
    /// Starts it and waits until it keeps the folder.
    pub(super) fn start(folder: &Path, log: &Path, midnight: Timestamp) -> Self {
        let errors = File::options().create(true).append(true).open(log).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--store-writer")
            .args([folder.as_os_str(), midnight.to_string().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut victim = Self {
            child,
            stdin,
            lines,
            log: log.to_owned(),
            midnight,
            in_flight: BTreeSet::new(),
            answered: Vec::new(),
            phase: Phase::Idle,
            since: Instant::now(),
        };
        victim.wait_for(|line| matches!(line, Line::Ready));
        victim
    }

    /// Sends requests and waits until all are answered.
    pub(super) fn take(&mut self, batches: impl Iterator<Item = u64>) -> Vec<u64> {
        for number in batches {
            self.send(number);
        }
        while !self.in_flight.is_empty() {
            self.wait_for(|line| matches!(line, Line::Taken(_)));
        }
        std::mem::take(&mut self.answered)
    }

    pub(super) fn flush(&mut self) {
        self.say("flush");
        self.wait_for(|line| matches!(line, Line::Flushed));
    }

    /// Keeps requests in flight and kills it within the phase, if it can be met; says within which
    /// it was killed.
    pub(super) fn work_until_killed(
        mut self,
        wanted: Phase,
        next: &mut u64,
        durations: &mut Durations,
        random: &mut SmallRng,
    ) -> Killed {
        self.say("go");
        let mut kill_at: Option<Instant> = None;
        let mut send_at = Instant::now();
        let give_up_at = Instant::now() + Duration::from_mins(2);
        loop {
            let now = Instant::now();
            if give_up_at <= now {
                self.gone();
            }
            if kill_at.is_some_and(|at| at <= now) {
                return self.kill();
            }
            let may_send = self.in_flight.len() < IN_FLIGHT;
            if may_send && send_at <= now {
                self.send(*next);
                *next += 1;
                send_at = if kill_at.is_some() { now } else { now + PACE };
                continue;
            }
            let wake_at = [kill_at, may_send.then_some(send_at)].into_iter().flatten();
            let wake_at = wake_at.min().unwrap_or(now + Duration::from_mins(1));
            match self.lines.recv_timeout(wake_at - now) {
                Ok(text) => {
                    let line = Line::of(&text);
                    if let Line::Phase(phase) = line {
                        durations.0.insert(name(self.phase), self.since.elapsed());
                        let is_wanted = phase == wanted && self.answered.len() >= N_ANSWERS;
                        kill_at =
                            is_wanted.then(|| Instant::now() + durations.some_of(phase, random));
                    }
                    self.note(&line);
                }
                Err(RecvTimeoutError::Timeout) if may_send || kill_at.is_some() => {}
                Err(_) => self.gone(),
            }
        }
    }

    fn kill(mut self) -> Killed {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // What it said before its end is still in the pipe.
        while let Ok(text) = self.lines.recv() {
            self.note(&Line::of(&text));
        }
        Killed {
            phase: self.phase,
            answered: std::mem::take(&mut self.answered),
            in_flight: std::mem::take(&mut self.in_flight),
        }
    }

    fn send(&mut self, number: u64) {
        self.say(&format!("take {number}"));
        self.in_flight.insert(number);
    }

    fn say(&mut self, line: &str) {
        if writeln!(self.stdin, "{line}").is_err() {
            self.gone();
        }
    }

    fn note(&mut self, line: &Line) {
        match *line {
            Line::Taken(number) => {
                assert!(self.in_flight.remove(&number), "{number} is answered twice");
                self.answered.push(number);
            }
            Line::Phase(phase) => {
                self.phase = phase;
                self.since = Instant::now();
            }
            Line::Ready | Line::Flushed => {}
        }
    }

    fn wait_for(&mut self, is_it: fn(&Line) -> bool) {
        loop {
            let Ok(text) = self.lines.recv_timeout(Duration::from_mins(1)) else {
                self.gone()
            };
            let line = Line::of(&text);
            self.note(&line);
            if is_it(&line) {
                return;
            }
        }
    }

    /// It ended by itself, or says nothing any more.
    fn gone(&mut self) -> ! {
        let status = self.child.try_wait();
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("the writer is gone or stuck ({status:?}):\n{log}");
    }

    /// The request of this number.
    pub(super) fn batch(&self, number: u64) -> Batch {
        let midnight = self.midnight;
        Batch { number, midnight }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
