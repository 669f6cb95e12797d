"""Reports of the section Activity."""

import ipaddress
import json
import random
from collections import defaultdict

from history import (
    DAY, SECOND, brings, check, month_of, name_pattern, next_unit, same, shares_of, text_of, unit_of,
)  # fmt: skip

GIB = 1 << 30


# --- what several reports ask -------------------------------------------------------------


class Did:
    """What somebody did on a day."""

    __slots__ = ("active", "seconds", "sessions")

    def __init__(self, history, day, sessions):
        self.sessions = len(sessions)
        self.seconds = sum(history.seconds_on(day, it) for it in sessions)
        self.active = history.active_on(day, sessions)


def people_on(history, day):
    """What everybody did of whom a server ran on the day."""
    kept = history.__dict__.setdefault("_kept_people", {})
    sessions = history.ran_on(day)
    is_moving = any(history.day_of(it.started) <= day for it in history.unended)
    if is_moving or day not in kept:
        kept[day] = {user: Did(history, day, theirs) for user, theirs in sessions.items()}
    return kept[day]


def came_on(history, day, counts):
    """The people that count on a known day; nobody on others."""
    if not history.known(day):
        return {}
    return {user: did for user, did in people_on(history, day).items() if counts(user, day)}


def last_day(history, to):
    """The period ends today at the latest."""
    return min(to, history.today)


def units_of(history, first, last, by):
    """Weeks or months: first day, last day, and their days in the period."""
    units = defaultdict(list)
    for day in history.days(first, last):
        units[unit_of(day, by)].append(day)
    return [(start, next_unit(start, by) - DAY, days) for start, days in sorted(units.items())]


def is_complete(history, start, end, days):
    return days[0] == start and days[-1] == end and all(history.known(it) and history.is_over(it) for it in days)


def accounts(history, end):
    """Of everybody with an account or a server before the end: day added and removed, if they are known."""
    rows = defaultdict(list)
    for kind in ("user-added", "user-removed"):
        for event in history.events_by_kind[kind]:
            if event.source == "poll" and event.at < end:
                rows[event.user].append(event)
    people = {it.user: (None, None) for it in history.sessions if it.started < end}
    for user, events in rows.items():
        events.sort(key=lambda it: (it.at, it.kind))
        added = [it for it in events if it.kind == "user-added"]
        # Who was there at the first look is not new.
        is_new = bool(added) and added[0].not_before is not None
        is_gone = events[-1].kind == "user-removed" and added
        people[user] = (
            history.day_of(added[0].at) if is_new else None,
            history.day_of(events[-1].at) if is_gone else None,
        )
    return people


def asked_about(history, first, last, group=None, user=None, leave_out=None):
    """Who is asked about at all: in a group on any day of the period."""
    is_left_out = name_pattern(leave_out)

    def is_asked(name):
        if user is not None and name != user or is_left_out(name):
            return False
        return group is None or history.ever_member(name, group, first, last)

    return is_asked


def periods(history):
    """From before the history to today; weeks over a change of the clock, of a group; a year of one person."""
    change = history.clock_change(is_spring=True)
    return [
        dict(from_=history.begins - 20 * DAY, to=history.today),
        dict(
            from_=change - 24 * DAY,
            to=change + 19 * DAY,
            group=biggest_group(history),
            leave_out=["a*", "*.rubin*"],
        ),
        dict(from_=history.begins + 3 * DAY, to=history.today - DAY, user=busy_user(history)),
    ]


def biggest_group(history):
    """The group with most people who were also in others."""
    counts = defaultdict(int)
    for user in {it.user for it in history.intervals}:
        groups = {it[0] for it in history._member_days[user]}
        for group in groups:
            counts[group] += len(groups) > 1
    return max(sorted(counts), key=counts.get)


def busy_user(history):
    """Somebody whose group changed and of whom a late session is known."""
    late = {it.user for it in history.sessions if it.server == "late"}
    left = {it.user for it in history.intervals if it.left is not None}
    return min(late & left or late)


