"""Compares the group membership exporter with another one in one run: CPU, time, memory, and what they cost the hub.

Both sides are started with the same flags against the same hub, and take turns: while one is measured, the other is
stopped (SIGSTOP), so that each has the machine and the hub to itself. After a warm-up, every figure is measured in
pairs; the figure is the median of the pairs' ratios, given with its range.

Measured, for each size on a simulated hub (`--hub sim`):
  * one refresh of the whole membership, of an unchanged hub and after one user joined or left one group: from waking
    a side whose interval has passed until neither it nor the hub has anything left to do
  * a scrape, the first after a change and later ones, plain and gzip; and merely copying the same bytes
  * resident memory with no series and with all
and on a real JupyterHub (`--hub real`): the CPU which one refresh costs the hub (and the exporter), for the first
refresh after a hub start and for later ones, of a hub that nobody uses and of one in use.

Not measured: usage metrics (memory, CPU, home directories), TLS, the network between machines, several scrapers at
once, hubs on PostgreSQL, and whatever a service does between refreshes and scrapes. CPU spent by the kernel outside
any process (network interrupts) is in nobody's figure.
"""

import argparse
import os
import pathlib
import platform
import shlex
import signal
import sys
import tempfile
import time

import hub_cost
import sizes


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that everything started is stopped
    sections = [heading(arguments)]
    try:
        with tempfile.TemporaryDirectory(prefix="exporter-bench-") as folder:
            for section in measure(arguments, pathlib.Path(folder)):
                sections.append(section)
    finally:  # hours of measuring are not lost with what went wrong at the end
        report = "\n".join(sections)
        print(report)
        if arguments.output:
            arguments.output.write_text(report)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: exporter.py --ours target/debug/jupyterhub-insights --peer 'python -m their_exporter'",
    )
    add = parser.add_argument
    add("--ours", type=pathlib.Path, required=True, metavar="PATH", help="the jupyterhub-insights binary")
    add("--peer", type=shlex.split, metavar="COMMAND", help="the other exporter; without it only ours is measured")
    add("--hub", nargs="+", choices=["sim", "real"], default=["sim"], help="which hubs to measure on (default: sim)")
    add("--memberships", nargs="+", type=int, default=[10_000, 100_000, 1_000_000], metavar="N", help="simulated hub")
    add("--users", type=int, default=10_000, metavar="N", help="real hub")
    add("--seen-users", type=int, default=500, metavar="N", help="real hub: users it served since its start")
    add("--groups", type=int, default=200, metavar="N", help="either hub")
    add("--pairs", type=int, default=9, metavar="N")
    add("--interval", type=int, default=5, metavar="SECONDS", help="of the exporters; longer for large sizes")
    add("--limit", type=float, default=600, metavar="SECONDS", help="longest that one refresh may take")
    add("--peer-limit", type=float, default=1800, metavar="SECONDS", help="after this a size goes on without the peer")
    add("--jupyterhub", type=pathlib.Path, metavar="PATH", help="real hub: `jupyterhub`, with its Python beside it")
    add("--proxy", type=pathlib.Path, metavar="PATH", help="real hub: `configurable-http-proxy`")
    add("--output", type=pathlib.Path, metavar="FILE", help="also write the tables here")
    arguments = parser.parse_args()
    arguments.ours = arguments.ours.resolve()
    if "real" in arguments.hub and not (arguments.jupyterhub and arguments.proxy):
        parser.error("--hub real needs --jupyterhub and --proxy")
    return arguments


def heading(arguments):
    return (
        f"# Membership exporter, measured {time.strftime('%Y-%m-%d')}\n\n"
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}. Up to {arguments.pairs} pairs after a "
        "warm-up, the sides in turn. Costs are medians; ratios are the median of the pairs' ratios ours / other, with "
        "their range.\n"
    )


def measure(arguments, folder):
    if "sim" in arguments.hub:
        for memberships in arguments.memberships:
            yield sizes.measure(arguments, folder, memberships)
    if "real" in arguments.hub:
        yield hub_cost.measure(arguments, folder)


if __name__ == "__main__":
    sys.exit(main())
