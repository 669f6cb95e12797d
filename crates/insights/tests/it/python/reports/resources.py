"""Reports of the section Resources.

Most questions go to a copy of the store into which rows were brought that the demo has none of: hours of which not
everything is known, corrected ones, readings of pools and pods, starts that failed, days that are not known.
"""

import json
import math
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from history import DAY, SECOND, History, check, is_same, month_of, same, shares_of

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
GIB = 2**30


# --- periods and people ------------------------------------------------------------------


def year(history):
    """Days from before the history to yesterday."""
    return history.begins - 3 * DAY, history.today - DAY


def month(history):
    """The whole month that lies before the running one; its rows are what was brought in, too."""
    last = month_of(history.today) - DAY
    return month_of(last), last


def days_of_period(history, first, last):
    return history.days(first, min(last, history.today))


def big_groups(history):
    """Groups with many members on the last day of the month, the largest first."""
    last = month(history)[1]
    members = defaultdict(int)
    for user in {it.user for it in history.intervals}:
        for group in history.groups_on(user, last):
            members[group] += 1
    return sorted(members, key=lambda group: (-members[group], group))


def in_order(rows, about, key):
    """The rows are sorted by that."""
    keys = [key(row) for row in rows]
    for number in range(1, len(keys)):
        assert keys[number - 1] <= keys[number], f"{about}: row {number} is out of order: {keys[number - 1: number + 1]}"


def falling(value):
    """Sorts the largest first and what is not known last."""
    return (1, 0) if value is None else (0, -value)


def text_order(text):
    """As bytes are; what is not known comes last."""
    return (1, b"") if text is None else (0, text.encode())


def plus(left, right):
    """The sum of what is known."""
    if right is None:
        return left
    return right if left is None else left + right


def most(left, right):
    if right is None:
        return left
    return right if left is None else max(left, right)


def times(value, factor):
    return None if value is None else value * factor


# --- what is brought in ------------------------------------------------------------------


