"""All figures of one size on a simulated hub: refresh, scrape, memory."""

import contextlib
import time

from exporters import Copy, Ours, count_series, in_turn, mean_cost, sides
from hubs import Change, Simulated
from program import Unfinished
from report import CPU_20TH, TWICE_WALL, WALL_20TH, Samples, memory_table, say, seconds

REFRESH_UNCHANGED = "refresh, nothing changed"
REFRESH_CHANGED = "refresh, one change"
FIRST = "scrape, first after a change"
LATER = "scrape, later"
FIRST_GZIP = "scrape, first after a change, gzip"
LATER_GZIP = "scrape, later, gzip"

GROUPS_PER_USER = 3  # on average

PEER_TARGETS = {
    REFRESH_UNCHANGED: CPU_20TH,
    REFRESH_CHANGED: CPU_20TH,
    FIRST: WALL_20TH,
    LATER: WALL_20TH,
}
COPY_TARGETS = {LATER: TWICE_WALL}


def measure(arguments, folder, memberships):
    say(f"{memberships:,} memberships on a simulated hub")
    size = Size(arguments, folder / str(memberships), memberships)
    size.folder.mkdir()
    empty = size.measure_empty()
    return size.measure_full(empty)


class Size:
    def __init__(self, arguments, folder, memberships):
        self.arguments, self.folder, self.memberships = arguments, folder, memberships
        self.users = -(-memberships // GROUPS_PER_USER)
        self.interval = max(arguments.interval, memberships // 12_500)
        self.samples, self.series, self.memory, self.notes = Samples(), {}, {}, []

    def measure_empty(self):
        """Memory of each side by name after it has seen a hub of one user in no group: one series."""
        folder = self.folder / "empty"
        folder.mkdir()
        memory = {}
        with Simulated(self.arguments.ours, 1, 1, 0, folder) as hub:
            for kind, command in sides(self.arguments):
                with kind(command, hub, self.interval, folder) as exporter:
                    exporter.finish_refresh(self.arguments.limit)
                    memory[exporter.name] = exporter.memory()
        return memory

    def measure_full(self, empty):
        with contextlib.ExitStack() as stack:
            hub = stack.enter_context(self.start_hub())
            exporters = self.warm_up(hub, stack)
            copy = stack.enter_context(Copy(self.body_path(), self.folder))
            self.measure_pairs(hub, exporters, copy)
            for exporter in exporters:
                self.memory[exporter.name] = exporter.memory()
        return self.text(empty)

    def start_hub(self):
        return Simulated(self.arguments.ours, self.users, self.arguments.groups, GROUPS_PER_USER, self.folder)

    def body_path(self):
        return self.folder / "body.txt"

    def warm_up(self, hub, stack):
        """Starts the sides one after the other; gives those that finish a first refresh, asleep."""
        exporters = []
        for kind, command in sides(self.arguments):
            exporters.append(stack.enter_context(kind(command, hub, self.interval, self.folder)))
            self.attempt(exporters, exporters[-1], self.warm_up_one)
        return exporters

    def attempt(self, exporters, exporter, measure):
        """Goes on without the peer if it does not get done; never without ours."""
        try:
            measure(exporter)
        except Unfinished as reason:
            if exporter.name == Ours.name:
                raise
            self.leave_out(exporters, exporter, str(reason))

    def leave_out(self, exporters, exporter, reason):
        exporters.remove(exporter)
        note = f"{exporter.name} left out: {reason}"
        if exporter.is_alive():
            note += f". It had used {seconds(exporter.cpu_seconds())} of CPU by then"
            if exporter.name in self.series:
                self.memory[exporter.name] = exporter.memory()
        say(f"  {note}")
        self.notes.append(note)
        exporter.stop()

    def warm_up_one(self, exporter):
        refresh = exporter.finish_refresh(self.limit_of(exporter))
        body = bytes(refresh.first_scrape.body)
        self.series[exporter.name] = count_series(body)
        if exporter.name == Ours.name:
            self.body_path().write_bytes(body)
        exporter.rest()
        say(f"  {exporter.name}: first refresh {refresh.cost}, {self.series[exporter.name]:,} series")

    def limit_of(self, exporter):
        return self.arguments.limit if exporter.name == Ours.name else self.arguments.peer_limit

    def measure_pairs(self, hub, exporters, copy):
        change, start = Change(hub), time.monotonic()
        for pair in range(self.arguments.pairs):
            if len(exporters) > 1 and time.monotonic() > start + self.arguments.peer_limit:
                reason = f"{pair} pairs took {time.monotonic() - start:.0f} s"
                self.leave_out(exporters, exporters[-1], reason)
            say(f"  pair {pair + 1}")
            for exporter in in_turn(exporters, pair):
                self.attempt(exporters, exporter, self.measure_unchanged)
            change.make()
            for exporter in in_turn(exporters, pair):
                self.attempt(exporters, exporter, lambda exporter: self.measure_changed(exporter, change))
            self.samples.add(LATER, "copy", mean_cost(copy.scrape))

    def measure_unchanged(self, exporter):
        self.samples.add(REFRESH_UNCHANGED, exporter.name, exporter.refresh(self.limit_of(exporter)).cost)
        exporter.rest()

    def measure_changed(self, exporter, change):
        def add(figure, cost):
            self.samples.add(figure, exporter.name, cost)

        refresh = exporter.refresh(self.limit_of(exporter))
        change.check(exporter, refresh.first_scrape.body)
        add(REFRESH_CHANGED, refresh.cost)
        add(FIRST, refresh.first_scrape.cost)
        if exporter.name == Ours.name:  # the peer has no gzip
            add(FIRST_GZIP, exporter.scrape("gzip").cost)
            add(LATER_GZIP, mean_cost(lambda: exporter.scrape("gzip")))
        add(LATER, mean_cost(exporter.scrape))
        exporter.rest()
        if exporter.overruns:
            self.notes.append(f"{exporter.name}: a refresh may have begun while it was being scraped")
            exporter.overruns = 0

    def text(self, empty):
        series = ", ".join(f"{name} {count:,}" for name, count in self.series.items())
        return "\n".join(
            [
                f"## {self.memberships:,} memberships: {self.users:,} users, {self.arguments.groups} groups\n",
                f"Series of `jupyterhub_user_group_info`: {series}. Simulated hub.\n",
                self.samples.table("peer", [REFRESH_UNCHANGED, REFRESH_CHANGED, FIRST, LATER], PEER_TARGETS),
                "gzip, of ours only, beside the peer's plain scrape:\n",
                self.samples.table("peer", [FIRST_GZIP, LATER_GZIP], {}, {FIRST_GZIP: FIRST, LATER_GZIP: LATER}),
                "Beside a server that only sends the same bytes from memory:\n",
                self.samples.table("copy", [LATER], COPY_TARGETS),
                memory_table(empty, self.memory),
                *(f"- {note}\n" for note in self.notes),
            ]
        )
