"""What the real kubespawner makes of user names.

A JSON list of names on standard input gives a list of {"escaped", "safe", "escape_slug",
"safe_slug"} on standard output: the first two as a spawner fills them into the templates of
pods and home directories, the others from the functions themselves.
"""

import json
import sys
from types import SimpleNamespace

from kubespawner import KubeSpawner
from kubespawner.slugs import escape_slug, safe_slug

# Without __init__, which wants a cluster.
spawner = KubeSpawner.__new__(KubeSpawner)


def slugs(name):
    spawner.user = SimpleNamespace(id=1, name=name)
    return {
        "escaped": spawner._expand_user_properties("{escaped_username}"),
        "safe": spawner._expand_user_properties("{username}"),
        "escape_slug": escape_slug(name),
        "safe_slug": safe_slug(name, max_length=48),
    }


json.dump([slugs(name) for name in json.load(sys.stdin.buffer)], sys.stdout)
