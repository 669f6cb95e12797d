"""The two sides, started alike, and what one refresh and one scrape of them cost."""

import contextlib
import dataclasses
import re
import socket
import statistics
import sys
import time

from hubs import HERE, clean_environment, free_port
from program import Cost, Program, Unfinished, wait_until_still
from scrape import Buffer, Scrape, ScrapeFailed, scrape

PREFIX = "/services/groups-exporter/"
SERIES = b"\njupyterhub_user_group_info{"
POLLED = ("groups", "users", "servers")  # what ours reads in each refresh
AN_AGE = 86_400  # interval of everything but the membership: not in a run's time
PROBE_PAUSE_SECONDS = 1
LATER_SCRAPES = 5
LATER_SCRAPES_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Refresh:
    cost: Cost
    hub_cost: Cost
    first_scrape: Scrape


class Exporter(Program):
    """One side. It is asleep but for the time between the start of a refresh and `rest`."""

    overruns = 0  # rests that came too late

    def __init__(self, command, hub, interval, folder):
        self.hub, self.interval, self.port = hub, interval, free_port()
        self.buffer = Buffer()
        self.mark(hub_cpu=hub.own_cpu_seconds(), cpu=0.0)
        super().__init__(self.name, [*command, *self.flags()], folder, clean_environment())

    def flags(self):
        """What both exporters understand, in words of the Python one."""
        options = {
            "--hub_url": self.hub.url,
            "--hub_api_token": self.hub.tokens[self.name],
            "--hub_service_prefix": PREFIX,
            "--jupyterhub_namespace": "bench",
            "--update_info_interval": self.interval,
            "--update_metrics_interval": AN_AGE,
            "--update_dirsize_interval": AN_AGE,
            "--prometheus_host": "127.0.0.1",
            "--prometheus_port": 9,
        }
        return [str(word) for option in options.items() for word in option]

    def mark(self, hub_cpu, cpu):
        """From here on the costs of a refresh are counted."""
        self.marked_at, self.marked_hub_cpu, self.marked_cpu = time.monotonic(), hub_cpu, cpu

    def refresh(self, limit):
        """Wakes the exporter when its next refresh is due, and sees that through."""
        time.sleep(max(0.0, self.latest_start() + 0.3 - time.monotonic()))
        self.clear_log()
        self.mark(self.hub.own_cpu_seconds(), self.cpu_seconds())
        self.wake()
        return self.finish_refresh(limit)

    def finish_refresh(self, limit):
        """Waits until the refresh which began at the mark is over, and proves by a scrape that there was one."""
        deadline = time.monotonic() + limit
        scraping_seconds, began = 0.0, None
        while time.monotonic() < deadline:
            self.work_began, self.work_ended = wait_until_still([self, self.hub], deadline)
            began = began or (self.work_began if self.work_ended > self.work_began else None)
            cpu = self.cpu_seconds() - self.marked_cpu - scraping_seconds
            hub_cpu = self.hub_cpu_since_mark()
            with contextlib.suppress(ScrapeFailed):
                reply = self.scrape()
                if self.has_refreshed(reply.body):
                    wall = self.work_ended - (began or self.work_began)
                    return Refresh(Cost(cpu, wall), Cost(hub_cpu, wall), reply)
                scraping_seconds += reply.cost.cpu_seconds
            time.sleep(PROBE_PAUSE_SECONDS)
        raise Unfinished(f"{self.name} showed no refresh within {limit:.0f} s")

    def hub_cpu_since_mark(self):
        idle = self.hub.idle_share * (time.monotonic() - self.marked_at)
        return self.hub.own_cpu_seconds() - self.marked_hub_cpu - idle

    def has_refreshed(self, body):
        """Whether the metrics or the log tell of a refresh since the last time this was true."""
        raise NotImplementedError

    def scrape(self, encoding="identity"):
        return scrape(self, self.port, PREFIX, self.buffer, encoding)

    def rest(self):
        """Puts the exporter to sleep. If its next refresh may have begun by now, it is in what was last measured."""
        self.sleep()
        self.overruns += time.monotonic() > self.earliest_start()

    def earliest_start(self):
        """When the next refresh begins at the earliest."""
        return self.work_ended + self.interval

    def latest_start(self):
        """When the next refresh begins at the latest."""
        return self.work_ended + self.interval


class Ours(Exporter):
    name = "ours"

    def __init__(self, *arguments):
        self.polls = dict.fromkeys(POLLED, 0.0)
        super().__init__(*arguments)

    def flags(self):
        return [*super().flags(), "--set", f"metrics.listen=127.0.0.1:{self.port}"]

    def has_refreshed(self, body):
        """Each of its reads has been done once more: the last one ends a refresh."""
        polls = polls_done(body)
        if all(polls.get(data, 0.0) > done for data, done in self.polls.items()):
            self.polls = polls
            return True
        return False

    def earliest_start(self):
        return self.work_began + 0.95 * self.interval

    def latest_start(self):
        """It rests at most ten times as long as its last refresh took, give or take five in a hundred."""
        return self.work_ended + 1.05 * max(self.interval, 10 * (self.work_ended - self.work_began))


class Peer(Exporter):
    name = "peer"

    def flags(self):
        return [*super().flags(), "--port", str(self.port)]

    def has_refreshed(self, body):
        log = self.log()
        if failure := re.search(rb"Error fetching data.*", log):
            raise Unfinished(f"peer: {failure[0].decode(errors='replace')}")
        return re.search(rb"Updating \d+ groups and \d+ users", log) is not None


def sides(arguments):
    """The kinds to compare, each with the command that its flags are added to."""
    yield Ours, [str(arguments.ours), "serve", "--compat"]
    if arguments.peer:
        yield Peer, arguments.peer


def in_turn(both, pair):
    """The sides in this order or the other, changing with each pair."""
    return list(both)[:: -1 if pair % 2 else 1]


def polls_done(body):
    """The values of `jupyterhub_insights_polls_total{result="ok"}` by `data`."""
    return {
        data[1].decode(): float(value)
        for labels, value in re.findall(rb"^jupyterhub_insights_polls_total\{([^}\n]*)\} (\S+)", body, re.MULTILINE)
        if b'result="ok"' in labels and (data := re.search(rb'data="([^"]*)"', labels))
    }


def mean_cost(scrape_once):
    """The mean cost of a few scrapes in a row."""
    costs, start = [], time.monotonic()
    while not costs or (len(costs) < LATER_SCRAPES and time.monotonic() < start + LATER_SCRAPES_SECONDS):
        costs.append(scrape_once().cost)
    return Cost(
        statistics.fmean(cost.cpu_seconds for cost in costs), statistics.fmean(cost.wall_seconds for cost in costs)
    )


def count_series(body):
    return bytes(body).count(SERIES)


class Copy(Program):
    """A server that only sends the same bytes, for what a scrape costs at the very least."""

    def __init__(self, path, folder):
        self.port, self.buffer = free_port(), Buffer()
        super().__init__("copy", [sys.executable, "-B", str(HERE / "scrape.py"), str(path), str(self.port)], folder)
        self.wait_for_listener()

    def wait_for_listener(self):
        for _ in range(100):
            self.check_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                while connection.recv(1 << 20):
                    pass
                return
            time.sleep(0.05)
        raise Unfinished("the copying server does not listen")

    def scrape(self):
        return scrape(self, self.port, "/", self.buffer)
