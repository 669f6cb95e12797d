"""Each report over a year, ours against DuckDB, on the same files.

    cargo bench --profile dev --workspace --bench store --no-run       says where the program STORE is
    python3 bench/reports.py --ours STORE --python ENV/bin/python --store FOLDER [--output FILE] [REPORT …]

ENV has the packages of scripts/requirements/history.txt, FOLDER is a year of the demo that nobody keeps. The period ends on
the day before the first of the servers that run now was started, since what runs now is in no file. Each side is a process of
its own (cold), one thread each, in turn, after a warm-up that is not counted and whose rows are compared; ours reads the rows
themselves, not the roll-up. Nine pairs, fewer where they would take longer than --seconds. Then each report is asked twice
in one process with the roll-up, as pages do, and the second time is the page's. CPU is user and system time.
"""

import argparse
import collections
import contextlib
import csv
import datetime
import io
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import zoneinfo

from year import Run, milliseconds, number, ratio, run

HERE = pathlib.Path(__file__).resolve().parent
# DataFusion cuts the place of a percentile between two values to a millionth of their distance.
TOLERANCES = {"home-storage": 1e-8, "spawns": 1e-7}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the bench program `store`")
    parser.add_argument("--python", required=True, help="a Python with deltalake and duckdb")
    parser.add_argument("--store", required=True, help="a year of the demo")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=10, help="longest time for the pairs of one report")
    parser.add_argument("--output", help="where the table is written; standard output if not given")
    parser.add_argument("reports", nargs="*")
    arguments = parser.parse_args()
    period = Period(pathlib.Path(arguments.store))
    with open(arguments.output, "w") if arguments.output else contextlib.nullcontext(sys.stdout) as output:
        table(arguments, period, arguments.reports or sorted(known()), output)


def known():
    return {path.name.removesuffix(".duckdb.sql") for path in (HERE / "reports").glob("*.duckdb.sql")}


class Period:
    """The hub, its zone, and the days whose rows are all in files."""

    def __init__(self, store):
        with contextlib.closing(sqlite3.connect(f"file:{store / 'state.db'}?mode=ro", uri=True)) as state:
            name, zone = state.execute("select name, value from settings where name like 'zone/%'").fetchone()
            begin = state.execute("select value from settings where name like 'begin/%'").fetchone()[0]
            running = state.execute("select min(json_extract(row, '$.started')) from present_servers").fetchone()[0]
        self.hub = name.removeprefix("zone/")
        self.zone = zone

        def day(moment):
            return moment.astimezone(zoneinfo.ZoneInfo(zone)).date()

        self.first = day(datetime.datetime.fromtimestamp(int(begin) // 1_000_000, datetime.timezone.utc))
        self.last = day(datetime.datetime.fromisoformat(running)) - datetime.timedelta(days=1)


def table(arguments, period, names, output):
    def line(*cells):
        print("|", " | ".join(cells), "|", file=output, flush=True)

    pages = page_times(arguments, period)
    line("report", "rows", "ours: CPU", "DuckDB: CPU", "ratio of CPU", "ratio of wall", "pairs", "", "page: CPU, wall", "")
    line(*["---"] * 10)
    wrong = []
    for name in names:
        ours = [arguments.ours, "report", arguments.store, str(period.first), str(period.last), name]
        theirs = [arguments.python, str(HERE / "duck_report.py"), str(pathlib.Path(arguments.store) / "history"), period.hub,
                  period.zone, str(period.first), str(period.last), str(HERE / "reports" / f"{name}.duckdb.sql")]
        try:
            first, second = run(ours), run(theirs)
            n_rows = compare(name, first.text, second.text)
        except SystemExit as reason:
            # The other reports are worth their minutes.
            wrong.append(str(reason))
            line(f"`{name}`", *["–"] * 6, "**no figure**", *pages[name])
            continue
        pairs = measured(ours, theirs, arguments, first.wall + second.wall)
        one, other = zip(*pairs)
        is_met = statistics.median(mine.cpu / their.cpu for mine, their in pairs) <= 1
        line(f"`{name}`", f"{n_rows:,}", milliseconds(one, lambda it: it.cpu), milliseconds(other, lambda it: it.cpu),
             ratio(pairs, lambda it: it.cpu), ratio(pairs, lambda it: it.wall),
             str(len(pairs)), "met" if is_met else "**missed**", *pages[name])
    for name in sorted(pages.keys() - known()):
        line(f"`{name}`", *["–"] * 7, *pages[name])
    if wrong:
        sys.exit("\n".join(wrong))


def measured(ours, theirs, arguments, seconds):
    n_pairs = max(1, min(arguments.pairs, int(arguments.seconds / seconds)))
    pairs = []
    for index in range(n_pairs):
        first, second = (ours, theirs) if index % 2 == 0 else (theirs, ours)
        one, other = without_text(run(first)), without_text(run(second))
        pairs.append((one, other) if index % 2 == 0 else (other, one))
    return pairs


def without_text(it):
    return Run(it.cpu, it.wall, it.peak_bytes, "")


def page_times(arguments, period):
    """By report CPU and wall time, and whether it is quick enough; a dash where there is no answer."""
    command = [arguments.ours, "pages", arguments.store, str(period.first), str(period.last)]
    text = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True).stdout
    pages = collections.defaultdict(lambda: ("–", "**no answer**"))
    for name, cpu, wall in csv.reader(io.StringIO(text)):
        pages[name] = (f"{cpu} ms, {wall} ms", "met" if int(wall) < 300 else "**missed**")
    return pages


def compare(name, ours, theirs):
    """The number of rows, or an exit if both do not have the same ones."""
    left, right = rows(ours), rows(theirs)
    if len(left) != len(right):
        sys.exit(f"reports.py: {name}: {len(left)} rows against {len(right)}")
    tolerance = TOLERANCES.get(name, 1e-9)
    if not all(alike(*pair, tolerance) for pair in zip(left, right)):
        # Figures that differ by rounding may change places.
        left.sort(key=texts)
        right.sort(key=texts)
    for ours_row, their_row in zip(left, right):
        if not alike(ours_row, their_row, tolerance):
            sys.exit(f"reports.py: {name}: {ours_row} against {their_row}")
    return len(left)


def rows(text):
    return list(csv.reader(io.StringIO(text)))[1:]


def alike(left, right, tolerance):
    return left == right or len(left) == len(right) and all(
        one == other or near(value(one), value(other), tolerance) for one, other in zip(left, right))


def near(left, right, tolerance):
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= tolerance * max(1.0, abs(left), abs(right))
    if isinstance(left, datetime.datetime) and isinstance(right, datetime.datetime):
        return abs(left - right) <= datetime.timedelta(microseconds=1)
    return left == right


def value(cell):
    """A number, a time, or text."""
    if cell[4:5] == "-" and cell[10:11] in ("T", " ") and ":" in cell:
        return datetime.datetime.fromisoformat(cell).astimezone(datetime.timezone.utc)
    return number(cell)


def texts(row):
    return [cell for cell in row if isinstance(value(cell), str)] + row


if __name__ == "__main__":
    main()
