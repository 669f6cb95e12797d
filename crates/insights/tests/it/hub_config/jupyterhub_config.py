"""The JupyterHub of the integration tests: one configuration for 4.x, 5.x and 6.x.

Start it with `jupyterhub --config jupyterhub_config.py`. Everything comes from the
environment, so that any number of hubs can run side by side, all on 127.0.0.1.

Required:

  HUB_PORT            port of the proxy, the address that people would open
  HUB_API_PORT        port of the hub itself (internal)
  CHP_API_PORT        port of the proxy's own API (internal)
  RUN_DIR             existing folder for database, cookie secret, proxy pid, certificates
                      and home folders; start again with the same one for the same hub
  CHP_COMMAND         path of configurable-http-proxy

Optional:

  BASE_URL            where the hub is mounted, "/" by default, e.g. "/team/jupyter/"
  INTERNAL_SSL        "1": mutual TLS between hub, proxy and servers. A service is spoken to
                      as its address says, http:// or https://
  FIX_SERVICE_TLS     "1": lets hub 6.1 start with INTERNAL_SSL and an https:// SERVICE_URL.
                      Without it such a hub waits 30 s for the service and exits: it opens
                      its client connection with a TLS context made for servers.
  AUTHENTICATE_PROMETHEUS
                      "0": /hub/metrics answers anybody
  HUB_PASSWORD        password of everyone, "correct horse" by default
  HUB_PEOPLE          JSON file {"users": ["ana", ...], "admins": ["boss", ...],
                      "groups": {"physics": {"users": [...], "properties": {...}}, ...}},
                      every key optional. All users exist right after the start, also those
                      in no group. A second start with another file adds, never removes.
  EXTERNAL_TOKENS     JSON object of the services that the hub does not start:
                      {"name": {"token": "...", "scopes": [...], "url": "http://127.0.0.1:..."}};
                      "url" is optional, and so are all other keys of c.JupyterHub.services.
                      Each gets the role "external-NAME" with exactly these scopes.
  SERVICE_COMMAND     JSON list, the command line of the managed service "insights";
                      without it there is no such service
  SERVICE_URL         where that service listens, e.g. "http://127.0.0.1:10101"; without it
                      the service has no address and no route through the proxy
  SERVICE_ENV         JSON object, environment variables for that service
  SERVICE_OPTIONS     JSON object, further keys of its entry in c.JupyterHub.services
  SERVICE_SCOPES      JSON list of its scopes, in place of the read-only ones below
  SERVICE_POLL        seconds between two looks at whether that service still runs (and so
                      the time until it is started again), 1 by default; a hub's own value
                      is 30 and cannot be configured
  SERVICE_CHECK_INTERVAL
                      seconds between two HTTP requests of the hub to the address of every
                      service, 2 by default (a hub's own value is 60); only logged
  INSIGHTS_CONFIGURE  JSON object, keyword arguments of `jupyterhub_insights.configure` from
                      the repository's python/; without it the function is not called. It
                      then registers "insights" in place of the entry made here: SERVICE_COMMAND,
                      SERVICE_ENV and the port of SERVICE_URL are passed on as `command`,
                      `environment` and `port`, unless the object has them or a `url`;
                      SERVICE_OPTIONS and SERVICE_SCOPES are written as a site would.
  FAIL_SPAWN_OF       name of a user whose servers never start: ValueError at once
  SERVICE_VISITORS    JSON list of users who may open the service's pages
                      (the role "insights-visitors"); admins always may
  SERVICE_VISITOR_GROUPS
                      the same of groups
  SERVICES_OF_ALL     JSON list of services whose pages every user may open
  HUB_CONFIG          JSON object merged over all of this at the end, for the rare test:
                      {"JupyterHub": {"api_page_max_limit": 20}}, or {"JupyterHub":
                      {"cleanup_servers": false}} for servers that outlive the hub's end

The hub is ready when the proxy answers 200 to GET {BASE_URL}hub/api/; until then it refuses
connections or answers 404. While it starts, hub 5 and 6 exit with 1, leaving the proxy behind,
when a managed service with a SERVICE_URL exits or is not there within 10 s (5) or 30 s (6).
"""

import json
import os
import sys
from urllib.parse import urlsplit

from traitlets import Integer
from traitlets.config import Config

import jupyterhub.services.service as services_module
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import SimpleLocalProcessSpawner

c = get_config()  # noqa: F821


def env_json(name, default):
    """The environment variable's value as JSON; `default` when unset or empty."""
    text = os.environ.get(name, "")
    try:
        return json.loads(text) if text.strip() else default
    except ValueError as e:
        sys.exit(f"jupyterhub_config.py: {name} is not JSON: {e}")


RUN_DIR = os.environ["RUN_DIR"]
INTERNAL_SSL = os.environ.get("INTERNAL_SSL", "") == "1"
INTERNAL = "https" if INTERNAL_SSL else "http"
BASE_URL = "/" + os.environ.get("BASE_URL", "/").strip("/")

# --- addresses and files -------------------------------------------------
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['HUB_PORT']}{BASE_URL}"
c.JupyterHub.hub_bind_url = f"{INTERNAL}://127.0.0.1:{os.environ['HUB_API_PORT']}"
c.ConfigurableHTTPProxy.api_url = f"{INTERNAL}://127.0.0.1:{os.environ['CHP_API_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["CHP_COMMAND"]]
c.ConfigurableHTTPProxy.pid_file = f"{RUN_DIR}/proxy.pid"
c.ConfigurableHTTPProxy.check_running_interval = 1
c.JupyterHub.db_url = f"sqlite:///{RUN_DIR}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{RUN_DIR}/cookie_secret"
if INTERNAL_SSL:
    c.JupyterHub.internal_ssl = True
    c.JupyterHub.internal_certs_location = f"{RUN_DIR}/internal-ssl"

    if os.environ.get("FIX_SERVICE_TLS", "") == "1":
        hub_start_service = JupyterHub.start_service

        async def start_service(self, name, service, ssl_context=None):
            # Without a context the method makes the right one itself.
            return await hub_start_service(self, name, service)

        JupyterHub.start_service = start_service

