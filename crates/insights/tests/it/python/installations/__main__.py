"""The pages at a hub as a site runs it, in a real browser.

    python installations < told.json

`told.json` says where the hub is and at which addresses, who is who there, what stands in front of it, and which checks
are to run; `web_installations.rs` writes it. Gives a JSON object: of each check, what is wrong.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parent.parent / "browser"))

import front
import hub_pages
import visits
from chromium import start
from playwright.sync_api import sync_playwright

CHECKS = {
    "visit": visits.somebody_sees_their_page,
    "stranger": visits.a_stranger_gets_the_hubs_refusal,
    "admin": visits.an_admin_reaches_every_page,
    "refused": visits.nobody_is_shown_a_page,
    "home": hub_pages.the_home_page_leads_to_me,
    "stop": hub_pages.a_stopped_server_is_told_of,
}


class World:
    """The hub, its people, and a browser."""

    def __init__(self, told, browser):
        self.told = told
        self.people = told["people"]
        self.browser = browser


def main():
    told = json.load(sys.stdin)
    os.environ["HOME"] = told["home"]
    answer = {}
    with contextlib.ExitStack() as stack:
        for one in told["fronts"]:
            stack.enter_context(front.running(one))
        playwright = stack.enter_context(sync_playwright())
        browser = start(playwright, told["tools"], f"--host-resolver-rules={told['hosts']}")
        stack.callback(browser.close)
        world = World(told, browser)
        for asked in told["checks"]:
            place = asked["place"]
            name = f"{asked['check']} at {place['service']}"
            try:
                wrong = list(CHECKS[asked["check"]](world, place))
            # Whatever it is, the other checks are to run.
            except Exception as error:
                wrong = [f"{type(error).__name__}: {str(error).strip()[:1000]}"]
            answer[name] = wrong
    json.dump(answer, sys.stdout)


main()
