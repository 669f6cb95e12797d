"""The hub side of jupyterhub-insights, and custom metrics from any Python.

In `jupyterhub_config.py`:

    import jupyterhub_insights
    jupyterhub_insights.configure(c)

registers the service with its roles and records what the hub's own API does not tell: logins,
spawns that fail, servers that die. It may stand before or after any other line. In a script:

    import jupyterhub_insights
    jupyterhub_insights.connect("https://hub.example.org/services/insights/", "TOKEN")
    jupyterhub_insights.record_custom_event("notebook-exported", user="ada")

One file, no dependencies, Python 3.8 and later, JupyterHub 4 to 6. The laws it keeps:

* The hub is precious: nothing here waits for the network or a disk on the hub's thread, but for
  the end of the process, and no error of ours reaches the hub.
* No configuration slot of the site is used. Methods of the hub are wrapped, and what we add to
  lists (services, roles, event handlers) is added when the hub reads them, so no line of the
  site can displace ours, nor ours the site's.
* What is sent again is recognised by the service, so whatever is in doubt is sent again.

docs/hub-side.md describes every keyword.
"""

import asyncio
import atexit
import collections
import contextlib
import contextvars
import datetime
import functools
import gzip
import hashlib
import hmac
import http.client
import importlib
import inspect
import ipaddress
import json
import logging
import os
import random
import re
import secrets
import shutil
import ssl
import stat
import sys
import threading
import time
import urllib.parse
import weakref

try:
    import fcntl
except ImportError:  # not on Unix, where JupyterHub does not run either
    fcntl = None

__version__ = "0.1.0"

__all__ = [
    "configure",
    "connect",
    "flush",
    "record_custom_event",
    "record_event",
    "stats",
    "time_custom_operation",
    "update_custom_gauge",
]

WRITE_SCOPE = "custom:insights:write"

# What the service reads of the hub. It can change nothing.
READ_ONLY = [
    "list:users",
    "read:users:groups",
    "read:users:activity",
    "read:servers",
    "list:groups",
    "read:groups",
    "read:metrics",
    "read:hub",
]

DEFAULT_PORT = 10101
DEFAULT_SPOOL = "jupyterhub-insights-spool.jsonl"
SPOOL_BYTES = 16 * 1024 * 1024

BATCH_ITEMS = 500
BATCH_BYTES = 1024 * 1024  # the service takes 16 MiB; this keeps a request short
LINE_BYTES = 1024 * 1024  # the service's own limit
BATCH_SECONDS = 0.2
TIMEOUT_SECONDS = 10
BACKOFF_SECONDS = (0.5, 30)
EXIT_SECONDS = 2

# After this long a metric for which the service has no place is refused, and a spool that cannot
# be read is given up.
GIVE_UP_SECONDS = 60

# Kind of item -> where it is posted, below the service's prefix.
LANES = {
    "events": "api/v1/events",
    "counter": "api/v1/metrics/counter",
    "gauge": "api/v1/metrics/gauge",
    "timing": "api/v1/metrics/timing",
}

_log = logging.getLogger("jupyterhub_insights")


# --- for the hub's configuration ---------------------------------------------------------------


def configure(
    c,
    url=None,
    token=None,
    *,
    name="insights",
    command=None,
    port=None,
    environment=None,
    everyone=True,
    addresses=False,
    oauth_no_confirm=True,
    spool=None,
    queue_size=10000,
):
    """Register the service with this hub and record what happens in it.

    Without `url` the hub starts the service itself. With `url` and `token` the service runs
    elsewhere; `url` is its address with its prefix, as the hub reaches it.
    """
    settings = _Settings(
        url=url,
        token=token,
        name=name,
        command=command,
        port=port,
        environment=environment,
        everyone=everyone,
        addresses=addresses,
        oauth_no_confirm=oauth_no_confirm,
        spool=spool,
        queue_size=queue_size,
    )
    _hub.settings = settings
    _quietly(_install, _hub, c)


# --- for hub code, scripts and services --------------------------------------------------------


def connect(url=None, token=None, *, spool=False, queue_size=10000):
    """Send to the service at `url` from a script or a service.

    Without arguments the environment decides: JUPYTERHUB_INSIGHTS_URL and
    JUPYTERHUB_INSIGHTS_TOKEN. The functions of this module use the latest connection; an earlier
    one is closed, which takes up to 2 seconds if its service is away.
    """
    global _connection
    url = url or os.environ.get("JUPYTERHUB_INSIGHTS_URL")
    token = token or os.environ.get("JUPYTERHUB_INSIGHTS_TOKEN")
    if not url or not token:
        raise ValueError(
            "connect needs a url and a token, as arguments or as JUPYTERHUB_INSIGHTS_URL and"
            " JUPYTERHUB_INSIGHTS_TOKEN"
        )
    target = Target(_checked_url(url), _checked_token(token), None)
    if _connection is not None and _connection is not _hub.connection:
        _connection.close()
    _connection = Connection(lambda: target, spool, queue_size)
    return _connection


def record_event(kind, user=None, server=None, detail=None):
    """Record that something happened: a kind of your own, or one of the hub's."""
    _with_connection("record_event", kind, user, server, detail)


def record_custom_event(event_type, user="anonymous", amount=1):
    """Count an event; `amount` of them at once."""
    _with_connection("record_custom_event", event_type, user, amount)


def update_custom_gauge(resource_type, value, user="system"):
    """Say how much of something there is now."""
    _with_connection("update_custom_gauge", resource_type, value, user)


def time_custom_operation(operation):
    """Measure code: `with time_custom_operation("backup"):`, or as a decorator.

    The status is `success`, `error` when the code raises, or what the code sets:
    `with time_custom_operation("backup") as timer: timer.status = "skipped"`.
    """
    return _Timer(_current_connection, operation)


def flush(timeout=10):
    """Wait until all that was recorded is with the service; False if it is not in time."""
    return _connection is None or _connection.flush(timeout)


def stats():
    """How many items were sent, wait, are spooled, were dropped or refused."""
    if _connection is not None:
        return _connection.stats()
    return {"sent": 0, "waiting": 0, "spooled": 0, "dropped": 0, "refused": 0}


_connection = None
_without_connection = False


def _current_connection():
    """The hub's own connection, or the one of `connect`, or the environment's."""
    global _without_connection
    if _connection is not None:
        return _connection
    if os.environ.get("JUPYTERHUB_INSIGHTS_URL") and os.environ.get("JUPYTERHUB_INSIGHTS_TOKEN"):
        try:
            return connect()
        except ValueError as error:
            problem = str(error)
    else:
        problem = "call jupyterhub_insights.connect(url, token) first"
    if not _without_connection:
        _without_connection = True
        _log.warning("Nothing is recorded by jupyterhub_insights: %s.", problem)
    return None


def _with_connection(method, *arguments):
    connection = _current_connection()
    if connection is not None:
        getattr(connection, method)(*arguments)


class _Timer:
    """Measures one run of a block, or every run of a function."""

    def __init__(self, find_connection, operation):
        self._find_connection = find_connection
        self._operation = operation
        self._begin = None
        self.status = "success"

    def __enter__(self):
        self._begin = time.perf_counter()
        self.status = "success"
        return self

    def __exit__(self, error_type, error, traceback):
        seconds = time.perf_counter() - self._begin
        status = "error" if error_type is not None else self.status
        connection = self._find_connection()
        if connection is not None:
            connection.record_timing(self._operation, status, seconds)
        return False

    def __call__(self, function):
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args, **kwargs):
                with _Timer(self._find_connection, self._operation):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def timed(*args, **kwargs):
                with _Timer(self._find_connection, self._operation):
                    return function(*args, **kwargs)

        return timed


# --- sending -----------------------------------------------------------------------------------

Target = collections.namedtuple("Target", "url token ssl_context")
Target.__doc__ = "Where to send: the service's address with its prefix, the token, TLS or None."

# One line of JSON. `key` is given to lines that were tried before and must be sent together.
_Line = collections.namedtuple("_Line", "text key")

