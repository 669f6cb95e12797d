"""Paired measurements and how they read: medians, ratios of pairs with their range, targets met or missed."""

import collections
import dataclasses
import statistics
import sys
import time

OURS = "ours"
MEMORY_LIMIT = 1 / 4


@dataclasses.dataclass(frozen=True)
class Target:
    """At most `limit` times the other side, by `measure`: `cpu_seconds` or `wall_seconds`."""

    text: str
    measure: str
    limit: float


CPU_20TH = Target("CPU ≤ 1/20", "cpu_seconds", 1 / 20)
CPU_10TH = Target("CPU ≤ 1/10", "cpu_seconds", 1 / 10)
WALL_20TH = Target("wall ≤ 1/20", "wall_seconds", 1 / 20)
TWICE_WALL = Target("wall ≤ 2", "wall_seconds", 2)


class Samples:
    """Costs by figure and side. The n-th cost of one side was measured right beside the n-th of the other."""

    def __init__(self):
        self.costs = collections.defaultdict(list)

    def add(self, figure, side, cost):
        self.costs[figure, side].append(cost)

    def table(self, other, figures, targets, other_figures=None):
        """Ours beside `other`, a line for each figure; `other_figures` names those of the other side that differ."""
        head = ["", "pairs", "ours CPU", f"{other} CPU", "CPU ratio", "ours wall", f"{other} wall", "wall ratio"]
        lines = [
            figure_line(
                figure,
                self.costs[figure, OURS],
                self.costs[(other_figures or {}).get(figure, figure), other],
                targets.get(figure),
            )
            for figure in figures
        ]
        return markdown([*head, "target", ""], lines)


def figure_line(figure, ours, other, target):
    line = [figure, str(min(len(ours), len(other)) or len(ours))]
    for measure in ("cpu_seconds", "wall_seconds"):
        mine, theirs = values(ours, measure), values(other, measure)
        line += [median_seconds(mine), median_seconds(theirs), spread(ratios(mine, theirs))]
    if target is None:
        return [*line, "", ""]
    found = ratios(values(ours, target.measure), values(other, target.measure))
    return [*line, target.text, verdict(found, target.limit)]


def memory_table(empty, full):
    """Resident and peak memory of both sides, by name, with one series and with all of them."""
    lines = []
    for when, memory in (("one series", empty), ("all series, after the run", full)):
        for what in ("resident_bytes", "peak_bytes"):
            sizes = [getattr(memory[name], what) if name in memory else None for name in (OURS, "peer")]
            found = ratios(sizes[:1], sizes[1:]) if all(sizes) else []
            limit = (["≤ 1/4", verdict(found, MEMORY_LIMIT)]) if memory is full else ["", ""]
            name = f"{what.removesuffix('_bytes')}, {when}"
            lines.append([name, *map(megabytes, sizes), factor(found[0]) if found else "–", *limit])
    return markdown(["memory", "ours", "peer", "ratio", "target", ""], lines)


def markdown(head, lines):
    rule = ["---"] * len(head)
    return "".join("| " + " | ".join(line) + " |\n" for line in [head, rule, *lines])


def values(costs, measure):
    return [getattr(cost, measure) for cost in costs]


def ratios(ours, other):
    return [mine / theirs for mine, theirs in zip(ours, other, strict=False) if mine > 0 and theirs > 0]


def verdict(found, limit):
    if not found:
        return "not measured"
    return "met" if statistics.median(found) <= limit else "**missed**"


def spread(found):
    if not found:
        return "–"
    return f"{factor(statistics.median(found))} ({factor(min(found))} – {factor(max(found))})"


def factor(ratio):
    """1/25 rather than 0.04, as the targets are written."""
    if ratio >= 1:
        return f"{ratio:.2f}"
    return f"1/{1 / ratio:,.0f}" if ratio <= 1 / 20 else f"1/{1 / ratio:.1f}"


def median_seconds(found):
    return seconds(statistics.median(found)) if found else "–"


def seconds(value):
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 0.001 else f"{value * 1e6:.0f} µs"


def megabytes(size):
    return f"{size / 1e6:.1f} MB" if size else "–"


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