# --- people day by day -------------------------------------------------------------------


def rolling(history, asked, counts):
    """Of each day of the period the people of the day, the 7 and the 30 days; None for unknown ones, and where
    the window reaches back to before the history, or most of it is not known."""
    last = last_day(history, asked["to"])
    sets = {day: set(came_on(history, day, counts)) for day in history.days(asked["from_"] - 29 * DAY, last)}
    for day in history.days(asked["from_"], last):
        found = []
        for length in (1, 7, 30):
            first = day - (length - 1) * DAY
            window = history.days(first, day)
            n_unknown = sum(not history.known(it) for it in window)
            is_told = history.known(day) and history.in_history(first) and n_unknown <= length - n_unknown
            people = set().union(*(sets[it] for it in window))
            found.append(len(people) if is_told else None)
        yield day, *found


def scope_of(history, asked):
    return history.scope(asked.get("group"), asked.get("user"), asked.get("leave_out"))


@check("active-users")
def active_users(history, ask):
    for asked in periods(history):
        rows = ask("active-users", **asked)
        counts = scope_of(history, asked)
        want = []
        for day, users, weekly, monthly in rolling(history, asked, counts):
            seconds = [did.active for did in came_on(history, day, counts).values()]
            told = [it for it in seconds if it is not None]
            is_told = history.known(day) and (told or not seconds)
            active = sum(it > 0 for it in told) if is_told else None
            want.append({"day": day, "users": users, "weekly": weekly, "monthly": monthly, "active": active})
        same(rows, want, asked)


@check("stickiness")
def stickiness(history, ask):
    for asked in periods(history):
        rows = ask("stickiness", **asked)
        want = []
        for day, daily, weekly, monthly in rolling(history, asked, scope_of(history, asked)):
            row = {"day": day, "daily": daily, "weekly": weekly, "monthly": monthly}
            is_told = all(map(history.known, history.days(day - 29 * DAY, day)))
            row["daily_per_monthly"] = daily / monthly if is_told and monthly else None
            row["weekly_per_monthly"] = weekly / monthly if is_told and monthly else None
            want.append(row)
        same(rows, want, asked)


# --- by week or month --------------------------------------------------------------------


@check("active-users-calendar")
def active_users_calendar(history, ask):
    for asked, by in zip(periods(history), (None, "week", "month")):
        calendar(history, ask, asked, by)


def calendar(history, ask, asked, by):
    rows = ask("active-users-calendar", by=by, **asked)
    counts = scope_of(history, asked)
    begun = defaultdict(int)
    for session in history.sessions:
        day = history.day_of(session.started)
        begun[day] += counts(session.user, day)
    want = []
    for start, end, days in units_of(history, asked["from_"], last_day(history, asked["to"]), by or "month"):
        known = [day for day in days if history.known(day)]
        users, told, active, seconds = set(), set(), set(), 0.0
        for day in known:
            for user, did in came_on(history, day, counts).items():
                users.add(user)
                seconds += did.seconds
                if did.active is not None:
                    told.add(user)
                    if did.active > 0:
                        active.add(user)
        want.append(
            {
                "starts": start,
                "ends": end,
                "users": len(users) if known else None,
                "active": len(active) if known and (told or not users) else None,
                "sessions": sum(begun[day] for day in known) if known else None,
                "hours": seconds / 3600 if known else None,
                "complete": is_complete(history, start, end, days),
            }
        )
    same(rows, want, (asked, by))


@check("new-users")
def new_users(history, ask):
    for asked, by in zip(periods(history), ("week", "week", None)):
        changes(history, ask, asked, by)
    changes(history, ask, dict(from_=history.begins + 50 * DAY, to=history.today - DAY), "month")


