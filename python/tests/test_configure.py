"""What `configure` registers and hooks, in JupyterHub's own classes.

Each test loads a configuration as the hub does and initialises the hub in this process, without
its proxy. Nothing is sent: what would be is read from the queue.
"""

import asyncio
import json
import os
import shutil
import sys
import unittest
from unittest import mock

from support import HUB_VERSION, HERE, Browser, Sink, needs_hub, temporary_folder

import jupyterhub_insights as insights

if HUB_VERSION:
    from jupyterhub import orm, scopes
    from jupyterhub.app import JupyterHub
    from tornado.httpserver import HTTPServer
    from tornado.testing import bind_unused_port

ACCESS = "access:services!service=insights"

BEFORE = """
c = get_config()
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.log_level = 50
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "correct horse"
c.Authenticator.allowed_users = {{"ada", "ben"}}

from jupyterhub.spawner import Spawner

class FakeSpawner(Spawner):
    async def start(self):
        return ("127.0.0.1", {port})
    async def stop(self):
        self.is_over = True
    async def poll(self):
        return 0 if getattr(self, "is_over", False) else None

c.JupyterHub.spawner_class = FakeSpawner
"""

CONFIGURE = """
import jupyterhub_insights
jupyterhub_insights.configure(c, command=["{python}"], spool=False)
"""

SPAWN_EVENTS = ["hub-started", "spawn-asked", "spawn-succeeded", "session-end"]
SITE_HOOKS = """
calls = []
def before_spawn(spawner):
    calls.append("pre")
async def after_stop(spawner):
    calls.append("post")
"""


class App:
    """A hub that was initialised from a configuration with our line in the middle."""

    def __init__(self, case, before="", after="", configure=CONFIGURE, argv=()):
        self.folder = temporary_folder("insights-config-")
        case.addCleanup(shutil.rmtree, self.folder, True)
        self.sink = Sink()
        case.addCleanup(self.sink.stop)
        self.path = os.path.join(self.folder, "jupyterhub_config.py")
        values = {"folder": self.folder, "port": self.sink.port, "python": sys.executable}
        parts = [BEFORE.format(**values), before, configure.format(**values), after]
        with open(self.path, "w") as file:
            file.write("\n".join(parts))
        self.hub = insights._hub
        self.hub.__init__()
        self.messages = []

    async def __aenter__(self):
        JupyterHub.clear_instance()
        scopes.scope_definitions.pop(insights.WRITE_SCOPE, None)
        self.app = JupyterHub.instance()
        self.app.init_logging()
        # The hub sets up its handlers anew later, but not its logger.
        for level in ("warning", "error"):
            setattr(self.app.log, level, self._note)
        await self.app.initialize(["--config", self.path])
        return self

    def _note(self, message, *arguments, **keywords):
        self.messages.append(message % arguments if arguments else message)

    async def __aexit__(self, *error):
        del self.app.log.warning, self.app.log.error
        for pc in getattr(self.app, "_periodic_callbacks", {}).values():
            pc.stop()
        if self.hub.connection:
            self.hub.connection.discard()
        self.app.db.close()
        JupyterHub.clear_instance()
        if HUB_VERSION >= 6:
            from jupyterhub.httpclient import JupyterHubHTTPClient

            if JupyterHubHTTPClient.initialized():
                await JupyterHubHTTPClient.instance().close()
                JupyterHubHTTPClient.clear_instance()

    def events(self):
        return [json.loads(line) for line in self.hub.connection.lanes["events"]._memory]

    def kinds(self):
        return [event.get("kind", event.get("action")) for event in self.events()]

    def detail(self, kind):
        return [event["detail"] for event in self.events() if event.get("kind") == kind][0]

    def user(self, name="ada"):
        orm_user = orm.User.find(self.app.db, name)
        return self.app.users[orm_user]

    async def run_server(self, name="ada"):
        user = self.user(name)
        task = asyncio.ensure_future(user.spawn())
        await asyncio.wait([task])
        await asyncio.sleep(0)
        task.result()
        await user.stop()

    async def browse(self, visit, *arguments):
        listener, port = bind_unused_port()
        server = HTTPServer(self.app.tornado_application)
        server.add_sockets([listener])

        class Place:
            url = f"http://127.0.0.1:{port}/"
            base_url = "/"

        loop = asyncio.get_event_loop()
        try:
            return await loop.run_in_executor(None, visit, Browser(Place), *arguments)
        finally:
            server.stop()

    def scopes_of(self, role):
        return set(orm.Role.find(self.app.db, role).scopes)

    def services(self):
        return {spec["name"]: spec for spec in self.app.services}