class Brought:
    """Rows that the demo lacks, in a copy of the store, and the history that this makes."""

    def __init__(self, history, ask):
        self.random = random.Random(20261121)
        self.history = history
        first, last = month(history)
        self.first, self.last = first, last
        self.day = first + 5 * DAY
        while self.day.weekday() > 3:
            self.day += DAY
        # Of these days nothing was collected, no usage, no sizes of homes; of this one the machine by the minute.
        self.unknown, self.no_usage, self.no_homes = first + 13 * DAY, first + 14 * DAY, first + 15 * DAY
        self.machine_day = self.day + 7 * DAY
        self.observations = []
        self.ask = ask
        self.n = 0
        self.readings()
        self.failed = self.failed_starts()
        self.store = ask.imported(self.failed)
        self.usage, self.replaced = self.usage_rows()
        self.homes, self.homes_tried = self.home_rows()
        self.write()
        self.history = self.changed()

    def at(self, day, hour, minute=0, second=0):
        return self.history.day_start(day) + hour * HOUR + minute * MINUTE + second * SECOND

    def name(self):
        self.n += 1
        return f"{self.n:032x}"

    def read(self, at, name, value, labels=None, hour=None):
        """A reading; `hour` are least, most, last value and the number of readings."""
        least, largest, last, n = hour or (None, None, None, None)
        kind = self.kind("Observation")
        labels = json.dumps(labels or {}, sort_keys=True, separators=(",", ":"))
        self.observations.append(kind(self.name(), at, name, labels, float(value), least, largest, last, n))

    @staticmethod
    def kind(name):
        import history

        return getattr(history, name)

    def readings(self):
        day = self.day
        # Pools of nodes by the minute, around the edges of the rule, over midnight, with readings that are missing.
        for pool, offset in (("standard", 0), ("gpu", 30)):
            for begin, n_minutes in ((self.at(day, 9), 240), (self.at(day, 23, 30), 60), (self.at(self.first, 0), 3)):
                used, given = 0.9, 0.9
                for minute in range(n_minutes):
                    used = min(max(used + self.random.choice((-0.02, 0, 0.02)), 0.85), 1)
                    given = min(max(given + self.random.choice((-0.02, 0, 0.02)), 0.88), 1)
                    if self.random.random() < 0.1:
                        continue
                    late = self.random.choice((0, 0, 0, 30, 31))
                    at = begin + minute * MINUTE + (offset + late) * SECOND
                    labels = {"pool": pool}
                    self.read(at, "pool_cpu_capacity_cores", 200, labels)
                    self.read(at, "pool_cpu_used_cores", round(200 * used), labels)
                    self.read(at, "pool_memory_capacity_bytes", 1000, labels)
                    self.read(at, "pool_memory_used_bytes", round(1000 * given), labels)
                    if self.random.random() < 0.8:
                        self.read(at, "pool_cpu_allocatable_cores", 100, labels)
                        self.read(at, "pool_cpu_requested_cores", round(100 * given), labels)
                        self.read(at, "pool_memory_allocatable_bytes", 900, labels)
                        self.read(at, "pool_memory_requested_bytes", round(900 * used), labels)
        # Exactly 90 seconds between two short readings, and a second more; at the edges of the share.
        for second, used in ((0, 95), (150, 95), (301, 95), (361, 94.9), (600, 94.99)):
            at = self.at(day + DAY, 3) + second * SECOND
            self.read(at, "pool_cpu_capacity_cores", 100, {"pool": "edge"})
            self.read(at, "pool_cpu_used_cores", used, {"pool": "edge"})
        for second, given in ((0, 98), (150, 98), (301, 98), (361, 97.9)):
            at = self.at(day + DAY, 4) + second * SECOND
            self.read(at, "pool_memory_allocatable_bytes", 100, {"pool": "edge"})
            self.read(at, "pool_memory_requested_bytes", given, {"pool": "edge"})
        # Pods without a node, and placeholders: some readings of the day have none.
        for minute in range(0, 24 * 60, 4):
            at = self.at(day, 0) + minute * MINUTE
            waits = minute // 60 in (10, 11, 15) and self.random.random() < 0.5
            self.read(at, "pods_unschedulable", self.random.choice((1, 2, 5)) if waits else 0)
            for phase in ("Running", "Pending", "Failed"):
                if self.random.random() < 0.6:
                    self.read(at, "pods_placeholder", self.random.randrange(1, 6), {"phase": phase})
        self.read(self.at(day + DAY, 7), "pods_unschedulable", 0)
        # By the hour: of the third day, of one day of which nothing was collected, and at the ends of the month.
        for which in (self.first, day + 2 * DAY, self.unknown, self.last):
            for hour in (0, 8, 9, 11, 14, 22):
                at = self.at(which, hour)
                largest = float(self.random.choice((0, 0, 3)))
                self.read(at, "pods_unschedulable", largest / 4, hour=(0.0, largest, 0.0, 50 + hour))
                self.read(at, "pods_placeholder", 2.5, {"phase": "Running"}, (1.0, 4.0, 2.0, 30))
                if hour > 10:
                    self.read(at, "pods_placeholder", 1.5, {"phase": "Pending"}, (1.0, 2.0, 2.0, 10))
                labels = {"pool": "hours"}
                used = self.random.choice((0.7, 0.949, 0.95, 1.0))
                # It has grown within the hour.
                self.read(at, "pool_cpu_capacity_cores", 30, labels, (20.0, 50.0, 50.0, 60))
                self.read(at, "pool_cpu_used_cores", 20, labels, (1.0, 50 * used, 1.0, 60))
        # Starts that the hub refused, as its version 6 tells it and as those before do; it starts anew at 0.
        throttled, many, minute = 3, 0, 0
        while minute < 180:
            at = self.at(day, 13) + minute * MINUTE
            minute += self.random.choice((1, 1, 1, 2, 3))
            if minute in (60, 61, 62):
                throttled, many = 1, 0
            throttled += self.random.choice((0, 0, 0, 1))
            many += self.random.choice((0, 0, 0, 0, 2))
            count = "jupyterhub_server_spawn_duration_seconds_count"
            self.read(at, count, throttled, {"reason": "throttled", "status": "failure"})
            self.read(at, count, many, {"status": "too-many-users"})
            self.read(at, count, 100 + minute, {"reason": "error", "status": "failure"})
            self.read(at, count, 1000 + minute, {"status": "success"})
            self.read(at, count.replace("_count", "_sum"), minute, {"reason": "throttled", "status": "failure"})
        # A hub tells refusals only after the first one, and again only then when it is started anew.
        for minute, refused in enumerate((None, None, 2, 2, None, 3, 3, 1)):
            at = self.at(day + DAY, 5) + minute * 10 * MINUTE
            self.read(at, count, 40 + minute, {"status": "success"})
            if refused is not None:
                self.read(at, count, refused, {"reason": "throttled", "status": "failure"})
        # The machine by the minute; kills, the first one after the last hour of the day before, and a new start.
        begins = self.at(self.machine_day, 0)
        before = [row for row in self.history.observations if row.name == "machine_oom_kills_total" and row.at < begins]
        kills = max(before, key=lambda row: row.at).last + 1
        for minute in range(0, 24 * 60, 3):
            at = begins + minute * MINUTE + 30 * SECOND
            if minute == 600:
                kills = 0
            kills += self.random.random() < 0.02
            self.read(at, "machine_oom_kills_total", kills)
            used = self.random.choice((50, 60, 94, 95, 97)) if 700 < minute < 900 else 40
            self.read(at, "machine_memory_capacity_bytes", 100)
            self.read(at, "machine_memory_used_bytes", used)
            self.read(at, "machine_cpu_capacity_cores", 100)
            self.read(at, "machine_cpu_used_cores", used)

    def failed_starts(self):
        people = sorted({it.user for it in self.history.intervals})
        lines = []
        for number in range(400):
            at = self.at(self.day, 9) + self.random.randrange(8 * 3600) * SECOND + number
            user = self.random.choice(people)
            kind = "spawn-failed" if number % 10 else "spawn-asked"
            lines.append({"id": str(number), "at": iso(at), "kind": kind, "source": "hooks", "server": "", "user": user,
                          "detail": {"error_type": "HTTPError"}})
        return lines

    def usage_rows(self):
        """Hours of which something is not known, and hours that are told again."""
        rows, replaced = [], {}
        whole = {row.hour: [] for row in self.history.usage if self.history.day_of(row.hour) in (self.day, self.last)}
        for row in self.history.usage:
            if row.hour in whole:
                whole[row.hour].append(row)
        hours = sorted(whole)
        for hour in (hours[8], hours[9], hours[-1]):
            for row in sorted(whole[hour])[:30]:
                replaced[row.id] = row._replace(
                    revision=row.revision + 2,
                    cpu_core_seconds=row.cpu_core_seconds * 3,
                    network_rx_bytes=None,
                    gpu_used_seconds=None,
                    memory_peak_bytes=row.memory_peak_bytes * 1.5,
                )
        people = sorted({it.user for it in self.history.intervals})[5::90]
        for number, user in enumerate([*people, "nobody-knows", "a-stranger"]):
            for hour in hours[8:20]:
                known = [self.random.random() < 0.7 for _ in range(9)]
                if number % 4 == 3:
                    known[:] = [number % 8 == 3] * 5 + [False] * 4
                values = (900.0 + number, 2e12, 3600.0 * (number % 3), 4e12, 3600.0, 1800.0 * (number % 5), 1e6, 2e6, 9e8)
                values = [value if here else None for value, here in zip(values, known)]
                server = None if number % 2 else "brought"
                samples = self.random.choice((60, 60, 12, 31))
                rows.append(self.kind("Usage")(self.name(), 0, hour, user, server, *values, samples))
        return rows, replaced

    def home_rows(self):
        """Homes that were measured again that day; of an earlier measurement that comes late nothing must be seen."""
        rows = []
        of_day = sorted(row for row in self.history.storage if row.day in (self.day, self.last))
        for number, row in enumerate(of_day[:40]):
            later = row.revision + (1 if number % 2 else -1)
            rows.append(row._replace(revision=later, home_bytes=row.home_bytes * 7 + 3))
        winners = [row for number, row in enumerate(of_day[:40]) if number % 2]
        new = {row.id: row for row in rows if row.id in {it.id for it in winners}}
        return new, rows

    # --- into the copy ---

    def write(self):
        history = self.history
        within = [history.day_start(self.unknown), history.day_end(self.unknown)]
        names = "'api_users', 'api_active_servers', 'jupyterhub_running_servers'"
        observations = self.table("observations")
        observations.delete(f"name in ({names}) and {between(*within)}")
        within = [history.day_start(self.machine_day), history.day_end(self.machine_day)]
        observations.delete(f"name like 'machine\\_%' and {between(*within)}")
        # Nothing is read both by the minute and by the hour.
        within = [history.day_start(self.first), history.day_end(self.last)]
        for beginning in OWN_BY_HOUR:
            observations.delete(f"starts_with(name, '{beginning}') and {between(*within)}")
        self.append("observations", self.observations)
        within = [history.day_start(self.no_usage), history.day_end(self.no_usage)]
        self.table("usage").delete(between(*within, "hour"))
        self.append("usage", [*self.usage, *self.replaced.values()])
        # The days' roll-up knows of that usage, too.
        days = self.table("user_days")
        rows = days.to_pyarrow_table(filters=[[("day", "=", self.no_usage)]]).to_pylist()
        rows = [row for row in rows if row["day"] == self.no_usage]
        for row in rows:
            row.update(cpu_core_seconds=None, memory_byte_seconds=None, gpu_seconds=None, revision=row["revision"] + 1)
        write_deltalake(days, pa.Table.from_pylist(rows, schema=days.to_pyarrow_dataset().schema), mode="append")
        self.table("storage").delete(f"day = date '{self.no_homes}'")
        self.append("storage", self.homes_tried)

    def table(self, name):
        return DeltaTable(str(self.store / "history" / name))

    def append(self, name, rows):
        table = self.table(name)
        schema = table.to_pyarrow_dataset().schema
        lines = []
        for row in rows:
            line = row._asdict() | {"hub": self.history.hub}
            for time in {"at", "hour"} & set(line):
                line[time] = datetime.fromtimestamp(line[time] // SECOND, timezone.utc) + timedelta(
                    microseconds=line[time] % SECOND
                )
            moment = line.get("at") or line.get("hour") or line["day"]
            line["month"] = f"{moment:%Y-%m}"
            lines.append(line)
        write_deltalake(table, pa.Table.from_pylist(lines, schema=schema), mode="append")

    # --- the same in the lists ---

    def changed(self):
        history = self.history
        day_of = history.day_of
        watching = {"api_users", "api_active_servers", "jupyterhub_running_servers"}

        def stays(row):
            if row.name in watching:
                return day_of(row.at) != self.unknown
            if row.name.startswith(OWN_BY_HOUR):
                return not self.first <= day_of(row.at) <= self.last
            return not (row.name.startswith("machine_") and day_of(row.at) == self.machine_day)

        new = History.__new__(History)
        new.__dict__.update(history.__dict__)
        for name in ("reading_days", "_first_reading", "usage_days", "storage_days", "events_by_kind", "_hooks_days"):
            new.__dict__.pop(name, None)
        new.__dict__.pop("of_resources", None)
        new.__dict__["observations"] = [row for row in history.observations if stays(row)] + self.observations
        new.__dict__["storage"] = [
            self.homes.get(row.id, row) for row in history.storage if row.day != self.no_homes
        ]
        of_hours = {hour: day_of(hour) for hour in {row.hour for row in history.usage}}
        new.__dict__["usage"] = [
            self.replaced.get(row.id, row) for row in history.usage if of_hours[row.hour] != self.no_usage
        ] + self.usage
        event = self.kind("Event")
        lines = [
            event(line["id"], moment_of(line["at"]), None, line["kind"], line["user"], line["server"], "{}", "hooks")
            for line in self.failed
        ]
        new.__dict__["events"] = history.events + lines
        new.__dict__["touched"] = {self.day, self.last, self.no_usage}
        return new