# Lines that go into one request. A batch that is sent again keeps its key.
_Batch = collections.namedtuple("_Batch", "lines key")

_connections = weakref.WeakSet()


class Connection:
    """What can be recorded, and a lane for each kind of it, so that none waits for another."""

    def __init__(self, find_target, spool, queue_size, log=_log, is_held=False):
        self._log = log
        self._dropped_told = 0
        self._telling = threading.Lock()
        self.lanes = {
            name: _Lane(self, name, find_target, spool, queue_size, log, is_held) for name in LANES
        }
        for lane in self.lanes.values():
            lane.look_for_leftovers()
        _connections.add(self)
        atexit.register(self.close)

    def _after_fork(self):
        self._telling = threading.Lock()
        self._dropped_told = 0
        for lane in self.lanes.values():
            lane.after_fork()

    # What can be recorded.

    def record_event(self, kind, user=None, server=None, detail=None, source="script", at=None):
        item = {"id": secrets.token_hex(16), "at": _time(at or _now()), "kind": str(kind)}
        if user is not None:
            item["user"] = str(user)
        if server is not None:
            item["server"] = str(server)
        item["source"] = source
        if detail is not None:
            item["detail"] = detail
        self._put_json("events", item)

    def record_custom_event(self, event_type, user="anonymous", amount=1):
        item = {"event_type": str(event_type), "user": str(user), "amount": amount}
        self._put_json("counter", item)

    def update_custom_gauge(self, resource_type, value, user="system"):
        item = {"resource_type": str(resource_type), "user": str(user), "value": value}
        self._put_json("gauge", item)

    def record_timing(self, operation, status, seconds):
        item = {"operation": str(operation), "status": str(status), "seconds": seconds}
        self._put_json("timing", item)

    def time_custom_operation(self, operation):
        return _Timer(lambda: self, operation)

    def _put_json(self, lane, item):
        try:
            text = json.dumps(item, allow_nan=False, separators=(",", ":"))
        except Exception as error:
            self.lanes[lane].refuse(f"cannot be written as JSON: {error}")
            return
        self.put(lane, text)

    def put(self, lane, text):
        """Queue one line of JSON. Waits for no network and no disk, never raises."""
        try:
            # JSON has no raw line ends inside a string, so this changes only its layout.
            text = text.replace("\n", " ").replace("\r", " ")
            if len(text) > LINE_BYTES // 4 and len(text.encode("utf-8", "replace")) > LINE_BYTES:
                self.lanes[lane].refuse(f"is larger than {LINE_BYTES} bytes")
                return
            self.lanes[lane].put(text)
        except Exception as error:
            with contextlib.suppress(Exception):
                self._log.debug("jupyterhub_insights could not queue an item: %r", error)

    # What others may ask.

    def stats(self):
        lanes = [lane.stats() for lane in self.lanes.values()]
        return {name: sum(lane[name] for lane in lanes) for name in lanes[0]}

    def release(self):
        """The service can be there now; until this call nothing is tried."""
        for lane in self.lanes.values():
            lane.release()

    def flush(self, timeout=10):
        deadline = time.monotonic() + timeout
        for lane in self.lanes.values():
            lane.hurry()
        return all([lane.wait_until_empty(deadline) for lane in self.lanes.values()])

    def close(self, timeout=EXIT_SECONDS):
        """One last try, then the spool."""
        deadline = time.monotonic() + timeout
        # Events last, which tell what the others lost.
        lanes = [lane for lane in reversed(list(self.lanes.values())) if lane.begin_end()]
        for lane in lanes:
            lane.join(deadline)
        n_lost = sum(lane.end() for lane in lanes)
        if n_lost:
            self._log.warning("%d items for jupyterhub-insights could not be sent.", n_lost)
        atexit.unregister(self.close)

    def discard(self):
        """There is no service: forget everything."""
        for lane in self.lanes.values():
            lane.discard()
        atexit.unregister(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def tell_lost(self, put=None):
        """An event says how much was lost since the last one."""
        put = put or self.lanes["events"].put_if_room
        with self._telling:
            count = sum(lane.n_dropped for lane in self.lanes.values()) - self._dropped_told
            if count > 0 and put(_lost(count)):
                self._dropped_told += count


class _Lane:
    """A bounded queue, the thread that empties it, and its spool.

    Who puts takes the lock of `_changed` and no other, and nobody who holds it reads, writes,
    sends or logs. The spool is the thread's own, and at the end `end`'s: who uses it holds
    `_files`. The order is: what is being sent, the spool, memory.
    """

    def __init__(self, connection, name, find_target, spool, queue_size, log, is_held):
        self.name = name
        self._tell_lost = connection.tell_lost
        self._find_target = find_target
        self._queue_size = max(1, int(queue_size))
        self._log = log
        self._is_held = is_held
        self._is_failing = False
        self._spool = _Spool(_spool_path(spool, name), name, log) if spool else None
        self._reset()

    def look_for_leftovers(self):
        """Lines of an earlier process come first."""
        if self._spool and os.path.lexists(self._spool.path):
            with self._changed:
                self._has_leftovers = True
                self._start_thread()

    def _reset(self):
        # Re-entrant: a signal or a finaliser may record something while this thread puts.
        self._changed = threading.Condition(threading.RLock())
        self._files = threading.Lock()
        self._memory = collections.deque()
        self._oldest = 0.0
        self._sending = []
        self._is_from_spool = False
        self._n_spooled = 0
        self._has_leftovers = False
        self._no_spill_before = 0.0
        self._unreadable_since = None
        self._n_sent = self._n_refused = self.n_dropped = 0
        self._is_refusal_said = False
        self._thread = None
        self._http = None
        self._is_hurried = False
        self._is_closing = False
        self._is_closed = False
        self._failures = 0
        self._retry_at = None
        self._absent_since = None

    def after_fork(self):
        """In a child: what waits belongs to the parent, and so does the spool."""
        self._reset()
        if self._spool:
            self._spool.close()
            self._spool = None

    def put(self, text):
        with self._changed:
            if not self.put_if_room(text):
                self.n_dropped += 1

    def put_if_room(self, text):
        with self._changed:
            self._start_thread()
            if self._is_closed or len(self._memory) >= self._queue_size:
                return False
            if not self._memory:
                self._oldest = time.monotonic()
            self._memory.append(text)
            self._changed.notify_all()
            return True

    def refuse(self, reason, count=1):
        with self._changed:
            self._n_refused += count
            is_first = not self._is_refusal_said
            self._is_refusal_said = True
        if is_first:
            self._log.warning(
                "An item for jupyterhub-insights %s. It is lost; more of them are only counted.",
                reason,
            )

    def stats(self):
        with self._changed:
            return {
                "sent": self._n_sent,
                "waiting": len(self._memory) + self._n_in_flight(),
                "spooled": self._n_spooled,
                "dropped": self.n_dropped,
                "refused": self._n_refused,
            }

    def _n_in_flight(self):
        """Lines that are being sent and are nowhere else."""
        return 0 if self._is_from_spool else sum(len(batch.lines) for batch in self._sending)

    def release(self):
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def _is_empty(self):
        return not (self._memory or self._sending or self._n_spooled or self._has_leftovers)

    def hurry(self):
        with self._changed:
            if not self._is_empty():
                self._start_thread()
                self._is_hurried = True
                self._retry_at = None
                self._changed.notify_all()

    def wait_until_empty(self, deadline):
        with self._changed:
            while not self._is_empty() and not self._is_closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._is_hurried = False
            return self._is_empty()

    # The end.

    def begin_end(self):
        """False if it began before."""
        with self._changed:
            is_first = not self._is_closing
            self._is_closing = True
            self._changed.notify_all()
            return is_first

    def join(self, deadline):
        if self._thread is not None and not self._is_held:
            with contextlib.suppress(RuntimeError):  # it was never started
                self._thread.join(max(0.0, deadline - time.monotonic()))

    def end(self):
        """What is unsent goes to the spool; how many lines are lost."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        # The thread may be waiting for a disk that hangs.
        has_files = self._spool is not None and self._files.acquire(timeout=EXIT_SECONDS)
        try:
            with self._changed:
                # An event is known by its id, a line of a metric only by its batch.
                front = [
                    _Line(text, None if self.name == "events" else batch.key)
                    for batch in ([] if self._is_from_spool else self._sending)
                    for text in batch.lines
                ]
                back = [_Line(text, None) for text in self._memory]
                self._memory.clear()
                self._sending = []
            n_lost = len(front) + len(back)
            if has_files:
                n_lost = self._spool.keep(front, back)
            with self._changed:
                self.n_dropped += n_lost
                self._n_spooled = self._spool.n_lines if has_files else 0
                self._changed.notify_all()
            if has_files:
                if self.name == "events":
                    self._tell_lost(lambda text: self._spool.append([_Line(text, None)]))
                self._spool.close()
        finally:
            if has_files:
                self._files.release()
        return n_lost

    def discard(self):
        with self._changed:
            self._is_closing = self._is_closed = True
            self._memory.clear()
            self._changed.notify_all()

    # The thread.

    def _start_thread(self):
        if self._is_closing or (self._thread is not None and self._thread.is_alive()):
            return
        name = f"jupyterhub-insights-{self.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending
            self._thread.start()

    def _run(self):
        while True:
            try:
                self._find_leftovers()
                if not self._take() or not self._deliver():
                    break
            except Exception as error:
                self._log.exception("Error in jupyterhub_insights")
                self._say_failing(type(error).__name__)
                if not self._pause(BACKOFF_SECONDS[1]):
                    break
        self._disconnect()
        if self._is_closed and self._spool:
            with self._files:
                self._spool.close()

    def _find_leftovers(self):
        if self._has_leftovers:
            with self._files:
                if not self._is_closed:
                    self._spool.find_leftovers()
                self._note_spool(_has_leftovers=False)

    def _note_spool(self, **changes):
        with self._changed:
            self._n_spooled = self._spool.n_lines
            for name, value in changes.items():
                setattr(self, name, value)
            self._changed.notify_all()

    def _is_overfull(self):
        """Memory must go to the spool, for it is not sent now."""
        return (
            len(self._memory) >= max(1, self._queue_size // 2)
            and (self._is_held or self._failures > 0 or self._n_spooled > 0)
            and self._spool is not None
            and not self._is_closing
            and time.monotonic() >= self._no_spill_before
        )

    def _spill(self):
        """Move memory into the spool."""
        with self._files:
            with self._changed:
                if not self._is_overfull():
                    return
                lines = [_Line(text, None) for text in self._memory]
            n_kept = self._spool.append(lines)
            with self._changed:
                # At the end of the process memory is emptied though a disk hangs here.
                for _ in range(min(n_kept, len(self._memory))):
                    self._memory.popleft()
                if n_kept < len(lines):
                    self._no_spill_before = time.monotonic() + BACKOFF_SECONDS[1]
            self._note_spool()

    def _take(self):
        """Make the oldest lines the current request; False at the end."""
        while True:
            with self._changed:
                while not self._is_overfull():
                    seconds = None
                    if self._is_closed or (self._is_closing and self._is_held):
                        return False
                    if self._sending:
                        return True  # left over from an error in this thread
                    if self._is_held:
                        pass
                    elif self._n_spooled:
                        break
                    elif self._memory:
                        seconds = self._oldest + BATCH_SECONDS - time.monotonic()
                        is_full = len(self._memory) >= min(BATCH_ITEMS, self._queue_size)
                        if seconds <= 0 or is_full or self._is_hurried or self._is_closing:
                            self._take_from_memory()
                            return True
                    elif self._is_closing:
                        return False
                    self._changed.wait(seconds)
            self._spill()
            if self._n_spooled and not self._is_held and not self._sending:
                try:
                    self._take_from_spool()
                except OSError as error:
                    self._say_unreadable(error)
                    if self._is_closing or not self._pause(self._backoff(None)):
                        return False

    def _take_from_memory(self):
        lines = []
        n_bytes = 0
        while self._memory and len(lines) < BATCH_ITEMS:
            n_bytes += len(self._memory[0])
            if lines and n_bytes > BATCH_BYTES:
                break
            lines.append(self._memory.popleft())
        self._oldest = time.monotonic()
        self._sending = [_Batch(lines, secrets.token_hex(16))]
        self._is_from_spool = False

    def _take_from_spool(self):
        with self._files:
            if self._is_closed:
                return
            lines, key = self._spool.read_first()
            self._unreadable_since = None
            with self._changed:
                self._sending = _batches(lines, key)
                self._is_from_spool = True
        if not lines:
            self._finish_take()

    def _say_unreadable(self, error):
        """The disk has trouble; after a while its lines are given up, for others wait for them."""
        now = time.monotonic()
        if self._unreadable_since is None:
            self._unreadable_since = now
            self._log.warning("%s cannot be read or written now: %s.", self._spool.path, error)
        elif now - self._unreadable_since > GIVE_UP_SECONDS:
            with self._files:
                n_lost = self._spool.n_lines
                self._spool.give_up(f"{error}; {n_lost} lines in it are lost")
                with self._changed:
                    self.n_dropped += n_lost
                self._note_spool()

    def _finish_take(self):
        with self._files:
            if self._is_closed:
                return
            if self._is_from_spool:
                n_bad = self._spool.forget_first()
                with self._changed:
                    self.n_dropped += n_bad
                self._note_spool(_is_from_spool=False, _no_spill_before=0.0)
            else:
                with self._changed:
                    self._changed.notify_all()

    def _deliver(self):
        """Send the current request until the service has answered for all of it."""
        while True:
            with self._changed:
                if self._is_closed:
                    return False
                if not self._sending:
                    break
                batch = self._sending[0]
            answer = self._post(batch)
            if answer.is_final:
                if not self._apply(answer, batch):
                    return False
                continue
            self._say_failing(answer.problem)
            if self._is_closing or not self._pause(self._backoff(answer.retry_after)):
                return False
        self._finish_take()
        self._tell_lost()
        return True

    def _apply(self, answer, batch):
        """Count a final answer and go on with what is left of the batch; False at the end."""
        n_lines = len(batch.lines)
        n_refused = min(answer.n_rejected, n_lines) if answer.is_accepted else n_lines
        rest = []
        if answer.is_too_large and n_lines > 1:
            middle = n_lines // 2
            rest = [
                _Batch(batch.lines[:middle], batch.key + "0"),
                _Batch(batch.lines[middle:], batch.key + "1"),
            ]
            n_refused = 0
        with self._changed:
            if self._is_closed:
                return False
            self._sending[:1] = rest
            self._n_sent += 0 if rest else n_lines - n_refused
        if n_refused:
            self.refuse(f"was refused by the service: {answer.problem}", n_refused)
        if answer.is_accepted:
            self._say_working()
        return True

    def _backoff(self, retry_after):
        shortest, longest = BACKOFF_SECONDS
        self._failures += 1
        seconds = min(longest, shortest * 2 ** min(self._failures - 1, 10))
        seconds *= random.uniform(0.5, 1.0)
        if retry_after is not None:
            seconds = max(seconds, min(retry_after, longest))
        return seconds

    def _pause(self, seconds):
        """Wait before the next try; False at the end."""
        with self._changed:
            self._retry_at = time.monotonic() + seconds
        while True:
            with self._changed:
                while not self._is_overfull():
                    if self._is_closed:
                        return False
                    if self._retry_at is None or self._is_closing:
                        return True  # one try now
                    left = self._retry_at - time.monotonic()
                    if left <= 0:
                        return True
                    self._changed.wait(left)
            self._spill()

    @property
    def _purpose(self):
        return "" if self.name == "events" else f" for {self.name} metrics"

    def _say_failing(self, problem):
        if not self._is_failing:
            self._is_failing = True
            self._log.warning(
                "jupyterhub-insights cannot be reached%s: %s. What happens meanwhile is kept%s and"
                " sent later.",
                self._purpose,
                problem,
                f" (in {self._spool.path} if need be)" if self._spool else "",
            )

    def _say_working(self):
        self._failures = 0
        if self._is_failing:
            self._is_failing = False
            self._log.info("jupyterhub-insights can be reached again%s.", self._purpose)

    # HTTP.

    def _post(self, batch):
        try:
            target = self._find_target()
            if target is None:
                return _Answer("its address is not known")
            status, headers, body = self._request(target, batch)
        except Exception as error:
            self._disconnect()
            problem = type(error).__name__
            # Others, as http.client's ValueErrors, may show what was sent: the token.
            if isinstance(error, (OSError, http.client.HTTPException)):
                problem += f": {_clean(error)}"
            return _Answer(problem)
        is_metric = self.name != "events"
        if status not in (404, 405, 501):
            self._absent_since = None
            return _Answer.of(status, headers, body, is_metric)
        # A service that is older than this file has no place for some metrics.
        self._absent_since = self._absent_since or time.monotonic()
        return _Answer(
            f"it answered {status}{_message(body)}: the url is wrong, or the service is older than"
            " this file",
            is_final=is_metric and time.monotonic() - self._absent_since > GIVE_UP_SECONDS,
        )

    def _request(self, target, batch):
        url = urllib.parse.urlsplit(target.url)
        body = ("\n".join(batch.lines) + "\n").encode("utf-8", "replace")
        headers = {
            "Authorization": f"Bearer {target.token}",
            "Content-Type": "application/x-ndjson",
            "User-Agent": f"jupyterhub_insights.py/{__version__}",
        }
        if self.name != "events":
            headers["Idempotency-Key"] = batch.key
        if len(body) > 2048 and not _is_loopback(url.hostname):
            body = gzip.compress(body, 5)
            headers["Content-Encoding"] = "gzip"
        path = url.path.rstrip("/") + "/" + LANES[self.name]
        is_reused = self._connect(target, url)
        try:
            return self._exchange(path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
            if not is_reused:
                raise
        # The service closes connections that are idle for long.
        self._disconnect()
        self._connect(target, url)
        return self._exchange(path, body, headers)

    def _connect(self, target, url):
        """True if the connection was open before."""
        place = (url.scheme, url.hostname, url.port, target.ssl_context)
        if self._http is not None and self._http[0] == place and self._http[1].sock:
            return True
        self._disconnect()
        # http.client follows no redirects and no proxies of the environment: the token goes to
        # the service and nowhere else.
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=TIMEOUT_SECONDS, context=target.ssl_context
            )
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=TIMEOUT_SECONDS)
        self._http = (place, connection)
        return False

    def _disconnect(self):
        pair, self._http = self._http, None
        if pair is not None:
            with contextlib.suppress(Exception):
                pair[1].close()

    def _exchange(self, path, body, headers):
        connection = self._http[1]
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        text = response.read(BATCH_BYTES)
        if not response.isclosed():
            self._disconnect()
        return response.status, response.headers, text


class _Answer:
    """What the service said to a batch."""

    def __init__(
        self,
        problem="",
        is_final=False,
        is_accepted=False,
        is_too_large=False,
        n_rejected=0,
        retry_after=None,
    ):
        self.problem = problem
        self.is_final = is_final
        self.is_accepted = is_accepted
        self.is_too_large = is_too_large
        self.n_rejected = n_rejected
        self.retry_after = retry_after

    @classmethod
    def of(cls, status, headers, body, is_metric):
        if 200 <= status < 300:
            n_rejected, reason = _rejections(body)
            return cls(reason, is_final=True, is_accepted=True, n_rejected=n_rejected)
        problem = f"it answered {status}{_message(body)}"
        # The service answers 200 to bad lines, and says which. All but these is somebody's between
        # us and it, or will pass: to take a proxy's 400 for the last word would lose everything.
        if status == 413 or (status == 422 and is_metric):
            return cls(problem, is_final=True, is_too_large=status == 413)
        if status in (401, 403):
            # Also while the service or the hub starts: roles are not loaded at once.
            problem += f", the token needs the scope {WRITE_SCOPE}"
        return cls(problem, retry_after=_seconds(headers.get("Retry-After")))


def _rejections(body):
    """How many lines of an accepted batch were refused, and why the first one was."""
    try:
        rejected = json.loads(body.decode() or "{}").get("rejected") or []
        return len(rejected), _clean(rejected[0].get("reason", "")) if rejected else ""
    except Exception:
        return 0, ""


def _seconds(text):
    try:
        return max(0.0, float(text))
    except (TypeError, ValueError):
        return None


def _batches(lines, key):
    """One batch, and one for each key that lines had from before."""
    batches = collections.OrderedDict()
    for line in lines:
        batches.setdefault(line.key or key, []).append(line.text)
    return [_Batch(texts, key) for key, texts in batches.items()]


def _lost(count):
    item = {
        "id": secrets.token_hex(16),
        "at": _time(_now()),
        "kind": "events-lost",
        "source": "hooks",
        "detail": {"count": count},
    }
    return json.dumps(item, separators=(",", ":"))


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


def _time(when):
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _message(body):
    """What the service says about an error, to follow its status."""
    try:
        return f" ({_clean(json.loads(body.decode())['message'])})"
    except Exception:
        return ""


def _clean(text):
    """The beginning of what somebody else wrote, fit for a log."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:200])


def _is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _checked_url(url):
    url = str(url).strip()
    # What stands before an @ may be a password, which must not be shown.
    shown = repr("…@" + url.rpartition("@")[2] if "@" in url else url)
    try:
        parts = urllib.parse.urlsplit(url)
        is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"the url of the service is {shown}, but must be http:// or https://")
    if "@" in parts.netloc:
        raise ValueError(f"the url of the service, {shown}, must have no user and no password")
    if parts.query or parts.fragment:
        raise ValueError(f"the url of the service, {shown}, must end with its path")
    return url.rstrip("/") + "/"


