"""What one refresh costs a real JupyterHub: the first after the hub's start, and later ones.

First ones are measured with an exporter that starts with the hub, as a service which the hub manages does, and with
one that ran on while the hub was restarted. Later ones are measured twice, since the hub's memory decides: what it has
read of a group it keeps for as long as it holds one of the group's users, else until Python's next garbage collection;
and it holds the users whom it has served since its start. So there is a hub that nobody has used yet, and one in use.

For the same reason each side has a hub of its own here: reading much, as one side does, sets off a collection.
"""

import contextlib
import shutil

from exporters import count_series, in_turn, sides
from hubs import RealHub, make_database
from report import CPU_10TH, CPU_20TH, Samples, say

HUB_BOTH_NEW = "hub, first refresh after both started"
HUB_RESTARTED = "hub, first refresh after its restart"
HUB_UNUSED = "hub, later refreshes, nobody uses it"
HUB_IN_USE = "hub, later refreshes, in use"
EXPORTER = "the exporter itself, hub in use"
TARGETS = {
    HUB_BOTH_NEW: CPU_10TH,
    HUB_RESTARTED: CPU_10TH,
    HUB_UNUSED: CPU_10TH,
    HUB_IN_USE: CPU_10TH,
    EXPORTER: CPU_20TH,
}

LEAST_INTERVAL = 30  # seconds, so that ours reads the list of all users within its first round


def measure(arguments, folder):
    cost = HubCost(arguments, folder / "real")
    say("real hub: making its database")
    memberships = cost.make_databases()
    cost.measure_both_new()
    cost.measure_running()
    return cost.text(memberships)


class HubCost:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.samples, self.series = Samples(), {}

    def make_databases(self):
        """One for each side; gives the number of memberships."""
        kinds = [kind for kind, _ in sides(self.arguments)]
        for kind in kinds:
            self.folder_of(kind).mkdir(parents=True)
        first, *others = kinds
        database = self.folder_of(first) / "jupyterhub.sqlite"
        memberships = make_database(self.arguments.jupyterhub, database, self.arguments.users, self.arguments.groups)
        with self.start_hub(first):
            pass  # the very first start writes into the database
        for kind in others:
            shutil.copy(database, self.folder_of(kind))
        return memberships

    def folder_of(self, kind):
        return self.folder / kind.name

    def start_hub(self, kind):
        return RealHub(self.arguments.jupyterhub, self.arguments.proxy, self.folder_of(kind))

    def start_exporter(self, kind, command, hub):
        return kind(command, hub, max(self.arguments.interval, LEAST_INTERVAL), self.folder_of(kind))

    def measure_both_new(self):
        for pair in range(self.arguments.pairs):
            say(f"  {HUB_BOTH_NEW}, pair {pair + 1}")
            for kind, command in in_turn(sides(self.arguments), pair):
                with self.start_hub(kind) as hub, self.start_exporter(kind, command, hub) as exporter:
                    refresh = exporter.finish_refresh(self.arguments.limit)
                    self.samples.add(HUB_BOTH_NEW, exporter.name, refresh.hub_cost)

    def measure_running(self):
        with contextlib.ExitStack() as stack:
            exporters = [self.warm_up(kind, command, stack) for kind, command in sides(self.arguments)]
            self.measure_restarts(exporters)
            self.measure_turns(exporters, HUB_UNUSED)
            for exporter in exporters:
                exporter.hub.serve_users(self.arguments.seen_users)
                self.refresh(exporter)
            self.measure_turns(exporters, HUB_IN_USE, EXPORTER)

    def warm_up(self, kind, command, stack):
        hub = stack.enter_context(self.start_hub(kind))
        exporter = stack.enter_context(self.start_exporter(kind, command, hub))
        refresh = exporter.finish_refresh(self.arguments.limit)
        self.series[exporter.name] = count_series(refresh.first_scrape.body)
        exporter.rest()
        return exporter

    def measure_restarts(self, exporters):
        for pair in range(self.arguments.pairs):
            say(f"  {HUB_RESTARTED}, pair {pair + 1}")
            for exporter in in_turn(exporters, pair):
                exporter.hub.restart()
                self.samples.add(HUB_RESTARTED, exporter.name, self.refresh(exporter).hub_cost)

    def measure_turns(self, exporters, hub_figure, exporter_figure=None):
        for pair in range(self.arguments.pairs):
            say(f"  {hub_figure}, pair {pair + 1}")
            for exporter in in_turn(exporters, pair):
                refresh = self.refresh(exporter)
                self.samples.add(hub_figure, exporter.name, refresh.hub_cost)
                if exporter_figure:
                    self.samples.add(exporter_figure, exporter.name, refresh.cost)

    def refresh(self, exporter):
        refresh = exporter.refresh(self.arguments.limit)
        exporter.rest()
        return refresh

    def text(self, memberships):
        users, groups = self.arguments.users, self.arguments.groups
        series = ", ".join(f"{name} {count:,}" for name, count in self.series.items())
        return "\n".join(
            [
                f"## A real JupyterHub: {users:,} users, {groups} groups, {memberships:,} memberships\n",
                f"Series of `jupyterhub_user_group_info`: {series}. The hub's CPU is less what it uses when idle; wall "
                f"is the whole refresh. In use: {self.arguments.seen_users:,} users were served since its start.\n",
                self.samples.table("peer", list(TARGETS), TARGETS),
            ]
        )
