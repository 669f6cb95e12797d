"""The history as plain lists, read with `deltalake` and `sqlite3` alone.

Moments are whole microseconds since 1970, days are `datetime.date`. Nothing here knows how a report is
computed: it holds what was collected, and what docs/history.md says of it.
"""

import json
import math
import re
import sqlite3
from bisect import bisect_right
from collections import defaultdict, namedtuple
from datetime import date, datetime, timedelta, timezone
from functools import cache, cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

SECOND = 1_000_000
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
# Whoever was not seen for longer than this runs no more.
UNSEEN = 15 * 60 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Session = namedtuple(
    "Session", "id revision user server started ended last_seen end_reason active_seconds options image"
)
Usage = namedtuple(
    "Usage",
    "id revision hour user server cpu_core_seconds memory_byte_seconds cpu_requested_core_seconds "
    "memory_requested_byte_seconds gpu_requested_seconds gpu_used_seconds network_rx_bytes network_tx_bytes "
    "memory_peak_bytes samples",
)
Storage = namedtuple("Storage", "id revision day user home_bytes files")
Event = namedtuple("Event", "id at not_before kind user server detail source")
Observation = namedtuple("Observation", "id at name labels value min max last n")
Membership = namedtuple("Membership", "id user group at not_before change reason")
Interval = namedtuple("Interval", "user group joined left")


# --- moments and texts -------------------------------------------------------------------


def moment(text):
    """Microseconds of `2026-03-01T09:00:00.123456789Z`; what is finer is cut off."""
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


def text_of(micros):
    """A moment for people."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat()


def month_of(day):
    """First day of the month."""
    return day.replace(day=1)


def week_of(day):
    """Monday of the week."""
    return day - timedelta(days=day.weekday())


def next_month(day):
    """First day of the month after."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def unit_of(day, by):
    """First day of the week or month that the day lies in."""
    return week_of(day) if by == "week" else month_of(day)


def next_unit(start, by):
    """First day of the week or month after."""
    return start + timedelta(days=7) if by == "week" else next_month(start)


def name_pattern(names):
    """Whether a name is one of those; `*` stands for any text."""
    if not names:
        return lambda name: False
    names = [names] if isinstance(names, str) else names
    parts = ["".join(".*" if letter == "*" else re.escape(letter) for letter in name) for name in names]
    pattern = re.compile("|".join(parts), re.DOTALL)
    return lambda name: name is not None and pattern.fullmatch(name) is not None


def shares_of(groups, rule, priority=()):
    """How much counts where of what somebody does who is in these groups: nothing in some, of which they are
    nevertheless."""
    names = sorted(groups, key=str.encode)
    if not names:
        return {"none": 1.0}
    if rule == "in-each":
        return dict.fromkeys(names, 1.0)
    if rule == "split":
        return dict.fromkeys(names, 1.0 / len(names))
    shares = dict.fromkeys(names, 0.0)
    if rule == "bucket" and len(names) > 1:
        return shares | {"multiple": 1.0}
    return shares | {([name for name in priority if name in groups] or names)[0]: 1.0}


# --- the history -------------------------------------------------------------------------


