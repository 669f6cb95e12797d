//! A history as lines of a golden file.

use super::hub::Session;
use super::{GROUPS, Hub, USERS};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;

impl Hub {
    /// Adds the lines of this hub.
    pub(super) fn tell(&self, now: Timestamp, lines: &mut Vec<String>) {
        lines.push(format!("hub {} {}", self.name, self.zone));
        lines.push(format!("now {now}"));
        let (start, gap) = (self.midnight(0), &self.unwatched);
        if gap.is_empty() {
            lines.push(format!("watched {start} {now}"));
        } else {
            let (gap_starts, gap_ends) = (self.midnight(gap.start), self.midnight(gap.end));
            lines.push(format!("watched {start} {gap_starts}"));
            lines.push(format!("watched {gap_ends} {now}"));
        }
        for user in ["ada", "ben", "cyd", "owl"] {
            lines.push(format!("account {user}"));
        }
        lines.push(format!("account dan {}", self.midnight(1)));
        self.tell_members(lines);
        for session in self.sessions(now) {
            lines.push(session.line());
        }
        for ((hour, user, server), used) in self.usage(now) {
            let (cpu, memory) = (used.cpu_core_seconds, used.memory_byte_seconds);
            let gpus = used
                .gpu_seconds
                .map(|gpus| format!(" gpu_requested={gpus} gpu_used=900"));
            let gpus = gpus.unwrap_or_default();
            lines.push(format!(
                "usage {hour} {user} {server} cpu={cpu} memory={memory}{gpus} \
                 cpu_requested=7200 memory_requested=4e12 rx=10 peak=2e9"
            ));
        }
        for day in self.days(now).filter(|day| self.is_watched(*day)) {
            self.tell_day(day, now, lines);
        }
    }

    fn tell_members(&self, lines: &mut Vec<String>) {
        // So that members are known from the first day on.
        lines.push(format!("member owl owls {}", self.midnight(0)));
        for (number, member) in self.members.iter().enumerate() {
            let Some((joined, left)) = member else {
                continue;
            };
            let (user, group) = (USERS[number / GROUPS.len()], GROUPS[number % GROUPS.len()]);
            let mut line = format!("member {user} {group} {}", self.midnight(*joined));
            if let Some(left) = left {
                write!(line, " {}", self.midnight(joined + left)).unwrap();
            }
            lines.push(line);
        }
    }

    /// What else is collected on a day, so that no report is empty.
    fn tell_day(&self, day: i32, now: Timestamp, lines: &mut Vec<String>) {
        let (date, n) = (self.date(day), day + 1);
        lines.push(format!("storage {date} ada {n}000 7"));
        lines.push(format!("storage {date} ben {}00", 50 - n));
        let busy = if n % 3 == 0 { 10 } else { 5 };
        let things = [
            (1, "reading", "process_start_time_seconds {} 1770000000".to_owned()),
            (1, "reading", format!("pods_unschedulable {{}} {}", n % 2)),
            (1, "reading", format!("pods_placeholder {{\"phase\":\"Running\"}} {n}")),
            (2, "reading", "machine_cpu_capacity_cores {} 10".to_owned()),
            (2, "reading", format!("machine_cpu_used_cores {{}} {busy}")),
            (
                3,
                "reading",
                format!("jupyterhub_request_duration_seconds_count {{\"code\":\"2xx\"}} {n}00"),
            ),
            (
                3,
                "reading",
                format!("jupyterhub_request_duration_seconds_sum {{\"code\":\"2xx\"}} {n}"),
            ),
            (
                4,
                "reading",
                format!("jupyterhub_request_duration_seconds_count {{\"code\":\"2xx\"}} {n}50"),
            ),
            (4, "event", "login ada - {\"address\":\"10.0.0.1\"}".to_owned()),
            (5, "event", format!("spawn-succeeded ada - {{\"seconds\":{n}.5}}")),
            (6, "event", "spawn-failed ben - {\"reason\":\"timeout\"}".to_owned()),
            (7, "event", "hub-started ? ? {}".to_owned()),
            (
                8,
                "event",
                "binder-launch ? ? source=binderhub {\"provider\":\"GitHub\",\"spec\":\"ada/maths/main\"}"
                    .to_owned(),
            ),
        ];
        for (hour, kind, what) in things {
            let at = self.midnight(day) + SignedDuration::from_hours(hour);
            if at < now {
                lines.push(format!("{kind} {at} {what}"));
            }
        }
    }
}

impl Session {
    fn line(&self) -> String {
        let Self {
            user,
            server,
            started,
            until,
            ..
        } = self;
        let mut line = if self.is_running {
            format!("running {user} {server} {started}")
        } else {
            format!("session {user} {server} {started} {until}")
        };
        if let Some(active) = &self.active {
            let hours = active
                .iter()
                .map(|(hour, seconds)| format!("{seconds}@{hour}"));
            let hours: Vec<String> = hours.collect();
            let hours = if hours.is_empty() {
                "0".to_owned()
            } else {
                hours.join("+")
            };
            write!(line, " active={hours}").unwrap();
        }
        line + " image=base options={\"profile\":\"small\"}"
    }
}
