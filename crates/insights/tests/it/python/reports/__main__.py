"""Figures of reports, computed a second time in plain Python.

    python reports STORE BINARY [NAME…]
    python reports STORE BINARY --mutants DIR

With mutants, files `NAME-mutant-N.sql`, each answers in turn in place of the report NAME, which has to be
noticed: exit code 1 if any is not.
"""

import argparse
import gc
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from history import BRINGS, CHECKS, DAY, SECOND, History, brings, rows_of, text_of

OWN = ("from_", "to", "group", "user", "leave_out", "leave_out_group", "hub")


class NoAnswer(Exception):
    """The binary gave an error: nothing is said of any figure."""


class Ask:
    """Asks the binary: `ask("active-users", from_=…, to=…, group=…, leave_out=…, by="week")`."""

    def __init__(self, history, binary, mutant=None):
        self.history = history
        self.binary = binary
        self.mutant = mutant
        self.n_rows = 0
        self.n_questions = 0

    def __call__(self, name, store=None, sets=(), **asked):
        """Rows with `now`, the moment of the answer, which the history takes over too.

        `store` is another folder than the history's, `sets` are more settings as `key=value`.
        """
        is_mutant = self.mutant is not None and name == judged_by(self.mutant)
        command = [self.binary, "report", self.mutant.stem if is_mutant else name, "--format", "json"]
        command += ["--set", f"store.path={store or self.history.folder}"]
        if is_mutant:
            command += ["--set", f"reports.folder={self.mutant.parent}"]
        for each in sets:
            command += ["--set", each]
        for key, value in asked.items():
            if value is None:
                continue
            if key not in OWN:
                command.append(f"{key}={value}")
                continue
            values = value if isinstance(value, (list, tuple)) else [value]
            for value in values:
                command += ["--" + key.rstrip("_").replace("_", "-"), str(value)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise NoAnswer(f"{' '.join(command)}\n{done.stderr.strip()}")
        rows = rows_of(json.loads(done.stdout))
        self.history.now = rows.now
        self.n_rows += len(rows)
        self.n_questions += 1
        return rows

    def imported(self, lines):
        """A copy of the store with these events (dicts) in it, and its history; it goes with this process."""
        folder = tempfile.TemporaryDirectory(prefix="reports-")
        self._kept = getattr(self, "_kept", [])
        self._kept.append(folder)
        return copied(self.history.folder, Path(folder.name) / "store", self.binary, lines)


def copied(store, copy, binary, lines):
    """A copy of a store with these events in it."""
    shutil.copytree(store, copy)
    for lock in copy.glob("lock-*"):
        lock.unlink()
    path = copy.parent / f"{copy.name}.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    command = [binary, "import", "events", str(path), "--set", f"store.path={copy}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    assert " 0 rejected" in done.stdout, done.stdout
    return copy


@brings
def late_news(history):
    """What comes late and corrects sessions: stops a little before they were seen, some of them on the day
    before; and sessions nobody knew."""
    seen = sorted(
        (it for it in history.sessions if it.end_reason == "stopped" and it.ended - it.last_seen > 30 * SECOND),
        key=lambda it: (it.started, it.user),
    )
    over_midnight = [it for it in seen if history.day_of(it.last_seen) != history.day_of(it.ended)]
    for it in [*seen[5::6007], *over_midnight[:: max(len(over_midnight) // 12, 1)]]:
        at = it.last_seen + SECOND
        yield {"at": text_of(at), "kind": "server-stop", "user": it.user, "server": it.server, "source": "hub"}
    users = sorted({it.user for it in history.sessions})
    day = history.day_start
    change = history.clock_change(is_spring=False)
    half_a_year_ago = history.today - 180 * DAY
    spans = [
        # Over a change of the clock, over midnight, up to midnight sharp, from midnight on, without length.
        (day(change) - 3600 * SECOND, day(change + DAY) + 7200 * SECOND),
        (day(half_a_year_ago) - 1, day(half_a_year_ago) + 1),
        (day(half_a_year_ago) - 5400 * SECOND, day(half_a_year_ago)),
        (day(half_a_year_ago), day(half_a_year_ago) + 5400 * SECOND),
        (day(history.today - 20 * DAY) + 1000 * SECOND, day(history.today - 18 * DAY) + 777 * SECOND),
    ]
    for number, (started, ended) in enumerate(spans):
        for user in users[number :: len(users) // 3]:
            about = {"user": user, "server": "late", "source": "hub"}
            yield {"at": text_of(started), "kind": "server-start", **about}
            yield {"at": text_of(ended), "kind": "server-stop", **about}


def worth_something(history):
    """Whether the history has what a wrong report would stumble over."""
    several = {user for user in {it.user for it in history.intervals} if len(history.groups_on(user, history.today)) > 1}
    over_midnight = [it for it in history.sessions if len(history.days_of_session(it)) > 1]

    def has_change(session):
        days = history.days_of_session(session)
        return any(history.day_end(day) - history.day_start(day) != 86_400_000_000 for day in days)

    lacks = []
    for what, there in (
        ("members of two groups", len(several)),
        ("people who left a group", sum(it.left is not None for it in history.intervals)),
        ("sessions over midnight", len(over_midnight)),
        ("sessions over a change of the clock", sum(map(has_change, over_midnight))),
        ("servers that run", len(history.running)),
        ("corrected sessions", history.n_corrected),
        ("two sessions of one person at once", two_at_once(history)),
        ("accounts that were new", sum(it.not_before is not None for it in history.events_by_kind["user-added"])),
    ):
        if there == 0:
            lacks.append(what)
    return lacks


def two_at_once(history):
    """How often somebody started a server while another of theirs ran."""
    ends = {}
    found = 0
    for session in sorted(history.sessions, key=lambda it: it.started):
        found += ends.get(session.user, 0) > session.started
        ends[session.user] = max(ends.get(session.user, 0), history.until(session))
    return found


def main():
    parser = argparse.ArgumentParser(prog="reports")
    parser.add_argument("store")
    parser.add_argument("binary")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--mutants", type=Path)
    parser.add_argument("--keep", help="where the copy of the store is made; one that is there is used as it is")
    asked = parser.parse_args()
    here = Path(__file__).parent
    for module in sorted(here.glob("*.py")):
        if module.stem not in {"__main__", "history"}:
            importlib.import_module(module.stem)
    # Millions of rows that stay: looking through them for rubbish takes longer than all the rest.
    gc.disable()
    with tempfile.TemporaryDirectory(prefix="reports-") as temporary:
        copy = Path(asked.keep or temporary) / "store"
        if not copy.is_dir():
            plain = History(asked.store, now())
            copied(asked.store, copy, asked.binary, [line for bring in BRINGS for line in bring(plain)])
        history = History(copy, now())
        sys.exit(mutants(asked, history) if asked.mutants else judged(asked, history))


def now():
    return int(time.time() * SECOND)


def judged(asked, history):
    """Runs the checks; 1 if any fails."""
    names = asked.names or sorted(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        sys.exit(f"No check is called {', '.join(unknown)}.")
    is_good = True
    if not asked.names:
        lacks = worth_something(history)
        if lacks:
            is_good = False
            print(f"history LACKS {', '.join(lacks)}")
    for name in names:
        ask = Ask(history, asked.binary)
        try:
            CHECKS[name](history, ask)
            assert ask.n_rows, f"{ask.n_questions} questions, and no row"
            print(f"{name} ok {ask.n_rows} rows of {ask.n_questions} questions", flush=True)
        except (AssertionError, NoAnswer) as error:
            is_good = False
            print(f"{name} WRONG {error}", flush=True)
    return 0 if is_good else 1


def judged_by(mutant):
    """The report that the file was made of."""
    return mutant.stem.rsplit("-mutant-", 1)[0]


def mutants(asked, history):
    """Lets each file answer in place of its report; 1 if that is not noticed of all."""
    files = sorted(asked.mutants.glob("*.sql"), key=lambda path: path.stem.rsplit("-", 1))
    unnoticed = 0
    for file in files:
        with tempfile.TemporaryDirectory(prefix="reports-") as folder:
            # Alone: each report of a folder is tried before any answers.
            alone = Path(shutil.copy(file, folder))
            try:
                CHECKS[judged_by(file)](history, Ask(history, asked.binary, alone))
                unnoticed += 1
                print(f"{file.stem} NOT NOTICED", flush=True)
            except AssertionError as error:
                print(f"{file.stem} noticed: {str(error)[:160]!r}", flush=True)
    print(f"{len(files) - unnoticed} of {len(files)} mutants were noticed.")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    main()