# Of these the demo has readings by the hour.
OWN_BY_HOUR = ("pods_", "jupyterhub_server_spawn")


def between(start, end, column="at"):
    """Moments from one to before another."""
    kind = "'Timestamp(Microsecond, Some(\"UTC\"))'"
    return f"{column} >= arrow_cast({start}, {kind}) and {column} < arrow_cast({end}, {kind})"


def iso(micros):
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text):
    whole = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return (whole - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def brought(history, ask):
    """Made once for all reports."""
    known = history.__dict__.get("of_resources")
    if known is None:
        known = history.__dict__["of_resources"] = Brought(history, ask)
    return known


class Asked:
    """Asks the copy; the history that belongs to it goes with the clock of the answers."""

    def __init__(self, history, ask):
        self.brought = brought(history, ask)
        self.history = self.brought.history
        self.store = self.brought.store
        self.ask = ask

    def __call__(self, name, **asked):
        rows = self.ask(name, store=self.store, **asked)
        self.history.now = rows.now
        return rows


# --- usage -------------------------------------------------------------------------------

FIGURES = (
    "cpu_core_seconds",
    "memory_byte_seconds",
    "gpu_requested_seconds",
    "gpu_used_seconds",
    "network_rx_bytes",
    "network_tx_bytes",
)


class Cell:
    """What a server of somebody used on a day."""

    __slots__ = (*FIGURES, "peak", "fullest", "samples", "cpu", "memory", "gpus")

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, None)
        self.fullest = 0
        self.samples = 0
        # Samples, used, requested, and the largest memory, of the hours that have both; GPUs requested and used.
        self.cpu = [0, 0.0, 0.0]
        self.memory = [0, 0.0, 0.0, None]
        self.gpus = None

    def add(self, row):
        # Written out, since there are a million rows.
        self.cpu_core_seconds = plus(self.cpu_core_seconds, row.cpu_core_seconds)
        self.memory_byte_seconds = plus(self.memory_byte_seconds, row.memory_byte_seconds)
        self.gpu_requested_seconds = plus(self.gpu_requested_seconds, row.gpu_requested_seconds)
        self.gpu_used_seconds = plus(self.gpu_used_seconds, row.gpu_used_seconds)
        self.network_rx_bytes = plus(self.network_rx_bytes, row.network_rx_bytes)
        self.network_tx_bytes = plus(self.network_tx_bytes, row.network_tx_bytes)
        self.peak = most(self.peak, row.memory_peak_bytes)
        samples = row.samples
        if samples > self.fullest:
            self.fullest = samples
        has_cpu = bool(row.cpu_requested_core_seconds) and row.cpu_core_seconds is not None
        has_memory = bool(row.memory_requested_byte_seconds) and row.memory_byte_seconds is not None
        if has_cpu or has_memory:
            self.samples += samples
        if has_cpu:
            self.cpu[0] += samples
            self.cpu[1] += row.cpu_core_seconds
            self.cpu[2] += row.cpu_requested_core_seconds
        if has_memory:
            self.memory[0] += samples
            self.memory[1] += row.memory_byte_seconds
            self.memory[2] += row.memory_requested_byte_seconds
            self.memory[3] = most(self.memory[3], row.memory_peak_bytes)
        if row.gpu_requested_seconds and row.gpu_used_seconds is not None:
            self.gpus = self.gpus or [0.0, 0.0]
            self.gpus[0] += row.gpu_requested_seconds
            self.gpus[1] += row.gpu_used_seconds


