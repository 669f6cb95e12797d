"""Real hubs with their real proxy, and a sink in place of the service."""

import datetime
import json
import os
import statistics
import sys
import time
import unittest
import urllib.parse

from support import HERE, HUB_VERSION, TOKEN, Browser, Hub, Sink, free_port, needs_hub, until

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
        self.assertEqual([end["reason"] for end in ends], ["stopped", "died", "hub-stopping"])
        self.assertTrue(all(0 < end["seconds"] < 60 for end in ends))
        for _, item in sink.items:
            if "kind" in item:
                known = {"id", "at", "kind", "user", "server", "source", "detail"}
                self.assertLessEqual(set(item), known)
                self.assertRegex(item["id"], "^[0-9a-f]{32}$")
                self.assertRegex(item["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
                self.assertEqual(item["source"], "hooks")

    def test_whatever_the_sink_does_the_hub_answers_and_nothing_is_lost(self):
        with Sink() as sink:
            configure = {"url": sink.url, "token": TOKEN, "queue_size": 20}
            with Hub(configure, extra_config=SPAWNER) as hub:
                sink.wait_for("hub-started")
                usual = statistics.median(hub.health_seconds() for _ in range(20))
                expected = []

                def use_the_hub():
                    """Four events, and how long the hub took to answer meanwhile."""
                    seconds = []
                    for password in ("correct horse", "wrong") * 2:
                        status, url, _ = Browser(hub).log_in("ada", password)
                        self.assertEqual("/hub/login" in url, password == "wrong", url)
                        seconds += [hub.health_seconds() for _ in range(10)]
                    expected.extend(["login", "login-failed"] * 2)
                    return statistics.median(seconds)

                sink.hang()
                hanging = use_the_hub()
                until("a hanging request", lambda: sink.requests[-1]["mode"] == "hang")
                hanging = max(hanging, use_the_hub())
                sink.mode = 500
                sink._released.set()
                failing = use_the_hub()
                sink.stop()
                away = use_the_hub()
                # The medians of a hub that waited for a time-out would be seconds.
                for seconds in (hanging, failing, away):
                    self.assertLess(seconds, 10 * usual + 0.2)

                hub.start_server("ada")
                expected += ["spawn-asked", "hub start", "spawn-succeeded"]
                hub.stop()
                expected += ["session-end"]
                spool = os.path.join(hub.folder, "jupyterhub-insights-spool.jsonl")
                with open(spool) as file:
                    self.assertEqual(len(file.readlines()), 1 + len(expected))
                log = hub.log()
                self.assertEqual(log.count("jupyterhub-insights cannot be reached"), 1)
                self.assertNotIn("Traceback", log)

                sink.start()
                sink.work()
                hub.start()
                sink.wait_for("hub-started", 2)
                kinds = [kind for kind, _, _ in sink.events()]
                self.assertEqual(kinds, ["hub-started"] + expected + ["hub-started"])
                until("an empty spool", lambda: not os.path.exists(spool))

    def test_servers_that_outlive_a_hub_and_that_do_not(self):
        with Sink() as sink:
            configure = {"url": sink.url, "token": TOKEN}
            with Hub(configure, extra_config=SPAWNER) as hub:
                hub.start_server("ada")
                hub.start_server("boss")
                sink.wait_for("spawn-succeeded", 2)
                hub.kill()
                hub.kill_server("ada")
                time.sleep(1)
                back = datetime.datetime.now(datetime.timezone.utc)
                hub.start()
                (died,) = sink.wait_for("server-died")
                self.assertEqual((died["user"], died["server"]), ("ada", ""))
                (end,) = sink.wait_for("session-end")
                self.assertEqual((end["user"], end["detail"]["reason"]), ("ada", "died"))
                # Not when the hub came back, but at the last sign of life.
                self.assertEqual(died["at"], end["at"])
                began = sink.of_kind("spawn-asked")[0]["at"]
                self.assertLess(began, died["at"])
                self.assertLess(died["at"], back.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
                hub.stop_server("boss")
                end = sink.wait_for("session-end", 2)[1]
                self.assertEqual((end["user"], end["detail"]["reason"]), ("boss", "stopped"))
                self.assertGreater(end["detail"]["seconds"], 0)
                kinds = [kind for kind, _, _ in sink.events("hub-started", "server-died")]
                self.assertEqual(kinds, ["hub-started", "hub-started", "server-died"])

    def test_a_service_that_the_hub_starts_is_reached_past_the_proxy_and_by_everyone(self):
        base = "/team/jupyter/"
        for everyone in (True, False) if HUB_VERSION >= 6 else (True,):
            port = free_port()
            configure = {
                "command": [sys.executable, os.path.join(HERE, "managed_sink.py")],
                "port": port,
                "environment": {"ITEMS": "items.jsonl"},
                "everyone": everyone,
            }
            with Hub(configure, BASE_URL=base) as hub:
                items = os.path.join(hub.folder, "items.jsonl")
                until("an item", lambda: os.path.exists(items) and os.path.getsize(items))
                with open(items) as file:
                    sender, item = json.loads(file.readline())
                self.assertEqual((sender, item["kind"]), ("insights-sender", "hub-started"))
                browser = Browser(hub)
                browser.log_in("ben")
                query = urllib.parse.urlencode(
                    {
                        "client_id": "service-insights",
                        "redirect_uri": base + "services/insights/oauth_callback",
                        "response_type": "code",
                        "state": "x",
                    }
                )
                status, url, text = browser.open("hub/api/oauth2/authorize?" + query)
                if everyone:
                    self.assertEqual((status, text), (200, "a page"))
                    self.assertIn(f"{base}services/insights/oauth_callback?code=", url)
                else:
                    self.assertEqual(status, 403)
                self.assertNotIn("cannot be reached", hub.log())

    def test_with_internal_ssl_both_sides_show_their_certificates(self):
        configure = {
            "command": [sys.executable, os.path.join(HERE, "managed_sink.py")],
            "port": free_port(),
            "environment": {"ITEMS": "items.jsonl"},
        }
        with Hub(configure, INTERNAL_SSL="1") as hub:
            items = os.path.join(hub.folder, "items.jsonl")
            until("an item", lambda: os.path.exists(items) and os.path.getsize(items))
            self.assertIn(f"insights at https://127.0.0.1:{configure['port']}", hub.log())
            self.assertNotIn("cannot be reached", hub.log())

    @unittest.skipIf(HUB_VERSION == 4, "hub 4 goes on by itself")
    def test_a_service_that_ends_at_once_does_not_end_the_hub(self):
        configure = {"command": [sys.executable, "-c", "exit(64)"], "port": free_port()}
        with Hub(configure) as hub:
            Browser(hub).log_in("ada")
            self.assertIsNone(hub.process.poll())
            self.assertIn("Service insights exited with status 64", hub.log())


if __name__ == "__main__":
    unittest.main()
