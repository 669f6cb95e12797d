"""JupyterHub configuration of the bench's real hub: 127.0.0.1 only, no spawns, all values from the environment."""

import os

c = get_config()  # noqa: F821 (given by JupyterHub)

FOLDER = os.environ["BENCH_HUB_FOLDER"]
LOOPBACK = "http://127.0.0.1"

c.JupyterHub.bind_url = f"{LOOPBACK}:{os.environ['BENCH_PUBLIC_PORT']}"
c.JupyterHub.hub_bind_url = f"{LOOPBACK}:{os.environ['BENCH_HUB_PORT']}"
c.JupyterHub.db_url = f"sqlite:///{FOLDER}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{FOLDER}/cookie_secret"
c.ConfigurableHTTPProxy.api_url = f"{LOOPBACK}:{os.environ['BENCH_PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["BENCH_PROXY"]]
c.ConfigurableHTTPProxy.pid_file = f"{FOLDER}/proxy.pid"

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True

c.JupyterHub.services = [
    {"name": "ours", "api_token": os.environ["BENCH_OURS_TOKEN"]},
    {"name": "peer", "api_token": os.environ["BENCH_PEER_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "group-exporter",
        "services": ["ours", "peer"],
        "scopes": [
            "list:users",
            "read:users:groups",
            "read:users:activity",
            "read:servers",
            "list:groups",
            "read:groups",
            "read:metrics",
            "read:hub",
        ],
    }
]