def cells_of(history, rows):
    """{day: {(user, server): Cell}}"""
    of_hours = {}
    days = defaultdict(dict)
    for row in rows:
        day = of_hours.get(row.hour)
        if day is None:
            day = of_hours[row.hour] = history.day_of(row.hour)
        of_day = days[day]
        cell = of_day.get((row.user, row.server))
        if cell is None:
            cell = of_day[row.user, row.server] = Cell()
        cell.add(row)
    return days


def cells(history):
    """Everything that was used, by day and server; of the copy only the days are added up that differ."""
    known = history.__dict__.get("of_cells")
    touched = history.__dict__.get("touched")
    if known is None:
        known = history.__dict__["of_cells"] = cells_of(history, history.usage)
    elif touched is not None and "of_cells_now" not in history.__dict__:
        of_hours = {hour: history.day_of(hour) for hour in {row.hour for row in history.usage}}
        again = cells_of(history, [row for row in history.usage if of_hours[row.hour] in touched])
        known = {day: of_day for day, of_day in known.items() if day not in touched} | again
        history.__dict__["of_cells"] = history.__dict__["of_cells_now"] = known
    return known


def used(history, first, last, group=None, user=None, leave_out=None):
    """(day, user, server, cell) of the people who count."""
    counts = history.scope(group, user, leave_out)
    everything = cells(history)
    for day in days_of_period(history, first, last):
        for (name, server), cell in everything.get(day, {}).items():
            if counts(name, day):
                yield day, name, server, cell


def hours_of(value):
    return times(value, 1 / 3600)


def gib_hours_of(value):
    return times(value, 1 / 3600 / GIB)


def questions(history, asked):
    """The usual questions about people: pairs of a period and those who count."""
    there = asked.brought
    group, other = big_groups(history)[0], big_groups(history)[3]
    person = there.usage[0].user
    yield (there.first, there.last), {"leave_out": "a*"}
    yield (there.day, there.day), {"group": group, "leave_out": ["a*", "*.turing*"]}
    yield (there.day, history.today), {"group": other}
    yield year(history), {"user": person}


def about_people(name, history, ask, expected, key, order, mend=None):
    """Asks all of that and compares; `expected(history, first, last, **who)` are the rows."""

    def compare(rows, want, about):
        if mend is not None:
            mend(rows, want)
        same(rows, want, about, key)
        in_order(rows, about, order)

    first, last = year(history)
    rows = ask(name, from_=first, to=last)
    compare(rows, expected(history, first, last), "the year")
    asked = Asked(history, ask)
    for (first, last), who in questions(asked.history, asked):
        rows = asked(name, from_=first, to=last, **who)
        compare(rows, expected(asked.history, first, last, **who), f"{first} to {last} {who}")
    return asked


@check("usage-by-user")
def usage_by_user(history, ask):
    def expected(history, first, last, **who):
        people = {}
        for day, user, _, cell in used(history, first, last, **who):
            days, sums, peak = people.setdefault(user, (set(), dict.fromkeys(FIGURES), [None]))
            days.add(day)
            peak[0] = most(peak[0], cell.peak)
            for name in FIGURES:
                sums[name] = plus(sums[name], getattr(cell, name))
        return [
            {
                "user": user,
                "days": len(days),
                "cpu_core_hours": hours_of(sums["cpu_core_seconds"]),
                "memory_gib_hours": gib_hours_of(sums["memory_byte_seconds"]),
                "gpu_hours": hours_of(sums["gpu_requested_seconds"]),
                "gpu_used_hours": hours_of(sums["gpu_used_seconds"]),
                "network_rx_bytes": sums["network_rx_bytes"],
                "network_tx_bytes": sums["network_tx_bytes"],
                "memory_peak_bytes": peak[0],
            }
            for user, (days, sums, peak) in people.items()
        ]

    def order(row):
        return falling(row["cpu_core_hours"]), text_order(row["user"])

    about_people("usage-by-user", history, ask, expected, ["user"], order)


