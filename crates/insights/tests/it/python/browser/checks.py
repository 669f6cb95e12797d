"""The list of checks, each of which gives what is wrong, and what they share."""

import json
import urllib.error
import urllib.request

CHECKS = {}

# On a busy machine seconds of work take many more.
PATIENCE_SECONDS = 180


def check(order):
    """Has it run at this place, under its name."""

    def add(function):
        function.order = order
        CHECKS[function.__name__.replace("_", " ")] = function
        return function

    return add


class World:
    """The hub, its people, and what the checks share."""

    def __init__(self, told, browser, looks):
        self.told = told
        self.browser = browser
        self.looks = looks
        self.people = told["people"]
        self.groups = told["groups"]

    def words_hidden_from(self, role):
        """Names that this one may not see."""
        return self.told["hidden"][role]

    def hub(self, method, path, body=None):
        """Asks the hub's API as an administrator."""
        return ask(f"{self.told['hub']}hub/api/{path}", method, self.told["token"], body)

    def api(self, path, token=None):
        """Asks our API as an administrator, or with another token."""
        return ask(f"{self.told['service']}api/v1/{path}", "GET", token or self.told["token"])

    def server_of(self, user, path=""):
        """What the server of somebody answers."""
        return ask(f"{self.told['hub']}user/{user}/{path}", "GET", None)


def ask(url, method, token, body=None):
    """The JSON of an answer."""
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    # Nothing of this leaves the machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE_SECONDS) as reply:
            text = reply.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.code} {error.read()[:300]}") from None
    return json.loads(text) if text.strip() else None


def found_in(text, words):
    """Which of the words it holds, also as addresses and pages write them."""
    return [word for word in words if word in text]