def _checked_token(token):
    """Without the line end that files of secrets have; it must not be shown."""
    token = str(token).strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError("the token must be of visible ASCII characters, without spaces")
    return token


class _Spool:
    """Lines of one lane that did not fit into memory, in a file. For one thread at a time.

    The first line of the file says which range was read last. A range that was read is sent
    again with the same keys after a crash, so that the service can tell that it has it.
    """

    HEADER_BYTES = 128
    MAGIC = "jupyterhub-insights-spool"

    def __init__(self, path, lane, log):
        self.path = os.path.abspath(path)
        self.n_lines = 0
        self._lane = lane
        self._log = log
        self._fd = None
        self._is_given_up = not hasattr(os, "pwrite")
        self._is_limit_said = False
        self._clear()

    def _clear(self):
        self._nonce = secrets.token_hex(8)
        self._begin = self._middle = self._end = self.HEADER_BYTES
        self._n_read = self._n_bad = 0

    def find_leftovers(self):
        """Open what an earlier process left."""
        if self._is_open() and not self.n_lines:
            self._remove()

    def _is_open(self):
        if self._fd is None and not self._is_given_up:
            try:
                self._open()
            except Exception as error:
                self.give_up(error)
        return self._fd is not None

    def append(self, lines):
        """Add lines at the end; how many found room."""
        if not lines or not self._is_open():
            return 0
        data, is_all = self._data(lines, SPOOL_BYTES - self._end)
        problem = None if is_all else "it has reached its limit"
        try:
            n_written = os.pwrite(self._fd, data, self._end) if data else 0
            if n_written != len(data):
                data = data[: data.rfind(b"\n", 0, n_written) + 1]
                problem = "the disk is full"
                os.ftruncate(self._fd, self._end + len(data))
        except OSError as error:
            data, problem = b"", error
        self._end += len(data)
        n_kept = data.count(b"\n")
        self.n_lines += n_kept
        if problem and not self._is_limit_said:
            self._is_limit_said = True
            self._log.warning(
                "%s takes no more: %s. What does not fit into memory is lost, and counted.",
                self.path,
                problem,
            )
        return n_kept

    def _data(self, lines, room):
        """As many of the lines as there is room for, and whether these are all."""
        pieces = []
        for line in lines:
            piece = _spool_line(self._lane, line)
            room -= len(piece)
            if room < 0:
                return b"".join(pieces), False
            pieces.append(piece)
        return b"".join(pieces), True

    def read_first(self):
        """The oldest lines, and the key of their range."""
        if self._middle == self._begin:
            middle, lines = self._range()
            # Not before it says so in the file may the range be sent.
            os.pwrite(self._fd, self._header(middle), 0)
            self._middle = middle
        else:
            _, lines = self._range(self._middle)
        identity = f"{self._nonce}:{self._begin}:{self._middle}"
        return lines, hashlib.sha256(identity.encode()).hexdigest()[:32]

    def _range(self, end=None):
        """The lines from the beginning to `end`, or as many as make a request."""
        size = (end or min(self._end, self._begin + BATCH_BYTES + LINE_BYTES)) - self._begin
        data = os.pread(self._fd, size, self._begin)
        lines = []
        position = self._begin
        self._n_read = self._n_bad = 0
        for raw in data.splitlines(True):
            if not raw.endswith(b"\n"):
                break
            line = _parse_spool_line(self._lane, raw)
            is_full = len(lines) >= BATCH_ITEMS or position - self._begin > BATCH_BYTES
            # Lines that were in one request before stay in one.
            is_joined = bool(lines and line and line.key and line.key == lines[-1].key)
            if end is None and is_full and not is_joined:
                break
            position += len(raw)
            self._n_read += 1
            if line is None:
                self._n_bad += 1
            else:
                lines.append(line)
        if not self._n_read:  # unreadable to the end
            self._n_read = self._n_bad = self.n_lines
            position = self._end
        return position, lines

    def forget_first(self):
        """The range that was read is done with; how many lines of it were unreadable."""
        n_bad = self._n_bad
        self.n_lines = max(0, self.n_lines - self._n_read)
        self._begin = self._middle
        self._n_read = self._n_bad = 0
        if self._begin >= self._end:
            self._remove()
        return n_bad

    def keep(self, front, back):
        """At the end: lines before all others, and lines after them; how many were lost."""
        n_wanted = self.n_lines + len(front) + len(back)
        if front and self._is_open():
            try:
                self._put_first(front)
            except OSError:
                back = front + back
        self.append(back)
        return n_wanted - self.n_lines

    def close(self):
        """Leave the file as it is."""
        self._is_given_up = True
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)

    def give_up(self, problem):
        """Work without the file from now on."""
        if not self._is_given_up:
            self._log.warning(
                "%s cannot be used: %s. Events for jupyterhub-insights that do not fit into memory"
                " are lost.",
                self.path,
                problem,
            )
        self.close()
        self.n_lines = 0
        self._clear()

    def _open(self):
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            facts = os.fstat(fd)
            # The hub is often root, and its folder not always root's alone.
            is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
            if not is_ours or facts.st_nlink != 1:
                raise OSError("it is not a file of this user alone")
            os.fchmod(fd, 0o600)
            self._lock(fd)
            if facts.st_size:
                self._load(fd)
            else:
                self._clear()
                os.pwrite(fd, self._header(self._middle), 0)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _lock(self, fd):
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError("another process uses it") from None

    def _load(self, fd):
        try:
            header = json.loads(os.pread(fd, self.HEADER_BYTES, 0).decode())
            nonce, begin, middle = header[self.MAGIC]
            assert self.HEADER_BYTES <= begin <= middle
        except Exception:
            raise OSError("it is there, but was not written by jupyterhub_insights") from None
        data = os.pread(fd, os.fstat(fd).st_size - begin, begin)
        # The last line of a process that was killed may be incomplete.
        length = data.rfind(b"\n") + 1
        os.ftruncate(fd, begin + length)
        self._nonce = nonce
        self._begin = begin
        self._end = begin + length
        self._middle = min(middle, self._end)
        self.n_lines = data.count(b"\n")

    def _put_first(self, lines):
        """Put a new file in place of this one: a half-written one must not be found."""
        front, _ = self._data(lines, SPOOL_BYTES - self.HEADER_BYTES)
        tail = os.pread(self._fd, self._end - self._begin, self._begin)
        room = SPOOL_BYTES - self.HEADER_BYTES - len(front)
        tail = tail[: tail.rfind(b"\n", 0, room) + 1] if len(tail) > room else tail
        new = self.path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(new, flags, 0o600)
        nonce, self._nonce = self._nonce, secrets.token_hex(8)
        try:
            self._lock(fd)
            data = self._header(self.HEADER_BYTES, self.HEADER_BYTES) + front + tail
            if os.pwrite(fd, data, 0) != len(data):
                raise OSError("the disk is full")
            os.replace(new, self.path)
        except OSError:
            self._nonce = nonce
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        os.close(self._fd)
        self._fd = fd
        self._begin = self._middle = self.HEADER_BYTES
        self._end = len(data)
        self.n_lines = (front + tail).count(b"\n")

    def _header(self, middle, begin=None):
        text = json.dumps({self.MAGIC: [self._nonce, begin or self._begin, middle]})
        return text.ljust(self.HEADER_BYTES - 1).encode() + b"\n"

    def _remove(self):
        """It is empty."""
        fd, self._fd = self._fd, None
        self.n_lines = 0
        self._is_limit_said = False
        self._clear()
        try:
            os.unlink(self.path)
        except OSError as error:
            self.give_up(error)
        finally:
            os.close(fd)


