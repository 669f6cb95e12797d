"""The heaviest questions about a year, ours against DuckDB, on the same files.

    python3 bench/year.py --ours target/debug/jupyterhub-insights --python ENV/bin/python [--store FOLDER]

ENV has the packages of scripts/requirements/history.txt. Without --store the demo's year of 10,000 users is made first,
in a temporary folder. Each question is a process of its own on either side (cold), one thread each, in turn, after a
warm-up that is not counted; both answers are compared first. CPU is user and system time of the process.
"""

import argparse
import csv
import dataclasses
import io
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Run:
    cpu: float
    wall: float
    peak_bytes: int
    text: str


def run(command):
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        if status != 0:
            sys.exit(f"year.py: {' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        text = output.read().decode()
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss << 10, text)


def values(text):
    return [[number(cell) for cell in row] for row in list(csv.reader(io.StringIO(text)))[1:]]


def number(cell):
    cell = cell.removesuffix("+00:00").removesuffix("Z").replace("T00:00:00", "").replace(" 00:00:00", "")
    try:
        return float(cell)
    except ValueError:
        return {"true": 1.0, "True": 1.0, "false": 0.0, "False": 0.0}.get(cell, cell)


def equal(left, right):
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= 1e-9 * max(1.0, abs(left), abs(right))
    return left == right


def compare(name, ours, theirs):
    left, right = values(ours), values(theirs)
    if len(left) != len(right):
        sys.exit(f"year.py: {name}: {len(left)} rows against {len(right)}")
    for ours_row, their_row in zip(left, right):
        if len(ours_row) != len(their_row) or not all(map(equal, ours_row, their_row)):
            sys.exit(f"year.py: {name}: {ours_row} against {their_row}")


def ratio(pairs, get):
    ratios = [get(ours) / get(theirs) for ours, theirs in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"


def milliseconds(runs, get):
    return f"{1000 * statistics.median(get(run) for run in runs):.0f} ms"


def measure(ours, theirs, n_pairs):
    run(ours), run(theirs)
    pairs = []
    for index in range(n_pairs):
        first, second = (ours, theirs) if index % 2 == 0 else (theirs, ours)
        one, other = run(first), run(second)
        pairs.append((one, other) if index % 2 == 0 else (other, one))
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program jupyterhub-insights")
    parser.add_argument("--python", required=True, help="a Python with deltalake and duckdb")
    parser.add_argument("--store", help="a store that is there already")
    parser.add_argument("--users", default="10000")
    parser.add_argument("--pairs", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or make(arguments, pathlib.Path(folder) / "store")
        report(arguments, pathlib.Path(store))


def make(arguments, store):
    """Starts the demo, waits until its history is there and the service answers, and ends it."""
    command = [arguments.ours, "demo", "--users", arguments.users, "--days", "365", "--port", "0", "--store", str(store)]
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        while b"http://127.0.0.1" not in os.pread(output.fileno(), 1 << 20, 0):
            if process.poll() is not None:
                sys.exit(f"year.py: the demo ended: {os.pread(output.fileno(), 1 << 20, 0).decode()}")
            time.sleep(0.05)
        wall = time.monotonic() - start
        process.send_signal(signal.SIGINT)
        _, _, usage = os.wait4(process.pid, 0)
    print(f"the demo's year of {arguments.users} users: {wall:.0f} s until it answers, "
          f"{usage.ru_utime + usage.ru_stime:.0f} s of CPU, {usage.ru_maxrss >> 10} MiB at most\n", flush=True)
    return store


def report(arguments, store):
    print("| question | ours: CPU | DuckDB: CPU | ratio of CPU | ratio of CPU without start | ratio of wall | peak |")
    print("|---|---|---|---|---|---|---|")
    query = [arguments.ours, "sql", "--set", f"store.path={store}", "--format", "csv", "--"]
    duck = [arguments.python, str(HERE / "duck.py"), str(store / "history")]
    start = measure([*query, "select 1"], duck, arguments.pairs)
    bare = [statistics.median(side.cpu for side in sides) for sides in zip(*start)]
    for path in sorted((HERE / "queries").glob("*.duckdb.sql")):
        name = path.name.removesuffix(".duckdb.sql")
        ours = [*query, (path.parent / f"{name}.sql").read_text()]
        theirs = [*duck, str(path)]
        compare(name, run(ours).text, run(theirs).text)
        pairs = measure(ours, theirs, arguments.pairs)
        one, other = zip(*pairs)
        net = [(side.cpu - bare[0], other_side.cpu - bare[1]) for side, other_side in pairs]
        print(f"| {name} | {milliseconds(one, lambda it: it.cpu)} | {milliseconds(other, lambda it: it.cpu)} "
              f"| {ratio(pairs, lambda it: it.cpu)} | {ratio(net, lambda it: max(it, 0.001))} "
              f"| {ratio(pairs, lambda it: it.wall)} "
              f"| {max(it.peak_bytes for it in one) >> 20} / {max(it.peak_bytes for it in other) >> 20} MiB |", flush=True)
    print(f"| (start: `select 1`) | {1000 * bare[0]:.0f} ms | {1000 * bare[1]:.0f} ms | | | | |")


if __name__ == "__main__":
    main()
