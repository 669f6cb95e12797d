"""A user's server, at the same origin as ours, tries to read and do what an administrator may who opens it."""

import contextlib
import re

from checks import check, found_in
from chromium import person
from playwright.sync_api import Error

# What an attacker would like to know.
PAGES = ["", "groups", "users"]
DATA = [
    "now/rows", "me", "metrics", "reports/groups", "parts/groups?look=both", "api/v1/reports/groups?format=csv",
    "api/v1/reports/last-activity", "api/v1/events", "api/v1/me/data", "shares",
]


def home(world):
    return f"{world.told['hub']}user/{world.people['attacker']}/"


def visited(world, admin):
    """What an administrator did before: read pages, took data home. Caches may know it."""
    wrong = []
    for path in ("", "groups", "users"):
        text = admin.open(path).text
        if path and not found_in(text, world.words_hidden_from("attacker")):
            wrong.append(f"{path} names nobody, so that an attack would find nothing")
    for path in ("api/v1/reports/groups?format=csv", "api/v1/me/data", "reports/groups"):
        with contextlib.suppress(Error):
            # What becomes a download is no page.
            admin.page.goto(admin.address(path))
    return wrong


def read_by(world, results):
    """What of it holds a name."""
    for attempt, text in results.items():
        # What the attacker asked for comes back in addresses.
        seen = found_in(text, world.words_hidden_from("attacker"))
        if seen:
            yield f"{attempt!r} read {', '.join(seen)}: {text[:400]!r}"
        if "page-token" in text or re.search(r'name="?page_token', text):
            yield f"{attempt!r} read a page of ours: {text[:400]!r}"


@check(50)
def a_users_server_reads_nothing(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        yield from visited(world, admin)
        before = done(admin)
        for page in ("attack", "attack?coop=1"):
            admin.page.goto(home(world) + page)
            prefix = "/" + world.told["service"].split("/", 3)[3]
            data = DATA if page == "attack" else []
            results = admin.page.evaluate(
                "([prefix, pages, data]) => attack(prefix, pages, data)", [prefix, PAGES, data]
            )
            if len(results) < len(PAGES + data) * 10 + 8:
                yield f"only {len(results)} attempts of {page}: {', '.join(results)}"
            yield from read_by(world, results)
        # Nothing was done in their name, and they are still logged in.
        if admin.open("").url != admin.address(""):
            yield f"the attack logged the administrator out: {admin.page.url}"
        after = done(admin)
        if after != before:
            yield f"the attack did something: {after} in place of {before}"
        yield from (it for it in admin.take_problems() if it.startswith("dialog"))


def done(admin):
    """What can be done in somebody's name: links that work, and a wish to be forgotten."""
    links = admin.open("shares").page.locator("main tbody tr").count()
    return links, admin.open("me").page.locator("main form").count()


@check(51)
def a_users_service_worker_reads_nothing(world):
    prefix = "/" + world.told["service"].split("/", 3)[3]
    for preload in (False, True):
        with person(world.browser, world.told) as admin:
            admin.log_in(world.people["admin"])
            admin.open("")
            admin.page.goto(home(world) + "attack")
            scope = admin.page.evaluate("([prefix, preload]) => employ(prefix, preload)", [prefix, preload])
            if not scope.endswith(prefix):
                yield f"the worker is employed for {scope}"
            for path in ("", "users", "api/v1/reports/groups?format=csv", "me"):
                admin.page.goto(admin.address(path))
                title = admin.page.title()
                if not title.startswith("worker of"):
                    yield f"the worker did not see {path}: {title[:100]!r}"
                yield from read_by(world, {f"service worker{' with preload' if preload else ''} of {path}": title})


@check(52)
def what_remains_is_as_the_docs_say(world):
    """Told, not judged: where all servers share the hub's origin, the hub's own pages can be read."""
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        admin.page.goto(home(world) + "attack")
        hub = "/" + world.told["hub"].split("/", 3)[3] + "hub/"
        pages = ["token", "home", "admin"]
        texts = admin.page.evaluate(
            "(addresses) => Promise.all(addresses.map((address) => popup(address, 2500)))", [hub + it for it in pages]
        )
        for path, text in zip(pages, texts, strict=True):
            is_read = "SecurityError" not in text and "<title>" in text
            print(f"  remains: the hub's page `{path}` {'can' if is_read else 'cannot'} be read by a user's server")
    return []