def _spool_path(path, lane):
    """Each lane has a file of its own."""
    root, extension = os.path.splitext(path)
    return path if lane == "events" else f"{root}-{lane}{extension}"


def _spool_line(lane, line):
    key = f', "{line.key}"' if line.key else ""
    return f'["{lane}", {line.text}{key}]\n'.encode("utf-8", "replace")


def _parse_spool_line(lane, raw):
    """The line as it was put, the text byte for byte; None if it is damaged."""
    try:
        text = raw.decode()
        values = json.loads(text)
        key = values[2] if len(values) > 2 else None
        before = f'["{lane}", '
        after = f', "{key}"]\n' if key else "]\n"
        assert text.startswith(before) and text.endswith(after)
        return _Line(text[len(before) : -len(after)], key)
    except Exception:
        return None


def _after_fork():
    for connection in list(_connections):
        with contextlib.suppress(Exception):
            connection._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# --- the hub: settings and what is registered --------------------------------------------------


class _Settings:
    """The keywords of `configure`, checked."""

    def __init__(self, url, token, name, command, port, environment, spool, **others):
        if not re.fullmatch(r"[a-z][a-z0-9_~.-]{0,200}", str(name)):
            raise ValueError(f"name={name!r} must be lower case and begin with a letter")
        token = token or os.environ.get("JUPYTERHUB_INSIGHTS_TOKEN")
        if url and not token:
            raise ValueError("configure(c, url=…) needs token=… as well")
        if url and (command or port or environment):
            raise ValueError("command, port and environment are for a service without url")
        self.name = str(name)
        self.sender_name = f"{self.name}-sender"
        self.url = _checked_url(url) if url else None
        self.token = _checked_token(token) if url else None
        self.command = [command] if isinstance(command, str) else command and list(command)
        self.port = int(port or DEFAULT_PORT)
        self.environment = dict(environment or {})
        self.everyone = bool(others.pop("everyone"))
        self.addresses = bool(others.pop("addresses"))
        self.oauth_no_confirm = bool(others.pop("oauth_no_confirm"))
        self.queue_size = int(others.pop("queue_size"))
        if spool is None or spool is True:
            spool = DEFAULT_SPOOL
        self.spool = os.path.abspath(spool) if spool else None
        assert not others, others

    @property
    def access_scope(self):
        return f"access:services!service={self.name}"

    def service(self, base_url="/", is_https=False, has_timeout=False):
        """Our entry in c.JupyterHub.services."""
        spec = {"name": self.name, "oauth_no_confirm": self.oauth_no_confirm}
        if not self.url:
            scheme = "https" if is_https else "http"
            spec["url"] = f"{scheme}://127.0.0.1:{self.port}"
            spec["command"] = self.command or _default_command()
            spec["environment"] = self.environment
            return spec
        spec["api_token"] = self.token
        parts = urllib.parse.urlsplit(self.url)
        if parts.path == f"{base_url.rstrip('/')}/services/{self.name}/":
            spec["url"] = f"{parts.scheme}://{parts.netloc}"
            if has_timeout:
                # The hub waits this long for a service before it is ready itself.
                spec["timeout"] = 1
        else:
            # It has an address of its own, so the hub's proxy has nothing to forward.
            spec["oauth_redirect_uri"] = f"{self.url}oauth_callback"
        return spec

    def services(self, existing, sender_token, **facts):
        """The site's services and ours. What the site says about one of ours is kept."""
        ours = [self.service(**facts)]
        if not self.url:
            sender = {"name": self.sender_name, "api_token": sender_token}
            # It has no page, so there is nothing to list.
            sender["display"] = False
            ours.append(sender)
        names = {spec["name"] for spec in ours}
        merged = [spec for spec in existing if spec.get("name") not in names]
        for spec in ours:
            environment = dict(spec.get("environment") or {})
            for site in existing:
                if site.get("name") == spec["name"]:
                    environment.update(site.get("environment") or {})
                    spec.update(site)
            if environment:
                spec["environment"] = environment
            merged.append(spec)
        return merged

    def roles(self, existing, user_role):
        """The site's roles and ours. A role of the same name keeps the site's scopes.

        `user_role` is `keep`, `extend` if the site wrote its scopes, or `define`.
        """
        reading = READ_ONLY + ([WRITE_SCOPE] if self.url else [])
        ours = [_role(f"{self.name}-reader", "What jupyterhub-insights reads.", self.name, reading)]
        if not self.url:
            about = "Lets the hub send its events to jupyterhub-insights."
            ours.append(_role(f"{self.name}-sender", about, self.sender_name, [WRITE_SCOPE]))
        if user_role == "define":
            # Scopes of a site's role replace the default, which is `self`.
            ours.append({"name": "user", "scopes": ["self"]})
        merged = []
        for role in map(dict, existing):
            for own in [own for own in ours if own["name"] == role.get("name")]:
                ours.remove(own)
                if "services" in own:
                    role["services"] = _union(role.get("services", []), own["services"])
                role.setdefault("scopes", own["scopes"])
            merged.append(role)
        merged += ours
        for role in merged:
            if role.get("name") == "user" and user_role != "keep" and "scopes" in role:
                role["scopes"] = _union(role["scopes"], [self.access_scope])
        return merged