@check("usage-by-group")
def usage_by_group(history, ask):
    names = [name for name in FIGURES if name != "gpu_used_seconds"]

    def expected(history, first, last, rule="in-each", priority=(), shown="", group=None, **who):
        # Only members of the group on that day count with a group, and only what they are in it for: with some rules
        # that is nothing.
        groups = {}
        for day, user, _, cell in used(history, first, last, group=group, **who):
            if not history.members_known(day):
                continue
            groups_then = {name for name in history.groups_on(user, day) if name.startswith(shown)}
            shares = shares_of(groups_then, rule, priority)
            for name, share in shares.items():
                if group is not None and name != group:
                    continue
                users, shares_then, sums = groups.setdefault(name, (set(), set(), dict.fromkeys(names)))
                users.add(user)
                shares_then.add(share)
                for figure in names if share else ():
                    sums[figure] = plus(sums[figure], times(getattr(cell, figure), share))
        for _, shares_then, sums in groups.values():
            if shares_then == {0}:
                sums.update(dict.fromkeys(names, 0.0))
        return [
            {
                "group": name,
                "users": len(users),
                "cpu_core_hours": hours_of(sums["cpu_core_seconds"]),
                "memory_gib_hours": gib_hours_of(sums["memory_byte_seconds"]),
                "gpu_hours": hours_of(sums["gpu_requested_seconds"]),
                "network_rx_bytes": sums["network_rx_bytes"],
                "network_tx_bytes": sums["network_tx_bytes"],
            }
            for name, (users, _, sums) in groups.items()
        ]

    def order(row):
        return falling(row["cpu_core_hours"]), text_order(row["group"])

    asked = about_people("usage-by-group", history, ask, expected, ["group"], order)
    there = asked.brought
    first, last = there.first, there.last
    priority = big_groups(history)[2:4]
    several = sum(len(asked.history.groups_on(user, there.day)) > 1 for user in {it.user for it in history.intervals})
    assert several > 10, f"only {several} people in several groups"
    for rule, shown, more in (
        ("split", "", {}),
        # Whose groups are hidden is in none.
        ("split", "course::", {}),
        ("split", "", {"group": big_groups(history)[0]}),
        ("primary", "", {}),
        ("primary", "", {"group": big_groups(history)[0], "leave_out": "a*"}),
        ("bucket", "", {}),
        ("bucket", "course::", {"leave_out": "a*"}),
    ):
        sets = [f"groups.multiple={rule}"]
        if shown:
            sets.append(f'groups.allowed=["{shown}*"]')
        if rule == "primary":
            sets.append(f"groups.priority={json.dumps(priority, ensure_ascii=False)}")
        rows = asked("usage-by-group", from_=first, to=last, sets=sets, **more)
        about = f"{rule} {shown} {more}"
        want = expected(asked.history, first, last, rule=rule, priority=priority, shown=shown, **more)
        same(rows, want, about, ["group"])
        if more:
            continue
        # All groups together are all people, on the days of which groups are known.
        for figure, of in (("cpu_core_hours", "cpu_core_seconds"), ("gpu_hours", "gpu_requested_seconds")):
            whole = math.fsum(
                getattr(cell, of) or 0
                for day, _, _, cell in used(asked.history, first, last)
                if asked.history.members_known(day)
            )
            parts = math.fsum(row[figure] or 0 for row in rows)
            assert is_same(parts, whole / 3600), f"{about}: groups have {parts} {figure}, all people {whole / 3600}"


@check("usage-by-day")
def usage_by_day(history, ask):
    figures = {
        "cpu_core_hours": ("cpu_core_seconds", 1 / 3600, False),
        "memory_gib_hours": ("memory_byte_seconds", 1 / 3600 / GIB, False),
        "gpu_hours": ("gpu_requested_seconds", 1 / 3600, True),
        "network_rx_bytes": ("network_rx_bytes", 1, True),
        "network_tx_bytes": ("network_tx_bytes", 1, True),
    }

    def expected(history, first, last, **who):
        days = {}
        for day, _, _, cell in used(history, first, last, **who):
            sums = days.setdefault(day, dict.fromkeys(figures))
            for name, (of, factor, _) in figures.items():
                sums[name] = plus(sums[name], times(getattr(cell, of), factor))
        told = {name for sums in days.values() for name, value in sums.items() if value is not None}
        rows = []
        for day in days_of_period(history, first, last):
            row = days.get(day)
            if row is None:
                known = history.usage_known(day)
                row = {
                    name: 0.0 if known and (name in told or not may_be_silent) else None
                    for name, (_, _, may_be_silent) in figures.items()
                }
            rows.append({"day": day, **row})
        return rows

    asked = about_people("usage-by-day", history, ask, expected, None, lambda row: row["day"])
    # Somebody of whom neither GPUs nor traffic are known.
    there = asked.brought
    silent = [
        user
        for user in sorted({row.user for row in there.usage})
        if all(row.network_rx_bytes is None for row in there.usage if row.user == user)
        and not any(row.user == user for row in history.usage)
    ]
    for user in [*silent[:1], "nobody-knows"]:
        rows = asked("usage-by-day", from_=there.first, to=there.last, user=user)
        same(rows, expected(asked.history, there.first, there.last, user=user), user)
    empty = [row["day"] for row in asked("usage-by-day", from_=there.first, to=there.last) if row["gpu_hours"] is None]
    assert there.no_usage in empty, f"usage of {there.no_usage} should not be known, but of {empty}"


