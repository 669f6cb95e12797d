"""The demo, opened by somebody who has just started it: its pictures are those of the README."""

from checks import check
from chromium import person
from looks import charts, charts_are_drawn, numbers_are_explained

# What fits into the README.
VIEW = {"width": 1280, "height": 1000}
CARDS = 10


@check(90)
def the_demo_opens_on_a_dashboard(world):
    with person(world.browser, world.told, viewport=VIEW) as somebody:
        page = log_in(somebody, "administrator")
        heading = page.locator("h1").inner_text()
        if heading != "Overview":
            yield f"opens on {heading}"
        cards = page.locator(".card .number").all_inner_texts()
        known = [text for text in cards if any(digit.isdigit() for digit in text)]
        if len(known) != CARDS:
            yield f"{len(known)} numbers are known: {cards}"
        if (drawn := sum(not chart["isEmpty"] for chart in charts(page))) < 3:
            yield f"{drawn} charts have something in them"
        yield from charts_are_drawn(page)
        yield from numbers_are_explained(page)
        take(world, page, "demo-overview")
        yield from somebody.take_problems()


@check(91)
def the_demo_shows_a_user_their_last_session(world):
    with person(world.browser, world.told, viewport=VIEW) as somebody:
        page = log_in(somebody, "user")
        heading = page.locator("h1").inner_text()
        if page.url != somebody.address("me"):
            yield f"a user comes to {page.url}, {heading}"
        if not page.locator("h2", has_text="last session").count():
            yield f"no last session on {heading}"
        yield from charts_are_drawn(page)
        take(world, page, "demo-me")
        yield from somebody.take_problems()


def log_in(somebody, role):
    """The page that the service opens on for the first whom the demo offers with this role."""
    page = somebody.page
    page.goto(somebody.prefix)
    page.locator("li a", has=page.locator(".role", has_text=role)).first.click()
    page.wait_for_load_state("load")
    somebody.settle()
    return page


def take(world, page, name):
    """A picture of what one sees without scrolling."""
    page.evaluate("() => document.activeElement?.blur()")
    page.mouse.move(0, 0)
    page.screenshot(path=world.looks.folder / f"{name}.png")
