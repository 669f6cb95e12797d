"""What the tests share: a sink that records what it is sent, and real hubs.

The hub is the one whose Python runs the tests; its proxy and our configuration of it are those
of the integration tests in crates/insights/tests/it.
"""

import contextlib
import gzip
import http.client
import http.cookiejar
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))

TOKEN = "sink-token-0000000000000000000"
CONFIG = os.path.join(ROOT, "crates/insights/tests/it/hub_config/jupyterhub_config.py")

try:
    import jupyterhub

    HUB_VERSION = int(jupyterhub.__version__.split(".")[0])
except ImportError:
    HUB_VERSION = None

needs_hub = unittest.skipIf(HUB_VERSION is None, "this Python has no JupyterHub")


def tools():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    default = os.path.join(cache, "jupyterhub-insights", "tools")
    return os.environ.get("INSIGHTS_TOOLS", default)


def temporary_folder(prefix):
    """In memory if possible: a hub's database waits for the disk at every commit."""
    memory = "/dev/shm"
    folder = memory if os.access(memory, os.W_OK) else None
    return tempfile.mkdtemp(prefix=prefix, dir=folder)


def until(what, condition, timeout=60, pause=0.02):
    """The first true value of `condition`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(pause)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Sink:
    """Stands in for the service: counts a thing that comes twice once, as the service does.

    `mode` is a status to answer with, or "hang" to answer nothing.
    """

    def __init__(self, port=0, prefix="/services/insights/"):
        self.prefix = prefix
        self.mode = 200
        self.retry_after = None
        self.largest_body = None
        self.requests = []
        self.items = []  # (lane, item) in order of arrival, each once
        self._seen = set()
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.port = port or free_port()
        self._server = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def start(self):
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                sink._answer(self)

            def do_GET(self):
                # Also the server of the in-process tests' users.
                self._reply(200, b"{}")

            def _reply(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                if HUB_VERSION:
                    self.send_header("X-JupyterHub-Version", jupyterhub.__version__)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self._released.clear()
        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Nobody listens any more."""
        self._released.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def hang(self):
        self._released.clear()
        self.mode = "hang"

    def work(self):
        self.mode = 200
        self._released.set()

    def _answer(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        record = {
            "path": handler.path,
            "headers": dict(handler.headers),
            "n_bytes": len(body),
        }
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        mode = self.mode
        record["mode"] = mode
        lines = body.decode().rstrip("\n").split("\n")
        record["lines"] = lines
        with self._lock:
            self.requests.append(record)
        if mode == "hang":
            self._released.wait()
            handler.close_connection = True
            return
        if mode == 200 and self.largest_body and len(body) > self.largest_body:
            mode = 413
        if mode != 200:
            headers = [("Retry-After", str(self.retry_after))] if self.retry_after else []
            handler._reply(mode, b"no", headers)
            return
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            handler._reply(403, b"no")
            return
        reply = self._take(handler, lines)
        handler._reply(200, json.dumps(reply).encode())

    def _take(self, handler, lines):
        lane = handler.path[len(self.prefix) :]
        n_known = 0
        with self._lock:
            key = handler.headers.get("Idempotency-Key")
            is_known_batch = key is not None and key in self._seen
            self._seen.add(key)
            for line in lines:
                item = json.loads(line)
                identity = item.get("id") or line
                if is_known_batch or (key is None and identity in self._seen):
                    n_known += 1
                    continue
                self._seen.add(identity)
                self.items.append((lane, item))
        return {"accepted": len(lines), "known": n_known, "rejected": []}

    def events(self, *kinds):
        """Events as (kind, user, server), the hub's own as ("hub start", …)."""
        with self._lock:
            events = [item for lane, item in self.items if lane == "api/v1/events"]
        brief = [
            (
                ("hub " + item["action"], item["username"], item["servername"])
                if "action" in item
                else (item["kind"], item.get("user"), item.get("server"))
            )
            for item in events
        ]
        return [event for event in brief if not kinds or event[0] in kinds]

    def of_kind(self, kind):
        with self._lock:
            return [item for _, item in self.items if item.get("kind") == kind]

    def wait_for(self, kind, count=1, timeout=60):
        return until(
            f"{count} {kind}; there is {self.events()}",
            lambda: len(self.of_kind(kind)) >= count and self.of_kind(kind),
            timeout,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


ADMIN_TOKEN = "admin-token-0000000000000000000"


class Hub:
    """A running JupyterHub with its proxy."""

    def __init__(self, configure=None, people=None, config=CONFIG, extra_config="", **variables):
        self.folder = temporary_folder("insights-hub-")
        self.port = free_port()
        self.api_port = free_port()
        self.proxy_port = free_port()
        bin_folder = os.path.dirname(sys.executable)
        people = people or {"users": ["ada", "ben"], "admins": ["boss"]}
        with open(os.path.join(self.folder, "people.json"), "w") as file:
            json.dump(people, file)
        if extra_config:
            config = self._write(
                "config.py", f"load_subconfig({config!r})\nTESTS = {HERE!r}\n" + extra_config
            )
        self.base_url = variables.get("BASE_URL", "/")
        self.environment = {
            "PATH": bin_folder + os.pathsep + os.environ["PATH"],
            "HOME": self.folder,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HUB_PORT": str(self.port),
            "HUB_API_PORT": str(self.api_port),
            "CHP_API_PORT": str(self.proxy_port),
            "RUN_DIR": self.folder,
            "HUB_PEOPLE": os.path.join(self.folder, "people.json"),
            "CHP_COMMAND": os.path.join(tools(), "chp/node_modules/.bin/configurable-http-proxy"),
            "EXTERNAL_TOKENS": json.dumps(
                {
                    "root": {
                        "token": ADMIN_TOKEN,
                        "scopes": ["admin:users", "admin:servers", "tokens"],
                    }
                }
            ),
        }
        if configure is not None:
            self.environment["INSIGHTS_CONFIGURE"] = json.dumps(configure)
        self.environment.update(variables)
        self.command = [os.path.join(bin_folder, "jupyterhub"), "--config", config]
        self.process = None
        self.start()

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        log = open(os.path.join(self.folder, "hub.log"), "ab")
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
        )
        log.close()

        def is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the hub ended:\n{self.log()}")
            try:
                return self.get("hub/api/")[0] == 200
            except OSError:
                return False

        try:
            until("the hub", is_ready, 90, 0.05)
        except BaseException:
            self.__exit__()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.base_url}"

    def log(self):
        with open(os.path.join(self.folder, "hub.log")) as file:
            return file.read()

    def get(self, path, timeout=20):
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def health_seconds(self):
        """How long the hub itself takes to answer, without its proxy."""
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=20)
        connection.request("GET", f"{self.base_url}hub/health")
        assert connection.getresponse().status == 200
        connection.close()
        return time.perf_counter() - begin

    def api(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}hub/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {ADMIN_TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def server(self, user, name=""):
        """The server's model, None if it is not running."""
        status, model = self.api("GET", f"users/{user}")
        return model["servers"].get(name) if status == 200 else None

    def start_server(self, user):
        self.api("POST", f"users/{user}/server", {})
        until(f"the server of {user}", lambda: (self.server(user) or {}).get("ready"))

    def stop_server(self, user):
        self.api("DELETE", f"users/{user}/server")
        until(f"the end of {user}'s server", lambda: not self.server(user))

    def kill_server(self, user):
        pids = [
            int(pid)
            for pid in os.listdir("/proc")
            if pid.isdigit()
            and f"/home/{user}".encode() in _environment(pid)
            and f"RUN_DIR_OF_TEST={self.folder}".encode() in _environment(pid)
        ]
        assert pids, f"no process of {user}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._stop_proxy()

    def _stop_proxy(self):
        try:
            with open(os.path.join(self.folder, "proxy.pid")) as file:
                os.kill(int(file.read()), signal.SIGTERM)
        except (OSError, ValueError):
            pass

    def _stop_the_rest(self):
        """What a hub leaves that was killed, or could not start: services, servers, its proxy."""
        for pid in os.listdir("/proc"):
            if pid.isdigit() and (_folder(pid) + "/").startswith(self.folder + "/"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        self._stop_proxy()
        self._stop_the_rest()
        shutil.rmtree(self.folder, ignore_errors=True)


def _folder(pid):
    """Where a process runs; nothing if it is over."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _environment(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


class Browser:
    """Keeps cookies and follows redirects."""

    def __init__(self, hub):
        self._hub = hub
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, path, form=None):
        url = path if path.startswith("http") else self._hub.url + path
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data, {"Sec-Fetch-Mode": "navigate"})
        try:
            with self._opener.open(request, timeout=60) as response:
                return response.status, response.url, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.url, error.read().decode()

    def log_in(self, user, password="correct horse"):
        """The address after the login; `next` keeps the hub from starting a server."""
        self.open("hub/login")
        form = {"username": user, "password": password}
        for cookie in self.cookies:
            if cookie.name == "_xsrf":
                form["_xsrf"] = cookie.value
        target = urllib.parse.quote(f"{self._hub.base_url}hub/token")
        return self.open(f"hub/login?next={target}", form)

    def log_out(self):
        return self.open("hub/logout")