def changes(history, ask, asked, by):
    rows = ask("new-users", by=by, **asked)
    by = by or "month"
    counts = scope_of(history, asked)
    first, last = asked["from_"], last_day(history, asked["to"])
    is_asked = asked_about(history, first, last, asked.get("group"), asked.get("user"), asked.get("leave_out"))
    people = {user: days for user, days in accounts(history, history.day_end(last)).items() if is_asked(user)}

    def came_in(days):
        return set().union(*(came_on(history, day, counts) for day in days))

    earliest = {}
    for session in history.sessions:
        earliest[session.user] = min(earliest.get(session.user, session.started), session.started)
    want = []
    for start, end, days in units_of(history, first, last, by):
        came = came_in(days)
        known = any(history.known(day) for day in days)
        so_far = history.days(start, days[-1])
        are_told = all(history.accounts_known(day) for day in so_far)
        before = history.days(unit_of(start - DAY, by), start - DAY)
        # Nothing is compared over a gap, neither in this one so far nor in the one before.
        has_before = all(history.known(day) for day in [*before, *filter(history.is_over, days)])
        came_before = came_in(before)
        complete = is_complete(history, start, end, days)
        new = {user for user in came if people[user][0] is not None and start <= people[user][0] <= end}
        staying = (came - new) & came_before
        first_time = {
            user
            for user in came - new
            if people[user][0] is not None and start <= history.day_of(earliest[user]) <= end
        }
        added, removed = (
            sum(days[0] <= it[place] <= days[-1] for it in people.values() if it[place] is not None)
            for place in (0, 1)
        )
        want.append(
            {
                "starts": start,
                "users": len(came) if known else None,
                "new": len(new) if are_told else None,
                "staying": len(staying) if known and has_before else None,
                "first_time": len(first_time) if are_told else None,
                "returning": len(came - new - staying - first_time) if are_told and has_before else None,
                "lapsed": len(came_before - came) if complete and has_before else None,
                "accounts_added": added if are_told else None,
                "accounts_removed": removed if are_told else None,
                "complete": complete,
            }
        )
    same(rows, want, (asked, by))


@check("retention")
def retention(history, ask):
    for asked in periods(history):
        rows = ask("retention", **asked)
        counts = scope_of(history, asked)
        first, last = asked["from_"], last_day(history, asked["to"])
        is_asked = asked_about(history, first, last, asked.get("group"), asked.get("user"), asked.get("leave_out"))
        started = {it.user for it in history.sessions if it.started < history.day_end(last)}
        cohorts = defaultdict(set)
        for user, (added, _) in accounts(history, history.day_end(last)).items():
            if added is not None and user in started and is_asked(user):
                cohorts[month_of(added)].add(user)
        months = units_of(history, first, last, "month")
        over = {
            start: days[0] == start and days[-1] == end and all(map(history.is_over, days))
            for start, end, days in months
        }
        want = []
        for index, (start, _, days) in enumerate(months):
            people = cohorts.get(start)
            if not people or not over[start] or not all(map(history.accounts_known, days)):
                continue
            for later, (month, _, of_month) in enumerate(months[index:]):
                came = set().union(*(came_on(history, day, counts) for day in of_month)) & people
                is_told = over[month] and all(map(history.known, of_month))
                want.append(
                    {
                        "cohort": start,
                        "size": len(people),
                        "months_later": later,
                        "users": len(came) if is_told else None,
                        "share": len(came) / len(people) if is_told else None,
                    }
                )
        same(rows, want, asked)


# --- people ------------------------------------------------------------------------------


