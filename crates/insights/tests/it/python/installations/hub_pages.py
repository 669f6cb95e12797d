"""The hub's own pages with our link, and what it leads to when a server has stopped."""

import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from checks import ask
from chromium import until
from visits import arrive, somebody_at, wrong_page

# What the link says.
LINK = "What your last session used"
SECONDS_TO_BE_TOLD = 30


def the_home_page_leads_to_me(world, place):
    with somebody_at(world, place) as someone:
        arrive(someone, world.people["user"])
        yield from wrong_link(someone, world.people["user"], f"{place['hub']}hub/home")
    with somebody_at(world, place) as someone:
        arrive(someone, world.people["stranger"])
        someone.page.goto(f"{place['hub']}hub/home")
        if link_on(someone.page).count():
            yield "somebody is led to a page that is not for them"


def a_stopped_server_is_told_of(world, place):
    """The service asks the hub once a minute, and sooner when somebody looks."""
    user = world.people["user"]
    with somebody_at(world, place) as someone:
        page = someone.page
        arrive(someone, user)
        until("a running server", 30, lambda: is_told_to_run(someone) or None)
        ends = Ending(world, user)
        yield from wrong_link(someone, user, f"{place['hub']}hub/spawn-pending/{user}", "stopping")
        ends.let_go()

        times = page.locator("#last-session p.question time")
        left = SECONDS_TO_BE_TOLD - ends.seconds()
        until("the summary", left, lambda: (not is_told_to_run(someone) and times.count() == 2) or None)
        texts = times.evaluate_all("all => all.map((it) => it.dateTime)")
        started, ended = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in texts)
        # The page tells whole seconds.
        whole = [it.replace(microsecond=0) for it in (world_began(world), ends.asked)]
        if not whole[0] <= started < whole[1] <= ended <= datetime.now(timezone.utc):
            yield f"it ran from {started} to {ended}, began after {whole[0]} and was stopped at {ends.asked}"
        yield from wrong_link(someone, user, f"{place['hub']}hub/user/{user}/", "not running")


def world_began(world):
    return datetime.fromtimestamp(world.told["began"], timezone.utc)


def link_on(page):
    return page.get_by_role("link", name=LINK, exact=True)


def wrong_link(someone, user, url, says=""):
    """On this page of the hub it has to be, once, and lead to *Me*."""
    page = someone.page
    page.goto(url)
    if says not in page.locator("body").inner_text():
        yield f"{page.url} does not say {says!r}"
    if link_on(page).count() != 1:
        yield f"{page.url} has {link_on(page).count()} links"
        return
    with page.expect_navigation():
        link_on(page).click()
    if page.url != someone.address("me"):
        yield f"the link on {url} leads to {page.url}"
        return
    yield from wrong_page(someone, user, "Me")


def is_told_to_run(someone):
    """Whether *Me* shows a server."""
    someone.page.goto(someone.address("me"))
    return someone.page.locator("#running").count() == 1


class Ending:
    """A server that was asked to stop and does not until it is let go."""

    def __init__(self, world, user):
        self._may_end = Path(world.told["homes"]) / user / "may-end"
        self._begin = time.monotonic()
        self.asked = datetime.now(timezone.utc)
        url = f"{world.told['api']['url']}users/{user}/server"
        request = (url, "DELETE", world.told["api"]["token"])
        self._thread = threading.Thread(target=ask, args=request, daemon=True)
        self._thread.start()
        user_url = f"{world.told['api']['url']}users/{user}"

        def is_stopping():
            server = ask(user_url, "GET", world.told["api"]["token"])["servers"][""]
            return server["pending"] == "stop" or None

        until("a server that is stopping", 10, is_stopping, every=0.05)

    def let_go(self):
        self._may_end.touch()
        self._thread.join()

    def seconds(self):
        """Since it was asked to stop."""
        return time.monotonic() - self._begin
