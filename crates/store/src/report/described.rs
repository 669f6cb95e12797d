//! What the query of a report reads beside the tables, in words: for people who write reports of
//! their own.

use crate::tables::{ColumnDef, ColumnKind};

/// A view of one question: its period, its hub, its people.
#[derive(Clone, Copy, Debug)]
pub struct ReportView {
    /// Its name in SQL.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// Its columns.
    pub columns: &'static [ColumnDef],
}

/// A function that knows the calendars of the hubs.
#[derive(Clone, Copy, Debug)]
pub struct CalendarFunction {
    /// Its name and arguments.
    pub call: &'static str,
    /// What it gives.
    pub doc: &'static str,
}

use ColumnKind::{Day, Flag, Integer, Json, Name, Real, Text, Time};

const fn always(name: &'static str, kind: ColumnKind, doc: &'static str) -> ColumnDef {
    ColumnDef::always(name, kind, doc)
}

const fn maybe(name: &'static str, kind: ColumnKind, doc: &'static str) -> ColumnDef {
    ColumnDef::maybe(name, kind, doc)
}

const HUB: ColumnDef = always("hub", Text, "The hub.");
const DAY: ColumnDef = always("day", Day, "Day of the hub's calendar.");
const USER: ColumnDef = always("user", Name, "Who.");
const IN_PERIOD: ColumnDef = always(
    "in_period",
    Flag,
    "Whether the day is of the period, and not of the lead before it.",
);
const ANY_GROUP: ColumnDef = always(
    "group",
    Name,
    "The group, also the one that is made up for people in none or in several.",
);
const ACTIVE: ColumnDef = maybe(
    "active_seconds",
    Real,
    "Seconds with activity, as far as known.",
);
const CPU: ColumnDef = maybe("cpu_core_seconds", Real, "Processor time, in core seconds.");
const MEMORY: ColumnDef = maybe(
    "memory_byte_seconds",
    Real,
    "Memory over time, in byte seconds.",
);
const GPU: ColumnDef = maybe("gpu_seconds", Real, "GPUs requested, in GPU seconds.");