# --- shorter waits than a hub's own ----------------------------------------
c.JupyterHub.last_activity_interval = 5
c.JupyterHub.activity_resolution = 1
c.JupyterHub.service_check_interval = int(os.environ.get("SERVICE_CHECK_INTERVAL", "2"))
c.Spawner.poll_interval = 2

c.JupyterHub.authenticate_prometheus = os.environ.get("AUTHENTICATE_PROMETHEUS", "1") != "0"

# --- people ----------------------------------------------------------------
people = {}
if os.environ.get("HUB_PEOPLE"):
    with open(os.environ["HUB_PEOPLE"], encoding="utf-8") as f:
        people = json.load(f)
groups = people.get("groups", {})
admins = set(people.get("admins", []))
members = {name for group in groups.values() for name in group.get("users", [])}

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ.get("HUB_PASSWORD", "correct horse")
c.Authenticator.admin_users = admins
# In no order: the ids of these users differ from one new database to the next.
c.Authenticator.allowed_users = set(people.get("users", [])) | admins | members
c.JupyterHub.load_groups = groups
c.JupyterHub.allow_named_servers = True


# --- servers ---------------------------------------------------------------
class OrphanSpawner(SimpleLocalProcessSpawner):
    """Knows that a zombie is dead.

    A server outlives a hub that is killed, and is the child of process 1 then, which in a
    container may never collect it: the next hub would find its process for ever.
    """

    async def start(self):
        if self.user.name == os.environ.get("FAIL_SPAWN_OF"):
            raise ValueError(f"no room for {self.user.name}")
        return await super().start()

    async def poll(self):
        if self.proc is None and self.pid and is_zombie(self.pid):
            self.clear_state()
            return 0
        return await super().poll()


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


c.JupyterHub.spawner_class = OrphanSpawner
c.SimpleLocalProcessSpawner.home_dir_template = f"{RUN_DIR}/home/{{username}}"
c.Spawner.cmd = [os.path.join(os.path.dirname(sys.executable), "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root"]

# The scope that a token needs to send us events.
c.JupyterHub.custom_scopes = {"custom:insights:write": {"description": "Send events to insights"}}

# --- services --------------------------------------------------------------
MANAGED = "insights"
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

services = []
roles = []


def add_service(spec, role, scopes):
    services.append(spec)
    if scopes:
        roles.append({"name": role, "services": [spec["name"]], "scopes": scopes})


command = env_json("SERVICE_COMMAND", None)
configure = env_json("INSIGHTS_CONFIGURE", None)
if configure is not None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.abspath(os.path.join(here, *[os.pardir] * 5, "python")))
    import jupyterhub_insights

    if command and not configure.get("url"):
        configure.setdefault("command", command)
        configure.setdefault("environment", env_json("SERVICE_ENV", {}))
        if os.environ.get("SERVICE_URL"):
            configure.setdefault("port", urlsplit(os.environ["SERVICE_URL"]).port)
    options = env_json("SERVICE_OPTIONS", {})
    if options:
        services.append({"name": configure.get("name", MANAGED), **options})
    scopes = env_json("SERVICE_SCOPES", None)
    if scopes is not None:
        reader = configure.get("name", MANAGED) + "-reader"
        roles.append({"name": reader, "scopes": scopes})
    jupyterhub_insights.configure(c, **configure)
elif command:
    spec = {"name": MANAGED, "command": command, "environment": env_json("SERVICE_ENV", {})}
    if os.environ.get("SERVICE_URL"):
        spec["url"] = os.environ["SERVICE_URL"]
    spec.update(env_json("SERVICE_OPTIONS", {}))
    add_service(spec, "insights-reader", env_json("SERVICE_SCOPES", READ_ONLY))

if command:

    class EagerServiceSpawner(services_module._ServiceSpawner):
        """Looks at the process more often than every 30 s, which no option can change."""

        poll_interval = Integer(int(os.environ.get("SERVICE_POLL", "1")))

    services_module._ServiceSpawner = EagerServiceSpawner

for name, external in env_json("EXTERNAL_TOKENS", {}).items():
    if command and name == MANAGED:
        sys.exit(f"jupyterhub_config.py: {MANAGED!r} is in EXTERNAL_TOKENS and managed as well")
    spec = {k: v for k, v in external.items() if k not in ("token", "scopes")}
    spec.update(name=name, api_token=external["token"])
    if "url" in spec and services_module.Service.class_traits(input=True).get("timeout"):
        # Hub 6 adds no route to its proxy before every service answered or this has passed.
        spec.setdefault("timeout", 1)
    add_service(spec, f"external-{name}", external.get("scopes", []))

visitors = env_json("SERVICE_VISITORS", [])
visitor_groups = env_json("SERVICE_VISITOR_GROUPS", [])
if visitors or visitor_groups:
    roles.append(
        {
            "name": "insights-visitors",
            "users": visitors,
            "groups": visitor_groups,
            "scopes": [f"access:services!service={MANAGED}"],
        }
    )

services_of_all = env_json("SERVICES_OF_ALL", [])
if services_of_all:
    access = [f"access:services!service={name}" for name in services_of_all]
    roles.append({"name": "user", "scopes": ["self", *access]})

c.JupyterHub.services = services
c.JupyterHub.load_roles = roles

c.merge(Config(env_json("HUB_CONFIG", {})))