@check("regular-users")
def regular_users(history, ask):
    for asked in periods(history):
        rows = ask("regular-users", **asked)
        counts = scope_of(history, asked)
        weeks = [
            days
            for start, end, days in units_of(history, asked["from_"], last_day(history, asked["to"]), "week")
            if is_complete(history, start, end, days)
        ]
        hours, active = defaultdict(float), defaultdict(list)
        for day in (day for days in weeks for day in days):
            for user, did in came_on(history, day, counts).items():
                hours[user] += did.seconds / 3600
                active[user].append(did.active)
        want = []
        for user in hours:
            is_told = None not in active[user]
            mean = (sum(active[user]) / 3600 if is_told else hours[user]) / len(weeks)
            want.append(
                {
                    "user": user,
                    "weeks": len(weeks),
                    "hours_per_week": mean,
                    "basis": "active" if is_told else "server hours",
                    "regular": mean >= 8 - 1e-9,
                }
            )
        same(rows, want, asked, key=["user"])
        order = [(-round(row["hours_per_week"], 7), row["user"]) for row in rows]
        assert all(left[0] <= right[0] for left, right in zip(order, order[1:])), f"{asked}: order"
        if len(asked) == 2:
            assert {row["basis"] for row in rows} == {"active", "server hours"}, asked
            assert {row["regular"] for row in rows} == {True, False}, asked


@check("last-activity")
def last_activity(history, ask):
    ends = (it.ended for it in history.sessions if it.server == "late")
    midnight = next(end for end in ends if history.day_start(history.day_of(end)) == end)
    whole, grouped, _ = periods(history)
    last = history.day_of(midnight - 1)
    for asked in (whole, grouped, dict(from_=last - 30 * DAY, to=last, leave_out="a*")):
        rows = ask("last-activity", **asked)
        first, last = asked["from_"], last_day(history, asked["to"])
        ends = history.day_end(last)
        is_asked = asked_about(history, first, last, asked.get("group"), asked.get("user"), asked.get("leave_out"))
        sessions = defaultdict(list)
        for session in history.sessions:
            if session.started < ends:
                sessions[session.user].append(session)
        actives = {}
        counts = scope_of(history, asked)
        for day in history.days(first, last):
            for user, did in people_on(history, day).items():
                if did.active and counts(user, day):
                    actives[user] = day
        want = []
        for user, (_, removed) in accounts(history, ends).items():
            if removed is not None or not is_asked(user):
                continue
            row = dict.fromkeys(("last_started", "last_seen", "days_since", "last_active"))
            row |= {"user": user, "is_running": False, "last_active": actives.get(user)}
            theirs = sessions.get(user)
            if theirs:
                row["last_started"] = max(it.started for it in theirs)
                row["last_seen"] = max(min(history.until(it), ends) for it in theirs)
                row["days_since"] = (last - max(history.days_of_session(it)[-1] for it in theirs)).days
                row["days_since"] = max(row["days_since"], 0)
                # The moment before the end is the last of the period.
                row["is_running"] = any(history.runs(it) or history.until(it) >= ends for it in theirs)
            want.append(row)
        want.sort(key=lambda it: (it["days_since"] is not None, -(it["days_since"] or 0), it["user"]))
        same(rows, want, asked)


# --- groups ------------------------------------------------------------------------------


def by_rule(history, rule):
    """Settings of the site, and the groups that come first by them."""
    priority = sorted({it.group for it in history.intervals})[1:3] if rule == "primary" else ()
    sets = [f"groups.multiple={rule}"]
    if priority:
        sets.append(f"groups.priority={json.dumps(priority, ensure_ascii=False)}")
    return sets, priority


@check("participation")
def participation(history, ask):
    # Of the rule it knows nothing.
    for asked, rule in zip([*periods(history), periods(history)[0]], ("primary", "bucket", "split", "bucket")):
        rows = ask("participation", sets=by_rule(history, rule)[0], **asked)
        counts = history.scope(None, asked.get("user"), asked.get("leave_out"))
        days = history.days(asked["from_"], last_day(history, asked["to"]))
        members, came = defaultdict(set), defaultdict(lambda: defaultdict(list))
        for user in {it.user for it in history.intervals}:
            for group in {it[0] for it in history._member_days[user]}:
                if counts(user, days[0]) and history.ever_member(user, group, days[0], days[-1]):
                    members[group].add(user)
        for day in days:
            for user, did in came_on(history, day, counts).items():
                for group in history.groups_on(user, day):
                    came[group][user].append((day, did.seconds))
        want = []
        for group in sorted(members):
            if asked.get("group") not in (None, group):
                continue
            theirs = list(came[group].values())
            visits = [visit for visits in theirs for visit in visits]
            want.append(
                {
                    "group": group,
                    "members": len(members[group]),
                    "participants": len(theirs),
                    "share": len(theirs) / len(members[group]),
                    "days_per_participant": len(visits) / len(theirs) if theirs else None,
                    "hours_per_participant": sum(it[1] for it in visits) / 3600 / len(theirs) if theirs else None,
                    "last_day": max(it[0] for it in visits) if theirs else None,
                }
            )
        same(rows, want, asked)