@check("right-sizing")
def right_sizing(history, ask):
    def expected(history, first, last, **who):
        servers = defaultdict(list)
        for _, user, server, cell in used(history, first, last, **who):
            servers[user, server].append(cell)
        rows = []
        for (user, server), of_days in servers.items():
            fullest = max(cell.fullest for cell in of_days)
            samples = sum(cell.samples for cell in of_days)
            if samples == 0:
                continue
            n_cpu, cpu_used, cpu_asked = (sum(cell.cpu[index] for cell in of_days) for index in range(3))
            n_memory, memory_used, memory_asked = (sum(cell.memory[index] for cell in of_days) for index in range(3))
            peak = None
            for cell in of_days:
                peak = most(peak, cell.memory[3])
            cpu_seconds, memory_seconds = n_cpu / fullest * 3600, n_memory / fullest * 3600
            row = {
                "user": user,
                "server": server,
                "hours": samples / fullest,
                "cpu_requested_cores": cpu_asked / cpu_seconds if n_cpu else None,
                "cpu_used_cores": cpu_used / cpu_seconds if n_cpu else None,
                "cpu_used_share": cpu_used / cpu_asked if n_cpu else None,
                "memory_requested_bytes": memory_asked / memory_seconds if n_memory else None,
                "memory_used_bytes": memory_used / memory_seconds if n_memory else None,
                "memory_peak_bytes": peak,
                "memory_peak_share": None,
                "advice": None,
                "cpu_advised_cores": None,
                "memory_advised_bytes": None,
            }
            if peak is not None:
                row["memory_peak_share"] = peak / row["memory_requested_bytes"]
            advice = advice_on(row["hours"], row["cpu_used_share"], row["memory_peak_share"])
            row["advice"] = advice
            if "CPU" in (advice or ""):
                row["cpu_advised_cores"] = cpu_used / cpu_seconds * 2
            if "memory" in (advice or ""):
                row["memory_advised_bytes"] = peak + peak / 4
            rows.append(row)
        return rows

    def advice_on(hours, cpu, memory):
        if hours < 8:
            return None
        advice = []
        if memory is not None and memory >= 0.9:
            advice.append("more memory")
        if memory is not None and memory < 0.5:
            advice.append("less memory")
        if cpu is not None and cpu >= 0.9:
            advice.append("more CPU")
        if cpu is not None and cpu < 0.1:
            advice.append("less CPU")
        return ", ".join(advice) or "fits"

    def order(row):
        return falling(row["hours"]), text_order(row["user"]), text_order(row["server"])

    about_people("right-sizing", history, ask, expected, ["user", "server"], order)


@check("idle-gpus")
def idle_gpus(history, ask):
    def expected(history, first, last, **who):
        people = {}
        for _, user, _, cell in used(history, first, last, **who):
            if cell.gpus is not None:
                sums = people.setdefault(user, [0.0, 0.0])
                sums[0] += cell.gpus[0]
                sums[1] += cell.gpus[1]
        return [
            {
                "user": user,
                "gpu_hours": asked / 3600,
                "gpu_used_hours": at_work / 3600,
                "idle_gpu_hours": max(asked - at_work, 0) / 3600,
                "used_share": at_work / asked,
            }
            for user, (asked, at_work) in people.items()
        ]

    about_people(
        "idle-gpus", history, ask, expected, ["user"],
        lambda row: (falling(row["idle_gpu_hours"]), text_order(row["user"])),
    )


# --- homes -------------------------------------------------------------------------------


def homes(history):
    """{day: [(user, bytes)]}"""
    known = history.__dict__.get("of_homes")
    if known is None or known[0] is not history.storage:
        days = defaultdict(list)
        for row in history.storage:
            days[row.day].append((row.user, row.home_bytes))
        known = history.__dict__["of_homes"] = (history.storage, days)
    return known[1]