class History:
    """What a store folder holds, as lists of named tuples."""

    def __init__(self, folder, now):
        self.folder = Path(folder)
        self.now = now
        state = sqlite3.connect(f"file:{self.folder / 'state.db'}?mode=ro", uri=True)
        self._settings = dict(state.execute("select name, value from settings"))
        hubs = [name.split("/", 1)[1] for name in self._settings if name.startswith("zone/")]
        assert len(hubs) == 1, f"one hub is expected, not {hubs}"
        self.hub = hubs[0]
        self.zone = ZoneInfo(self._settings[f"zone/{self.hub}"])
        self._waiting = defaultdict(list)
        for table, line in state.execute("select tbl, row from spool where hub = ? order by seq", [self.hub]):
            self._waiting[table].append(json.loads(line))
        self._present = [
            json.loads(row)
            for (row,) in state.execute("select row from present_servers where hub = ?", [self.hub])
        ]
        state.close()
        self._days_first = date(2020, 1, 1)
        self._starts = []
        day = self._days_first
        while not self._starts or self._starts[-1] < now + 40 * 86400 * SECOND:
            self._starts.append(self._midnight(day))
            day += DAY
        self._days = [self._days_first + timedelta(days=n) for n in range(len(self._starts))]

    # --- rows ---

    def _rows(self, table, kind, columns=None):
        """All rows of a table as named tuples, those that wait included."""
        columns = columns or kind._fields
        folder = self.folder / "history" / table
        rows = []
        if (folder / "_delta_log").is_dir():
            found = DeltaTable(str(folder)).to_pyarrow_table(
                columns=[*columns, "hub"]
            )
            hubs = found["hub"].to_pylist() if pc.count_distinct(found["hub"]).as_py() > 1 else [self.hub]
            lists = []
            for name in columns:
                column = found[name]
                if pa.types.is_timestamp(column.type):
                    column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
                lists.append(column.to_pylist())
            if all(hub == self.hub for hub in hubs):
                rows = list(map(kind._make, zip(*lists, strict=True)))
            else:
                rows = [kind._make(row) for hub, row in zip(hubs, zip(*lists)) if hub == self.hub]
        times = {"started", "ended", "last_seen", "at", "not_before", "hour"}
        for line in self._waiting[table]:
            def value(name):
                it = line.get(name)
                if it is None:
                    return None
                if name in times and isinstance(it, str):
                    return moment(it)
                if name == "day" and isinstance(it, int):
                    return date(1970, 1, 1) + timedelta(days=it)
                if name == "day":
                    return date.fromisoformat(it)
                if name in {"detail", "options", "labels"} and not isinstance(it, str):
                    return json.dumps(it)
                return it
            rows.append(kind._make(value(name) for name in columns))
        return rows

    @staticmethod
    def _newest(rows):
        """Of the rows with one id the one with the highest revision."""
        if len({row[0] for row in rows}) == len(rows):
            return rows
        newest = {}
        for row in rows:
            known = newest.get(row[0])
            if known is None or known[1] < row[1]:
                newest[row[0]] = row
        return list(newest.values())

    @cached_property
    def _all_sessions(self):
        kind = namedtuple("Row", [*Session._fields, "withdrawn"])
        return self._rows("sessions", kind)

    @cached_property
    def n_corrected(self):
        """Rows of sessions that a later revision replaced."""
        return len(self._all_sessions) - len({row.id for row in self._all_sessions})

    @cached_property
    def sessions(self):
        """Ended and running ones; `ended` of those that run is None."""
        ended = [Session._make(row[:-1]) for row in self._newest(self._all_sessions) if not row.withdrawn]
        known = {(it.user, it.server, it.started) for it in ended}
        for row in self._present:
            key = (row["key"]["user"], row["key"]["server"], moment(row["started"]))
            if key in known:
                continue
            options = row.get("options")
            if options is not None and not isinstance(options, str):
                options = json.dumps(options)
            hours = self.hours_of_present[key]
            # Where nothing was told yet nobody knows of any.
            is_told = hours or row["tally"]["last_activity"] is not None
            active = sum(hours.values()) if is_told else None
            ended.append(
                Session(None, 0, *key, None, moment(row["last_seen"]), None, active, options, row.get("image"))
            )
        return ended

    @cached_property
    def hours_of_present(self):
        """Active seconds by hour (as text) of the servers that run, by person, server and start: what was told
        and what is counted since."""
        hours = {}
        for row in self._present:
            key = (row["key"]["user"], row["key"]["server"], moment(row["started"]))
            told = self._told_hours.get(key, {})
            counted = row["tally"]["hours"]
            hours[key] = {hour: max(told.get(hour, 0), counted.get(hour, 0)) for hour in told | counted}
        return hours

    @cached_property
    def usage(self):
        return self._newest(self._rows("usage", Usage))

    @cached_property
    def storage(self):
        return self._newest(self._rows("storage", Storage))

    @cached_property
    def events(self):
        """`detail` is text."""
        return self._newest_events(self._rows("events", Event))

    @staticmethod
    def _newest_events(rows):
        if len({row.id for row in rows}) == len(rows):
            return rows
        return list({row.id: row for row in rows}.values())

    @cached_property
    def events_by_kind(self):
        by_kind = defaultdict(list)
        for event in self.events:
            by_kind[event.kind].append(event)
        return by_kind

    @cached_property
    def observations(self):
        """`labels` is text. Rows by the minute have no `n`."""
        return self._newest_events(self._rows("observations", Observation))

    @cached_property
    def memberships(self):
        return self._newest_events(self._rows("memberships", Membership))

    @cached_property
    def intervals(self):
        """Who was in which group from when to when: [joined, left)."""
        moves = defaultdict(list)
        for row in self.memberships:
            # At one moment somebody leaves before they join.
            moves[row.user, row.group].append((row.at, row.change == "joined", row.id))
        intervals = []
        for (user, group), rows in sorted(moves.items()):
            joined = None
            for at, is_joined, _ in sorted(rows):
                if is_joined and joined is None:
                    joined = at
                elif not is_joined and joined is not None:
                    intervals.append(Interval(user, group, joined, at))
                    joined = None
            if joined is not None:
                intervals.append(Interval(user, group, joined, None))
        return intervals

    # --- days ---

    def _midnight(self, day):
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return int(start.timestamp()) * SECOND

    def day_start(self, day):
        """The moment at which a day begins."""
        index = (day - self._days_first).days
        if 0 <= index < len(self._starts):
            return self._starts[index]
        return self._midnight(day)

    def day_end(self, day):
        """The moment at which the next day begins."""
        return self.day_start(day + DAY)

    def day_of(self, at):
        """The local day that a moment lies in."""
        return self._days[bisect_right(self._starts, at) - 1]

    def local(self, at):
        """Date and time that a clock on the wall shows."""
        return datetime.fromtimestamp(at // SECOND, self.zone)

    @staticmethod
    def days(first, last):
        """All days from the first to the last."""
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    @property
    def today(self):
        return self.day_of(self.now)

    def is_over(self, day):
        return self.day_end(day) <= self.now

    # --- sessions and days ---

    def runs(self, session):
        """Whether it has not ended, as far as anybody looked lately."""
        return session.ended is None and self.now - session.last_seen <= UNSEEN

    def until(self, session):
        """When it ended, or was last seen if nobody looked for long, or now."""
        if session.ended is not None:
            return session.ended
        return self.now if self.runs(session) else session.last_seen

    def ended(self, session):
        """None if it runs."""
        return None if self.runs(session) else self.until(session)

    def end_reason(self, session):
        is_lost = session.ended is None and not self.runs(session)
        return "unobserved" if is_lost else session.end_reason

    def days_of_session(self, session):
        """Days on which it ran at some moment. One that ends at midnight sharp does not count on the day
        that begins, one without length counts on its start's."""
        first = self.day_of(session.started)
        last = self.day_of(max(session.started, self.until(session) - 1))
        return [first] if first == last else self.days(first, last)

    def seconds_on(self, day, session):
        """How long it ran on a day."""
        start = max(session.started, self.day_start(day))
        end = min(self.until(session), self.day_end(day))
        return max(end - start, 0) / SECOND

    @cached_property
    def unended(self):
        """Those that ran when the hub was last looked at."""
        return [it for it in self.sessions if it.ended is None]

    @property
    def running(self):
        return [it for it in self.unended if self.runs(it)]

    @cached_property
    def _of_ended(self):
        days = defaultdict(dict)
        for session in self.sessions:
            if session.ended is not None:
                for day in self.days_of_session(session):
                    days[day].setdefault(session.user, []).append(session)
        return days

    def ran_on(self, day):
        """The sessions of each person that ran at some moment of a day: {user: [session]}."""
        people = self._of_ended.get(day, {})
        unended = [it for it in self.unended if self.day_of(it.started) <= day <= self.today]
        if unended:
            people = {user: list(sessions) for user, sessions in people.items()}
            for session in unended:
                if day in self.days_of_session(session):
                    people.setdefault(session.user, []).append(session)
        return people

    @cached_property
    def _told_hours(self):
        """Active seconds by hour (as text) that events told, by person, server and start."""
        told = defaultdict(dict)
        for event in self.events_by_kind["server-activity"]:
            if event.source == "poll":
                detail = json.loads(event.detail)
                hours = told[event.user, event.server, moment(detail["started"])]
                for hour, seconds in detail.get("active_seconds_by_hour", {}).items():
                    hours[hour] = max(hours.get(hour, 0), seconds)
        return told

    @cache
    def _moment_of_hour(self, text):
        return moment(text)

    def active_on(self, day, sessions):
        """Seconds with activity of these sessions, which ran on the day; None if unknown of one of them."""
        total = 0
        for session in sessions:
            seconds = self.active_seconds_on(day, session)
            if seconds is None:
                return None
            total += seconds
        return total

    @cached_property
    def last_closed(self):
        """The last day that is summed up; what is told of it later is added when it is told."""
        return max((row.day for row in self._rows("user_days", namedtuple("Row", "day"))), default=date.min)

    def active_seconds_on(self, day, session):
        """Seconds with activity of a session on a day."""
        if session.active_seconds is None:
            return None
        last = max(session.started, self.until(session) - 1)
        if self.day_of(session.started) == self.day_of(last):
            return session.active_seconds
        key = (session.user, session.server, session.started)
        # What is counted of a closed day and was not told yet is added when it is told.
        is_open = session.ended is None and day > self.last_closed
        if session.ended is None and not is_open and key not in self._told_hours:
            return None
        hours = self.hours_of_present if is_open else self._told_hours
        hours = hours.get(key, {})
        seconds = 0
        for hour, of_hour in hours.items():
            at = min(max(self._moment_of_hour(hour), session.started), last)
            if self.day_of(at) == day:
                seconds += of_hour
        return seconds

    # --- what is known of a day ---

    _reading_names = {"api_active_servers", "api_users", "jupyterhub_running_servers"}

    @cached_property
    def reading_days(self):
        """Days on which the hub was read, with the starts of the local hours of the readings."""
        days = defaultdict(set)
        for row in self.observations:
            if row.name in self._reading_names:
                days[self.day_of(row.at)].add(self._hour_start(row.at // (60 * SECOND)))
        return days

    @cache
    def _hour_start(self, minute):
        """Start of the local hour, of the minutes since 1970."""
        return minute - self.local(minute * 60 * SECOND).minute

    @cached_property
    def begins(self):
        """Day of the first reading, or of the first session that was over by then."""
        names = self._reading_names
        first = min((it.at for it in self.observations if it.name in names), default=math.inf)
        # Of the hour only: minutes become one reading of their hour.
        over = first if first == math.inf else first // (3600 * SECOND) * 3600 * SECOND
        ended = [it.started for it in self.sessions if it.ended is not None and it.ended < over]
        return min(self.day_of(at) for at in [*ended, first] if at != math.inf)

    def in_history(self, day):
        return self.begins <= day

    def is_watched(self, day):
        """Whether the first reading was on the day or before it."""
        return bool(self.reading_days) and min(self.reading_days) <= day

    def watched(self, day):
        """Share of the hours of a day that is over with a reading; None before the first one."""
        if not self.is_watched(day):
            return None
        hours = (self.day_end(day) - self.day_start(day)) // (3600 * SECOND)
        return min(len(self.reading_days.get(day, ())) / hours, 1.0)

    @cached_property
    def _first_reading(self):
        return min(self.reading_days, default=date.max)

    @cached_property
    def known_from(self):
        """The first whole hour with readings, if no session was over by the first: of hours before it nothing is
        known. Of an hour whose minutes became one reading it is known how many there were."""
        hour = 3600 * SECOND
        own = [it for it in self.observations if it.name in self._reading_names]
        first = min((it.at for it in own), default=None)
        if first is None or any(it.ended is not None and it.ended < first // hour * hour for it in self.sessions):
            return 0
        read = min(it.at if it.n is None or it.n >= 60 else it.at + hour for it in own)
        return (read - 60 * SECOND) // hour * hour + hour

    def known(self, day):
        """Whether anything was collected on the day; before the first reading every day is known."""
        if day > self.today or not self.in_history(day):
            return False
        return day < self._first_reading or day in self.reading_days

    def _since(self, moments):
        first = min(moments, default=None)
        return date.max if first is None else self.day_of(first)

    @cached_property
    def _members_since(self):
        return self._since(it.at for it in self.memberships)

    def members_known(self, day):
        return self.known(day) and self._members_since <= day

    @cached_property
    def _accounts_since(self):
        return self._since(it.at for it in self.events_by_kind["user-added"] if it.source == "poll")

    def accounts_known(self, day):
        return self.known(day) and self._accounts_since <= day

    @cached_property
    def _hooks_days(self):
        days = {self.day_of(it.at) for it in self.events if it.source == "hooks"}
        return (min(days), max(days)) if days else (date.max, date.min)

    def hooks_known(self, day):
        """From the first day on which they told anything to the last."""
        first, last = self._hooks_days
        return self.known(day) and first <= day <= last

    @cached_property
    def storage_days(self):
        return {row.day for row in self.storage}

    def storage_known(self, day):
        return day in self.storage_days

    @cached_property
    def usage_days(self):
        return {self.day_of(hour) for hour in {row.hour for row in self.usage}}

    def usage_known(self, day):
        """Where usage was collected; and a known day without servers after that had none."""
        if day in self.usage_days:
            return True
        is_empty = self.known(day) and not self.ran_on(day)
        return is_empty and min(self.usage_days, default=date.max) < day

    # --- groups ---

    @cached_property
    def _member_days(self):
        """First and last days of the memberships, by person."""
        spans = defaultdict(list)
        for it in self.intervals:
            if it.left is None or it.left > it.joined:
                last = date.max if it.left is None else self.day_of(it.left - 1)
                spans[it.user].append((it.group, self.day_of(it.joined), last))
        return spans

    def groups_on(self, user, day):
        """The groups that somebody was in at some moment of a day."""
        return {group for group, first, last in self._member_days.get(user, ()) if first <= day <= last}

    def is_member(self, user, group, day):
        return any(
            name == group and first <= day <= last for name, first, last in self._member_days.get(user, ())
        )

    def ever_member(self, user, group, first, last):
        """Whether on any day from the first to the last."""
        return any(
            name == group and begin <= last and end >= first
            for name, begin, end in self._member_days.get(user, ())
        )

    def stays(self, user, group):
        """Moments from which to which somebody's days in a group follow each other."""
        spans = sorted((first, last) for name, first, last in self._member_days.get(user, ()) if name == group)
        stays = []
        for first, last in spans:
            begin, end = self.day_start(first), math.inf if last == date.max else self.day_end(last)
            if stays and begin <= stays[-1][1]:
                stays[-1][1] = max(stays[-1][1], end)
            else:
                stays.append([begin, end])
        return stays

    def clock_change(self, is_spring):
        """A day of the history that is shorter or longer than others."""
        for day in self.days(self.begins + DAY, self.today - DAY):
            hours = (self.day_end(day) - self.day_start(day)) // (3600 * SECOND)
            if hours < 24 if is_spring else hours > 24:
                return day
        raise AssertionError("the history has no change of the clock")

    def scope(self, group=None, user=None, leave_out=None):
        """Who counts in a question: `scope(user, day)`."""
        is_left_out = name_pattern(leave_out)

        def counts(name, day):
            if user is not None and name != user or is_left_out(name):
                return False
            return group is None or name is not None and self.is_member(name, group, day)

        return counts


# --- answers -----------------------------------------------------------------------------


class Rows(list):
    """The rows of an answer: dicts, days as `date`, times in microseconds.

    `now` is the moment of the answer, `answer` the whole of it.
    """


def rows_of(answer):
    """The rows of an answer as JSON."""
    kinds = {column["name"]: column["kind"] for column in answer["columns"]}
    read = {"day": date.fromisoformat, "time": moment}
    rows = Rows()
    for row in answer["rows"]:
        rows.append(
            {
                name: value if value is None or kinds[name] not in read else read[kinds[name]](value)
                for name, value in row.items()
            }
        )
    rows.answer = answer
    rows.now = moment(answer["computed"])
    return rows


def is_same(got, want):
    """Counts exactly, numbers to 1e-9 of them; null is null only."""
    if got is None or want is None:
        return got is None and want is None
    if isinstance(want, bool) or isinstance(got, bool):
        return got is want
    if isinstance(want, float) or isinstance(got, float):
        return math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-9)
    return got == want


def same(got, want, about, key=None):
    """The rows are those, in this order; with `key` (names of columns) in whatever order.

    The rows that are wanted need no `hub` if there is one.
    """
    hubs = {row["hub"] for row in got}
    assert len(hubs) <= 1, f"{about}: several hubs: {hubs}"
    got = [{name: value for name, value in row.items() if name != "hub"} for row in got]
    want = [{name: value for name, value in row.items() if name != "hub"} for row in want]
    if key is not None:
        def of(row):
            return tuple(str(row[name]) for name in key)
        for name, rows in (("answer", got), ("expected", want)):
            assert len({of(row) for row in rows}) == len(rows), f"{about}: {name}: keys occur twice"
        answered, wanted = {of(row) for row in got}, {of(row) for row in want}
        more, fewer = sorted(answered - wanted), sorted(wanted - answered)
        assert not more and not fewer, f"{about}: not expected: {more[:3]} missing: {fewer[:3]}"
        got, want = sorted(got, key=of), sorted(want, key=of)
    wrong = []
    for number, (left, right) in enumerate(zip(got, want)):
        assert set(left) == set(right), f"{about}: columns {sorted(left)} expected {sorted(right)}"
        names = [name for name in left if not is_same(left[name], right[name])]
        if names:
            about_row = {name: str(value) for name, value in right.items()}
            told = ", ".join(f"{name}: {left[name]} expected {right[name]}" for name in names)
            wrong.append(f"row {number} {about_row}: {told}")
    assert not wrong, f"{about}: {len(wrong)} rows differ\n    " + "\n    ".join(wrong[:4])
    assert len(got) == len(want), f"{about}: {len(got)} rows, expected {len(want)}"


# --- checks ------------------------------------------------------------------------------

CHECKS = {}


def check(name):
    """Registers the check of a report: a function of the history and of `ask`."""

    def register(function):
        assert name not in CHECKS, name
        CHECKS[name] = function
        return function

    return register


BRINGS = []


def brings(function):
    """Registers what makes events (dicts, the generic form of docs/events.md) of a history; they are
    imported into the copy of the store before anything is asked."""
    BRINGS.append(function)
    return function
