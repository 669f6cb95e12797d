"""Somebody logs in, looks at our pages, and logs out."""

from urllib.parse import urlsplit

from chromium import PASSWORD, person

LINKS = """
() => [...document.querySelectorAll('a[href], form[action], link[href], script[src], [data-part]')].map((it) => [
  it.localName,
  new URL(it.getAttribute('href') ?? it.getAttribute('action') ?? it.getAttribute('src') ?? it.dataset.part,
    document.baseURI).href,
])
"""


def somebody_at(world, place):
    """Somebody in front of a browser, of whom nothing is known at this place."""
    told = {"hub": place["hub"], "service": place["service"]}
    return person(world.browser, told, ignore_https_errors=True)


def log_in(someone, user):
    """Fills in the hub's form; gives the answer at which the browser arrives."""
    page = someone.page
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", PASSWORD)
    with page.expect_navigation() as arrival:
        page.click("#login_submit")
    return arrival.value


def arrive(someone, user, path="me"):
    """Opens a page of ours as somebody who is logged in nowhere, and logs in; gives the answer in the end."""
    someone.page.goto(someone.address(path))
    return log_in(someone, user)


def somebody_sees_their_page(world, place):
    user = world.people["user"]
    with somebody_at(world, place) as someone:
        page = someone.page
        page.goto(someone.address("me"))
        if not page.url.startswith(f"{place['hub']}hub/login?"):
            yield f"the login leads to {page.url}"
        yield from wrong_cookies(someone, place)
        someone.take_problems()
        answer = log_in(someone, user)
        if answer.status != 200 or page.url != someone.address("me"):
            yield f"after the login there is {answer.status} at {page.url}"
            return
        someone.settle()
        yield from wrong_page(someone, user, "Me")
        yield from wrong_cookies(someone, place)
        yield from wrong_links(page, place)
        yield from walk(someone, user)
        yield from someone.take_problems()
        yield from log_out(someone, place)


def a_stranger_gets_the_hubs_refusal(world, place):
    with somebody_at(world, place) as someone:
        answer = arrive(someone, world.people["stranger"])
        if answer.status != 403 or not someone.page.url.startswith(f"{place['hub']}hub/"):
            yield f"there is {answer.status} at {someone.page.url}"


def an_admin_reaches_every_page(world, place):
    admin = world.people["admin"]
    with somebody_at(world, place) as someone:
        answer = arrive(someone, admin, "")
        if answer.status != 200 or someone.page.url != place["service"]:
            yield f"after the login there is {answer.status} at {someone.page.url}"
        someone.settle()
        someone.take_problems()
        yield from wrong_links(someone.page, place)
        yield from walk(someone, admin)
        yield from someone.take_problems()


def nobody_is_shown_a_page(world, place):
    """Over plain http nothing says whether a person asks."""
    with somebody_at(world, place) as someone:
        answer = arrive(someone, world.people["user"])
        heading = someone.page.locator("h1").inner_text()
        if answer.status != 403 or heading != "This page cannot be shown here":
            yield f"there is {answer.status} at {someone.page.url}: {heading}"
        text = someone.page.locator("main").inner_text()
        if "https" not in text or "access.trust_all_scripts" not in text:
            yield f"it does not say what to do: {text}"


def wrong_page(someone, user, heading):
    page = someone.page
    if page.locator("h1").inner_text() != heading:
        yield f"{page.url} is about {page.locator('h1').inner_text()!r}"
    if page.locator(".person b").inner_text() != user:
        yield f"{page.url} does not say who is logged in"


def ours(someone):
    """Cookies of this service, also those of an attempt to log in."""
    return [cookie for cookie in someone.context.cookies() if cookie["name"].startswith("insights-")]


def wrong_cookies(someone, place):
    """There is one, and nobody else gets it."""
    cookies = ours(someone)
    if len(cookies) != 1:
        yield f"there are {len(cookies)} cookies"
    service = urlsplit(place["service"])
    for cookie in cookies:
        seen = {name: cookie[name] for name in ("domain", "path", "httpOnly", "sameSite", "secure")}
        wanted = {
            "domain": service.hostname,
            "path": service.path,
            "httpOnly": True,
            "sameSite": "Lax",
            "secure": service.scheme == "https",
        }
        if seen != wanted:
            yield f"the cookie {cookie['name']} is {seen} in place of {wanted}"


def wrong_links(page, place):
    """All lead to us, or to the hub."""
    links = page.evaluate(LINKS)
    if len(links) < 10:
        yield f"{page.url} has only {links}"
    for kind, url in links:
        is_ours = url.startswith(place["service"])
        is_of_hub = kind == "a" and url.startswith(f"{place['hub']}hub/")
        if not (is_ours or is_of_hub or url.startswith("data:image/")):
            yield f"{page.url} has a {kind} for {url}"


def walk(someone, user):
    """Clicks through the pages; their parts are fetched as those of the first page were."""
    page = someone.page
    labels = page.locator("nav.pages a").all_inner_texts()
    if len(labels) < 2:
        yield f"{page.url} leads to {labels}"
    for label in labels:
        with page.expect_navigation() as answer:
            page.locator("nav.pages").get_by_role("link", name=label, exact=True).click()
        if answer.value.status != 200 or page.locator("nav.pages a[aria-current]").inner_text() != label:
            yield f"{label} leads to {page.url}, {answer.value.status}"
        yield from wrong_page(someone, user, page.locator("h1").inner_text())


def log_out(someone, place):
    page = someone.page
    with page.expect_navigation():
        page.get_by_role("button", name="Log out", exact=True).click()
    if page.locator("h1").inner_text() != "You are logged out here":
        yield f"a logout leads to {page.locator('h1').inner_text()!r} at {page.url}"
    if ours(someone):
        yield "a logout leaves a cookie"
    with page.expect_navigation() as answer:
        page.get_by_role("link", name="Log out at the hub, too").click()
    if answer.value.status != 200 or not page.url.startswith(f"{place['hub']}hub/"):
        yield f"the hub's logout is {page.url}, {answer.value.status}"
    page.goto(someone.address("me"))
    if not page.locator("input[name=password]").count():
        yield f"after a logout there is {page.url}"