def quantile(values, share):
    """Between two of the sorted values in proportion."""
    place = (len(values) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def gap_at(values, share):
    """How far the two values are apart between which the quantile lies."""
    place = (len(values) - 1) * share
    return values[math.ceil(place)] - values[math.floor(place)] if values else 0


@check("home-storage")
def home_storage(history, ask):
    gaps = {}

    def expected(history, first, last, group=None, user=None, leave_out=None):
        counts = history.scope(group, user, leave_out)
        rows, before = [], None
        gaps.clear()
        for day in days_of_period(history, first, last):
            sizes = sorted(size for name, size in homes(history).get(day, ()) if counts(name, day))
            row = {"day": day, "users": len(sizes) if history.storage_known(day) else None}
            total = math.fsum(sizes) if sizes else None
            if before is None:
                before = total
            gaps[day] = gap_at(sizes, 0.9)
            rows.append(
                row
                | {
                    "total_bytes": total,
                    "median_bytes": quantile(sizes, 0.5) if sizes else None,
                    "p90_bytes": quantile(sizes, 0.9) if sizes else None,
                    "peak_bytes": sizes[-1] if sizes else None,
                    "growth_bytes": None if total is None else total - before,
                }
            )
        return rows

    def mend(rows, want):
        # The engine knows the place between two homes to a millionth of their distance.
        for row, wanted in zip(rows, want):
            got, right = row["p90_bytes"], wanted["p90_bytes"]
            if got is not None and right is not None and abs(got - right) <= 1.01e-6 * gaps[wanted["day"]]:
                wanted["p90_bytes"] = got

    asked = about_people("home-storage", history, ask, expected, None, lambda row: row["day"], mend)
    there = asked.brought
    first = there.no_homes
    rows = asked("home-storage", from_=first, to=first + 2 * DAY)
    want = expected(asked.history, first, first + 2 * DAY)
    mend(rows, want)
    same(rows, want, "from a day without homes")
    assert rows[0]["users"] is None and rows[1]["growth_bytes"] == 0


@check("home-sizes")
def home_sizes(history, ask):
    def expected(history, first, last, group=None, user=None, leave_out=None):
        counts = history.scope(group, user, leave_out)
        people = defaultdict(list)
        for day in days_of_period(history, first, last):
            for name, size in homes(history).get(day, ()):
                if counts(name, day):
                    people[name].append((day, size))
        return [
            {
                "user": name,
                "first_bytes": sizes[0][1],
                "last_bytes": sizes[-1][1],
                "growth_bytes": sizes[-1][1] - sizes[0][1],
                "peak_bytes": max(size for _, size in sizes),
                "last_day": sizes[-1][0],
            }
            for name, sizes in people.items()
        ]

    about_people(
        "home-sizes", history, ask, expected, ["user"],
        lambda row: (falling(row["last_bytes"]), text_order(row["user"])),
    )


# --- servers -----------------------------------------------------------------------------


@check("idle-servers")
def idle_servers(history, ask):
    def expected(history, first, last, idle=2, group=None, user=None, leave_out=None):
        counts = history.scope(group, user, leave_out)
        rows = []
        for session in history.sessions:
            begins, until = history.day_of(session.started), history.until(session)
            ends = history.day_of(max(session.started, until - 1))
            if begins > last or ends < first or session.active_seconds is None:
                continue
            # Whoever was in the group on its first day that is asked about.
            if not counts(session.user, max(begins, first)):
                continue
            seconds = (until - session.started) / SECOND
            at_rest = max(seconds - session.active_seconds, 0)
            if at_rest < idle * 3600:
                continue
            rows.append(
                {
                    "user": session.user,
                    "server": session.server,
                    "started": session.started,
                    "hours": seconds / 3600,
                    "active_hours": session.active_seconds / 3600,
                    "idle_hours": at_rest / 3600,
                    "idle_share": at_rest / seconds if seconds else None,
                }
            )
        return rows

    def order(row):
        return falling(row["idle_hours"]), text_order(row["user"]), text_order(row["server"]), row["started"]

    key = ["user", "server", "started"]
    first, last = month(history)
    group = big_groups(history)[0]
    person = max(history.running, key=lambda it: it.started).user
    for period, who in (
        (year(history), {}),
        ((last - 3 * DAY, last), {"idle": 0}),
        ((first, history.today), {"idle": 0.5, "group": group}),
        ((history.today - DAY, history.today), {"idle": 0}),
        ((first, history.today), {"idle": 0, "user": person}),
        ((first, last), {"leave_out": ["a*", "*-*"]}),
    ):
        rows = ask("idle-servers", from_=period[0], to=period[1], **who)
        about = f"{period[0]} to {period[1]} {who}"
        same(rows, expected(history, *period, **who), about, key)
        in_order(rows, about, order)


@check("placeholders")
def placeholders(history, ask):
    starts = defaultdict(list)
    for session in history.sessions:
        starts[history.day_of(session.started)].append((session.started, session.user))
    for of_day in starts.values():
        of_day.sort()

    def expected(history, first, last, leave_out=None):
        counts = history.scope(None, None, leave_out)
        looks, sums = defaultdict(int), defaultdict(float)
        for row in history.observations:
            if row.name == "pods_unschedulable":
                looks[history.day_of(row.at)] += 1 if row.n is None else row.n
            elif row.name == "pods_placeholder":
                phase = json.loads(row.labels).get("phase")
                sums[history.day_of(row.at), phase] += row.value * (1 if row.n is None else row.n)
        rows = []
        for day in days_of_period(history, first, last):
            times_of_day = [at for at, user in starts.get(day, ()) if counts(user, day)]
            needed, oldest = 0, 0
            for number, at in enumerate(times_of_day):
                while at - times_of_day[oldest] > 10 * MINUTE:
                    oldest += 1
                needed = max(needed, number - oldest + 1)
            n = looks.get(day)
            rows.append(
                {
                    "day": day,
                    "held": sums.get((day, "Running"), 0.0) / n if n else None,
                    "waiting": sums.get((day, "Pending"), 0.0) / n if n else None,
                    "needed": needed if history.known(day) else None,
                }
            )
        return rows

    first, last = year(history)
    same(ask("placeholders", from_=first, to=last), expected(history, first, last), "the year")
    asked = Asked(history, ask)
    there = asked.brought
    for period, who in (
        ((there.first, there.last), {}),
        ((history.today - DAY, history.today), {"leave_out": ["a*", "*1"]}),
    ):
        rows = asked("placeholders", from_=period[0], to=period[1], **who)
        same(rows, expected(asked.history, *period, **who), f"{period[0]} to {period[1]} {who}")
        in_order(rows, "days", lambda row: row["day"])


# --- shortages ---------------------------------------------------------------------------

SOURCES = {"machine": "machine", "pool": None, "pods": "cluster", "jupyterhub": "hub"}


class Moment:
    """All that was read of one thing at once."""

    def __init__(self, resolution):
        self.resolution = resolution
        self.worst = {}
        self.given = {}
        self.kills = self.waiting = self.refused = None


def moments_of(history, first, last):
    """{(source, pool): [(at, Moment)]} of these days, sorted."""
    things = defaultdict(dict)
    sizes = ("cpu_capacity_cores", "memory_capacity_bytes", "cpu_allocatable_cores", "memory_allocatable_bytes")
    uses = ("cpu_used_cores", "memory_used_bytes", "cpu_requested_cores", "memory_requested_bytes")
    counts = ("machine_oom_kills_total", "pods_unschedulable", "jupyterhub_server_spawn_duration_seconds_count")
    start, end = history.day_start(first), history.day_end(last)
    for row in history.observations:
        source, _, what = row.name.partition("_")
        if source not in SOURCES or not start <= row.at < end:
            continue
        if row.name not in counts and what not in sizes + uses:
            continue
        if source == "machine" and "requested" in what:
            # Only nodes have a limit to what may be requested.
            continue
        labels = json.loads(row.labels)
        moments = things[source, labels.get("pool")]
        moment = moments.setdefault(row.at, Moment(60 if row.n is None else 3600))
        largest = row.value if row.max is None else row.max
        counted = row.value if row.last is None else row.last
        if what in sizes:
            moment.given[what] = largest
        elif what in uses:
            moment.worst[what] = largest
        elif row.name == "machine_oom_kills_total":
            moment.kills = counted
        elif row.name == "pods_unschedulable":
            moment.waiting = largest
        elif row.name == "jupyterhub_server_spawn_duration_seconds_count":
            why = labels.get("reason", labels.get("status"))
            # A hub that counts starts and tells no refusals has refused none since it was started.
            moment.refused = (moment.refused or 0) + (counted if why in ("throttled", "too-many-users") else 0)
    return {thing: sorted(moments.items()) for thing, moments in things.items()}


def share_of(moment, used_name, given_name):
    used_now, given = moment.worst.get(used_name), moment.given.get(given_name)
    return used_now / given if used_now is not None and given else None


def short_readings(history, first, last):
    """(what, pool, start, end, seconds, share) of the readings that are short."""
    for (source, pool), moments in moments_of(history, first - DAY, last).items():
        kills = refused = None
        for at, moment in moments:
            new_kills, kills = grown(moment.kills, kills)
            new_refused, refused = grown(moment.refused, refused)
            if history.day_of(at) < first:
                continue
            if moment.resolution == 60:
                start, end = at - MINUTE, at
            else:
                start, end = at, at + HOUR
            about = (SOURCES[source] or pool, start, end, moment.resolution)
            for what, more in (("cpu", False), ("memory", new_kills)):
                unit = "cores" if what == "cpu" else "bytes"
                used_share = share_of(moment, f"{what}_used_{unit}", f"{what}_capacity_{unit}")
                given_share = share_of(moment, f"{what}_requested_{unit}", f"{what}_allocatable_{unit}")
                is_full = used_share is not None and used_share >= 0.95
                if more or is_full or given_share is not None and given_share >= 0.98:
                    yield what, *about, most(used_share, given_share)
            if moment.waiting or new_refused:
                yield "slots", *about, None


def grown(count, before):
    """Whether a counter that begins at 0 has grown since the reading before, and the reading to compare the next with."""
    if count is None:
        return False, before
    if before is None:
        return False, count
    return count > (0 if count < before else before), count


def shortages_of(history, first, last, group=None, user=None, leave_out=None):
    """Rows of the report, each with `people` instead of `users`: who was affected, None if that is not known."""
    counts = history.scope(group, user, leave_out)
    last = min(last, history.today)
    of_thing = defaultdict(list)
    for what, pool, start, end, seconds, share in short_readings(history, first, last):
        of_thing[what, pool].append((start, end, seconds, share))
    rows = []
    for (what, pool), short in of_thing.items():
        together = []
        for start, end, seconds, share in sorted(short, key=lambda it: it[:2]):
            patience = (90 if seconds == 60 else 90 * 60) * SECOND
            if together and start - together[-1]["ended"] <= patience:
                row = together[-1]
                row["ended"] = max(row["ended"], end)
                row["minutes"] += seconds / 60
                row["worst"] = most(row["worst"], share)
            else:
                together.append(
                    {"what": what, "pool": pool, "started": start, "ended": end, "minutes": seconds / 60, "worst": share}
                )
        rows += together
    for row in rows:
        row["people"] = affected(history, counts, row)
    return sorted(rows, key=lambda row: (row["started"], row["what"], row["pool"].encode()))


def affected(history, counts, row):
    """Who was there; None if the sessions of one of the days are not known."""
    started, ended = row["started"], row["ended"]
    people = set()
    for day in history.days(history.day_of(started), history.day_of(ended - 1)):
        if not history.known(day):
            return None
        for name, sessions in history.ran_on(day).items():
            for session in sessions:
                until = history.until(session)
                # A member is who was one on a day on which both were.
                begin, end = max(session.started, started), min(until, ended)
                days_of_both = history.day_of(begin), history.day_of(max(begin, end - 1))
                is_of_day = days_of_both[0] <= day <= days_of_both[1]
                if session.started < ended and until > started and is_of_day and counts(name, day):
                    people.add(name)
    if row["what"] == "slots":
        for event in history.events_by_kind["spawn-failed"]:
            if started < event.at < ended and event.user and counts(event.user, history.day_of(event.at)):
                people.add(event.user)
    return people


def shortage_questions(asked):
    there = asked.brought
    group = big_groups(asked.history)[0]
    person = there.failed[5]["user"]
    return (
        ((there.first, there.last), {}),
        ((there.first, there.last), {"group": group}),
        ((there.first, there.last), {"leave_out": ["a*", "*1"]}),
        ((there.day, there.day), {"user": person}),
        ((there.day + DAY, there.machine_day), {}),
        (year(asked.history), {}),
    )


@check("shortages")
def shortages(history, ask):
    def expected(history, first, last, **who):
        rows = shortages_of(history, first, last, **who)
        for row in rows:
            people = row.pop("people")
            row["users"] = None if people is None else len(people)
        return rows

    first, last = year(history)
    same(ask("shortages", from_=first, to=last), expected(history, first, last), "the year")
    asked = Asked(history, ask)
    for period, who in shortage_questions(asked):
        rows = asked("shortages", from_=period[0], to=period[1], **who)
        same(rows, expected(asked.history, *period, **who), f"{period[0]} to {period[1]} {who}")
    found = {(row["what"], row["pool"]) for row in rows}
    wanted = {("slots", "hub"), ("slots", "cluster"), ("cpu", "gpu"), ("memory", "machine"), ("memory", "edge")}
    assert wanted <= found, f"no shortage of {sorted(wanted - found)}"
    assert any(row["users"] is None for row in rows), "no shortage of an unknown day"


@check("shortage-people")
def shortage_people(history, ask):
    def added_up(rows, name, what):
        people = [row["people"] for row in rows]
        return {
            "of": name,
            "what": what,
            "shortages": len(rows),
            "minutes": sum(row["minutes"] for row in rows),
            "users": None if None in people else len(set().union(*people)),
            "last": max(row["ended"] for row in rows),
        }

    def expected(history, by, first, last, **who):
        of = defaultdict(list)
        for row in shortages_of(history, first, last, **who):
            if by == "nothing":
                of["all", row["what"]].append(row)
                continue
            for name in row["people"] or ():
                of[name, row["what"]].append({**row, "people": {name}})
        rows = [added_up(rows, name, what) for (name, what), rows in of.items()]
        return sorted(rows, key=lambda row: (-row["minutes"], row["of"].encode(), row["what"]))

    asked = Asked(history, ask)
    for period, who in shortage_questions(asked):
        for by in ("user", "nothing"):
            rows = asked("shortage-people", from_=period[0], to=period[1], by=by, **who)
            same(rows, expected(asked.history, by, *period, **who), f"{by} {period[0]} to {period[1]} {who}")
            if who or period != year(asked.history):
                continue
            assert {row["what"] for row in rows} == {"cpu", "memory", "slots"}, by
            assert any(row["users"] is None for row in rows) == (by == "nothing"), by