def _union(first, second):
    return list(first) + [item for item in second if item not in first]


def _role(name, description, service, scopes):
    return {
        "name": name,
        "description": description,
        "services": [service],
        "scopes": list(scopes),
    }


def _default_command():
    """The program beside this Python, as pip puts it, or on the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable or ""), "jupyterhub-insights")
    found = beside if os.access(beside, os.X_OK) else shutil.which("jupyterhub-insights")
    return [found or "jupyterhub-insights", "serve"]


CUSTOM_SCOPES = {
    WRITE_SCOPE: {"description": "Send events and custom metrics to jupyterhub-insights."}
}


class _Hub:
    """What this module knows of the hub in its process."""

    settings = None
    app = None
    connection = None
    service = None  # our merged entry in `services`
    sender_token = None
    is_ending = False
    missing = ()
    installed = ()

    def __init__(self):
        self.launches = {}  # (user, server) -> _Launch, while a spawn runs
        self.endings = set()  # (user, server), while a stop runs

    def target(self):
        if self.settings.url:
            return Target(self.settings.url, self.settings.token, None)
        if not self.service or not self.sender_token:
            return None
        app = self.app
        base = app.base_url.rstrip("/") + f"/services/{self.settings.name}/"
        url = self.service["url"].rstrip("/") + base
        return Target(url, self.sender_token, self._ssl_context(app, url))

    _context = None

    def _ssl_context(self, app, url):
        """With internal_ssl: the hub's own certificate, trusting the hub's own authority."""
        if not (app.internal_ssl and url.startswith("https:")):
            return None
        if self._context is None:
            context = ssl.create_default_context(cafile=app.internal_ssl_ca)
            context.load_cert_chain(app.internal_ssl_cert, app.internal_ssl_key)
            self._context = context
        return self._context

    def record(self, kind, user=None, server=None, detail=None, at=None):
        if self.connection is not None:
            self.connection.record_event(kind, user, server, detail, "hooks", at)


_hub = _Hub()


# --- the hub: where it reads its configuration -------------------------------------------------


def _register_roles(hub, app):
    settings = hub.settings
    app.custom_scopes = dict(CUSTOM_SCOPES, **app.custom_scopes)
    user_role = "define" if settings.everyone else "keep"
    if settings.everyone and app.has_trait("extra_user_scopes"):
        # Hub 6 has a setting that adds to the default role, which a role of ours would replace,
        # and which the scopes of a site's role replace.
        user_role = "extend"
        if not any(role.get("name") == "user" and "scopes" in role for role in app.load_roles):
            app.extra_user_scopes = set(app.extra_user_scopes) | {settings.access_scope}
    app.load_roles = settings.roles(app.load_roles, user_role)


def _register_services(hub, app):
    settings = hub.settings
    ours = (settings.name, settings.sender_name)
    try:
        services = _services(hub, app)
    except Exception as error:
        problem = f"The service {settings.name!r} could not be registered: {error!r}"
    else:
        command = hub.service.get("command")
        command = [command] if isinstance(command, str) else command
        if not command or shutil.which(command[0]) is not None:
            app.services = services
            return
        # The hub would exit. Nobody could log in, for want of statistics.
        problem = f"{command[0]} was not found, so the service {settings.name!r} is not started"
        app.services = [spec for spec in app.services if spec["name"] not in ours]
    app.log.error(
        "%s. Nothing is recorded. Install jupyterhub-insights, or say where it is:"
        " configure(c, command=[…]).",
        problem,
    )
    # A role must not name a service that does not exist.
    for role in app.load_roles:
        if role.get("services"):
            role["services"] = [name for name in role["services"] if name not in ours]
    hub.service = None
    _disarm(hub)


def _services(hub, app):
    from jupyterhub.services.service import Service

    settings = hub.settings
    hub.sender_token = _sender_token(app, settings)
    services = settings.services(
        app.services,
        hub.sender_token,
        base_url=app.base_url,
        is_https=app.internal_ssl,
        has_timeout="timeout" in Service.class_trait_names(),
    )
    hub.service = next(spec for spec in services if spec["name"] == settings.name)
    return services


def _sender_token(app, settings):
    """The same after every start of this hub, so that its database does not grow."""
    if settings.url:
        return settings.token
    try:
        secret = bytes(app.cookie_secret)
        assert len(secret) >= 16
    except Exception:
        return secrets.token_hex(32)
    return hmac.new(secret, settings.sender_name.encode(), hashlib.sha256).hexdigest()


def _arm(hub, app):
    """The hub really starts: listen to its events and begin with one of ours."""
    settings = hub.settings
    hub.app = app
    hub.is_ending = False
    hub.connection = Connection(
        hub.target, settings.spool, settings.queue_size, app.log, is_held=True
    )
    global _connection
    _connection = hub.connection
    installed = list(hub.installed)
    try:
        _listen_to_events(app.eventlog, hub.connection)
        installed.append("server-action")
    except Exception as error:
        hub.missing = list(hub.missing) + [f"the hub's own events ({error!r})"]
    if hub.missing:
        app.log.warning(
            "This JupyterHub differs from those that jupyterhub_insights knows. Not recorded: %s.",
            ", ".join(hub.missing),
        )
    hub.record(
        "hub-started",
        detail={
            "version": _version(),
            "spawner": app.spawner_class.__name__,
            "authenticator": app.authenticator_class.__name__,
            "hooks": installed,
        },
    )


def _disarm(hub):
    global _connection
    connection, hub.connection = hub.connection, None
    if connection is not None:
        connection.discard()
    if _connection is connection:
        _connection = None


def _version():
    import jupyterhub

    return jupyterhub.__version__


class _EventHandler(logging.Handler):
    """Takes the hub's own events as the hub's formatter writes them."""

    def __init__(self, connection):
        super().__init__()
        self._connection = connection

    def emit(self, record):
        try:
            self._connection.put("events", self.format(record))
        except Exception:
            with contextlib.suppress(Exception):
                _log.debug("An event of the hub was not recorded", exc_info=True)


def _listen_to_events(eventlog, connection):
    handler = _EventHandler(connection)
    if hasattr(eventlog, "register_handler"):  # hub 5 and later
        if eventlog.handlers is None:
            eventlog.handlers = []
        eventlog.register_handler(handler)
        return
    from jupyter_telemetry import eventlog as telemetry

    # The library reads its handlers once, when it is made, so this repeats what it does then.
    handler.setFormatter(
        telemetry.jsonlogger.JsonFormatter(json_serializer=telemetry._skip_message)
    )
    schema = "hub.jupyter.org/server-action"
    site_handlers = list(eventlog.handlers or [])
    if schema not in eventlog.allowed_schemas:
        for site_handler in site_handlers:
            # The site did not ask for these events in its own log.
            site_handler.addFilter(lambda record: _schema_of(record) != schema)
        eventlog.allowed_schemas = list(eventlog.allowed_schemas) + [schema]
    eventlog.handlers = site_handlers + [handler]
    eventlog.log.addHandler(handler)


def _schema_of(record):
    return record.msg.get("__schema__") if isinstance(record.msg, dict) else None


# --- the hub: hooks ----------------------------------------------------------------------------


def _quietly(function, *arguments):
    """No error of ours reaches the hub."""
    try:
        return function(*arguments)
    except Exception:
        with contextlib.suppress(Exception):
            _log.warning("%s failed", getattr(function, "__name__", function), exc_info=True)
        return None


class _Launch:
    """A spawn that runs."""

    def __init__(self, user, server, spawner, asked):
        self.user = user
        self.server = server
        self.spawner = spawner
        self.asked = asked
        self.began = time.monotonic()
        self.seconds = None
        self.is_reported = False
        self.is_stopped = False


# True in the context in which the hub notices that a server went away.
_noticed = contextvars.ContextVar("jupyterhub_insights_noticed", default=False)

# When the request came that the current spawn answers, and whether the spawn began.
_asked = contextvars.ContextVar("jupyterhub_insights_asked", default=None)


def _address(handler):
    address = ipaddress.ip_address(handler.request.remote_ip)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _login_detail(hub, handler):
    detail = {"authenticator": type(handler.authenticator).__name__}
    if hub.settings.addresses:
        with contextlib.suppress(Exception):
            detail["address"] = _address(handler)
    return detail


def _on_login(hub, handler, user):
    hub.record("login", user.name, detail=_login_detail(hub, handler))


def _on_login_failed(hub, handler, data):
    detail = _login_detail(hub, handler)
    name = _known_name(handler, data)
    detail["known_user"] = name is not None
    hub.record("login-failed", name, detail=detail)


def _known_name(handler, data):
    """The name that was typed, if the hub has such a user: people type passwords there too."""
    try:
        from jupyterhub import orm

        name = data["username"]
        if not isinstance(name, str) or not 0 < len(name) <= 255:
            return None
        name = handler.authenticator.normalize_username(name)
        # What the hub has not written yet is not ours to write.
        with handler.db.no_autoflush:
            user = orm.User.find(handler.db, name=name)
        return user.name if user is not None else None
    except Exception:
        return None


def _wrap_login(hub, original):
    async def login_user(self, *args, **kwargs):
        self._insights_login = True
        try:
            user = await original(self, *args, **kwargs)
        except Exception:
            _quietly(_on_login_failed, hub, self, _login_data(args, kwargs))
            raise
        finally:
            self._insights_login = False
        if user:
            _quietly(_on_login, hub, self, user)
        else:
            _quietly(_on_login_failed, hub, self, _login_data(args, kwargs))
        return user

    return login_user


def _login_data(args, kwargs):
    return args[0] if args else kwargs.get("data")


def _wrap_login_cookie(hub, original):
    """Old authenticators that trust a header set the cookie without asking `login_user`."""

    def set_hub_cookie(self, user, *args, **kwargs):
        result = original(self, user, *args, **kwargs)
        if not getattr(self, "_insights_login", False):
            _quietly(_on_login, hub, self, user)
        return result

    return set_hub_cookie


def _wrap_logout(hub, original):
    # Every log-out of the hub ends here, and nothing else does.
    def clear_login_cookie(self, *args, **kwargs):
        user = getattr(self, "_jupyterhub_user", None)
        result = original(self, *args, **kwargs)
        if user is not None and not getattr(self, "_insights_logout", False):
            self._insights_logout = True
            _quietly(lambda: hub.record("logout", user.name))
        return result

    return clear_login_cookie


def _wrap_spawn_request(hub, original):
    async def spawn_single_user(self, user, server_name="", *args, **kwargs):
        request = {"time": time.monotonic(), "has_begun": False}
        _asked.set(request)
        try:
            return await original(self, user, server_name, *args, **kwargs)
        except Exception as error:
            # The hub has no room: refused before a spawn began.
            if getattr(error, "status_code", None) == 429 and not request["has_begun"]:
                _quietly(_on_spawn_refused, hub, user, server_name, request, error)
            raise
        finally:
            _asked.set(None)

    return spawn_single_user


def _on_spawn_refused(hub, user, server_name, request, error):
    spawner = user.spawner_class.__name__
    hub.record("spawn-asked", user.name, server_name, {"spawner": spawner})
    _on_spawn_failed(hub, _Launch(user.name, server_name, spawner, request["time"]), error)


def _wrap_spawn(hub, original):
    async def spawn(self, server_name="", *args, **kwargs):
        launch = _quietly(_on_spawn_asked, hub, self, server_name)
        try:
            result = await original(self, server_name, *args, **kwargs)
        except Exception as error:
            _quietly(_on_spawn_failed, hub, launch, error)
            raise
        if launch is not None:
            launch.seconds = time.monotonic() - launch.began
        return result

    return spawn


def _on_spawn_asked(hub, user, server_name):
    request = _asked.get() or {"time": time.monotonic()}
    request["has_begun"] = True
    spawner = user.spawner_class.__name__
    launch = _Launch(user.name, server_name, spawner, request["time"])
    hub.record("spawn-asked", user.name, server_name, {"spawner": spawner})
    hub.launches[launch.user, launch.server] = launch
    # The hub adds the route in the task that spawns, after the spawn: its end is `ready`.
    asyncio.current_task().add_done_callback(
        lambda task: _quietly(_on_spawn_task_done, hub, launch, task)
    )
    return launch


def _on_spawn_failed(hub, launch, error):
    if launch is None or launch.is_reported:
        return
    launch.is_reported = True
    error_type = type(error).__name__
    if any(base.__name__ == "SpawnException" for base in type(error).__mro__):
        error_type = str(getattr(error, "reason", None) or error_type)[:200]
    _report_spawn_failed(hub, launch, error_type)


def _report_spawn_failed(hub, launch, error_type):
    detail = {
        "spawner": launch.spawner,
        "error_type": error_type,
        "seconds": round(time.monotonic() - launch.began, 6),
    }
    hub.record("spawn-failed", launch.user, launch.server, detail)


def _on_spawn_task_done(hub, launch, task):
    if hub.launches.get((launch.user, launch.server)) is launch:
        del hub.launches[launch.user, launch.server]
    if launch.is_reported:
        return
    launch.is_reported = True
    if task.cancelled():
        _report_spawn_failed(hub, launch, "CancelledError")
    elif launch.seconds is None or launch.is_stopped:
        # The server came up, and the hub stopped it since the proxy did not take its route.
        error = task.exception()
        _report_spawn_failed(hub, launch, type(error).__name__ if error else "RouteNotAdded")
    else:
        detail = {
            "spawner": launch.spawner,
            "seconds": round(launch.seconds, 6),
            "launch_seconds": round(time.monotonic() - launch.asked, 6),
        }
        hub.record("spawn-succeeded", launch.user, launch.server, detail)


def _wrap_notice(hub, original):
    async def notice(self, *args, **kwargs):
        token = _noticed.set(True)
        try:
            return await original(self, *args, **kwargs)
        finally:
            with contextlib.suppress(ValueError):
                _noticed.reset(token)

    return notice


def _wrap_stop(hub, original):
    async def stop(self, server_name="", *args, **kwargs):
        ending = _quietly(_on_stop, hub, self, server_name)
        try:
            return await original(self, server_name, *args, **kwargs)
        finally:
            if ending is not None:
                _quietly(_on_stopped, hub, ending)

    return stop


def _on_stop(hub, user, server_name):
    """What there is to say when this stop is done; None if no server was up."""
    key = (user.name, server_name)
    launch = hub.launches.get(key)
    if launch is not None:
        launch.is_stopped = True
        return None
    if key in hub.endings or server_name not in user.spawners:
        return None
    spawner = user.spawners[server_name]
    began = spawner.orm_spawner.started
    if spawner.server is None or began is None:
        return None
    is_check = getattr(spawner, "_check_pending", False)
    # The hub marks a stop that was asked for before it begins.
    is_asked = spawner._stop_pending or hub.is_ending
    is_blocked = user.name in hub.app.authenticator.blocked_users
    is_dead = not is_asked and (_noticed.get() or (is_check and not is_blocked))
    began = _aware(began)
    ended = None
    if is_dead and is_check:
        # It died while the hub was down: its last sign of life is all that is known.
        ended = max(began, _aware(spawner.orm_spawner.last_activity or began))
    ending = {
        "key": key,
        "spawner": type(spawner).__name__,
        "began": began,
        "ended": ended,
        "reason": _reason(hub, spawner, is_dead),
    }
    hub.endings.add(key)
    if is_dead:
        hub.record("server-died", *key, {"spawner": ending["spawner"]}, ended)
    return ending


def _reason(hub, spawner, is_dead):
    if is_dead:
        return "died"
    # Nobody asked for this server; the hub takes it with it.
    if hub.is_ending and not spawner._stop_pending:
        return "hub-stopping"
    return "stopped"


def _on_stopped(hub, ending):
    hub.endings.discard(ending["key"])
    ended = ending["ended"] or _now()
    seconds = max(0.0, (ended - ending["began"]).total_seconds())
    detail = {
        "spawner": ending["spawner"],
        "seconds": round(seconds, 6),
        "reason": ending["reason"],
    }
    hub.record("session-end", *ending["key"], detail, ended)


def _aware(when):
    """The hub's times are UTC without saying so."""
    return when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)