def usage_of_days(history):
    """CPU, memory and GPUs by day and person; None if unknown."""
    if "_usage_by_day" not in history.__dict__:
        sums = defaultdict(dict)
        days = {hour: history.day_of(hour) for hour in {row.hour for row in history.usage}}
        for row in history.usage:
            used = sums[days[row.hour]].setdefault(row.user, [None, None, None])
            figures = (row.cpu_core_seconds, row.memory_byte_seconds, row.gpu_requested_seconds)
            for place, figure in enumerate(figures):
                if figure is not None:
                    used[place] = (used[place] or 0.0) + figure
        history._usage_by_day = sums
    return history._usage_by_day


@check("groups")
def groups(history, ask):
    for asked, rule in zip(periods(history), ("split", "split", "in-each")):
        groups_of(history, ask, asked, rule)
    whole, grouped, _ = periods(history)
    short = dict(from_=history.today - 20 * DAY, to=history.today - 5 * DAY)
    groups_of(history, ask, short, "in-each")
    for asked in (whole, grouped):
        groups_of(history, ask, asked, "primary")
    for asked in (short, grouped):
        groups_of(history, ask, asked, "bucket")


def groups_of(history, ask, asked, rule):
    sets, priority = by_rule(history, rule)
    rows = ask("groups", sets=sets, **asked)
    counts = history.scope(None, asked.get("user"), asked.get("leave_out"))
    last = last_day(history, asked["to"])
    days = [day for day in history.days(asked["from_"], last) if history.members_known(day)]
    usage = usage_of_days(history)
    members, came, active = defaultdict(set), defaultdict(set), set()
    sums = defaultdict(lambda: [0.0, 0.0, None, None, None, None])
    is_asked = asked_about(history, asked["from_"], last, None, asked.get("user"), asked.get("leave_out"))
    for user, (added, removed) in accounts(history, history.day_end(last)).items():
        if is_asked(user):
            changes = [it for it in history._member_days.get(user, ()) if it[1] <= days[-1] and it[2] >= days[0]]
            for group, *_ in changes:
                members[group].add(user)
            is_in_several = any(len(history.groups_on(user, day)) > 1 for day in history.days(days[0], last))
            if rule == "bucket" and is_in_several:
                members["multiple"].add(user)
            first_day, end_day = max(added or days[0], days[0]), min(removed or last, last)
            theirs = history.days(first_day, end_day)
            if any(not history.groups_on(user, day) for day in theirs) if changes else theirs:
                members["none"].add(user)
    for user in {it.user for it in history.intervals}:
        if is_asked(user):
            for group, first, end in history._member_days[user]:
                if first <= days[-1] and end >= days[0]:
                    members[group].add(user)
    begun = defaultdict(int)
    for session in history.sessions:
        begun[history.day_of(session.started), session.user] += 1
    for day in days:
        people = came_on(history, day, counts)
        used = usage.get(day, {})
        for user in {*people, *(user for user in used if counts(user, day))}:
            did = people.get(user)
            for group, share in shares_of(history.groups_on(user, day), rule, priority).items():
                if did is not None:
                    came[group].add(user)
                if share == 0:
                    continue
                sum_of = sums[group]
                figures = used.get(user, (None, None, None))
                if did is not None:
                    active.add(group)
                    sum_of[0] += begun[day, user] * share
                    sum_of[1] += did.seconds / 3600 * share
                    figures = (did.active, *figures)
                else:
                    figures = (None, *figures)
                for place, figure in enumerate(figures, 2):
                    if figure is not None:
                        sum_of[place] = (sum_of[place] or 0.0) + figure / 3600 * share
    want = []
    for group in sorted({*members, *came, *sums}):
        if asked.get("group") not in (None, group):
            continue
        is_unused = group not in sums
        sessions, hours, hours_active, cpu, memory, gpu = sums[group]
        zero = 0.0 if is_unused else None
        want.append(
            {
                "group": group,
                "members": len(members[group]),
                "participants": len(came[group]),
                "participation": len(came[group]) / len(members[group]),
                "sessions": sessions,
                "hours": hours,
                "active_hours": hours_active if group in active else 0.0,
                "cpu_core_hours": zero if cpu is None else cpu,
                "memory_gib_hours": zero if memory is None else memory / GIB,
                "gpu_hours": zero if gpu is None else gpu,
            }
        )
    same(rows, want, (asked, rule))