def calls():
    """What the site's hooks of the last configuration noted."""
    return JupyterHub.instance().config.Noted.calls


NOTED = "\nc.Noted.calls = calls\n"


def log_in(browser, user="ada", password="correct horse"):
    return browser.log_in(user, password)


@needs_hub
class Case(unittest.TestCase):
    def check(self, coroutine):
        asyncio.run(coroutine)

    def app(self, *arguments, **options):
        return App(self, *arguments, **options)


@needs_hub
class HooksOfTheSite(Case):
    def spawn(self, before="", after="", expected=("pre", "post")):
        async def run():
            async with self.app(SITE_HOOKS + before, after + NOTED) as app:
                await app.run_server()
                self.assertEqual(app.kinds(), SPAWN_EVENTS)
                self.assertEqual(list(app.app.config.Noted.calls), list(expected))
                return app.detail("spawn-asked")["spawner"]

        return asyncio.run(run())

    SET = "c.{0}.pre_spawn_hook = before_spawn\nc.{0}.post_stop_hook = after_stop\n"

    def test_set_before_our_line(self):
        self.spawn(before=self.SET.format("Spawner"))

    def test_set_after_our_line(self):
        self.spawn(after=self.SET.format("Spawner"))

    def test_set_on_a_concrete_class_which_wins_over_the_base(self):
        self.spawn(
            before="def never(spawner):\n    calls.append('base')\nc.Spawner.pre_spawn_hook = never\n",
            after=self.SET.format("FakeSpawner"),
        )

    def test_methods_overridden_in_a_subclass(self):
        spawner = self.spawn(
            after="class Own(FakeSpawner):\n"
            "    def run_pre_spawn_hook(self):\n"
            "        calls.append('own pre')\n"
            "    def run_post_stop_hook(self):\n"
            "        calls.append('own post')\n"
            "    async def poll_and_notify(self):\n"
            "        calls.append('own poll')\n"
            "c.JupyterHub.spawner_class = Own\n",
            expected=["own pre", "own post"],
        )
        self.assertEqual(spawner, "Own")

    def test_a_hook_that_fails_fails_the_spawn_as_it_did(self):
        async def run():
            fails = "def fails(spawner):\n    raise KeyError('quota')\nc.Spawner.pre_spawn_hook = fails\n"
            async with self.app(after=fails) as app:
                with self.assertRaises(KeyError):
                    await app.run_server()
                self.assertEqual(app.kinds(), ["hub-started", "spawn-asked", "spawn-failed"])
                detail = app.detail("spawn-failed")
                self.assertEqual(detail["error_type"], "KeyError")
                self.assertEqual(detail["spawner"], "FakeSpawner")

        self.check(run())

    @unittest.skipIf((HUB_VERSION or 0) < 6, "SpawnException came with hub 6")
    def test_a_spawn_exception_gives_its_reason(self):
        async def run():
            fails = (
                "from jupyterhub.spawner import SpawnException\n"
                "def fails(spawner):\n    raise SpawnException('no', reason='quota')\n"
                "c.Spawner.pre_spawn_hook = fails\n"
            )
            async with self.app(fails) as app:
                with self.assertRaises(Exception):
                    await app.run_server()
                self.assertEqual(app.detail("spawn-failed")["error_type"], "quota")

        self.check(run())

    def test_a_start_that_takes_too_long(self):
        async def run():
            slow = (
                "import asyncio\n"
                "class Slow(FakeSpawner):\n"
                "    start_timeout = 0\n"
                "    async def start(self):\n"
                "        await asyncio.sleep(60)\n"
                "c.JupyterHub.spawner_class = Slow\nc.Spawner.start_timeout = 1\n"
            )
            async with self.app(slow) as app:
                with self.assertRaises(Exception):
                    await app.run_server()
                self.assertEqual(app.kinds(), ["hub-started", "spawn-asked", "spawn-failed"])
                self.assertEqual(app.detail("spawn-failed")["error_type"], "TimeoutError")

        self.check(run())

    def test_an_error_of_ours_does_not_reach_the_hub(self):
        async def run():
            async with self.app(SITE_HOOKS, self.SET.format("Spawner") + NOTED) as app:
                with self.assertLogs("jupyterhub_insights", "WARNING"):
                    with mock.patch.object(app.hub, "record", side_effect=ZeroDivisionError):
                        await app.run_server()
                        await app.browse(log_in)
                        await app.browse(log_in, "ada", "wrong")
                self.assertEqual(list(app.app.config.Noted.calls), ["pre", "post"])
                self.assertEqual(app.kinds(), ["hub-started"])

        self.check(run())


