"""What bad input gets: a proper page with a proper status."""

from urllib.parse import quote

from checks import check, found_in
from chromium import person

EVIL_USER = "<script>alert(1)</script>"
LOST_USER = "../../x"
EVIL_GROUP = "';--"


def is_proper(shown, *statuses):
    """What is wrong with a page that says what went wrong."""
    if shown.status not in statuses:
        yield f"{shown.url[:200]} answers {shown.status} in place of {statuses}"
    if not shown.headers.get("content-type", "").startswith("text/html"):
        yield f"{shown.url[:200]} is {shown.headers.get('content-type')}"
        return
    if not shown.page.locator("h1").count():
        yield f"{shown.url[:200]} has no heading"
    policy = shown.headers.get("content-security-policy", "")
    if "sandbox" not in policy or "allow-same-origin" in policy or "default-src 'none'" not in policy:
        yield f"{shown.url[:200]} has the policy {policy!r}"
    if "no-store" not in shown.headers.get("cache-control", ""):
        yield f"{shown.url[:200]} may be kept: {shown.headers.get('cache-control')!r}"


@check(60)
def names_are_only_names(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        for name in (EVIL_USER, LOST_USER, "..", "no-such-user", "\u202eadmin", "a" * 300):
            shown = admin.open(f"users/one?name={quoted(name)}", expects=(200, 400, 404))
            known = name in (EVIL_USER, LOST_USER)
            yield from is_proper(shown, *((200,) if known else (200, 400, 404)))
            if known and name not in shown.page.locator("main").inner_text():
                yield f"{name} is not on their page"
        for name in (EVIL_GROUP, "no-such-group", "a\0b", "%"):
            shown = admin.open(f"groups/one?name={quoted(name)}", expects=(200, 400, 404))
            yield from is_proper(shown, *((200,) if name == EVIL_GROUP else (200, 400, 404)))
        for path in ("groups", "users", "sessions", f"reports/sessions?user={quoted(EVIL_USER)}", "reports/last-activity"):
            shown = admin.open(path)
            yield from is_proper(shown, 200)
            if shown.page.locator("main script").count():
                yield f"{path} has a script in it"
        yield from admin.take_problems()


def quoted(text):
    return quote(text, safe="")


@check(61)
def long_and_broken_addresses_get_pages(world):
    with person(world.browser, world.told) as admin:
        admin.log_in(world.people["admin"])
        long = "x" * 10_000
        for path in (
            f"?from={long}", f"groups?{long}", f"users?search={long}", f"reports/groups?group={long}",
            f"me?{'a=b&' * 2500}", "reports/no-such-report", "reports/..%2f..%2fetc%2fpasswd", "no-such-page",
            "reports/groups?from=2026-13-45", "reports/groups?from=%FF%FE", "activity?to=yesterday-ish",
            "users?page=-1", "users?page=99999999999999999999", "shared/no-such-link", "shared/" + "A" * 3000,
        ):
            shown = admin.open(path, expects=(200, 400, 404, 410, 414, 431))
            yield from (f"{it}" for it in is_proper(shown, 200, 400, 404, 410, 414, 431))
        yield from admin.take_problems()


@check(62)
def forged_logins_are_none(world):
    with person(world.browser, world.told) as someone:
        someone.log_in(world.people["user"])
        for query in ("", "?code=x", "?state=x", "?code=x&state=y", f"?code={'x' * 10_000}&state=y", "?error=access_denied"):
            shown = someone.open(f"oauth_callback{query}", expects=(400,))
            yield from is_proper(shown, 400)
        # A state that was begun, with a code that the hub never gave.
        someone.page.goto(someone.address("login"))
        someone.open("me")
        names = [cookie["name"] for cookie in someone.context.cookies() if cookie["name"].startswith("insights-")]
        if len(names) != 1:
            yield f"cookies of ours: {names}"
        kept = next(cookie for cookie in someone.context.cookies() if cookie["name"] == names[0])
        if not kept["httpOnly"] or kept["sameSite"] != "Lax" or not world.told["service"].endswith(kept["path"]):
            yield f"the cookie is {kept}"
        for value in ("", "made-up", kept["value"][:-1], "x" * 4000):
            someone.context.clear_cookies()
            someone.context.add_cookies([{**kept, "value": value}] if value else [])
            someone.page.goto(someone.address("me"))
            if not someone.page.locator("input[name=password]").count():
                yield f"a forged cookie leads to {someone.page.url}"
        # Of another hub at the same host, beside ours.
        someone.context.clear_cookies()
        someone.log_in(world.people["user"])
        someone.open("me")
        other = {**kept, "name": "insights-00000000", "value": "another-hub"}
        twice = {**kept, "value": "another-hub", "path": "/"}
        someone.context.add_cookies([other, twice])
        if someone.open("me").url != someone.address("me"):
            yield f"with the cookies of two hubs there is {someone.page.url}"
        yield from someone.take_problems()


@check(70)
def a_share_link_ends_when_it_is_revoked(world):
    hidden = world.words_hidden_from("link")
    with person(world.browser, world.told) as admin, person(world.browser, world.told) as guest:
        admin.log_in(world.people["admin"])
        page = admin.open("shares").page
        page.get_by_role("button", name="Make the link").click()
        page.wait_for_selector("input[data-copy]")
        world.looks.picture(page, "shares made")
        link = page.locator("input[data-copy]").input_value()
        link = link if link.startswith("http") else world.told["hub"].rstrip("/") + link
        shown = guest.open_url(link)
        yield from is_proper(shown, 200)
        if shown.headers.get("referrer-policy") != "no-referrer":
            yield f"the link may be told on: {shown.headers.get('referrer-policy')!r}"
        seen = found_in(shown.text, hidden)
        if seen:
            yield f"behind the link stands {', '.join(seen)}"
        world.looks.picture(guest.page, "shared")
        yield from world.looks.serious(guest.page)
        yield from guest.take_problems()
        admin.open("shares")
        # It asks once more, on the button itself.
        revoke = page.locator("form[data-confirm] button").first
        revoke.click()
        with page.expect_navigation():
            revoke.click()
        shown = guest.open_url(link, expects=(404, 410))
        yield from is_proper(shown, 404, 410)
        yield from guest.take_problems()
        yield from admin.take_problems()
