"""Real hubs with their real proxy, and a sink in place of the service."""

import json
import os
import unittest

from support import HUB_VERSION, TOKEN, Browser, Hub, Sink, needs_hub, until

# A server that starts at once, and never for ben.
SPAWNER = """
import os, sys

class TestSpawner(c.JupyterHub.spawner_class):
    async def start(self):
        if self.user.name == "ben":
            raise ValueError("no room for ben")
        return await super().start()

c.JupyterHub.spawner_class = TestSpawner
c.Spawner.cmd = [sys.executable, os.path.join(TESTS, "tiny_server.py")]
c.Spawner.environment = {"RUN_DIR_OF_TEST": os.environ["RUN_DIR"]}
"""


@needs_hub
class ARunningHub(unittest.TestCase):
    def test_every_event_arrives_once_and_in_order(self):
        with Sink() as sink:
            configure = {"url": sink.url, "token": TOKEN, "addresses": True}
            with Hub(configure, extra_config=SPAWNER) as hub:
                sink.wait_for("hub-started")
                browser = Browser(hub)
                status, url, _ = browser.log_in("ada")
                self.assertTrue(url.endswith("/hub/token"), url)
                sink.wait_for("login")
                Browser(hub).log_in("ada", "wrong")
                Browser(hub).log_in("hunter2 my secret", "ada")
                sink.wait_for("login-failed", 2)
                hub.start_server("ada")
                sink.wait_for("spawn-succeeded")
                hub.stop_server("ada")
                sink.wait_for("session-end")
                until("the hub's own stop", lambda: sink.events("hub stop"))
                hub.start_server("ada")
                sink.wait_for("spawn-succeeded", 2)
                hub.kill_server("ada")
                sink.wait_for("session-end", 2)
                hub.api("POST", "users/ben/server", {})
                sink.wait_for("spawn-failed")
                browser.log_out()
                sink.wait_for("logout")
                hub.start_server("boss")
                sink.wait_for("spawn-succeeded", 3)
                hub.stop()
                sink.wait_for("session-end", 3)
                log = hub.log()
        self.assertEqual(
            sink.events(),
            [
                ("hub-started", None, None),
                ("login", "ada", None),
                ("login-failed", "ada", None),
                ("login-failed", None, None),
                ("spawn-asked", "ada", ""),
                ("hub start", "ada", ""),
                ("spawn-succeeded", "ada", ""),
                ("session-end", "ada", ""),
                ("hub stop", "ada", ""),
                ("spawn-asked", "ada", ""),
                ("hub start", "ada", ""),
                ("spawn-succeeded", "ada", ""),
                ("server-died", "ada", ""),
                ("session-end", "ada", ""),
                ("spawn-asked", "ben", ""),
                ("spawn-failed", "ben", ""),
                ("logout", "ada", None),
                ("spawn-asked", "boss", ""),
                ("hub start", "boss", ""),
                ("spawn-succeeded", "boss", ""),
                ("session-end", "boss", ""),
            ],
        )
        self.check_details(sink)
        for words in ("cannot be reached", "Not recorded", "Error in jupyterhub_insights"):
            self.assertNotIn(words, log)
        self.assertNotIn("hunter2", json.dumps(sink.items))

    def check_details(self, sink):
        started = sink.of_kind("hub-started")[0]["detail"]
        self.assertTrue(started["version"].startswith(f"{HUB_VERSION}."))
        self.assertEqual(started["spawner"], "TestSpawner")
        self.assertEqual(started["authenticator"], "DummyAuthenticator")
        self.assertEqual(
            started["hooks"],
            [
                "login",
                "login-failed",
                "logout",
                "spawn-asked",
                "spawn-succeeded",
                "spawn-failed",
                "server-died",
                "session-end",
                "server-action",
            ],
        )
        detail = {"authenticator": "DummyAuthenticator", "address": "127.0.0.1"}
        self.assertEqual([item["detail"] for item in sink.of_kind("login")], [detail])
        self.assertEqual(
            [item["detail"] for item in sink.of_kind("login-failed")],
            [dict(detail, known_user=True), dict(detail, known_user=False)],
        )
        self.assertEqual(sink.of_kind("server-died")[0]["detail"], {"spawner": "TestSpawner"})
        failed = sink.of_kind("spawn-failed")[0]["detail"]
        self.assertEqual((failed["spawner"], failed["error_type"]), ("TestSpawner", "ValueError"))
        self.assertGreaterEqual(failed["seconds"], 0)
        for item in sink.of_kind("spawn-succeeded"):
            detail = item["detail"]
            self.assertEqual(set(detail), {"spawner", "seconds", "launch_seconds"})
            self.assertGreaterEqual(detail["launch_seconds"], detail["seconds"])
        ends = [item["detail"] for item in sink.of_kind("session-end")]
        self.assertEqual([end["reason"] for end in ends], ["stopped", "died", "stopped"])
        self.assertTrue(all(0 < end["seconds"] < 60 for end in ends))
        for _, item in sink.items:
            if "kind" in item:
                known = {"id", "at", "kind", "user", "server", "source", "detail"}
                self.assertLessEqual(set(item), known)
                self.assertRegex(item["id"], "^[0-9a-f]{32}$")
                self.assertRegex(item["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
                self.assertEqual(item["source"], "hooks")


if __name__ == "__main__":
    unittest.main()
