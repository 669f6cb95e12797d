"""The overview, calculated a second time: ten numbers of a period and of the time before it."""

from history import DAY, check, same

from activity import accounts, biggest_group, came_on, last_day, scope_of, usage_of_days
from resources import homes
from sessions import Question, levels

# As the answer has them.
NAMES = (
    ("users", "People", "people", "active-users-calendar"),
    ("new-users", "New people", "people", "new-users"),
    ("sessions", "Servers started", "servers", "session-lengths"),
    ("hours", "Server hours", "server hours", "active-users-calendar"),
    ("active-hours", "Active hours", "hours", "groups"),
    ("peak", "Most servers at once", "servers", "concurrency-summary"),
    ("cpu", "Processor time", "core hours", "usage-by-user"),
    ("gpu", "GPU time", "GPU hours", "usage-by-user"),
    ("groups", "Groups that took part", "groups", "participation"),
    ("homes", "Home storage", "bytes", "home-storage"),
)


@check("overview")
def overview(history, ask):
    change = history.clock_change(is_spring=False)
    for asked in (
        dict(from_=history.today - 29 * DAY, to=history.today),
        dict(from_=history.today - 13 * DAY, to=history.today - DAY),
        # The time before reaches back to before the history, and to its very first day.
        dict(from_=history.begins + 40 * DAY, to=history.begins + 90 * DAY),
        dict(from_=history.begins + 31 * DAY, to=history.begins + 61 * DAY),
        dict(from_=change - 9 * DAY, to=change + 5 * DAY, group=biggest_group(history), leave_out=["a*"]),
    ):
        rows = ask("overview", **asked)
        same(rows, list(expected(history, asked)), asked)


def expected(history, asked):
    first, last = asked["from_"], last_day(history, asked["to"])
    n_days = (last - first).days + 1
    days = history.days(first, last)
    days_before = history.days(first - n_days * DAY, first - DAY)
    scope = {name: asked.get(name) for name in ("group", "user", "leave_out")}
    peaks = dict(levels(Question(history, first - n_days * DAY, last, **scope)))
    now = figures(history, asked, days, peaks)
    before = figures(history, asked, days_before, peaks) if all(map(history.in_history, days_before)) else {}
    # Growth is that of the days that are over, from as many days before the period.
    over = [day for day in days if history.is_over(day)]
    later = figures(history, asked, over, peaks) if over else {}
    earlier = figures(history, asked, days_before[n_days - len(over) :], peaks) if over else {}
    for number, title, unit, report in NAMES:
        from_, to = earlier.get(number), later.get(number)
        has_change = all(told_of(history, asked, number, day) for day in days_before + over)
        yield {
            "number": number,
            "title": title,
            "value": now.get(number),
            "before": before.get(number),
            "change": to / from_ - 1 if has_change and to is not None and from_ else None,
            "difference": to - from_ if has_change and to is not None and from_ is not None else None,
            "unit": unit,
            "report": report,
        }


def told_of(history, asked, number, day):
    """Whether it is known of a day what the number needs."""
    if not history.known(day):
        return False
    if number == "active-hours":
        return all(did.active is not None for did in came_on(history, day, scope_of(history, asked)).values())
    needs = {
        "new-users": history.accounts_known,
        "cpu": history.usage_known,
        "gpu": history.usage_known,
        "groups": history.members_known,
        "homes": history.storage_known,
    }
    return needs[number](day) if number in needs else True


def figures(history, asked, days, peaks):
    """The ten numbers of these days; those that are not known are missing."""
    counts = scope_of(history, asked)
    known = [day for day in days if history.known(day)]
    found = {"homes": size_of_homes(history, counts, days)}
    if not known:
        return found
    came = {day: came_on(history, day, counts) for day in known}
    people = set().union(*came.values())
    found["users"] = float(len(people))
    if all(map(history.accounts_known, days)):
        added = accounts(history, history.day_end(last_day(history, asked["to"])))
        is_new = {user for user in people if added[user][0] is not None and days[0] <= added[user][0] <= days[-1]}
        found["new-users"] = float(len(is_new))
    starts = [(history.day_of(it.started), it.user) for it in history.sessions]
    in_known = set(known)
    found["sessions"] = float(sum(day in in_known and counts(user, day) for day, user in starts))
    all_did = [did for did_on_day in came.values() for did in did_on_day.values()]
    found["hours"] = sum(did.seconds for did in all_did) / 3600
    active = [did.active for did in all_did if did.active is not None]
    found["active-hours"] = sum(active) / 3600 if active or not people else None
    found["peak"] = float(max((row[2] for day in known for row in peaks[day]), default=0))
    usage = usage_of_days(history)
    for name, place in (("cpu", 0), ("gpu", 2)):
        used = [
            row[place]
            for day in known
            for user, row in usage.get(day, {}).items()
            if row[place] is not None and counts(user, day)
        ]
        is_nobodys = not people and any(map(history.usage_known, known)) and (name == "cpu" or tells_gpus(history, asked))
        found[name] = sum(used) / 3600 if used or is_nobodys else None
    told = [day for day in known if history.members_known(day)]
    if told:
        taking_part = set().union(*(history.groups_on(user, day) for day in told for user in came[day]))
        if asked.get("group") is not None:
            taking_part &= {asked["group"]}
        found["groups"] = float(len(taking_part))
    return found


def tells_gpus(history, asked):
    """Whether GPU time of anybody who is asked about is known in a period of which there are numbers."""
    counts = scope_of(history, asked)
    first, last = asked["from_"], last_day(history, asked["to"])
    days = history.days(first, last)
    before = history.days(first - len(days) * DAY, first - DAY)
    if all(map(history.in_history, before)):
        days = before + days
    usage = usage_of_days(history)
    return any(
        row[2] is not None and counts(user, day)
        for day in filter(history.known, days)
        for user, row in usage.get(day, {}).items()
    )


def size_of_homes(history, counts, days):
    """All homes of the people who count, on the last day on which any of theirs was measured."""
    for day in reversed(days):
        sizes = [size for user, size in homes(history).get(day, ()) if counts(user, day)]
        if sizes:
            return float(sum(sizes))
    return None
