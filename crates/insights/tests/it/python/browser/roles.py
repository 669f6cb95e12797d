"""Who sees what."""

from checks import check, found_in
from chromium import person

# What a page answers to whom, by who it is for.
SEES = {
    "Admins": {"admin"},
    "Owners": {"admin", "owner", "configured"},
    "People": {"admin", "owner", "configured", "user"},
    "ScrapersAndPeople": {"admin", "owner", "configured", "user"},
}


def pages(world):
    """Addresses of all pages with who may open them; those of one thing with a thing that everybody but the
    administrator has to do without."""
    for page in world.told["pages"]:
        path = page["path"].replace("{name}", "active-users")
        if page["path"] in ("groups/one", "users/one"):
            continue
        yield path, SEES[page["who"]]


def walked(world, role):
    """Opens every page as this one; gives what is wrong."""
    wrong = []
    hidden = world.words_hidden_from(role)
    with person(world.browser, world.told) as someone:
        someone.log_in(world.people[role])
        for path, may in pages(world):
            expects = 200 if role in may else 403
            shown = someone.open(path, expects=(expects,))
            if shown.status != expects:
                wrong.append(f"{path or 'the first page'} answers {shown.status}")
            if not shown.page.locator("h1").count():
                wrong.append(f"{path or 'the first page'} has no heading")
            seen = found_in(shown.text, hidden)
            if seen:
                wrong.append(f"{path or 'the first page'} names {', '.join(seen)}")
        wrong += own_things(world, role, someone)
        wrong += someone.take_problems()
    return [f"{role}: {it}" for it in wrong]


def own_things(world, role, someone):
    """Pages of one group or person, and reports about them."""
    own, other = world.groups["own"], world.groups["other"]
    if role == "configured":
        own, other = other, own
    me, fellow = world.people[role], world.people["fellow"]
    is_owner = role in ("owner", "configured")
    asked = [
        (f"groups/one?name={own}", 200 if is_owner else 403),
        # Nobody is told which groups there are.
        (f"groups/one?name={other}", 404 if is_owner else 403),
        ("groups/one?name=no-such-group", 404 if is_owner else 403),
        (f"users/one?name={fellow}", 403),
        (f"users/one?name={me}", 403),
        (f"reports/active-users?group={own}", 200 if is_owner else 403),
        (f"reports/active-users?group={other}", 403),
        (f"reports/active-users?user={me}", 200),
        (f"reports/active-users?user={fellow}", 403),
    ]
    hidden = world.words_hidden_from(role)
    whom = {
        f"reports/active-users?user={me}": "About you",
        f"reports/active-users?group={own}": f"About members of {own}",
    }
    for path, expects in asked:
        shown = someone.open(path, expects=(expects,))
        if shown.status != expects:
            yield f"{path} answers {shown.status} in place of {expects}"
        elif expects == 200 and path in whom:
            for place in (".heading .intro", ".part .whom"):
                said = shown.page.locator(place).all_inner_texts()
                if [text.rstrip(".") for text in said] != [whom[path]]:
                    yield f"{path} says that it is about {said}, at {place}"
        # The address that was asked for may be on the page that refuses it.
        seen = [word for word in found_in(shown.text, hidden) if word not in path]
        if seen:
            yield f"{path} names {', '.join(seen)}"
    said = someone.open("me").page.locator(".part .whom").all_inner_texts()
    if len(said) < 5 or set(said) != {"About you"}:
        yield f"the own page says that it is about {said}"


@check(20)
def a_user_sees_themselves(world):
    return walked(world, "user")


@check(21)
def an_owner_sees_their_group(world):
    wrong = walked(world, "owner")
    with person(world.browser, world.told) as someone:
        someone.log_in(world.people["owner"])
        shown = someone.open(f"groups/one?name={world.groups['own']}")
        for name in (world.people["user"], world.people["fellow"]):
            if name not in shown.text:
                wrong.append(f"{name} is not on the page of their group")
        world.looks.picture(someone.page, "group of an owner")
    return wrong


@check(22)
def an_owner_by_configuration_sees_theirs(world):
    return walked(world, "configured")


@check(23)
def a_stranger_gets_the_hubs_refusal(world):
    with person(world.browser, world.told) as someone:
        someone.log_in(world.people["stranger"])
        for path, _ in pages(world):
            shown = someone.page.goto(someone.address(path))
            if shown.status != 403 or "/hub/" not in someone.page.url:
                yield f"{path}: {shown.status} at {someone.page.url}"
            seen = found_in(someone.page.content(), world.words_hidden_from("stranger"))
            if seen:
                yield f"{path} names {', '.join(seen)}"


@check(24)
def nobody_is_sent_to_the_hubs_login(world):
    with person(world.browser, world.told) as someone:
        for path, _ in pages(world):
            shown = someone.page.goto(someone.address(path))
            if shown.status != 200 or not someone.page.locator("input[name=password]").count():
                yield f"{path}: {shown.status} at {someone.page.url}"