@needs_hub
class Logins(Case):
    def visit(self, before="", after="", configure=CONFIGURE, users=(("ada", "correct horse"),)):
        async def run():
            async with self.app(
                before, after + NOTED.replace("calls\n", "globals().get('calls', [])\n"), configure
            ) as app:
                for user, password in users:
                    await app.browse(log_in, user, password)
                return app.events()[1:], list(app.app.config.Noted.calls)

        return asyncio.run(run())

    def check_login(self, events, authenticator):
        ((kind, user, detail),) = [(e["kind"], e.get("user"), e["detail"]) for e in events]
        self.assertEqual((kind, user), ("login", "ada"))
        self.assertEqual(detail, {"authenticator": authenticator})

    def test_with_an_authenticator_by_name(self):
        events, _ = self.visit(after='c.JupyterHub.authenticator_class = "dummy"\n')
        self.check_login(events, "DummyAuthenticator")

    def test_with_a_class_and_its_own_hook_set_after_our_line(self):
        events, noted = self.visit(
            after="calls = []\n"
            "from jupyterhub.auth import DummyAuthenticator\n"
            "class Own(DummyAuthenticator):\n    pass\n"
            "def hook(authenticator, handler, model):\n"
            "    calls.append(model['name'])\n    return model\n"
            "c.JupyterHub.authenticator_class = Own\n"
            "c.Authenticator.post_auth_hook = hook\n"
            "c.Own.allow_all = True\n"
        )
        self.check_login(events, "Own")
        self.assertEqual(noted, ["ada"])

    def test_with_a_subclass_that_overrides_the_outer_method(self):
        events, noted = self.visit(
            before="calls = []\n"
            "from jupyterhub.auth import Authenticator\n"
            "class Own(Authenticator):\n"
            "    async def get_authenticated_user(self, handler, data):\n"
            "        calls.append('own')\n"
            "        return {'name': data['username'], 'admin': None, 'auth_state': None}\n"
            "c.JupyterHub.authenticator_class = Own\n"
        )
        self.check_login(events, "Own")
        self.assertEqual(noted, ["own"])

    def test_that_failed_name_only_whom_the_hub_knows(self):
        events, _ = self.visit(
            users=[("ada", "no"), ("My Secret", "no"), ("ADA", "no"), ("x" * 300, "no")]
        )
        self.assertEqual(
            [(e["kind"], e.get("user"), e["detail"]["known_user"]) for e in events],
            [
                ("login-failed", "ada", True),
                ("login-failed", None, False),
                ("login-failed", "ada", True),
                ("login-failed", None, False),
            ],
        )

    def test_with_a_good_password_but_not_allowed_is_a_failure(self):
        events, _ = self.visit(users=[("eve", "correct horse")])
        self.assertEqual([e["kind"] for e in events], ["login-failed"])

    def test_refused_by_an_error_are_failures(self):
        events, _ = self.visit(
            after="from tornado import web\n"
            "from jupyterhub.auth import DummyAuthenticator\n"
            "class Own(DummyAuthenticator):\n"
            "    async def authenticate(self, handler, data):\n"
            "        raise web.HTTPError(403, 'no')\n"
            "c.JupyterHub.authenticator_class = Own\n"
        )
        self.assertEqual([(e["kind"], e["user"]) for e in events], [("login-failed", "ada")])

    AUTO = """
from jupyterhub.auth import Authenticator
class Header(Authenticator):
    auto_login = True
    def login_url(self, base_url):
        return "/hub/login"
    async def authenticate(self, handler, data):
        return {0}
c.JupyterHub.authenticator_class = Header
"""

    def test_without_a_form_are_logins(self):
        auto = self.AUTO.format("'ada'")

        async def run():
            async with self.app(auto) as app:
                await app.browse(lambda browser: browser.open("hub/login?next=/hub/token"))
                self.check_login(app.events()[1:], "Header")

        self.check(run())

    def test_without_a_form_that_fail_have_no_name(self):
        async def run():
            async with self.app(self.AUTO.format("None")) as app:
                await app.browse(lambda browser: browser.open("hub/login"))
                (event,) = app.events()[1:]
                self.assertEqual(event["kind"], "login-failed")
                self.assertEqual(event["detail"], {"authenticator": "Header", "known_user": False})

        self.check(run())

    def test_of_a_handler_that_only_sets_the_cookie_are_logins(self):
        handler = """
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.handlers.base import BaseHandler
class RemoteUser(BaseHandler):
    async def get(self):
        user = self.user_from_username("ada")
        self.set_login_cookie(user)
        self.redirect("/hub/token")
class Own(DummyAuthenticator):
    def get_handlers(self, app):
        return [("/remote", RemoteUser)]
c.JupyterHub.authenticator_class = Own
"""

        async def run():
            async with self.app(handler) as app:

                def visit(browser):
                    browser.open("hub/remote")
                    browser.open("hub/remote")
                    browser.open("hub/login?next=/hub/token")

                await app.browse(visit)
                self.check_login(app.events()[1:], "Own")

        self.check(run())

    def test_with_addresses_if_the_site_says_so(self):
        events, _ = self.visit(
            configure=CONFIGURE.replace("spool=False", "spool=False, addresses=True")
        )
        self.assertEqual(events[0]["detail"]["address"], "127.0.0.1")

    def test_a_logout_is_recorded_once_and_only_of_someone(self):
        async def run():
            async with self.app() as app:

                def visit(browser):
                    browser.log_out()
                    browser.log_in("ada")
                    browser.log_out()
                    browser.log_out()

                await app.browse(visit)
                self.assertEqual(app.kinds(), ["hub-started", "login", "logout"])
                self.assertEqual(app.events()[2]["user"], "ada")

        self.check(run())

    def test_a_logout_of_a_sites_own_handler_is_recorded(self):
        handler = """
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.handlers.login import LogoutHandler
class OwnLogout(LogoutHandler):
    async def default_handle_logout(self):
        if self.current_user:
            self._backend_logout_cleanup(self.current_user.name)
    async def render_logout_page(self):
        self.finish("bye")
class Own(DummyAuthenticator):
    def get_handlers(self, app):
        return [("/logout", OwnLogout)] + super().get_handlers(app)
c.JupyterHub.authenticator_class = Own
c.Own.password = "correct horse"
"""

        async def run():
            async with self.app(handler) as app:

                def visit(browser):
                    browser.log_in("ada")
                    return browser.log_out()[2]

                self.assertEqual(await app.browse(visit), "bye")
                self.assertEqual(app.kinds(), ["hub-started", "login", "logout"])

        self.check(run())

    def test_tokens_are_no_logins(self):
        async def run():
            async with self.app() as app:
                token = app.user().new_api_token()

                def visit(browser):
                    import urllib.request

                    request = urllib.request.Request(
                        browser._hub.url + "hub/api/user",
                        headers={"Authorization": f"token {token}"},
                    )
                    return urllib.request.urlopen(request).status

                self.assertEqual(await app.browse(visit), 200)
                self.assertEqual(app.kinds(), ["hub-started"])

        self.check(run())