# --- logins ------------------------------------------------------------------------------

LOGINS = {"login": "login", "login-failed": "failed login", "logout": "logout"}

# Ranges within each other, beside each other, of one name, and of both kinds.
NETWORKS = {
    "campus": ["10.0.0.0/8"],
    "library": ["10.20.0.0/16"],
    "reading room": ["10.20.0.0/24"],
    "dormitories": ["192.0.2.0/24", "2001:db8::/32"],
}


@brings
def logins_of_hooks(history):
    """Logins of ten weeks, up to today, with addresses and without."""
    chance = random.Random(7)
    users = sorted({it.user for it in history.sessions})
    addresses = [
        "10.0.0.0", "10.255.255.255", "11.0.0.0", "9.255.255.255", "10.19.255.255", "10.20.0.0", "10.20.0.255",
        "10.20.1.0", "10.20.255.255", "10.21.0.0", "192.0.2.0", "192.0.2.255", "192.0.3.0", "2001:db8::1",
        "2001:db9::", "::ffff:10.20.0.9", "unix", None,
    ]  # fmt: skip
    for number, day in enumerate(history.days(history.today - 70 * DAY, history.today)):
        start, end = history.day_start(day), min(history.day_end(day), history.now - 60 * SECOND)
        if number % 9 == 4:
            # A day without any.
            continue
        moments = [start, end - 1, *(chance.randrange(start, end) for _ in range(chance.randrange(5, 60)))]
        for at in moments:
            kind = chance.choices(list(LOGINS), (6, 2, 1))[0]
            user = chance.choice(users[:60]) if kind != "login-failed" or chance.random() < 0.5 else None
            address = chance.choice(addresses)
            detail = {} if address is None or kind == "logout" else {"address": address}
            line = {"id": f"{day}-{at}-{kind}", "at": text_of(at), "kind": kind, "source": "hooks", "detail": detail}
            yield line | ({} if user is None else {"user": user})


def logins_in(history, asked):
    """Events of logins that count, with their day."""
    counts = scope_of(history, asked)
    is_about = asked.get("group") or asked.get("user")
    for kind in LOGINS:
        for event in history.events_by_kind[kind]:
            day = history.day_of(event.at)
            if not asked["from_"] <= day <= asked["to"]:
                continue
            if counts(event.user, day) if event.user is not None else not is_about:
                yield event, day


def login_periods(history):
    from_ = history.today - 75 * DAY
    members = sorted({event.user for event in history.events_by_kind["login"] if event.user})
    group = max(
        sorted({it.group for it in history.intervals}),
        key=lambda group: sum(history.is_member(user, group, history.today) for user in members),
    )
    return [
        dict(from_=from_, to=history.today),
        dict(from_=from_ + 30 * DAY, to=from_ + 50 * DAY, group=group),
        dict(from_=from_, to=history.today - 3 * DAY, user=members[0]),
        dict(from_=from_ + 40 * DAY, to=from_ + 41 * DAY, leave_out="a*"),
    ]


