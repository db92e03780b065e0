"""Show what was measured, and how the statements find their rows."""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scale_data import Loaded, Size
from scale_plans import Plan
from scale_subjects import Subject, information


@dataclass(frozen=True, slots=True)
class Pair:
    """What one kind of request took in both databases; seconds."""

    subject: Subject
    small: Sequence[float]
    large: Sequence[float]
    body_bytes: int
    """The median in the large database."""

    @property
    def ratio(self) -> float:
        """How many times as long it takes in the large database."""
        return statistics.median(self.large) / statistics.median(self.small)

    @property
    def verdict(self) -> str:
        """Whether that is within the bound."""
        if self.subject.bound is None:
            return ""
        return "met" if self.ratio <= self.subject.bound else "MISSED"


def print_loaded(name: str, size: Size, loaded: Loaded) -> None:
    """Say what is in a database."""
    rows = ", ".join(f"{count:,} {table}" for table, count in loaded.rows.items() if count > 0)
    print(
        f"{name}: {size.total:,} configurations loaded in {loaded.seconds:.0f} s, "
        f"{loaded.bytes / 1e6:,.0f} MB: {rows}",
        flush=True,
    )


def print_facts(options: argparse.Namespace) -> None:
    """Say what the numbers depend on."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}; {options.rounds} rounds of {options.requests} requests",
        flush=True,
    )


def print_table(pairs: Sequence[Pair]) -> None:
    """Print medians and what is only seldom exceeded, in milliseconds."""
    print(
        f"\n{'':37} {'small':>15} {'large':>15}\n"
        f"{'milliseconds':30} {'bytes':>6} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7} "
        f"{'ratio':>6} {'bound':>6}"
    )
    for pair in pairs:
        subject = pair.subject
        figures = " ".join(
            f"{figure * 1000:7.2f}"
            for times in (pair.small, pair.large)
            for figure in (statistics.median(times), statistics.quantiles(times, n=100)[98])
        )
        bound = "" if subject.bound is None else f"{subject.bound:.1f}"
        print(
            f"{subject.name:30.30} {pair.body_bytes:6} {figures} {pair.ratio:6.2f} {bound:>6} "
            f"{pair.verdict}".rstrip(),
            flush=True,
        )


def print_plans(plans: Sequence[Plan], scans: Mapping[str, int], rows: Mapping[str, int]) -> bool:
    """Print how the large database finds what is asked for; return whether that is all right."""
    statements = {plan.statement for plan in plans if not plan.is_generic}
    print(f"\n{len(statements)} statements, {len(plans)} plans; how they find rows:")
    known = {s.name for s in information() if s.scans}
    all_right = True
    for name in dict.fromkeys(plan.subject for plan in plans):
        mine = [plan for plan in plans if plan.subject == name]
        found = {table for plan in mine for table in plan.scanned(rows)}
        indexes = sorted({index for plan in mine for index in plan.indexes()})
        print(f"  {name:30.30} {', '.join(indexes)}")
        if found and name in known:
            print(f"  {'':30} reads all of {', '.join(sorted(found))}, as it is known to")
        elif found:
            all_right = False
            for plan in mine:
                if plan.scanned(rows):
                    print_scan(plan, plan.scanned(rows))
    counted = {table: count for table, count in scans.items() if count}
    if counted:
        all_right = False
        print(f"SEQUENTIAL SCANS were counted: {counted}", file=sys.stderr)
    print("Large tables that are read as a whole:", "none" if all_right else "SOME, see above")
    return all_right


def print_scan(plan: Plan, tables: Sequence[str]) -> None:
    """Show a plan that reads a large table as a whole."""
    kind = "for any parameters" if plan.is_generic else "with its parameters"
    print(
        f"SEQUENTIAL SCAN of {', '.join(tables)} by {plan.subject!r}, planned {kind}:\n"
        f"{plan.statement}\n{json.dumps(plan.tree, indent=2)}",
        file=sys.stderr,
    )
