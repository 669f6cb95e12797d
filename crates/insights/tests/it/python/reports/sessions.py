"""The reports about sessions, the operation of the hub and a BinderHub, calculated a second time.

Everything is asked of a copy of the history into which was brought, beside what the demo has of it, what
hooks tell, counters of the hub, starts of its process, launches of a BinderHub; and two more days on which
nothing was collected. Moments are microseconds since 1970.
"""

import json
import random
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from statistics import fmean

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from history import DAY, History, Observation, Event, check, moment, month_of, same, week_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
COUNTER = "jupyterhub_server_spawn_duration_seconds_count"
BUCKET = "jupyterhub_server_spawn_duration_seconds_bucket"
REQUESTS = "jupyterhub_request_duration_seconds_count"
REQUEST_SECONDS = "jupyterhub_request_duration_seconds_sum"
LOOKS = "jupyterhub_event_loop_interval_seconds_count"
LOOK_BUCKET = "jupyterhub_event_loop_interval_seconds_bucket"
PROCESS = "process_start_time_seconds"


def text(at):
    """As events are written."""
    told = datetime(1970, 1, 1) + timedelta(microseconds=at)
    return told.isoformat(timespec="microseconds") + "Z"


def at(day_and_time):
    """A moment as `2026-01-05 10:00`, of UTC."""
    day, time = day_and_time.split()
    return moment(f"{day}T{time if time.count(':') == 2 else time + ':00'}Z")


# --- what is brought in ----------------------------------------------------------------

# Nothing is collected on them in the copy.
UNKNOWN = ("2026-03-10", "2026-06-02")
# An hour apart from each other in which a restart of the demo took servers with it.
GONE = (at("2026-02-20 10:34:00.068611"), at("2026-08-21 09:11:00.137069"))


def told_by_hooks(users):
    """Events of the hooks, from the day of the first restart on."""
    chance = random.Random(11)
    began = GONE[0] - 10 * MINUTE
    events = [
        # Servers that ended ten minutes later sharp ended with it.
        (began, "hub-started", None, {"version": "5.2.1"}),
        # Two minutes after the start of a process is about the same one, a when more is not.
        (at("2026-08-21 09:12:12.345678"), "hub-started", None, {}),
        (at("2026-04-01 08:02:00"), "hub-started", None, {}),
        (at("2026-04-02 08:02:00.000001"), "hub-started", None, {}),
        # Two within two minutes are two.
        (at("2026-05-01 22:00:00"), "hub-started", None, {}),
        (at("2026-05-01 22:00:30"), "hub-started", None, {}),
        # First and last when of a local day.
        (at("2026-04-10 22:00:00"), "spawn-succeeded", users[0], {"seconds": 4.5, "launch_seconds": 9}),
        (at("2026-04-11 21:59:59.999999"), "spawn-failed", users[1], {"error_type": "HTTPError"}),
        # On a day that is not known.
        (at("2026-06-02 10:00:00"), "spawn-succeeded", users[0], {"seconds": 2.0}),
        (at("2026-06-02 10:00:01"), "spawn-failed", users[0], {"error_type": "TimeoutError"}),
    ]
    when = began
    end = at("2026-07-10 12:00:00")
    while when < end:
        when += int(chance.expovariate(1 / 9000) * SECOND) + 1
        user = users[int(chance.random() ** 2 * len(users))]
        kind = chance.choices(
            ["spawn-succeeded", "spawn-failed", "spawn-asked"], [80, 12, 20]
        )[0]
        seconds = round(chance.lognormvariate(2.3, 0.8), 6)
        detail = {"spawner": "KubeSpawner"}
        if kind == "spawn-succeeded":
            detail["seconds"] = seconds
            detail["launch_seconds"] = seconds + 3
        if kind == "spawn-failed":
            error = chance.choice(["TimeoutError", "HTTPError", "quota exceeded", None])
            if error:
                detail["error_type"] = error
            detail["seconds"] = 300.5
        events.append((when, kind, user, detail))
    lines = [line(*event, "hooks", index) for index, event in enumerate(events)]
    # The same of somebody else does not count.
    for index, (when, kind, user, detail) in enumerate(events[:200:10]):
        lines.append(line(when + SECOND, kind, user, detail, "script", index))
    return lines


def line(when, kind, user, detail, source, index):
    event = {
        "id": f"{source}-{index}",
        "at": text(when),
        "kind": kind,
        "source": source,
        "detail": detail,
    }
    if user is not None:
        event["user"] = user
    return event