HANDLER = """
import logging
noted = []
class Site(logging.Handler):
    def emit(self, record):
        noted.append(self.format(record))
site = Site()
"""
SECTION = "EventLog" if HUB_VERSION == 4 else "EventLogger"
SCHEMA = "hub.jupyter.org/server-action"
LISTEN = HANDLER + f"c.{SECTION}.handlers = [site]\nc.Noted.calls = noted\n"
if HUB_VERSION == 4:
    LISTEN += f"c.EventLog.allowed_schemas = ['{SCHEMA}']\n"


@needs_hub
class EventHandlers(Case):
    def emit(self, before="", after=""):
        async def run():
            async with self.app(before, after) as app:
                data = {"action": "start", "username": "ada", "servername": ""}
                if HUB_VERSION == 4:
                    app.app.eventlog.record_event(SCHEMA, 1, data)
                else:
                    schema = "https://schema.jupyter.org/jupyterhub/events/server-action"
                    app.app.eventlog.emit(schema_id=schema, data=data)
                event = app.events()[1]
                self.assertEqual({**event, **data}, event)
                self.assertIn("__timestamp__", event)
                self.assertEqual(app.kinds(), ["hub-started", "start"])
                self.assertEqual(app.detail("hub-started")["hooks"][-1], "server-action")
                noted = list(app.app.config.Noted.get("calls", []))
                self.assertLessEqual(
                    {json.dumps(json.loads(line)) for line in noted}, {json.dumps(event)}
                )
                return noted

        return asyncio.run(run())

    def test_without_any_of_the_site(self):
        self.emit()

    def test_set_before_our_line(self):
        self.assertEqual(len(self.emit(before=LISTEN)), 1)

    def test_set_after_our_line(self):
        self.assertEqual(len(self.emit(after=LISTEN)), 1)

    @unittest.skipIf(HUB_VERSION != 4, "only hub 4 has a list of allowed schemas")
    def test_a_schema_that_the_site_did_not_allow_stays_out_of_its_log(self):
        self.assertEqual(self.emit(after=LISTEN.replace(SCHEMA, "another")), [])


