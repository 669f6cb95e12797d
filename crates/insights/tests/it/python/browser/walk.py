"""Every page as an administrator sees it: what it says, how it looks, and to whom it can be read."""

from checks import check
from chromium import person
from looks import NARROW, PROJECTOR, WIDE, charts, charts_are_drawn, numbers_are_explained, tells
from roles import pages


# What the past of this hub has something to say about.
HAS_CHARTS = {"overview": 3, "activity": 1, "sessions": 3, "groups/one": 1, "users/one": 1, "me": 1}

ON_PROJECTORS = {"overview", "now", "groups/one"}


def addresses(world):
    """All pages with something on them."""
    yield from (path for path, _ in pages(world))
    yield f"groups/one?name={world.groups['own']}"
    yield f"users/one?name={world.people['user']}"


@check(40)
def pages_look_well(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        for path in addresses(world):
            for wrong in looked_at(world, admin, path):
                yield f"{path or 'the first page'}: {wrong}"


def looked_at(world, admin, path):
    looks = world.looks
    shown = admin.open(path)
    page = shown.page
    name = path.split("?")[0] or "overview"
    if shown.status != 200:
        yield f"answers {shown.status}"
    looks.picture(page, name)
    failed = page.locator("[data-state=failed], [data-state=refused]")
    for part in failed.all():
        yield f"a part failed: {part.get_attribute('data-part')}"
    yield from looks.serious(page)
    yield from charts_are_drawn(page)
    drawn = sum(not chart["isEmpty"] for chart in charts(page))
    if drawn < HAS_CHARTS.get(name, 0):
        yield f"{drawn} charts have something in them"
    yield from numbers_are_explained(page)
    yield from looks.dark(page)
    yield from (f"dark: {it}" for it in looks.serious(page))
    looks.picture(page, f"{name} dark")
    looks.light(page)
    # Pictures are drawn as wide as there is room when a page is opened.
    for size, called in ((NARROW, "narrow"), (PROJECTOR, "projector")):
        if called == "projector" and name not in ON_PROJECTORS:
            continue
        page.set_viewport_size(size)
        admin.open(path)
        yield from (f"{called}: {it}" for it in looks.sideways(page))
        looks.picture(page, f"{name} {called}")
    page.set_viewport_size(WIDE)
    yield from admin.take_problems()


@check(41)
def charts_and_cards_tell_what_reports_answer(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        page = admin.open("").page
        yield from cards(world, page)
        page = admin.open("activity").page
        drawn = [it for it in charts(page) if it["part"].startswith("parts/active-users?") or "/parts/active-users?" in it["part"]]
        if len(drawn) != 1:
            yield f"{len(drawn)} charts of active users"
            return
        query = drawn[0]["part"].split("?", 1)[1]
        rows = world.api(f"reports/active-users?{without(query, 'look')}")["rows"]
        if not any(row["users"] for row in rows):
            yield "nobody came, so that a chart could be empty and right"
        yield from tells(drawn[0], [row["users"] for row in rows])
        yield from admin.take_problems()


def without(query, *keys):
    return "&".join(pair for pair in query.split("&") if pair.split("=")[0] not in keys)


def cards(world, page):
    """Numbers of the overview against the report."""
    part = page.locator("[data-part*='parts/overview']").first
    query = part.get_attribute("data-part").partition("?")[2]
    rows = world.api(f"reports/overview?{without(query, 'look')}")["rows"]
    shown = {
        card.locator("h3").inner_text().strip(): card.locator(".number").first.inner_text().strip()
        for card in page.locator(".card").all()
    }
    if len(rows) != 10:
        yield f"{len(rows)} numbers in the report"
    for row in rows:
        text = shown.get(row["title"])
        if text is None:
            yield f"no card of {row['title']}, but of {', '.join(shown)}"
        elif isinstance(row["value"], (int, float)) and float(row["value"]).is_integer() and row["value"] < 1000:
            if text.split()[0].split("\u00a0")[0] != str(int(row["value"])):
                yield f"{row['title']} is {row['value']}, and the card says {text}"


@check(42)
def the_page_of_oneself_looks_well(world):
    with person(world.browser, world.told) as someone:
        someone.log_in(world.people["user"])
        for wrong in looked_at(world, someone, "me"):
            yield wrong


@check(43)
def keys_reach_everything(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        page = admin.open("groups").page
        page.keyboard.press("Tab")
        first = page.evaluate("document.activeElement.className")
        if first != "skip":
            yield f"the first key leads to {first!r}, not past the navigation"
        page.keyboard.press("Enter")
        reached = page.evaluate("document.activeElement.id || document.activeElement.closest('main')?.id || ''")
        if reached != "content":
            yield f"the link past the navigation leads to {reached!r}"
        outline = page.evaluate(
            """() => {
              const link = document.querySelector('main a[href]');
              link.focus();
              const style = getComputedStyle(link);
              return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
            }"""
        )
        if not outline:
            yield "one cannot see where one is"
        yield from admin.take_problems()


@check(44)
def health_says_what_is_not_set_up_and_the_foot_whose_times_these_are(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        page = admin.open("checks").page
        missing = page.locator("#not-set-up b").all_inner_texts()
        # The service measures on its own machine, and the hub's hooks have told of its start.
        if missing != ["Sizes of homes", "Logins by network"]:
            yield f"not set up are {missing}"
        zone = page.evaluate("() => Intl.DateTimeFormat().resolvedOptions().timeZone")
        foot = page.locator(".foot").inner_text()
        if f"times in yours, {zone}" not in foot:
            yield f"the foot says {foot!r}, and the browser is in {zone}"
        yield from admin.take_problems()
