"""A user's server that uses what it is told to, and says how much that was.

A hub starts it in place of a notebook: it answers below its own path, and anything that is not one
of the jobs with 200. Its own figures come from `getrusage` and from the pages it wrote to.

  burn?seconds=S            processor time of the server itself
  children?n=N&ms=M         N children of M milliseconds each, one after another, waited for
  grandchildren?n=N&ms=M    the same by a child, which ends after them
  hold?mib=N                memory that is written to and kept
  sleepers?n=N              children that share that memory and do nothing
  daemon?seconds=S          a child of a child that ended, at once; it works and stays
  linger                    the same, but the child stays until `release`
  release?seconds=S         ends that child; what is left of it works and stays
  report                    all that was used
"""

import glob
import json
import mmap
import os
import resource
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

FOLDER = os.environ["HOME"]
ADDRESS = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
BURNER = os.getpid()

held = []
sleepers = []
lingering = {}


def used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def burn(seconds):
    until = time.thread_time() + seconds
    n = 0
    while time.thread_time() < until:
        for _ in range(2000):
            n += 1


def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def children(n, ms):
    for _ in range(n):
        os.waitpid(child(lambda: burn(ms / 1000)), 0)


def grandchildren(n, ms):
    os.waitpid(child(lambda: children(n, ms)), 0)


def hold(mib):
    size = mib * 1024 * 1024
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, size, mmap.PAGESIZE):
        memory[page] = 1
    held.append(memory)


def sleep_on():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    while exists(BURNER):
        time.sleep(1)


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def work_apart(kind, seconds):
    """Works, says how much, and stays until the server is gone."""
    burn(seconds)
    path = f"{FOLDER}/{kind}-{os.getpid()}"
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(used(resource.RUSAGE_SELF), file)
    os.rename(path + ".part", path)
    sleep_on()


def daemon(seconds):
    os.waitpid(child(lambda: child(lambda: work_apart("daemon", seconds))), 0)


def linger():
    told, tell = os.pipe()

    def lonely():
        os.close(tell)
        seconds = float(os.read(told, 100))
        while os.getppid() == parent:
            time.sleep(0.01)
        work_apart("lingerer", seconds)

    def between():
        nonlocal parent
        parent = os.getpid()
        child(lonely)
        os.close(tell)
        # Until the server says so.
        os.read(ends, 1)

    parent = None
    ends, end = os.pipe()

    def first():
        os.close(end)
        between()

    pid = child(first)
    os.close(ends)
    lingering.update(pid=pid, tell=tell, end=end)


def release(seconds):
    os.write(lingering["tell"], str(seconds).encode())
    os.write(lingering["end"], b".")
    os.waitpid(lingering["pid"], 0)


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


def apart(kind):
    figures = []
    for path in glob.glob(f"{FOLDER}/{kind}-*[0-9]"):
        with open(path, encoding="utf-8") as file:
            figures.append(json.load(file))
    return figures


def report():
    return {
        "own": used(resource.RUSAGE_SELF),
        "waited": used(resource.RUSAGE_CHILDREN),
        "held": sum(len(memory) for memory in held),
        "resident": sum(resident(pid) for pid in [BURNER, *sleepers]),
        "daemons": apart("daemon"),
        "lingerers": apart("lingerer"),
    }


def do(job, numbers):
    if job == "burn":
        burn(numbers["seconds"])
    elif job == "children":
        children(int(numbers["n"]), numbers["ms"])
    elif job == "grandchildren":
        grandchildren(int(numbers["n"]), numbers["ms"])
    elif job == "hold":
        hold(int(numbers["mib"]))
    elif job == "sleepers":
        sleepers.extend(child(sleep_on) for _ in range(int(numbers["n"])))
    elif job == "daemon":
        daemon(numbers["seconds"])
    elif job == "linger":
        linger()
    elif job == "release":
        release(numbers["seconds"])
    return report()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        numbers = {name: float(value) for name, value in parse_qsl(url.query)}
        job = url.path.removeprefix(ADDRESS.path).strip("/")
        body = json.dumps(do(job, numbers)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def stop(*_):
    for pid in sleepers:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
server = ThreadingHTTPServer((ADDRESS.hostname, ADDRESS.port), Handler)
server.daemon_threads = True
sys.exit(server.serve_forever())
