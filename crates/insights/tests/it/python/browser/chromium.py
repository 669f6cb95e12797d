"""Chromium, and somebody in front of it; everything that goes wrong in it is noted."""

import contextlib
import time
from pathlib import Path

PASSWORD = "correct horse"
# Long enough for a machine that builds something else beside.
PATIENCE_MS = 30_000

# Pages have an origin of their own and so no place to leave a note but the browser's.
TELL_VIOLATIONS = """
addEventListener('securitypolicyviolation', (event) =>
  told_violation(`${event.effectiveDirective} stopped ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


def start(playwright, tools, *further):
    """A browser without a window; `further` are arguments of its own."""
    return playwright.chromium.launch(
        executable_path=str(Path(tools) / "browser/bin/chromium"),
        # Tests run as root in containers with little shared memory.
        args=["--no-sandbox", "--disable-dev-shm-usage", *further],
    )


class Shown:
    """What a browser shows for an address."""

    def __init__(self, page, response):
        self.page = page
        self.status = response.status if response else None
        self.headers = response.headers if response else {}

    @property
    def url(self):
        return self.page.url

    @property
    def text(self):
        """What is written on it, and what stands in attributes."""
        return self.page.content()


class Person:
    """Somebody with a browser of their own: cookies, and a note of what went wrong."""

    def __init__(self, browser, hub_url, prefix, **options):
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "reduced_motion": "reduce"} | options
        self.hub_url = hub_url
        self.prefix = prefix
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.problems = []
        self._expected = set()
        self.context.expose_binding("told_violation", lambda _, what: self._note("violation", what))
        self.context.add_init_script(TELL_VIOLATIONS)
        self.context.on("page", self._watch)
        self.page = self.context.new_page()

    def close(self):
        self.context.close()

    def _note(self, kind, what):
        self.problems.append(f"{kind}: {what}")

    def _watch(self, page):
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._note("script", error))
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)
        page.on("dialog", self._on_dialog)

    def _on_console(self, message):
        where = message.location.get("url", "")
        if message.type == "error" and where not in self._expected:
            self._note("console", f"{message.text} ({where})")

    def _on_failed(self, request):
        # What is going on is cut off when the next page is opened, or becomes a download.
        if "ERR_ABORTED" not in (request.failure or ""):
            self._note("request", f"{request.url} {request.failure}")

    def _on_response(self, response):
        if response.status >= 400 and response.url not in self._expected:
            self._note("answer", f"{response.status} {response.url}")

    def _on_dialog(self, dialog):
        self._note("dialog", dialog.message)
        dialog.dismiss()

    def take_problems(self):
        """What went wrong since the last time."""
        problems, self.problems = self.problems, []
        return problems

    def expect_trouble(self, url):
        """An answer of this address may be an error."""
        self._expected.add(url)

    def address(self, path):
        """Of a page of ours."""
        return self.prefix + path

    def open(self, path, expects=(200,)):
        """Opens a page of ours and waits until all of its parts are there."""
        return self.open_url(self.address(path), expects)

    def open_url(self, url, expects=(200,)):
        if any(status >= 400 for status in expects):
            self.expect_trouble(url)
        response = self.page.goto(url, wait_until="load")
        shown = Shown(self.page, response)
        self.settle()
        return shown

    def settle(self, page=None):
        """Waits until nothing is being computed any more."""
        page = page or self.page

        # Not `wait_for_function`, which our policy stops: it runs text as a script.
        def is_there():
            return page.evaluate("() => !document.querySelector('main [aria-busy=true]')") or None

        until(f"all of {page.url}", PATIENCE_MS / 1000, is_there, every=0.05)

    def log_in(self, user, path="hub/home", password=PASSWORD):
        """Fills in the hub's form; ends at the path below the hub's base URL."""
        below = self.hub_url.split("/", 3)[3]
        self.page.goto(f"{self.hub_url}hub/login?next=%2F{below}{path}")
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        with self.page.expect_navigation():
            self.page.click("#login_submit")
        self.confirm()
        return self.page.url

    def confirm(self):
        """Says yes if the hub asks whether we may know who they are."""
        if "/oauth2/authorize" in self.page.url:
            button = self.page.locator("input[type=submit], button[type=submit]")
            if button.count():
                with self.page.expect_navigation():
                    button.first.click()


@contextlib.contextmanager
def person(browser, told, **options):
    """Somebody whose browser is closed in the end."""
    someone = Person(browser, told["hub"], told["service"], **options)
    try:
        yield someone
    finally:
        someone.close()


def until(what, seconds, attempt, every=0.5):
    """What the attempt gives that is not None, within so many seconds."""
    end = time.monotonic() + seconds
    while True:
        outcome = attempt()
        if outcome is not None:
            return outcome
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