def launches():
    """Launches, in the two ways in which they are told: to the second, and of an archive."""
    chance = random.Random(5)
    specs = [
        ("GitHub", "ada/maths/main"),
        ("GitHub", "ada/maths/a/branch"),
        ("GitHub", "ada/physics/HEAD"),
        ("GitHub", "ben/maths/main"),
        ("Gist", "ada/0a1b2c/main"),
        ("GitLab", "group%2Fproject/main"),
        ("GitLab", "group%2Fproject/other"),
        ("Git", "https%3A%2F%2Fexample.org%2Fx/main"),
        ("Zenodo", "10.5281/zenodo.3242074"),
        ("Zenodo", "10.5281/zenodo.9"),
        ("CKAN", "https://example.org/a/b"),
    ]
    told = []
    when = at("2026-01-10 09:00:00")
    while when < at("2026-03-20 00:00:00"):
        when += int(chance.expovariate(1 / 40000) * SECOND) + 1
        provider, spec = chance.choice(specs)
        status = chance.choice(["success", "success", "failure", None])
        # Several times in the same minute.
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            told.append((when // MINUTE * MINUTE, provider, spec, status))
    # The first and the last moments of a month of the local calendar, and a day that is not known.
    for when in ("2026-01-31 23:00", "2026-02-28 22:59", "2026-02-28 23:00", "2026-06-02 11:00"):
        told.append((at(when), "GitHub", "ada/edges/main", "success"))
    # Of nobody knows what.
    told.append((at("2026-02-03 10:00"), "GitHub", None, "success"))
    told.append((at("2026-02-03 11:00"), None, None, None))
    told.sort(key=lambda row: row[0])
    return told


def launch_line(index, when, provider, spec, status):
    more = {"provider": provider, "spec": spec, "status": status}
    if None in more.values():
        # A BinderHub always tells all of it; what others send may lack something.
        detail = {key: value for key, value in more.items() if value is not None}
        return line(when, "binder-launch", None, detail, "archive", index)
    schema = {"schema": "binderhub.jupyter.org/launch", "version": 4}
    return {"timestamp": text(when).replace(".000000Z", "+00:00"), **schema, **more}


class Counters:
    """Counters of a hub that somebody reads each minute, kept by the minute or by the hour."""

    def __init__(self):
        self.rows = []
        self.chance = random.Random(3)

    def add(self, when, name, labels, value, hour=None):
        row = {"at": when, "name": name, "labels": labels, "value": float(value)}
        lowest, highest, last = hour or (None, None, None)
        row.update(min=lowest, max=highest, last=last, n=60 if hour else None)
        self.rows.append(row)

    def keep(self, hour, series, by_hour):
        """The values of one hour, each with its minute."""
        for (name, labels), values in series.items():
            if by_hour:
                numbers = [float(value) for _, value in values]
                kept = (min(numbers), max(numbers), numbers[-1])
                self.add(hour, name, labels, fmean(numbers), kept)
            else:
                for minute, value in values:
                    self.add(hour + minute * MINUTE, name, labels, value)

    def run(self, first, hours):
        """A hub that starts servers and answers requests, with restarts and gaps."""
        chance = self.chance
        counts = defaultdict(float)
        for index in range(hours):
            hour = first + index * HOUR
            # Nobody reads: an hour, one and three before a midnight, and most of a day.
            unread = index % 17 == 11 or index in (25, 47, 48, 49) or 100 <= index < 116
            restart = chance.random() < 0.06
            series = defaultdict(list)
            for minute in (0, 13, 29, 44, 59):
                if restart and minute == 29:
                    counts.clear()
                self.grow(counts)
                for key, value in counts.items():
                    series[key].append((minute, value))
            if not unread:
                self.keep(hour, series, by_hour=index % 5 != 2)

    def grow(self, counts):
        chance = self.chance
        bounds = ["0.5", "1.0", "2.5", "5.0", "10.0", "15.0", "30.0", "60.0", "120.0", "180.0", "300.0"]
        for _ in range(chance.choice([0, 1, 1, 2, 5])):
            outcome = chance.choices(
                ["success", "error", "exited", "failure", "throttled"], [80, 8, 5, 4, 3]
            )[0]
            if outcome == "success":
                # Some take longer than the last bound.
                seconds = 1000 if chance.random() < 0.02 else chance.lognormvariate(2.0, 1.2)
                counts[COUNTER, '{"status":"success"}'] += 1
                for bound in [*bounds, "600.0", "+Inf"]:
                    key = BUCKET, f'{{"le":"{bound}","status":"success"}}'
                    counts[key] += float(bound.replace("+", "")) >= seconds
                # Those of another outcome do not count.
                counts[BUCKET, '{"le":"0.5","status":"failure"}'] += 1
            elif outcome == "exited":
                # Counted twice, sometimes alone in its hour.
                counts[COUNTER, '{"reason":"exited","status":"error"}'] += 1
                counts[COUNTER, '{"status":"error"}'] += 1
            elif outcome == "throttled":
                counts[COUNTER, '{"reason":"throttled","status":"failure"}'] += 1
            else:
                counts[COUNTER, f'{{"status":"{outcome}"}}'] += 1
        for code, most in (("2xx", 40), ("4xx", 4), ("5xx", 2)):
            n_requests = chance.randint(0, most)
            if n_requests:
                counts[REQUESTS, f'{{"code":"{code}"}}'] += n_requests
                counts[REQUEST_SECONDS, f'{{"code":"{code}"}}'] += n_requests * chance.uniform(0.001, 0.2)
        looks = chance.randint(200, 300)
        counts[LOOKS, "{}"] += looks
        counts[LOOK_BUCKET, '{"le":"0.25"}'] += looks - chance.choice([0, 0, 1, 7])
        counts[LOOK_BUCKET, '{"le":"0.5"}'] += looks
        counts[LOOK_BUCKET, '{"le":"0.1"}'] += looks - 50

    def exits(self):
        """At last all that failed exited, and the hub counts it twice."""
        for hour, n_errors, n_exited in ((9, 4, 1), (10, 5, 1), (11, 7, 2), (12, 8, 3)):
            when = at(f"2026-01-20 {hour:02}:30")
            self.add(when, COUNTER, '{"status":"error"}', n_errors)
            self.add(when, COUNTER, '{"reason":"exited","status":"error"}', n_exited)
        # Of a day only the looks at the clock are known.
        for hour, n_looks in ((9, 1000), (10, 2500)):
            when = at(f"2026-01-28 {hour:02}:30")
            self.add(when, LOOKS, "{}", n_looks)
            self.add(when, LOOK_BUCKET, '{"le":"0.25"}', n_looks - 3 * hour)

    def processes(self):
        """Readings of when the hub's process started."""
        older = at("2026-03-20 07:00:00")
        read = [
            ("2026-03-31 12:00", older),
            ("2026-04-01 07:58", older),
            ("2026-04-01 08:01", at("2026-04-01 08:00:00")),
            ("2026-04-02 07:59", at("2026-04-01 08:00:00")),
            ("2026-04-02 08:01", at("2026-04-02 08:00:00")),
            # Half a second before the one before was last seen.
            ("2026-04-03 10:00", at("2026-04-02 08:00:00")),
            ("2026-04-03 10:01", at("2026-04-03 09:59:59.500000")),
            # Told by servers that were gone, too.
            ("2026-08-21 09:09", at("2026-08-19 00:00:00")),
            ("2026-08-21 09:11", GONE[1] - 48 * SECOND),
            # Not read for a week and longer.
            ("2026-09-20 10:00", at("2026-09-19 10:00:00")),
        ]
        for when, started in read:
            self.add(at(when), PROCESS, "{}", started / SECOND)
        # By the hour: one process, then two, then the younger one.
        first, second = at("2026-05-05 00:00:00") / SECOND, at("2026-05-06 10:20:00") / SECOND
        self.add(at("2026-05-06 09:00"), PROCESS, "{}", first, (first, first, first))
        self.add(at("2026-05-06 10:00"), PROCESS, "{}", first + 9, (first, second, second))
        self.add(at("2026-05-06 11:00"), PROCESS, "{}", second, (second, second, second))
        # In the first moments of a period's first day, and the last ones of the day before.
        self.add(at("2026-04-30 22:05"), PROCESS, "{}", at("2026-04-30 22:00:00") / SECOND)
        self.add(at("2026-04-30 22:01"), PROCESS, "{}", at("2026-04-30 21:59:59") / SECOND)


# --- the copy --------------------------------------------------------------------------

BROUGHT = {}


def brought(history, ask):
    """The history with everything that was brought in, and how to ask it."""
    if history.folder not in BROUGHT:
        BROUGHT[history.folder] = bring(history, ask)
    with_more, store, _ = BROUGHT[history.folder]

    def ask_copy(name, **asked):
        rows = ask(name, store=store, **asked)
        with_more.now = rows.now
        return rows

    return with_more, ask_copy


def bring(history, ask):
    users = sorted({it.user for it in history.sessions})[::7]
    hooks, started = told_by_hooks(users), launches()
    counters = Counters()
    counters.run(at("2026-01-05 21:00"), 24 * 9)
    counters.run(at("2026-02-18 20:00"), 24 * 4)
    counters.run(at("2026-05-29 20:00"), 24 * 5)
    counters.exits()
    counters.processes()
    # It goes with `ask`.
    store = ask.imported([*hooks, *(launch_line(index, *launch) for index, launch in enumerate(started))])
    table = DeltaTable(str(store / "history" / "observations"))
    add_observations(table, history.hub, counters.rows)
    unknown = [date.fromisoformat(day) for day in UNKNOWN]
    for day in unknown:
        first, end = (text(at).replace("Z", "+00:00") for at in (history.day_start(day), history.day_end(day)))
        table.delete(f"name in ('api_users', 'api_active_servers') and at >= '{first}' and at < '{end}'")
    with_more = History(store, history.now)
    with_more.sessions, with_more.intervals = history.sessions, history.intervals
    with_more.memberships = history.memberships
    with_more.observations = [
        it
        for it in history.observations
        if not it.name.startswith("api_") or history.day_of(it.at) not in unknown
    ]
    with_more.observations += [Observation(None, **row) for row in counters.rows]
    with_more.by_name = defaultdict(list)
    for it in with_more.observations:
        with_more.by_name[it.name].append(it)
    with_more.events = history.events + [
        Event(
            None,
            moment(line["at"]),
            None,
            line["kind"],
            line.get("user"),
            None,
            json.dumps(line["detail"]),
            line["source"],
        )
        for line in hooks
    ]
    with_more.launches = started + [
        (it.at, *map(json.loads(it.detail).get, ("provider", "spec", "status")))
        for it in history.events_by_kind["binder-launch"]
    ]
    return with_more, store, ask


def add_observations(table, hub, rows):
    """Writes rows as the service would."""
    schema = pa.schema(table.schema().to_arrow())
    rows = [
        {**row, "id": f"brought-{index}", "hub": hub, "month": text(row["at"])[:7]} for index, row in enumerate(rows)
    ]
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    write_deltalake(table, pa.Table.from_arrays(columns, schema=schema), mode="append")


# --- who and when ----------------------------------------------------------------------


class Question:
    """The days and the people of a question, and the sessions that ran on them."""

    def __init__(self, history, from_, to, group=None, user=None, leave_out=None, lead=0):
        self.history = history
        self.from_ = from_
        self.to = min(to, history.today)
        self.first = from_ - lead * DAY
        self.days = history.days(from_, self.to)
        self.group = group
        self.counts = history.scope(group, user, leave_out)
        self.counts_ever = history.scope(None, user, leave_out)

    def sessions(self):
        """Those that ran on one of the days, as `(session, first day, until)`. Of members only what lies in the
        days of the membership: the first day is `None` where it began before."""
        history = self.history
        start, end = history.day_start(self.first), history.day_end(self.to)
        for session in history.sessions:
            if not self.counts_ever(session.user, None):
                continue
            for part, first in self.parts(session):
                until = history.until(part)
                if part.started < end and max(until, part.started + 1) > start:
                    yield part, first, until

    def parts(self, session):
        """A session, or what of it lies in a membership: `(session, first day)`."""
        history = self.history
        first, until = history.day_of(session.started), history.until(session)
        if self.group is None:
            yield session, first
            return
        for begin, end in history.stays(session.user, self.group):
            if session.started >= end or max(until, session.started + 1) <= begin:
                continue
            part = session
            if session.started < begin:
                part = part._replace(started=begin, active_seconds=None)
            if until > end:
                part = part._replace(ended=end, end_reason=None, active_seconds=None)
            yield part, first if session.started >= begin else None

    def is_in(self, day):
        return day is not None and self.from_ <= day <= self.to


def day(text_of_day):
    return date.fromisoformat(text_of_day)


def questions(history, ask, name, asked, lead=0):
    """Asks all of them; gives the rows, the question, the choices and what it is about."""
    for each in asked:
        each = dict(each)
        choices = {key: each.pop(key) for key in ("by", "option") if key in each}
        from_, to = day(each.pop("from_")), day(each.pop("to"))
        rows = ask(name, from_=from_, to=to, **each, **choices)
        about = f"{from_} to {to} {each} {choices}"
        yield rows, Question(history, from_, to, lead=lead, **each), choices, about


def some_group(history):
    """A group that people joined and left, with people who are in another one, too."""
    changes = Counter(it.group for it in history.intervals if it.left is not None)
    in_two = Counter()
    for user in {it.user for it in history.intervals}:
        groups = history.groups_on(user, day("2026-03-02"))
        if len(groups) > 1:
            in_two.update(groups)
    return max(changes, key=lambda group: (changes[group] * in_two[group], group))


def some_user(history):
    """Somebody with many servers, some of them at once."""
    n_servers = Counter()
    for it in history.sessions:
        n_servers[it.user] += 1 if it.server == "" else 20
    return max(n_servers, key=lambda user: (n_servers[user], user))


def usual(history):
    """Periods and people that make sense with most reports."""
    yesterday = str(history.today - DAY)
    group, user = some_group(history), some_user(history)
    return [
        {"from_": "2025-11-01", "to": yesterday},
        {"from_": "2026-03-01", "to": "2026-03-31", "leave_out": "a*"},
        {"from_": "2026-10-20", "to": str(history.today), "group": group},
        {"from_": "2025-10-01", "to": str(history.today), "user": user},
    ]


# --- sessions --------------------------------------------------------------------------


def hours_of(micros):
    return micros / HOUR


@check("sessions")
def sessions(history, ask):
    history, ask = brought(history, ask)
    for rows, question, _, about in questions(history, ask, "sessions", usual(history)):
        want = [
            {
                "user": it.user,
                "server": it.server,
                "started": it.started,
                "ended": history.ended(it),
                "hours": hours_of(until - it.started),
                "active_hours": None if it.active_seconds is None else it.active_seconds / 3600,
                "end_reason": history.end_reason(it),
                "image": it.image,
                "options": it.options,
            }
            for it, _, until in question.sessions()
        ]
        want.sort(key=lambda row: (row["started"], row["user"], row["server"]))
        same(rows, want, about)


class Part:
    """The value that a share of all does not exceed, interpolated between neighbours."""

    def __init__(self, ordered, share):
        self.ordered, self.share, self.value = ordered, share, None

    def is_it(self, value):
        if not self.ordered:
            return value is None
        place = self.share * (len(self.ordered) - 1)
        below = int(place)
        low, high = self.ordered[below], self.ordered[min(below + 1, len(self.ordered) - 1)]
        self.value = low + (high - low) * (place - below)
        # The engine knows the place between two neighbours to a millionth.
        return value is not None and abs(value - self.value) <= 1e-9 * self.value + 1.01e-6 * (high - low)


def same_parts(rows, want, about, key=None):
    """As `same`, also with values that a share does not exceed."""
    def of(row):
        return tuple(str(row[name]) for name in key or ())

    rows = [dict(row) for row in rows]
    by_key = {of(row): row for row in rows}
    for index, wanted in enumerate(want):
        row = by_key.get(of(wanted), {}) if key else rows[index] if index < len(rows) else {}
        for name, value in wanted.items():
            if isinstance(value, Part):
                is_it = value.is_it(row.get(name))
                wanted[name] = row.get(name) if is_it else value.value
    same(rows, want, about, key)


@check("session-lengths")
def session_lengths(history, ask):
    history, ask = brought(history, ask)
    year, march, group, person = usual(history)
    unknown = {"from_": "2026-06-02", "to": "2026-06-02"}
    asked = [
        {**march, "by": "day"},
        {**march, "by": "server"},
        {**march, "by": "user"},
        {**group, "by": "option", "option": "image"},
        {**group, "by": "option", "option": "memory"},
        {**group, "by": "nothing"},
        {**person, "by": "month"},
        {**person, "by": "week"},
        {**unknown, "by": "nothing"},
        {**year, "by": "option"},
        {**year, "by": "image"},
    ]
    for rows, question, choices, about in questions(history, ask, "session-lengths", asked):
        by, option = choices.get("by", "nothing"), choices.get("option", "profile")
        of_time = {"nothing", "day", "week", "month"}
        found, known = defaultdict(list), set()
        for each in question.days if by in of_time else ():
            found[length_of(by, option, None, each)]
            if history.known(each):
                known.add(length_of(by, option, None, each))
        for it, first, until in question.sessions():
            if question.is_in(first) and history.known(first):
                name = length_of(by, option, it, first)
                known.add(name)
                found[name].append((hours_of(until - it.started), history.runs(it)))
        want = []
        for name, lengths in found.items():
            ended = sorted(hours for hours, is_running in lengths if not is_running)
            want.append(
                {
                    "of": name,
                    "sessions": len(lengths) if name in known else None,
                    "running": sum(is_running for _, is_running in lengths) if name in known else None,
                    "hours": float(sum(hours for hours, _ in lengths)) if name in known else None,
                    "mean": fmean(ended) if ended else None,
                    "median": Part(ended, 0.5),
                    "p90": Part(ended, 0.9),
                }
            )
        if by in of_time:
            want.sort(key=lambda row: row["of"])
            same_parts(rows, want, about)
        else:
            same_parts(rows, want, about, key=["of"])
            hours = [row["hours"] for row in rows]
            assert all(before > after - 1e-9 for before, after in zip(hours, hours[1:])), f"{about}: order"


def length_of(by, option, it, first):
    """What a row is about."""
    if by == "nothing":
        return "all"
    if by == "day":
        return str(first)
    if by == "week":
        return str(week_of(first))
    if by == "month":
        return str(month_of(first))[:7]
    if by == "user":
        return it.user
    if by == "server":
        return it.server or "(default)"
    if by == "image":
        return it.image or "(unknown)"
    if it.options is None:
        return "(unknown)"
    return json.loads(it.options).get(option, "(none)")


def people_at_once(intervals):
    """Intervals of time in which somebody's servers ran: those that touch or overlap as one."""
    by_user = defaultdict(list)
    for user, start, end in intervals:
        by_user[user].append((start, end))
    for user, spans in by_user.items():
        spans.sort()
        begin, until = spans[0]
        for start, end in spans[1:]:
            if start > until:
                yield user, begin, until
                begin, until = start, end
            until = max(until, end)
        yield user, begin, until


@check("hour-of-week")
def hour_of_week(history, ask):
    history, ask = brought(history, ask)
    for rows, question, _, about in questions(history, ask, "hour-of-week", usual(history)):
        # This zone changes its clock by whole hours: local hours are hours of UTC with another name.
        local, lasted = {}, Counter()
        for each in question.days:
            is_known = history.known(each) and history.is_over(each)
            for hour in range(history.day_start(each) // HOUR, history.day_end(each) // HOUR):
                place = each.isoweekday(), history.local(hour * HOUR).hour
                counts = is_known and history.known_from <= hour * HOUR
                lasted[place] += HOUR if counts else 0
                if counts:
                    local[hour] = place
        ran = [(it.user, it.started, until) for it, _, until in question.sessions()]
        servers, users = Counter(), Counter()
        for intervals, sums in ((ran, servers), (people_at_once(ran), users)):
            for _, start, end in intervals:
                for hour in range(start // HOUR, -(-end // HOUR)):
                    place = local.get(hour)
                    if place is not None:
                        sums[place] += min(end, (hour + 1) * HOUR) - max(start, hour * HOUR)
        want = [
            {
                "weekday": weekday,
                "hour": hour,
                "servers": servers[weekday, hour] / seconds if seconds else None,
                "users": users[weekday, hour] / seconds if seconds else None,
            }
            for (weekday, hour), seconds in sorted(lasted.items())
        ]
        same(rows, want, about)


def levels(question):
    """How many servers and people there were, by day: `(from, to, servers, users)` in order, each day whole
    up to now, and without the moments that have no length."""
    history = question.history
    changes = defaultdict(list)
    for it, _, until in question.sessions():
        if it.started < until:
            for each in history.days_of_session(it):
                if question.is_in(each):
                    start, end = history.day_start(each), history.day_end(each)
                    changes[each].append((max(it.started, start), 1, it.user))
                    if until < end:
                        changes[each].append((until, -1, it.user))
    for each in question.days:
        now, end = history.day_start(each), min(history.day_end(each), history.now)
        servers, has, found = 0, Counter(), []
        n_users = 0
        for when, step, user in sorted(changes[each]):
            if when > now:
                found.append((now, when, servers, n_users))
                now = when
            servers += step
            had = has[user]
            has[user] += step
            n_users += (had + step > 0) - (had > 0)
        if now < end:
            found.append((now, end, servers, n_users))
        yield each, found


def most(found, place):
    """The largest number, and since when first."""
    number = max(row[place] for row in found)
    return number, min(row[0] for row in found if row[place] == number) if number else None


@check("concurrency")
def concurrency(history, ask):
    history, ask = brought(history, ask)
    for rows, question, _, about in questions(history, ask, "concurrency", usual(history)):
        want = []
        for each, found in levels(question):
            row = dict.fromkeys(["servers", "servers_at", "users", "users_at"])
            if history.known(each):
                row["servers"], row["servers_at"] = most(found, 2)
                row["users"], row["users_at"] = most(found, 3)
            want.append({"day": each, **row})
        same(rows, want, about)


@check("concurrency-summary")
def concurrency_summary(history, ask):
    history, ask = brought(history, ask)
    for rows, question, _, about in questions(history, ask, "concurrency-summary", usual(history)):
        since = history.known_from
        found = [row for each, rows in levels(question) if history.known(each) for row in rows if row[1] > since]
        in_all = sum(end - max(start, since) for start, end, *_ in found)
        accounts = n_accounts(question) if history.accounts_known(question.to) else None
        want = []
        for what, place in (("servers", 2), ("users", 3)):
            row = {"what": what, "peak": None, "at": None, "p95": None, "mean": None}
            if found:
                row["peak"], row["at"] = most(found, place)
                lasted = Counter()
                for start, end, *levels_then in found:
                    lasted[levels_then[place - 2]] += end - max(start, since)
                so_far = 0
                for level in sorted(lasted):
                    so_far += lasted[level]
                    if 20 * so_far >= 19 * in_all:
                        row["p95"] = float(level)
                        break
                row["mean"] = sum(level * seconds for level, seconds in lasted.items()) / in_all
            want.append({**row, "known_hours": in_all / HOUR, "accounts": accounts})
        same(rows, want, about)


def n_accounts(question):
    """Accounts that the hub was seen to have at the end of the period."""
    history, end = question.history, question.history.day_end(question.to)
    moves = defaultdict(list)
    for kind in ("user-added", "user-removed"):
        for it in history.events_by_kind[kind]:
            if it.source == "poll" and it.at < end:
                moves[it.user].append((it.at, kind == "user-removed"))
    removed = {user for user, all_moves in moves.items() if max(all_moves)[1]}
    days = question.days
    return sum(any(question.counts(name, each) for each in days) for name in set(moves) - removed)


# --- operation -------------------------------------------------------------------------


@check("session-ends")
def session_ends(history, ask):
    history, ask = brought(history, ask)
    names = {
        "stopped": "stopped",
        "crashed": "crashed or evicted",
        "hub_restart": "hub restart",
        "unobserved": "unobserved",
    }
    asked = usual(history)
    for rows, question, _, about in questions(history, ask, "session-ends", asked, lead=1):
        ends = defaultdict(Counter)
        for it, _, _ in question.sessions():
            if not history.runs(it):
                ends[history.day_of(history.until(it))][history.end_reason(it)] += 1
        want = []
        for each in question.days:
            row = {"day": each, **dict.fromkeys(names), "crashed_share": None}
            if history.known(each):
                row.update({name: ends[each][reason] for name, reason in names.items()})
                seen = row["stopped"] + row["crashed"] + row["hub_restart"]
                row["crashed_share"] = row["crashed"] / seen if seen else None
            want.append(row)
        same(rows, want, about)


def growth(history, readings):
    """By how much counters grew: `(hour, name, labels, how much)`, from one hour with readings to the next."""
    hours = defaultdict(lambda: defaultdict(list))
    for it in readings:
        hours[it.at // HOUR * HOUR][it.name, it.labels].append(it)
    before_hour, before = None, {}
    for hour in sorted(hours):
        ends = {}
        is_over_midnight = before_hour is None or history.day_of(before_hour) != history.day_of(hour)
        counts = before_hour is not None and not (is_over_midnight and hour - before_hour > 2 * HOUR)
        for (name, labels), rows in hours[hour].items():
            # Two of one moment: the higher count was there last.
            rows.sort(key=lambda it: (it.at, it.value if it.last is None else it.last))
            lowest = min(it.value if it.min is None else it.min for it in rows)
            highest = max(it.value if it.max is None else it.max for it in rows)
            last = rows[-1].value if rows[-1].last is None else rows[-1].last
            was = before.get((name, labels), 0.0)
            ends[name, labels] = last
            if counts:
                grown = last - was
                if lowest < was or highest > last:
                    # It fell, so that it began anew: from 0, and what it had reached before that counts, too,
                    # where it is known since it was more than where it is now.
                    grown = last + (max(highest - was, 0) if highest > last else 0)
                yield hour, name, labels, grown
        before_hour, before = hour, ends


def readings(question, names, wanted=lambda it: True):
    """Those of the period and of the day before."""
    history = question.history
    start, end = history.day_start(question.first), history.day_end(question.to)
    own = (it for name in names for it in history.by_name[name])
    return [it for it in own if start <= it.at < end and wanted(it)]


def hooks_from(question, kinds):
    """What the hooks told of these people."""
    for kind in kinds:
        for it in question.history.events_by_kind[kind]:
            when = question.history.day_of(it.at)
            if it.source == "hooks" and question.is_in(when) and question.counts(it.user, when):
                yield it, when, json.loads(it.detail)


def estimate(buckets, share):
    """The time that this share of all took at most; `buckets` are `(bound, how many at most so long)`."""
    buckets = sorted(buckets)
    if not buckets or not buckets[-1][1]:
        return None
    reached = share * max(n for _, n in buckets)
    bound_before, n_before = 0.0, 0.0
    for bound, n in buckets:
        if n_before < reached <= n:
            if bound == float("inf"):
                return bound_before
            return bound_before + (bound - bound_before) * (reached - n_before) / (n - n_before)
        bound_before, n_before = bound, n
    return None


def spawn_periods(history):
    user = max(it.user for it in history.events_by_kind["spawn-failed"] if it.source == "hooks")
    return [
        {"from_": "2026-01-01", "to": "2026-01-31"},
        {"from_": "2026-01-07", "to": "2026-01-07"},
        {"from_": "2026-02-19", "to": "2026-07-15", "leave_out": "a*"},
        {"from_": "2026-01-01", "to": "2026-07-15", "user": user},
        {"from_": "2026-01-15", "to": "2026-05-31", "group": some_group(history)},
    ]


COUNTED = (COUNTER, BUCKET)


@check("spawns")
def spawns(history, ask):
    history, ask = brought(history, ask)
    asked = spawn_periods(history)
    parts = {"median_seconds": 0.5, "p90_seconds": 0.9, "p99_seconds": 0.99}
    for rows, question, _, about in questions(history, ask, "spawns", asked, lead=1):
        outcomes, times = defaultdict(Counter), defaultdict(list)
        for it, when, detail in hooks_from(question, ["spawn-succeeded", "spawn-failed"]):
            outcomes[when][it.kind] += 1
            if it.kind == "spawn-succeeded":
                times[when].append(detail["seconds"])
        counted, buckets = defaultdict(Counter), defaultdict(Counter)
        if "'group'" not in about and "'user'" not in about:
            only = readings(question, COUNTED, lambda it: not history.hooks_known(history.day_of(it.at)))
            only = [it for it in only if it.name == COUNTER or '"status":"success"' in it.labels]
            for hour, name, labels, grown in growth(history, only):
                when, labels = history.day_of(hour), json.loads(labels)
                if name == BUCKET:
                    buckets[when][float(labels["le"])] += grown
                elif labels["status"] == "success":
                    counted[when]["succeeded"] += grown
                else:
                    # One whose server exited is counted without a reason as well.
                    counted[when]["failed"] += 0 if labels.get("reason") == "exited" else grown
        want = []
        for each in question.days:
            row = {"day": each, **dict.fromkeys(["succeeded", "failed", "success_rate", *parts, "source"])}
            if history.hooks_known(each):
                row["succeeded"] = outcomes[each]["spawn-succeeded"]
                row["failed"] = outcomes[each]["spawn-failed"]
                row["source"] = "hooks"
                row.update({name: Part(sorted(times[each]), share) for name, share in parts.items()})
            elif each in counted:
                row["succeeded"], row["failed"] = (int(counted[each][key]) for key in ("succeeded", "failed"))
                row["source"] = "counters"
                row.update({name: estimate(buckets[each].items(), share) for name, share in parts.items()})
            if row["source"] and row["succeeded"] + row["failed"]:
                row["success_rate"] = row["succeeded"] / (row["succeeded"] + row["failed"])
            want.append(row)
        same_parts(rows, want, about)


@check("spawn-failures")
def spawn_failures(history, ask):
    history, ask = brought(history, ask)
    asked = spawn_periods(history)
    for rows, question, _, about in questions(history, ask, "spawn-failures", asked, lead=1):
        found, people, last = Counter(), defaultdict(set), {}
        for it, _, detail in hooks_from(question, ["spawn-failed"]):
            key = detail.get("error_type", "unknown"), "hooks"
            found[key] += 1
            people[key].add(it.user)
            last[key] = max(last.get(key, 0), it.at)
        if "'group'" not in about and "'user'" not in about:
            only = readings(question, COUNTED[:1], lambda it: not history.hooks_known(history.day_of(it.at)))
            of_hours = defaultdict(Counter)
            for hour, _, labels, grown in growth(history, only):
                labels = json.loads(labels)
                if labels["status"] != "success" and question.is_in(history.day_of(hour)):
                    of_hours[hour][labels.get("reason", labels["status"])] += grown
                    # It is counted twice.
                    if labels.get("reason") == "exited":
                        of_hours[hour]["error"] -= grown
            for hour, reasons in of_hours.items():
                for reason, n in reasons.items():
                    found[reason, "counters"] += n
                    if n > 0:
                        key = reason, "counters"
                        last[key] = max(last.get(key, 0), hour)
        want = [
            {
                "reason": reason,
                "failures": int(n),
                "users": len(people[reason, source]) if source == "hooks" else None,
                "last": last.get((reason, source)),
                "source": source,
            }
            for (reason, source), n in found.items()
            if n > 0
        ]
        want.sort(key=lambda row: (-row["failures"], row["reason"], row["source"]))
        same(rows, want, about)


@check("hub-latency")
def hub_latency(history, ask):
    history, ask = brought(history, ask)
    asked = [
        {"from_": "2026-01-01", "to": "2026-02-25"},
        {"from_": "2026-01-08", "to": "2026-01-08"},
        {"from_": "2026-05-28", "to": "2026-06-05", "leave_out": "a*"},
    ]
    names = {REQUESTS, REQUEST_SECONDS, LOOKS, LOOK_BUCKET}
    for rows, question, _, about in questions(history, ask, "hub-latency", asked, lead=1):
        sums = defaultdict(Counter)
        own = readings(question, names, lambda it: it.name != LOOK_BUCKET or json.loads(it.labels)["le"] == "0.25")
        for hour, name, labels, grown in growth(history, own):
            of_day = sums[history.day_of(hour)]
            of_day[name] += grown
            if name == REQUESTS and json.loads(labels)["code"] == "5xx":
                of_day["errors"] += grown
        want = []
        for each in question.days:
            row = {"day": each, "requests": None, "mean_seconds": None, "server_errors": None}
            row.update(stalls=None, stall_share=None)
            of_day = sums[each]
            if REQUESTS in of_day:
                row["requests"], row["server_errors"] = int(of_day[REQUESTS]), int(of_day["errors"])
                if row["requests"]:
                    row["mean_seconds"] = of_day[REQUEST_SECONDS] / of_day[REQUESTS]
            if LOOKS in of_day:
                row["stalls"] = int(of_day[LOOKS] - of_day[LOOK_BUCKET])
                row["stall_share"] = row["stalls"] / of_day[LOOKS] if of_day[LOOKS] else None
            want.append(row)
        same(rows, want, about)


@check("hub-restarts")
def hub_restarts(history, ask):
    history, ask = brought(history, ask)
    asked = [
        {"from_": "2025-11-01", "to": str(history.today)},
        {"from_": "2026-02-20", "to": "2026-02-20"},
        {"from_": "2026-04-01", "to": "2026-04-03", "leave_out": "a*"},
        {"from_": "2026-05-01", "to": "2026-05-06"},
        {"from_": "2026-08-21", "to": "2026-08-21", "leave_out": "*i*"},
        {"from_": "2026-09-19", "to": "2026-09-27"},
    ]
    for rows, question, _, about in questions(history, ask, "hub-restarts", asked, lead=7):
        starts = processes(question)
        ended = [it.ended for it, _, _ in question.sessions() if it.end_reason == "hub restart"]
        want = []
        for index, (at, not_before, how) in enumerate(starts):
            if question.is_in(history.day_of(at)):
                first = (at if not_before is None else not_before) - 10 * MINUTE
                # What ended at most ten minutes after the start before is of that one.
                taken = starts[index - 1][0] + 10 * MINUTE if index else 0
                n_ended = sum(first <= moment <= at + 10 * MINUTE and moment > taken for moment in ended)
                want.append({"at": at, "not_before": not_before, "how": how, "sessions_ended": n_ended})
        same(rows, want, about)


def processes(question):
    """Starts of the hub's process: `(at, when the one before was last seen, how it is known)`."""
    history = question.history
    last_seen = {}
    for it in readings(question, {PROCESS}):
        for started in (it.min, it.max) if it.n else (it.value,):
            key = round(started * SECOND)
            last_seen[key] = max(last_seen.get(key, 0), it.at)
    signs, before = [], None
    for started in sorted(last_seen):
        signs.append((started, 1, before))
        before = last_seen[started]
    gone = {}
    start, end = history.day_start(question.first), history.day_end(question.to)
    for it in history.events_by_kind["server-gone"]:
        if start <= it.at < end and question.counts(it.user, None):
            restarted = json.loads(it.detail).get("hub_restarted")
            if restarted is not None:
                gone.setdefault(moment(restarted), []).append(it.not_before)
    signs += [(at, 2, min(looks)) for at, looks in gone.items()]
    for it in history.events_by_kind["hub-started"]:
        if it.source == "hooks" and start <= it.at < end:
            signs.append((it.at, 3, None))
    found = []
    for at, sign, not_before in sorted(signs, key=lambda each: each[:2]):
        # Told at most two minutes after it was seen, or by servers after it was read, it is the same one.
        if not found or sign <= found[-1][-1][1] or at - found[-1][-1][0] > 2 * MINUTE:
            found.append([])
        found[-1].append((at, sign, not_before))
    starts = []
    for all_signs in found:
        at = all_signs[0][0]
        looks = [look for _, _, look in all_signs if look is not None]
        kinds = {sign for _, sign, _ in all_signs}
        how = "told" if kinds == {3} else "seen and told" if 3 in kinds else "seen"
        starts.append((max([at, *looks]), max(looks, default=None), how))
    return sorted(starts)


# --- Binder ----------------------------------------------------------------------------


@check("binder-launches")
def binder_launches(history, ask):
    history, ask = brought(history, ask)
    periods = [
        {"from_": "2025-11-01", "to": str(history.today)},
        {"from_": "2026-02-01", "to": "2026-02-28"},
    ]
    asked = [{**period, "by": by} for period in periods for by in ("repository", "day")]
    asked.append({**periods[0], "by": "provider"})
    for rows, question, choices, about in questions(history, ask, "binder-launches", asked):
        found = defaultdict(list)
        for at, provider, spec, status in history.launches:
            when = history.day_of(at)
            if question.is_in(when):
                found[launched(choices["by"], when, provider, spec)].append((at, status))
        any_ = bool(found)
        want = []
        if choices["by"] == "day" and any_:
            for each in question.days:
                found[str(each)]
        for of, launches_of in found.items():
            told = [status for _, status in launches_of if status is not None]
            is_known = bool(launches_of) or history.known(date.fromisoformat(of))
            want.append(
                {
                    "of": of,
                    "launches": len(launches_of) if is_known else None,
                    "succeeded": told.count("success") if told else None,
                    "last": max((at for at, _ in launches_of), default=None),
                }
            )
        by_day = choices["by"] == "day"
        want.sort(key=lambda row: (0 if by_day else -row["launches"], row["of"]))
        same(rows, want, about)


def launched(by, when, provider, spec):
    if by == "day":
        return str(when)
    if provider is None or by == "repository" and spec is None:
        return "(unknown)"
    if by == "provider":
        return provider
    n_parts = {"GitHub": 2, "Gist": 2, "GitLab": 1, "Git": 1}.get(provider)
    return provider + "/" + ("/".join(spec.split("/")[:n_parts]) if n_parts else spec)
