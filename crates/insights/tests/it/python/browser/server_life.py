"""What happens while time goes by: a server that ends, a logout at the hub. Begun early, looked at later."""

import datetime
import re
import time

from checks import check
from chromium import Person, person, until

BURNT_SECONDS = 3
HELD_MIB = 120
# Within this, what was measured is what was used.
SLACK = 0.25


def start_servers(world):
    """So that there is somebody to be seen."""
    for role in ("user", "fellow", "other", "attacker"):
        user = world.people[role]
        # Everybody knows their own.
        image = "registry.invalid/lynx-image:7" if role == "user" else f"{world.told['image']}:7"
        world.hub("POST", f"users/{user}/server", {"image": image})
    for role in ("user", "fellow", "other", "attacker"):
        user = world.people[role]
        until(f"the server of {user}", 30, lambda user=user: server(world, user))


def server(world, user):
    """Their default server if it is ready."""
    servers = world.hub("GET", f"users/{user}")["servers"]
    return servers[""] if servers.get("", {}).get("ready") else None


@check(11)
def a_server_works(world):
    """What it uses is in its summary later."""
    user = world.people["user"]
    world.server_of(user, f"hold?mib={HELD_MIB}")
    world.server_of(user, f"burn?seconds={BURNT_SECONDS}")
    return []


@check(12)
def a_logout_begins(world):
    """Looked at in the end: up to a minute may pass."""
    someone = Person(world.browser, world.told["hub"], world.told["service"])
    someone.log_in(world.people["user"])
    if someone.open("me").status != 200:
        yield "the page was not there in the first place"
    tab = someone.context.new_page()
    tab.goto(f"{world.told['hub']}hub/logout")
    tab.close()
    world.logged_out = (someone, time.monotonic())


@check(90)
def a_logout_at_the_hub_ends_ours_within_a_minute(world):
    someone, since = world.logged_out
    time.sleep(max(0, 60 - (time.monotonic() - since)))
    page = someone.page
    page.goto(someone.address("me"))
    if not page.locator("input[name=password]").count():
        yield f"after a minute there is {page.url}"
    someone.close()


@check(30)
def a_stopped_server_has_its_summary(world):
    user = world.people["user"]
    started = moment(server(world, user)["started"])
    world.hub("DELETE", f"users/{user}/server")
    stopped = datetime.datetime.now(datetime.timezone.utc)
    begin = time.monotonic()
    token = world.hub("POST", f"users/{user}/tokens", {"note": "test"})["token"]
    with person(world.browser, world.told) as someone:
        someone.log_in(user)

        def summary():
            last = world.api("me/sessions/last", token).get("last_session")
            return last if last and abs(moment(last["started"]) - started).total_seconds() < 5 else None

        last = until("the session in the API", 30, summary)
        shown = someone.open("me")
        took = time.monotonic() - begin
        if took > 30:
            yield f"it took {took:.0f} s"
        yield from is_right(last, started, stopped)
        yield from is_shown(shown.page, last)
        world.looks.picture(shown.page, "me after a stop")
        yield from someone.take_problems()


def moment(text):
    """A time of the API."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))


def is_right(last, started, stopped):
    """Against what the server did."""
    ended = moment(last["ended"])
    if abs((ended - stopped).total_seconds()) > 5:
        yield f"it ended at {ended} in place of {stopped}"
    length = (stopped - started).total_seconds()
    if abs(last["hours"] * 3600 - length) > 6:
        yield f"it ran {last['hours'] * 3600} s in place of {length}"
    seconds = last["cpu_core_seconds"]
    if seconds is None or abs(seconds - BURNT_SECONDS) > SLACK * BURNT_SECONDS + 0.5:
        yield f"it used {seconds} s of a processor in place of {BURNT_SECONDS}"
    peak = last["memory_peak_bytes"]
    held = HELD_MIB * 1024 * 1024
    if peak is None or not held < peak < held * (1 + SLACK) + 40e6:
        yield f"it held {peak} bytes in place of {held}"


def is_shown(page, last):
    """What stands on the page is what the API says."""
    box = page.locator("#last-session")
    text = box.inner_text()
    if last["ended"][:16] not in (box.locator("time").nth(1).get_attribute("datetime") or ""):
        yield f"the page does not say when it ended: {text!r}"
    mib = (last["memory_peak_bytes"] or 0) / 2**20
    sizes = [float(number) for number in re.findall(r"([\d.]+)\s*MiB", text)]
    if not any(abs(size - mib) < 1.5 for size in sizes):
        yield f"the page does not say {mib:.0f} MiB: {text!r}"
