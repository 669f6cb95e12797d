"""The pages in a real browser, at a real hub.

    python browser < told.json

`told.json` says where the hub is, who is who there, which names are planted for whom, and which modules' checks are
to run; `web_browser.rs` writes it. One line for each check; exit code 1 if any of them finds something wrong.
"""

import json
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

import attack  # noqa: F401
import bad_input  # noqa: F401
import demo  # noqa: F401
import roles  # noqa: F401
import server_life
import walk  # noqa: F401
from checks import CHECKS, World
from chromium import start
from looks import Looks
from playwright.sync_api import sync_playwright


# Lines of one check.
MOST = 40


def main():
    told = json.load(sys.stdin)
    is_good = True
    with sync_playwright() as playwright:
        browser = start(playwright, told["tools"])
        looks = Looks(told["screenshots"], Path(told["tools"]) / "browser/axe/axe.min.js")
        world = World(told, browser, looks)
        if told["people"]:
            server_life.start_servers(world)
        wanted = [name for name, check in CHECKS.items() if check.__module__ in told["modules"]]
        for name in sorted(wanted, key=lambda name: CHECKS[name].order):
            begin = time.monotonic()
            try:
                wrong = list(CHECKS[name](world))
            # Whatever it is, the other checks are to run.
            except Exception as error:
                wrong = [f"{type(error).__name__}: {str(error).strip()[:1000]}"]
            took = f"{time.monotonic() - begin:.1f} s"
            is_good = is_good and not wrong
            print(f"{name}: {'WRONG' if wrong else 'ok'} {took}", flush=True)
            # The rest is more of the same.
            for line in wrong[:MOST]:
                print(f"  {line}", flush=True)
        browser.close()
    sys.exit(0 if is_good else 1)


main()
