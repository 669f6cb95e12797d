"""The hubs which exporters are measured on: the simulated one of our binary, and a real JupyterHub."""

import contextlib
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from program import Program, Unfinished, wait_until_still

HERE = pathlib.Path(__file__).resolve().parent
START_LIMIT_SECONDS = 180
IDLE_SECONDS = 3


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def clean_environment(**extra):
    """The environment less whatever a hub around this bench may have set, which both exporters would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB")}
    return kept | extra


class Hub(Program):
    """A hub that answers on `url`. `tokens` are those of the exporters, `own_token` is for the bench itself.

    `idle_share` is the part of a core which it uses with nobody asking.
    """

    def __init__(self, name, command, folder, port, environment):
        self.url = f"http://127.0.0.1:{port}"
        self.idle_share = 0.0
        super().__init__(name, command, folder, environment)

    def launch(self):
        super().launch()
        try:
            self.wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def wait_for_answer(self):
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while True:
            self.check_alive()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/hub/api", timeout=10):
                return
            if time.monotonic() > deadline:
                raise Unfinished(
                    f"no answer from {self.url} in {START_LIMIT_SECONDS} s; its log ends:\n{self.log_end()}"
                )
            time.sleep(0.1)

    def request(self, method, path, content=None):
        """Asks the hub's API with `own_token`."""
        request = urllib.request.Request(
            f"{self.url}/hub/api{path}",
            method=method,
            data=json.dumps(content).encode() if content else None,
            headers={"Authorization": f"token {self.own_token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def settle(self):
        """Lets the work of starting end, then measures what the hub uses when idle."""
        wait_until_still([self], time.monotonic() + START_LIMIT_SECONDS)
        cpu = self.own_cpu_seconds()
        time.sleep(IDLE_SECONDS)
        self.idle_share = (self.own_cpu_seconds() - cpu) / IDLE_SECONDS


class Simulated(Hub):
    """`jupyterhub-insights demo --hub-only`."""

    tokens = {"ours": "demo-token", "peer": "demo-token"}
    own_token = "demo-admin-token"

    def __init__(self, binary, users, groups, groups_per_user, folder):
        port = free_port()
        options = {
            "--users": users,
            "--groups": groups,
            "--groups-per-user": groups_per_user,
            "--port": port,
            "--seed": 1,
        }
        flags = [str(word) for option in options.items() for word in option]
        super().__init__("hub", [str(binary), "demo", "--hub-only", *flags], folder, port, clean_environment())


class Change:
    """One user who joins and leaves one group by turns."""

    def __init__(self, hub):
        self.hub, self.is_member = hub, False
        user = hub.request("GET", "/users?limit=1")[0]
        groups = hub.request("GET", "/groups")
        self.user = user["name"]
        self.group = next(group["name"] for group in groups if group["name"] not in user["groups"])

    def make(self):
        path = f"/groups/{urllib.parse.quote(self.group, safe='')}/users"
        self.hub.request("DELETE" if self.is_member else "POST", path, {"users": [self.user]})
        self.is_member = not self.is_member

    def check(self, exporter, body):
        """Raises unless the metrics in `body` say about this user and group what the hub says."""
        group, user = re.escape(f'usergroup="{self.group}"').encode(), re.escape(f'username="{self.user}"').encode()
        found = re.search(rb"\{[^}\n]*" + group + rb",[^}\n]*" + user, body) is not None
        if found != self.is_member:
            raise RuntimeError(f"{exporter.name} says {found} where the hub says {self.is_member}")


class RealHub(Hub):
    """A JupyterHub with its proxy, on a database that `make_database` filled."""

    def __init__(self, jupyterhub, proxy, folder):
        port = free_port()
        self.tokens = {name: secrets.token_hex(16) for name in ("ours", "peer")}
        self.own_token = self.tokens["ours"]
        environment = clean_environment(
            BENCH_HUB_FOLDER=str(folder),
            BENCH_PROXY=str(proxy),
            BENCH_HUB_PORT=str(port),
            BENCH_PUBLIC_PORT=str(free_port()),
            BENCH_PROXY_PORT=str(free_port()),
            BENCH_OURS_TOKEN=self.tokens["ours"],
            BENCH_PEER_TOKEN=self.tokens["peer"],
        )
        command = [str(jupyterhub), "-f", str(HERE / "hub_config.py")]
        super().__init__("hub", command, folder, port, environment)

    def launch(self):
        super().launch()
        self.settle()

    def restart(self):
        self.stop()
        self.launch()

    def serve_users(self, count):
        """Asks for `count` single users, after which the hub holds them in memory as if they had come by."""
        names = [user["name"] for offset in range(0, count, 200) for user in self.page_of_users(offset)]
        for name in names[:count]:
            self.request("GET", f"/users/{urllib.parse.quote(name, safe='')}")

    def page_of_users(self, offset):
        return self.request("GET", f"/users?limit=200&offset={offset}")


def make_database(jupyterhub, database, users, groups):
    """Returns the number of memberships; runs `make_hub.py` with the Python beside `jupyterhub`."""
    command = [str(jupyterhub.parent / "python"), "-B", str(HERE / "make_hub.py"), str(database)]
    flags = ["--users", str(users), "--groups", str(groups)]
    made = subprocess.run([*command, *flags], check=True, capture_output=True, text=True, timeout=600)
    return int(made.stdout)