/// All of them.
pub static REPORT_VIEWS: &[ReportView] = &[
    ReportView {
        name: "period_days",
        doc: "A day of the period or of the lead before it, up to today.",
        columns: &[
            HUB,
            DAY,
            always("starts", Time, "When it begins."),
            always("ends", Time, "When it ends."),
            always(
                "known_from",
                Time,
                "Since when sessions are known: on the day of the first look at the hub, since the first whole hour.",
            ),
            always("week", Day, "Its Monday."),
            always("month", Day, "First day of its month."),
            always("weekday", Integer, "1 is Monday, 7 is Sunday."),
            IN_PERIOD,
            always("is_over", Flag, "Whether it is over."),
            always("in_history", Flag, "Whether the history had begun."),
            always(
                "known",
                Flag,
                "Whether anything was collected: sessions are known.",
            ),
            always("members_known", Flag, "Whether memberships are known."),
            always("usage_known", Flag, "Whether usage is known."),
            always("accounts_known", Flag, "Whether new accounts are known."),
            always(
                "hooks_known",
                Flag,
                "Whether it is known what the hub's hooks told.",
            ),
            always(
                "storage_known",
                Flag,
                "Whether the sizes of homes are known.",
            ),
            maybe(
                "watched",
                Real,
                "Share of its hours in which the hub was looked at; unknown before the first look.",
            ),
            always("seconds", Real, "How long it is: clocks change."),
        ],
    },
    ReportView {
        name: "period_user_days",
        doc: "What somebody did and used on a day. Days of people who did nothing are not there.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            USER,
            always("sessions", Integer, "Servers that ran for a moment."),
            always("hours", Real, "Server hours."),
            maybe(
                "active_seconds",
                Real,
                "Seconds with activity; unknown if that of any session is.",
            ),
            CPU,
            MEMORY,
            GPU,
        ],
    },
    ReportView {
        name: "period_group_days",
        doc: "The same once for each group that the person was in on that day, or for `none`.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            USER,
            always("group", Text, "The group."),
            always(
                "is_real",
                Flag,
                "Whether it is a group of the hub, and not one made for people in none or several.",
            ),
            always(
                "share",
                Real,
                "How much of what adds up counts here, by the site's rule.",
            ),
            always("sessions", Integer, "Servers that ran for a moment."),
            always("hours", Real, "Server hours."),
            maybe(
                "active_seconds",
                Real,
                "Seconds with activity; unknown if that of any session is.",
            ),
            CPU,
            MEMORY,
            GPU,
        ],
    },
    ReportView {
        name: "period_started_days",
        doc: "A day on which a server of somebody ran: `period_user_days` without activity and usage, which takes less time.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            USER,
            always("sessions", Integer, "Servers that ran for a moment."),
            always("hours", Real, "Server hours."),
        ],
    },
    ReportView {
        name: "period_members",
        doc: "Days on which somebody was in a group.",
        columns: &[
            HUB,
            USER,
            always("group", Text, "The group."),
            always("first_day", Day, "The first of them."),
            always("last_day", Day, "The last of them."),
            always(
                "share",
                Real,
                "How much of what adds up counts here, by the site's rule.",
            ),
            always("is_real", Flag, "Whether it is a group of the hub."),
        ],
    },
    ReportView {
        name: "period_sessions",
        doc: "A server that ran at some moment of the period or its lead; of a group what ran on days of the membership.",
        columns: &[
            HUB,
            USER,
            always("server", Name, "Its name; empty is the default server."),
            always("started", Time, "When it started."),
            maybe("ended", Time, "When it ended; null if it still runs."),
            always("until", Time, "When it ended, or now."),
            maybe(
                "day",
                Day,
                "Day on which it started; null if that is before its user was in the group that is asked about.",
            ),
            always(
                "starts_in_period",
                Flag,
                "Whether it started in the period.",
            ),
            always("in_period", Flag, "Whether it ran in the period."),
            always("seconds", Real, "How long it ran."),
            always("is_running", Flag, "Whether it still runs."),
            maybe("end_reason", Text, "Why it ended."),
            maybe("active_seconds", Integer, "Seconds with activity."),
            maybe("options", Json, "What the user chose."),
            maybe("image", Text, "Container image."),
        ],
    },
    ReportView {
        name: "period_peaks",
        doc: "How many servers ran at once at most on a day, and of how many people: two servers of one person count once. A server runs from its start on, and no longer at the moment of its end; what ran at midnight counts on the day that begins, too.",
        columns: &[
            HUB,
            DAY,
            always("servers", Integer, "Most servers at once."),
            always("servers_at", Time, "When there were so many first."),
            always(
                "users",
                Integer,
                "Most people at once of whom a server ran.",
            ),
            always("users_at", Time, "When there were so many first."),
            always("started", Integer, "Servers that were started."),
            always(
                "started_within_10_minutes",
                Integer,
                "Most of them that were started within 10 minutes, two that are exactly 10 minutes apart included.",
            ),
        ],
    },
    ReportView {
        name: "period_levels",
        doc: "For how long so many servers, or people of whom one ran, were there at once, on the days that are known and up to now, those of the lead included.",
        columns: &[
            HUB,
            always("what", Text, "`servers` or `users`."),
            always("level", Integer, "How many."),
            always("at", Time, "When there were so many first."),
            always("seconds", Real, "For how long, all times together."),
        ],
    },
    ReportView {
        name: "period_hours",
        doc: "What ran in a local hour, all servers and all people together.",
        columns: &[
            HUB,
            DAY,
            always("hour", Time, "When the hour begins."),
            always("seconds", Real, "How long it is: clocks change."),
            always("server_seconds", Real, "Time of servers."),
            always(
                "user_seconds",
                Real,
                "Time of people of whom a server ran: two at once count once.",
            ),
        ],
    },
    ReportView {
        name: "period_windows",
        doc: "How many people came, each counted once, within some days that end with a day: of whom a server ran on one of those days that are known and read.",
        columns: &[
            HUB,
            DAY,
            always("daily", Integer, "On the day."),
            always("weekly", Integer, "Within 7 days."),
            always("monthly", Integer, "Within 30 days."),
        ],
    },
    ReportView {
        name: "period_weeks",
        doc: "A week in which somebody came, on a day that is known.",
        columns: &[
            HUB,
            USER,
            always("week", Day, "Its Monday."),
            always(
                "in_period",
                Flag,
                "Whether on a day of the period, and not only of the lead before it.",
            ),
            maybe(
                "before",
                Day,
                "The last week before it in which they came; null if they did not on any of the days that are read.",
            ),
        ],
    },
    ReportView {
        name: "period_months",
        doc: "A month in which somebody came, on a day that is known.",
        columns: &[
            HUB,
            USER,
            always("month", Day, "Its first day."),
            always(
                "in_period",
                Flag,
                "Whether on a day of the period, and not only of the lead before it.",
            ),
            maybe(
                "before",
                Day,
                "The last month before it in which they came; null if they did not on any of the days that are read.",
            ),
        ],
    },
    ReportView {
        name: "period_visitors",
        doc: "Somebody who came in the period, and once more if in the lead before it, on days that are known.",
        columns: &[
            HUB,
            USER,
            always(
                "in_period",
                Flag,
                "Whether it is about the period, or about the lead.",
            ),
            always("first_day", Day, "First day on which they came."),
            always("last_day", Day, "Last day on which they came."),
        ],
    },
    ReportView {
        name: "period_groups",
        doc: "A group of the hub of which a member came in the period, and once more if in the lead before it, on days of the membership and of which memberships are known.",
        columns: &[
            HUB,
            always("group", Name, "The group."),
            always(
                "in_period",
                Flag,
                "Whether it is about the period, or about the lead.",
            ),
            always("first_day", Day, "First day on which one came."),
            always("last_day", Day, "Last day on which one came."),
        ],
    },
    ReportView {
        name: "period_participants",
        doc: "How many members of a group came on days of the period on which they were members and of which memberships are known.",
        columns: &[
            HUB,
            ANY_GROUP,
            always("people", Integer, "Members who came, each counted once."),
        ],
    },
    ReportView {
        name: "period_group_sums",
        doc: "What people did and used on a day, by group. Each value is by share: what somebody did who was in several groups is divided by the site's rule.",
        columns: &[
            HUB,
            DAY,
            ANY_GROUP,
            always(
                "came",
                Integer,
                "People of whom a server ran and of whom anything counts here.",
            ),
            always(
                "counted",
                Integer,
                "People of whom a server ran or who used anything, and of whom it counts here.",
            ),
            maybe("hours", Real, "Server hours; null if nothing counts here."),
            ACTIVE,
            CPU,
            MEMORY,
            GPU,
        ],
    },
    ReportView {
        name: "period_group_starts",
        doc: "Servers that were started on a day, by group: by share, as `period_group_sums`.",
        columns: &[
            HUB,
            DAY,
            ANY_GROUP,
            always("sessions", Real, "Servers that were started."),
        ],
    },
    ReportView {
        name: "period_user_weeks",
        doc: "What somebody did in a week, on those of its days that are read; a week may have two rows, which add up.",
        columns: &[
            HUB,
            USER,
            always("week", Day, "Its Monday."),
            always("days", Integer, "Days on which a server ran."),
            always("told", Integer, "Those of them of which activity is known."),
            maybe("hours", Real, "Server hours; null if no server ran."),
            maybe(
                "active_seconds",
                Real,
                "Seconds with activity on these days, as far as known.",
            ),
            maybe("last_active", Day, "The last day with activity."),
        ],
    },
    ReportView {
        name: "period_day_sums",
        doc: "What people did and used on a day, all together.",
        columns: &[
            HUB,
            DAY,
            always("people", Integer, "People of whom a server ran."),
            always("active", Integer, "Those of them with activity."),
            always("told", Integer, "Those of them whose activity is known."),
            always("hours", Real, "Server hours."),
            ACTIVE,
            CPU,
            MEMORY,
            GPU,
        ],
    },
    ReportView {
        name: "period_home_sums",
        doc: "The sizes of all homes that were measured on a day.",
        columns: &[HUB, DAY, maybe("home_bytes", Real, "Bytes of all of them.")],
    },
    ReportView {
        name: "period_logins",
        doc: "What the hub's hooks told of logins of a day on which they told of any.",
        columns: &[
            HUB,
            DAY,
            always("logins", Integer, "Logins."),
            always("users", Integer, "People who logged in."),
            always("failed", Integer, "Logins that failed."),
            always("logouts", Integer, "Logouts."),
        ],
    },
    ReportView {
        name: "period_usage_sums",
        doc: "What somebody's server requested and used in the period, in up to two rows that have to be summed up: requests count in hours in which the use is known, too.",
        columns: &[
            HUB,
            USER,
            maybe(
                "server",
                Name,
                "The server, where servers can be told apart.",
            ),
            maybe(
                "samples",
                Integer,
                "Measurements with a request and a use of processor time or of memory.",
            ),
            maybe("cpu_samples", Integer, "Those of processor time."),
            maybe("memory_samples", Integer, "Those of memory."),
            maybe("most_samples", Integer, "Most measurements of one hour."),
            CPU,
            maybe(
                "cpu_requested_core_seconds",
                Real,
                "Processor time requested.",
            ),
            MEMORY,
            maybe(
                "memory_requested_byte_seconds",
                Real,
                "Memory requested over time.",
            ),
            maybe("memory_peak_bytes", Real, "Largest memory at a moment."),
            maybe("gpu_used_seconds", Real, "Time of GPUs used."),
            maybe("gpu_requested_seconds", Real, "Time of GPUs requested."),
        ],
    },
    ReportView {
        name: "period_usage",
        doc: "What somebody used in an hour.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            always("hour", Time, "When the hour begins."),
            USER,
            maybe(
                "server",
                Name,
                "The server, where servers can be told apart.",
            ),
            CPU,
            MEMORY,
            maybe(
                "cpu_requested_core_seconds",
                Real,
                "Processor time requested, in core seconds.",
            ),
            maybe(
                "memory_requested_byte_seconds",
                Real,
                "Memory requested, in byte seconds.",
            ),
            maybe(
                "gpu_requested_seconds",
                Real,
                "GPUs requested, in GPU seconds.",
            ),
            maybe("gpu_used_seconds", Real, "GPUs at work, in GPU seconds."),
            maybe("network_rx_bytes", Real, "Received, in bytes."),
            maybe("network_tx_bytes", Real, "Sent, in bytes."),
            maybe(
                "memory_peak_bytes",
                Real,
                "Largest memory at a moment, in bytes.",
            ),
            always("samples", Integer, "Samples that it is made of."),
        ],
    },
    ReportView {
        name: "period_storage",
        doc: "The size of somebody's home on a day on which it was measured.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            USER,
            always("home_bytes", Real, "Bytes."),
            maybe("files", Integer, "Files."),
        ],
    },
    ReportView {
        name: "period_events",
        doc: "Something that happened, as in `events`.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            always("at", Time, "When."),
            maybe(
                "not_before",
                Time,
                "The earliest moment it can have happened.",
            ),
            always("kind", Text, "What."),
            maybe("user", Name, "Who it is about."),
            maybe("server", Name, "The server; empty is the default server."),
            maybe("detail", Json, "Everything else."),
            always("source", Text, "Who said so."),
        ],
    },
    ReportView {
        name: "period_observations",
        doc: "A reading of the hub, as in `observations`: of a minute, or what an hour of them was.",
        columns: &[
            HUB,
            DAY,
            IN_PERIOD,
            always("at", Time, "When; of an hour its beginning."),
            always("name", Text, "What was read."),
            maybe("labels", Json, "Its labels."),
            maybe("value", Real, "The reading, or the mean of the hour."),
            maybe("min", Real, "Of an hour the smallest."),
            maybe("max", Real, "Of an hour the largest."),
            maybe("last", Real, "Of an hour the last."),
            maybe("n", Integer, "Of an hour, how many there were."),
            always("resolution", Real, "60 or 3600 seconds."),
        ],
    },
    ReportView {
        name: "period_people",
        doc: "Somebody whom the history knows of up to the end of the period.",
        columns: &[
            HUB,
            USER,
            maybe(
                "added",
                Day,
                "Day on which the account was new; unknown if it was there at the first look.",
            ),
            always("is_new_known", Flag, "Whether that day is known."),
            always(
                "has_account",
                Flag,
                "Whether the hub was seen to have an account.",
            ),
            maybe("removed", Day, "Day on which the account was gone."),
            maybe("first_started", Time, "The first start of a server."),
            maybe("last_started", Time, "The last one."),
            maybe("last_seen", Time, "Until when a server ran."),
            always(
                "is_running",
                Flag,
                "Whether one ran at the end of the period.",
            ),
        ],
    },
    ReportView {
        name: "period_shortages",
        doc: "A time at which the hub ran out of something, once for each person who was affected.",
        columns: &[
            HUB,
            always("what", Text, "`cpu`, `memory` or `slots`."),
            maybe("pool", Text, "The pool of nodes, if there are several."),
            always("started", Time, "When it began."),
            always("ended", Time, "When it was over."),
            always("minutes", Real, "How long it was seen."),
            maybe("worst", Real, "The largest share of the ceiling."),
            always("known", Flag, "Whether all its days are known."),
            maybe("user", Name, "Who was affected; null if nobody."),
        ],
    },
];