def _wrap_before(action):
    """Do something of ours before a method of the hub's application."""

    def wrap(hub, original):
        if inspect.iscoroutinefunction(original):

            async def method(self, *args, **kwargs):
                _quietly(action, hub, self)
                return await original(self, *args, **kwargs)

        else:

            def method(self, *args, **kwargs):
                _quietly(action, hub, self)
                return original(self, *args, **kwargs)

        return method

    return wrap


def _wrap_init_eventlog(hub, original):
    def init_eventlog(self, *args, **kwargs):
        result = original(self, *args, **kwargs)
        _quietly(_arm, hub, self)
        return result

    return init_eventlog


def _wrap_start(hub, original):
    async def start(self, *args, **kwargs):
        result = await original(self, *args, **kwargs)
        # Not earlier: the hub starts the service near the end, and would find it missing.
        if hub.connection is not None:
            _quietly(hub.connection.release)
        return result

    return start


def _wrap_start_service(hub, original):
    async def start_service(self, service_name, service, ssl_context=None, *args, **kwargs):
        if service_name != hub.settings.name:
            return await original(self, service_name, service, ssl_context, *args, **kwargs)
        if self.internal_ssl:
            # Hub 5 and 6 would look for the service with a TLS context made for servers, and
            # not find it; without one the method makes the right one.
            ssl_context = None
        is_started = await original(self, service_name, service, ssl_context, *args, **kwargs)
        if not is_started and service.managed:
            # The hub would exit. It looks after the service again later, as after any crash.
            self.log.error("The service %r did not start; the hub goes on.", service_name)
        return True

    return start_service


