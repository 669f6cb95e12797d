"""Each page of an administrator with all its parts, at a year of the demo, with nothing in the cache of answers.

    jupyterhub-insights demo --users 10000 --groups 200 --store FOLDER      until it listens; then Ctrl-C
    python3 bench/pages.py --ours PROGRAM --store FOLDER [--before PROGRAM] [--users 10000 --groups 200] [--output FILE]

Both programs are started in turn with the simulated hub, on the same folder; `reports.cache_mib` is 0, so that every part
is computed. A page is the shell and whatever it asks for: its parts, and its style sheets and scripts. *Whole* is the time
on the clock until all is there, as the page asks: three parts at a time. CPU is user and system time of the process for
the parts, one after the other. All are the least of --rounds; kB are those on the wire, with gzip where it is offered.
"""

import argparse
import concurrent.futures
import contextlib
import gzip
import html
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import typing
import urllib.request

PAGES = ["", "now", "activity", "sessions", "groups", "groups/one", "users", "users/one", "machines", "checks", "me"]
# Of the first of the list that has figures.
LISTS = {"groups/one": "groups", "users/one": "users"}
# In order.
WHAT = ["whole, ms", "CPU, ms"]
# As the script of the pages asks.
CONNECTIONS = 3
# Longer than anything is remembered of a moment.
PAUSE = 2.5
TOKEN = "demo-admin-token"
PREFIX = "/services/insights/"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program")
    parser.add_argument("--before", help="another build of it, to compare with")
    parser.add_argument("--store", required=True, help="a year of the demo that nobody keeps")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", help="where the table is written; standard output if not given")
    args = parser.parse_args()
    sides = [args.before, args.ours] if args.before else [args.ours]
    found = [measured(side, args) for side in sides]
    text = "\n".join(lines(found)) + "\n"
    if args.output:
        pathlib.Path(args.output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def lines(found):
    both = len(found) > 1
    heads = [f"{what} | before | ratio" if both else what for what in WHAT]
    yield f"| page | parts | shell, ms | {' | '.join(heads)} | first, ms | slowest part, ms | kB |"
    yield "|---|" + "--:|" * (5 + len(WHAT) * (3 if both else 1))
    for page in PAGES:
        now, before = found[-1][page], found[0][page]
        compared = zip(now.figures(), before.figures() if both else [None, None])
        figures = " | ".join(figure(mine, theirs) for mine, theirs in compared)
        yield (
            f"| {page or 'overview'} | {now.n_parts} | {now.shell:.0f} | {figures}"
            f" | {now.first:.0f} | {now.slowest:.0f} | {now.bytes / 1000:.0f} |"
        )


def figure(now, before):
    if before is None:
        return f"{now:.0f}"
    return f"{now:.0f} | {before:.0f} | " + (f"{now / before:.2f}" if before else "–")


class Page:
    """What it takes to show one."""

    def __init__(self, service, page, rounds):
        path = service.one_of(page) if page in LISTS else page
        self.shell, text, self.bytes = service.get(path)
        asked = [html.unescape(it) for it in re.findall(r'data-part="([^"]+)"', text)]
        self.n_parts = len(asked)
        looks = re.findall(r'(?:href|src)="([^"]*assets/[^"]+)"', text)
        self.bytes += sum(service.get(html.unescape(it))[2] for it in looks)
        tries = [service.whole(path, asked) for _ in range(rounds)]
        self.first = tries[0].whole
        self.whole = min(it.whole for it in tries)
        self.cpu = min(it.cpu for it in tries)
        self.slowest = min(it.slowest for it in tries)
        self.bytes += tries[0].bytes

    def figures(self):
        return self.whole, self.cpu


def measured(program, args):
    with running(program, args) as service:
        return {page: Page(service, page, args.rounds) for page in PAGES}


class Whole(typing.NamedTuple):
    """A page with its parts, once: milliseconds, and the bytes of the parts."""

    whole: float
    cpu: float
    slowest: float
    bytes: int


class Service:
    """A service that runs."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def get(self, path):
        """Milliseconds, text and bytes of a reply."""
        path = path if path.startswith("/") else PREFIX + path
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"token {TOKEN}")
        request.add_header("Accept", "text/html")
        request.add_header("Accept-Encoding", "gzip")
        begun = time.perf_counter()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as reply:
            body = reply.read()
            is_plain = reply.headers.get("Content-Encoding") is None
        took = (time.perf_counter() - begun) * 1000
        return took, (body if is_plain else gzip.decompress(body)).decode(errors="replace"), len(body)

    def one_of(self, page):
        """The page of the first of a list."""
        _, text, _ = self.get(LISTS[page])
        paths = map(html.unescape, re.findall(rf'{page}\?name=[^"]+', text))
        return next(path for path in paths if "data-part=" in self.get(path)[1])

    def whole(self, path, parts):
        """The page and its parts, at a moment that nothing is known of."""
        time.sleep(PAUSE)
        cpu, begun = self.cpu(), time.perf_counter()
        self.get(path)
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as browser:
            got = list(browser.map(self.get, parts))
        took = (time.perf_counter() - begun) * 1000
        slowest = max((took for took, _, _ in got), default=0.0)
        return Whole(took, self.cpu() - cpu, slowest, sum(size for _, _, size in got))

    def settle(self):
        """Waits until what was left to do since the last time is done: less than 5 % of a core for 5 s."""
        before = -1e9
        while (now := self.cpu()) - before > 250:
            before = now
            time.sleep(5)

    def cpu(self):
        """Milliseconds so far, also of threads that have ended."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(program, args):
    hub_port, port = free_port(), free_port()
    hub = [program, "demo", "--hub-only", "--port", str(hub_port)]
    hub += ["--users", str(args.users), "--groups", str(args.groups)]
    settings = {
        "hub.name": "demo",
        "hub.url": f"http://127.0.0.1:{hub_port}/",
        "hub.token": TOKEN,
        "hub.timezone": "Europe/Berlin",
        "store.path": str(pathlib.Path(args.store).resolve()),
        "web.listen": f"127.0.0.1:{port}",
        "reports.cache_mib": "0",
        # Nobody logs in, but without it the first page is none for people.
        "login.client_id": "service-insights",
        "login.hub_url": f"http://127.0.0.1:{hub_port}/",
        "login.callback_url": f"http://127.0.0.1:{port}{PREFIX}oauth_callback",
        "metrics.open": "true",
    }
    with started(hub, hub_port):
        serve = [program, "serve", *(word for pair in settings.items() for word in ("--set", "=".join(pair)))]
        with started(serve, port) as process:
            service = Service(process, port)
            service.settle()
            yield service


@contextlib.contextmanager
def started(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_for(port, process):
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise SystemExit(f"{process.args[0]} ended with {process.returncode}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