@needs_hub
class WhatIsRegistered(Case):
    SITE = """
c.JupyterHub.services = [{"name": "cull", "api_token": "cull-token-0000", "admin": False}]
c.JupyterHub.load_roles = [{"name": "culler", "scopes": ["list:users"], "services": ["cull"]}]
c.JupyterHub.custom_scopes = {"custom:site:read": {"description": "a site's own"}}
"""

    def registered(self, before="", after="", configure=CONFIGURE):
        async def run():
            async with self.app(before, after, configure) as app:
                self.check_ours(app)
                return app.services(), {name: app.scopes_of(name) for name in self.role_names(app)}

        return asyncio.run(run())

    def role_names(self, app):
        return [role.name for role in app.app.db.query(orm.Role)]

    def check_ours(self, app):
        self.assertEqual(app.scopes_of("insights-reader"), set(insights.READ_ONLY))
        self.assertEqual(app.scopes_of("insights-sender"), {insights.WRITE_SCOPE})
        service = app.services()["insights"]
        self.assertEqual(service["url"], "http://127.0.0.1:10101")
        self.assertEqual(service["command"], [sys.executable])
        self.assertTrue(service["oauth_no_confirm"])
        token = orm.APIToken.find(app.app.db, app.hub.target().token)
        self.assertEqual(token.service.name, "insights-sender")
        self.assertEqual(
            scopes.get_scopes_for(token) - scopes.identify_scopes(token.service),
            {insights.WRITE_SCOPE},
        )
        self.assertEqual(app.hub.target().url, "http://127.0.0.1:10101/services/insights/")

    def check_site(self, registered):
        services, role_scopes = registered
        self.assertEqual(services["cull"]["api_token"], "cull-token-0000")
        self.assertEqual(role_scopes["culler"], {"list:users"})
        self.assertIn("custom:site:read", scopes.scope_definitions)

    def setUp(self):
        if HUB_VERSION:
            scopes.scope_definitions.pop("custom:site:read", None)

    def test_alone(self):
        services, role_scopes = self.registered()
        self.assertEqual(set(services), {"insights", "insights-sender"})
        self.assertEqual(role_scopes["user"], {"self", ACCESS})

    def test_beside_lists_that_the_site_set_before_our_line(self):
        self.check_site(self.registered(before=self.SITE))

    def test_beside_lists_that_the_site_assigns_after_our_line(self):
        self.check_site(self.registered(after=self.SITE))

    def test_beside_lists_that_the_site_appends_to(self):
        append = """
c.JupyterHub.services.append({"name": "cull", "api_token": "cull-token-0000"})
c.JupyterHub.load_roles.append({"name": "culler", "scopes": ["list:users"], "services": ["cull"]})
c.JupyterHub.custom_scopes.update({"custom:site:read": {"description": "a site's own"}})
"""
        self.check_site(self.registered(after=append))

    def test_once_though_configured_twice(self):
        services, role_scopes = self.registered(configure=CONFIGURE + CONFIGURE)
        self.assertEqual(set(services), {"insights", "insights-sender"})

        async def run():
            async with self.app(configure=CONFIGURE + CONFIGURE) as app:
                await app.run_server()
                self.assertEqual(app.kinds(), SPAWN_EVENTS)

        self.check(run())

    def test_what_the_site_says_about_our_service_is_kept(self):
        services, _ = self.registered(
            after="c.JupyterHub.services = [{'name': 'insights', 'display': False, 'cwd': '/',"
            " 'environment': {'A': '1'}}]\n",
            configure=CONFIGURE.replace("spool=False", "spool=False, environment={{'B': '2'}}"),
        )
        self.assertEqual(len(services), 2)
        service = services["insights"]
        self.assertEqual((service["cwd"], service["display"]), ("/", False))
        self.assertEqual(service["environment"], {"A": "1", "B": "2"})

    def test_a_site_may_narrow_our_role(self):
        narrow = (
            "c.JupyterHub.load_roles = [{'name': 'insights-reader', 'scopes': ['list:groups']}]\n"
        )

        async def run():
            async with self.app(after=narrow) as app:
                self.assertEqual(app.scopes_of("insights-reader"), {"list:groups"})
                service = orm.Service.find(app.app.db, "insights")
                self.assertEqual([role.name for role in service.roles], ["insights-reader"])

        self.check(run())

    def user_scopes(self, before="", after="", configure=CONFIGURE):
        return self.registered(before, after, configure)[1]["user"]

    SITE_USER = "c.JupyterHub.load_roles = [{'name': 'user', 'scopes': ['self', 'access:services!service=x']}]\n"

    def test_the_user_role_keeps_what_the_site_wrote_before(self):
        expected = {"self", "access:services!service=x", ACCESS}
        self.assertEqual(self.user_scopes(before=self.SITE_USER), expected)

    def test_the_user_role_keeps_what_the_site_wrote_after(self):
        expected = {"self", "access:services!service=x", ACCESS}
        self.assertEqual(self.user_scopes(after=self.SITE_USER), expected)

    def test_the_user_role_does_not_get_back_what_the_site_took_from_it(self):
        without_self = self.SITE_USER.replace("'self', ", "")
        expected = {"access:services!service=x", ACCESS}
        self.assertEqual(self.user_scopes(before=without_self), expected)

    def test_the_user_role_of_a_site_without_scopes_keeps_self(self):
        role = "c.JupyterHub.load_roles = [{'name': 'user', 'description': 'people'}]\n"
        self.assertEqual(self.user_scopes(after=role), {"self", ACCESS})

    @unittest.skipIf((HUB_VERSION or 0) < 6, "extra_user_scopes came with hub 6")
    def test_extra_user_scopes_of_the_site_stay(self):
        extra = "c.JupyterHub.extra_user_scopes = {'access:services!service=x'}\n"
        expected = {"self", "access:services!service=x", ACCESS}
        self.assertEqual(self.user_scopes(after=extra), expected)

    def test_the_user_role_is_left_alone_if_not_everyone(self):
        alone = CONFIGURE.replace("spool=False", "spool=False, everyone=False")
        self.assertEqual(self.user_scopes(configure=alone), {"self"})
        expected = {"self", "access:services!service=x"}
        self.assertEqual(self.user_scopes(self.SITE_USER, configure=alone), expected)

    def test_the_senders_token_is_the_same_after_a_restart(self):
        async def run():
            app = self.app()
            tokens = []
            for _ in range(2):
                async with app:
                    tokens.append(app.hub.target().token)
                    n_tokens = app.app.db.query(orm.APIToken).count()
            self.assertEqual(tokens[0], tokens[1])
            self.assertEqual(len(tokens[0]), 64)
            # The hub makes one for the managed service at each start.
            self.assertEqual(n_tokens, 3)

        self.check(run())

    def test_the_line_end_of_a_file_of_secrets_is_no_part_of_a_token(self):
        settings = self.settings(url="http://a/", token="secret-token\n")
        self.assertEqual(settings.service()["api_token"], "secret-token")

    def test_a_missing_program_does_not_keep_the_hub_from_starting(self):
        missing = CONFIGURE.replace("{python}", "/nonexistent/jupyterhub-insights")

        async def run():
            async with self.app(self.SITE, configure=missing) as app:
                self.assertEqual(set(app.services()), {"cull"})
                self.assertIsNone(app.hub.connection)
                self.assertIn(
                    "/nonexistent/jupyterhub-insights was not found", "".join(app.messages)
                )
                await app.run_server()

        self.check(run())

    def test_the_program_is_found_beside_python_or_on_the_path(self):
        folder = temporary_folder("insights-")
        self.addCleanup(shutil.rmtree, folder)
        program = os.path.join(folder, "jupyterhub-insights")
        with open(program, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(program, 0o755)
        with mock.patch.dict(os.environ, {"PATH": folder}):
            self.assertEqual(insights._default_command(), [program, "serve"])
        with mock.patch.object(sys, "executable", os.path.join(folder, "python")):
            self.assertEqual(insights._default_command(), [program, "serve"])

    def test_with_internal_ssl_the_service_is_asked_for_by_https(self):
        settings = self.settings()
        self.assertEqual(settings.service(is_https=True)["url"], "https://127.0.0.1:10101")

    def settings(self, **changes):
        keywords = dict(
            url=None,
            token=None,
            name="insights",
            command=None,
            port=None,
            environment=None,
            everyone=True,
            addresses=False,
            oauth_no_confirm=True,
            spool=None,
            queue_size=10,
        )
        return insights._Settings(**dict(keywords, **changes))

    def test_bad_keywords_are_named(self):
        for changes, words in [
            ({"name": "In sights"}, "lower case"),
            ({"url": "http://a/services/insights/"}, "token"),
            ({"url": "ftp://a", "token": "t"}, "http"),
            ({"url": "http://a", "token": "t", "port": 5}, "without url"),
            ({"url": "http://a", "token": "a b"}, "visible"),
            ({"url": "http://:hidden@a", "token": "t"}, "no password"),
        ]:
            with mock.patch.dict(os.environ, {"JUPYTERHUB_INSIGHTS_TOKEN": ""}):
                with self.assertRaisesRegex(ValueError, words):
                    self.settings(**changes)


ELSEWHERE = """
import jupyterhub_insights
jupyterhub_insights.configure(c, "{url}", "elsewhere-token-000", spool=False)
"""


@needs_hub
class AServiceElsewhere(Case):
    def run_with(self, url, before=""):
        async def run():
            configure = ELSEWHERE.replace("{url}", url)
            async with self.app(before, configure=configure) as app:
                token = orm.APIToken.find(app.app.db, "elsewhere-token-000")
                self.assertEqual(token.service.name, "insights")
                expected = set(insights.READ_ONLY) | {insights.WRITE_SCOPE}
                self.assertEqual(app.scopes_of("insights-reader"), expected)
                self.assertEqual(app.hub.target(), (url, "elsewhere-token-000", None))
                self.assertEqual(set(app.services()), {"insights"})
                client = token.service.oauth_client
                return app.services()["insights"], client.redirect_uri

        return asyncio.run(run())

    def test_at_the_hubs_own_prefix_is_proxied(self):
        service, redirect = self.run_with("http://10.1.2.3:10101/services/insights/")
        self.assertEqual(service["url"], "http://10.1.2.3:10101")
        self.assertEqual(redirect, "/services/insights/oauth_callback")
        self.assertEqual(service.get("timeout"), 1 if HUB_VERSION >= 6 else None)

    def test_at_the_prefix_of_a_hub_with_a_base_url_is_proxied(self):
        service, redirect = self.run_with(
            "https://a.example.org/team/services/insights/", 'c.JupyterHub.base_url = "/team/"\n'
        )
        self.assertEqual(service["url"], "https://a.example.org")
        self.assertEqual(redirect, "/team/services/insights/oauth_callback")

    def test_with_an_address_of_its_own_is_not_proxied(self):
        service, redirect = self.run_with("https://insights.example.org/")
        self.assertNotIn("url", service)
        self.assertEqual(redirect, "https://insights.example.org/oauth_callback")


@needs_hub
class OtherHubs(Case):
    def test_a_method_that_is_gone_is_named_and_the_rest_works(self):

        async def run():
            hooks = insights._hooks()
            gone = [
                (owner, name + "_gone" * (name == "clear_login_cookie"), *rest)
                for owner, name, *rest in hooks
            ]
            with mock.patch.object(insights, "_hooks", lambda: gone):
                async with self.app() as app:
                    await app.run_server()
                    self.assertEqual(app.kinds(), SPAWN_EVENTS)
                    warnings = [m for m in app.messages if "Not recorded" in m]
                    self.assertEqual(len(warnings), 1)
                    self.assertIn("logout (BaseHandler.clear_login_cookie_gone", warnings[0])
                    self.assertNotIn("logout", app.detail("hub-started")["hooks"])

        self.check(run())

    def test_a_class_that_is_gone_is_named_and_the_rest_works(self):
        async def run():
            hooks = [
                (place.replace("jupyterhub.handlers.base", "jupyterhub.nowhere"), *rest)
                for place, *rest in insights._hooks()
            ]
            with mock.patch.object(insights, "_hooks", lambda: hooks):
                async with self.app() as app:
                    await app.run_server()
                    self.assertEqual(app.kinds(), SPAWN_EVENTS)
                    (warning,) = [m for m in app.messages if "Not recorded" in m]
                    self.assertIn("login (BaseHandler.login_user is gone)", warning)

        self.check(run())

    def test_configure_raises_nothing_whatever_the_hub_is(self):
        from traitlets.config import Config

        hooks = [("nowhere." + place, *rest) for place, *rest in insights._hooks()]
        for patched in (lambda: hooks, mock.Mock(side_effect=ImportError)):
            c = Config()
            with mock.patch.object(insights, "_hooks", patched):
                with self.assertLogs("jupyterhub_insights", "WARNING"):
                    insights.configure(c, spool=False)

    def test_a_failed_login_writes_nothing_to_the_hubs_database(self):
        async def run():
            async with self.app() as app:
                app.app.db.add(orm.User(name="not-written-yet"))

                class Handler:
                    db = app.app.db
                    authenticator = app.app.authenticator

                self.assertEqual(insights._known_name(Handler, {"username": "ada"}), "ada")
                self.assertEqual(len(app.app.db.new), 1)

        self.check(run())

    def test_a_hub_without_the_late_methods_is_configured_early(self):
        from traitlets.config import Config

        c = Config()
        hub = insights._Hub()
        hub.settings = WhatIsRegistered.settings(self)
        insights._register_in_config(hub, c, "init_services")
        insights._register_in_config(hub, c, "init_role_creation")
        services = c.JupyterHub.services.get_value([])
        self.assertEqual([spec["name"] for spec in services], ["insights", "insights-sender"])
        roles = c.JupyterHub.load_roles.get_value([])
        names = [role["name"] for role in roles]
        self.assertEqual(names, ["insights-reader", "insights-sender", "user"])

    def test_another_command_of_the_hub_starts_no_thread_and_keeps_the_roles(self):
        import subprocess

        folder = temporary_folder("insights-command-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "config.py")
        values = {"folder": folder, "port": 1, "python": sys.executable}
        with open(path, "w") as file:
            file.write(
                BEFORE.format(**values)
                + f"import sys\nsys.path.insert(0, {os.path.dirname(HERE)!r})\n"
            )
            file.write(CONFIGURE.format(**values) + "c.JupyterHub.log_level = 20\n")
        hub = os.path.join(os.path.dirname(sys.executable), "jupyterhub")
        done = subprocess.run(
            [hub, "token", "--config", path, "ada"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        import sqlite3

        database = sqlite3.connect(os.path.join(folder, "hub.sqlite"))
        roles = {name for name, in database.execute("select name from roles")}
        database.close()
        self.assertLessEqual({"insights-reader", "insights-sender"}, roles)
        self.assertEqual(
            sorted(name for name in os.listdir(folder) if "insights" in name), [], done.stderr
        )


if __name__ == "__main__":
    unittest.main()