@check("logins")
def logins(history, ask):
    for asked in login_periods(history):
        rows = ask("logins", **asked)
        of_day = defaultdict(lambda: defaultdict(list))
        for event, day in logins_in(history, asked):
            of_day[day][event.kind].append(event.user)
        want = []
        for day in history.days(asked["from_"], asked["to"]):
            it = of_day[day]
            row = {
                "logins": len(it["login"]),
                "users": len(set(it["login"])),
                "failed": len(it["login-failed"]),
                "logouts": len(it["logout"]),
            }
            known = history.hooks_known(day)
            want.append({"day": day} | {name: value if known else None for name, value in row.items()})
        same(rows, want, asked)


@check("login-totals")
def login_totals(history, ask):
    for number, asked in enumerate(login_periods(history)):
        everybody = totals_of_logins(history, asked, lambda user: "all")
        if not everybody:
            everybody = [totals_row("all", [], any(map(history.hooks_known, history.days(asked["from_"], asked["to"]))))]
        same(ask("login-totals", by="nothing" if number % 2 else None, **asked), everybody, asked)
        rows = ask("login-totals", by="user", **asked)
        same(rows, totals_of_logins(history, asked, lambda user: user), asked)
        # Everybody together is all of them, and each person counts once.
        for name in ("users", "logins", "failed", "logouts"):
            assert sum(row[name] for row in rows) == (everybody[0][name] or 0), (asked, name)


def totals_of_logins(history, asked, of):
    """A row for each of those, the most logins first."""
    events = defaultdict(list)
    for event, day in logins_in(history, asked):
        if history.hooks_known(day):
            events[of(event.user)].append((event, day))
    rows = [totals_row(name, theirs, True) for name, theirs in events.items()]
    return sorted(rows, key=lambda row: (-row["logins"], row["of"] is None, (row["of"] or "").encode()))


def totals_row(name, events, is_known):
    logins = [(event, day) for event, day in events if event.kind == "login"]
    row = {
        "users": len({event.user for event, _ in logins}),
        "days": len({day for _, day in logins}),
        "logins": len(logins),
        "failed": sum(event.kind == "login-failed" for event, _ in events),
        "logouts": sum(event.kind == "logout" for event, _ in events),
    }
    row = {key: value if is_known else None for key, value in row.items()}
    return {"of": name, **row, "last": max((event.at for event, _ in logins), default=None)}


@check("login-times")
def login_times(history, ask):
    for asked in login_periods(history):
        rows = ask("login-times", **asked)
        want = [
            {"at": event.at, "what": LOGINS[event.kind], "user": event.user} for event, _ in logins_in(history, asked)
        ]
        want.sort(key=lambda it: (it["at"], it["what"], it["user"] is None, it["user"] or ""))
        same(rows, want, asked)


def network_of(address):
    """The narrowest of the ranges that an address lies in."""
    try:
        address = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    found = [
        (network.prefixlen, name)
        for name, ranges in NETWORKS.items()
        for network in map(ipaddress.ip_network, ranges)
        if network.version == address.version and address in network
    ]
    return max(found)[1] if found else "elsewhere"


@check("login-networks")
def login_networks(history, ask):
    ranges = json.dumps([f"{name}={each}" for name, ranges in NETWORKS.items() for each in ranges])
    for asked in login_periods(history):
        rows = ask("login-networks", sets=[f"reports.networks={ranges}"], **asked)
        logins, users = defaultdict(int), defaultdict(set)
        for event, _ in logins_in(history, asked):
            if event.kind == "login":
                network = network_of(json.loads(event.detail or "{}").get("address") or "")
                logins[network] += 1
                users[network].add(event.user)
        want = [{"network": name, "logins": logins[name], "users": len(users[name])} for name in logins]
        want.sort(key=lambda it: (-it["logins"], it["network"]))
        same(rows, want, asked)