def _on_cleanup(hub, app):
    hub.is_ending = True


def _hooks():
    """Class, method, wrapper, and the kinds of events that are lost without it."""
    JupyterHub = "jupyterhub.app.JupyterHub"
    BaseHandler = "jupyterhub.handlers.base.BaseHandler"
    Spawner = "jupyterhub.spawner.Spawner"
    User = "jupyterhub.user.User"
    return [
        (BaseHandler, "login_user", _wrap_login, ["login", "login-failed"]),
        (BaseHandler, "set_hub_cookie", _wrap_login_cookie, []),
        (BaseHandler, "clear_login_cookie", _wrap_logout, ["logout"]),
        (BaseHandler, "spawn_single_user", _wrap_spawn_request, []),
        (BaseHandler, "user_stopped", _wrap_notice, []),
        (User, "spawn", _wrap_spawn, ["spawn-asked", "spawn-succeeded", "spawn-failed"]),
        (Spawner, "poll_and_notify", _wrap_notice, ["server-died"]),
        (User, "stop", _wrap_stop, ["session-end"]),
        (JupyterHub, "cleanup", _wrap_before(_on_cleanup), []),
        (JupyterHub, "init_role_creation", _wrap_before(_register_roles), []),
        (JupyterHub, "init_services", _wrap_before(_register_services), []),
        (JupyterHub, "init_eventlog", _wrap_init_eventlog, ["anything"]),
        (JupyterHub, "start", _wrap_start, []),
        (JupyterHub, "start_service", _wrap_start_service, []),
    ]