/// All of them.
pub static CALENDAR_FUNCTIONS: &[CalendarFunction] = &[
    CalendarFunction {
        call: "day_of(hub, time)",
        doc: "the day that a moment lies in",
    },
    CalendarFunction {
        call: "last_day_of(hub, started, until)",
        doc: "the last day on which something ran",
    },
    CalendarFunction {
        call: "days_of(hub, started, until)",
        doc: "the days on which it ran, as a list",
    },
    CalendarFunction {
        call: "seconds_on(hub, day, started, until)",
        doc: "how long it ran on a day",
    },
    CalendarFunction {
        call: "hour_of(hub, time)",
        doc: "what a clock on the wall shows: 0 to 23",
    },
    CalendarFunction {
        call: "hours_of(hub, started, until)",
        doc: "beginnings of the hours in which it ran, as a list",
    },
    CalendarFunction {
        call: "seconds_in(hub, hour, started, until)",
        doc: "how long it ran in the hour that begins then",
    },
    CalendarFunction {
        call: "weekday_of(hub, time)",
        doc: "1 is Monday, 7 is Sunday",
    },
    CalendarFunction {
        call: "seconds_between(from, to)",
        doc: "the time between two moments",
    },
    CalendarFunction {
        call: "address_of(text)",
        doc: "an address as 32 digits that compare as addresses do",
    },
];

#[cfg(test)]
mod tests {
    use super::super::golden::answered;
    use super::super::{Definition, functions, scope};
    use super::*;
    use std::fmt::Write as _;

    const HISTORY: &str = "hub lab Europe/Berlin\nnow 2026-03-10T12:00\n\n\
        ask from=2026-03-09 to=2026-03-10\n";

    /// As the head of a report calls it.
    fn kind(kind: ColumnKind) -> &'static str {
        match kind {
            Text | Json => "text",
            Name => "name",
            Integer => "count",
            Real => "number",
            Time => "time",
            Day => "day",
            Flag => "flag",
        }
    }

    #[tokio::test]
    async fn each_view_has_the_columns_that_are_described() {
        let mut wrong = String::new();
        for view in REPORT_VIEWS {
            let mut text = "-- title: A view\n-- section: Site\n-- question: What is in it?\n\
                -- definition: All.\n-- scope: none\n-- needs: none\n"
                .to_owned();
            for column in view.columns {
                writeln!(
                    text,
                    "-- column: {} {} {}",
                    column.name,
                    kind(column.kind),
                    column.doc
                )
                .unwrap();
            }
            writeln!(text, "select * from {}", view.name).unwrap();
            let report = Definition::parse("view", &text).unwrap();
            let answer = answered(report, HISTORY, |_| true).await;
            let error = answer.lines().find(|line| line.starts_with("error: "));
            if let Some(error) = error {
                writeln!(wrong, "{}: {error}", view.name).unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn all_functions_and_views_are_described() {
        let described = CALENDAR_FUNCTIONS.iter();
        let described: Vec<&str> = described
            .map(|it| it.call.split('(').next().unwrap())
            .collect();
        assert_eq!(described, functions::names().collect::<Vec<_>>());
        let described: Vec<&str> = REPORT_VIEWS.iter().map(|view| view.name).collect();
        for name in scope::names().filter(|name| name.starts_with("period_")) {
            assert!(described.contains(&name), "{name}");
        }
    }
}