def _install(hub, c):
    """Wrap the methods, once per process."""
    missing = []
    installed = []
    for place, name, wrap, kinds in _hooks():
        owner = _find_class(place)
        original = getattr(owner, name, None)
        if original is None:
            class_name = place.rpartition(".")[2]
            missing += [f"{kind} ({class_name}.{name} is gone)" for kind in kinds]
            if name in ("init_services", "init_role_creation"):
                _quietly(_register_in_config, hub, c, name)
            if "anything" in kinds:
                _log.warning("jupyterhub_insights records nothing: %s", missing[-1])
            continue
        installed += kinds
        if not hasattr(original, "_insights_original"):
            wrapper = functools.wraps(original)(wrap(hub, original))
            wrapper._insights_original = original
            setattr(owner, name, wrapper)
    hub.missing = missing
    hub.installed = [kind for kind in installed if kind != "anything"]


def _find_class(place):
    """None in a hub that has it elsewhere."""
    module, _, name = place.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception:
        return None


def _register_in_config(hub, c, name):
    """A hub without the methods that we know: better early than not at all."""
    settings = hub.settings
    hub.sender_token = settings.token or secrets.token_hex(32)
    if name == "init_services":
        for spec in settings.services([], hub.sender_token):
            c.JupyterHub.services.append(spec)
            hub.service = spec if spec["name"] == settings.name else hub.service
    else:
        c.JupyterHub.custom_scopes.update(CUSTOM_SCOPES)
        for role in settings.roles([], "define" if settings.everyone else "keep"):
            c.JupyterHub.load_roles.append(role)
