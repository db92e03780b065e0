"""Plans of the statements that requests really run, and whether one reads a large table whole.

Each kind of request is made to a server that explains its statements, once with PostgreSQL
planning for the parameters at hand, and once for any parameters, as it may from the sixth time
on that a prepared statement runs. What functions and triggers run can't be asked for;
PostgreSQL counts the sequential scans of each table, and those have to stay none.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.scale import explained
from benchmarks.scale.data import row_counts
from benchmarks.scale.inventory import Inventory, Session
from benchmarks.scale.subjects import Subject
from benchmarks.servers import BenchmarkError, Checkout, running_server

REPEATS: Final = 3
"""How often each kind of request is made for each kind of plan."""

SMALL_TABLE: Final = 1000
"""A table with at most so many rows may be read as a whole."""

QUIET_TIMEOUT: Final = 30.0
"""How long connections may take to go, in seconds."""

KINDS: Final = ("custom", "generic")


@dataclass(frozen=True, slots=True)
class Plan:
    """How PostgreSQL runs a statement."""

    subject: Subject
    kind: str
    """One of ``KINDS``."""
    statement: str
    tree: Mapping[str, Any]

    def nodes(self) -> Iterator[Mapping[str, Any]]:
        """Yield every node of the plan."""
        waiting = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.get("Plans", ()))

    def scanned(self, large: Mapping[str, int]) -> set[str]:
        """Return which of the large tables are read as a whole."""
        scans = {n["Relation Name"] for n in self.nodes() if n["Node Type"] == "Seq Scan"}
        return scans & large.keys()

    def indexes(self) -> set[str]:
        """Return the indexes that are used."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the large database did."""

    plans: Sequence[Plan]
    large: Mapping[str, int]
    """Rows of each table that is not small."""
    scans: Mapping[str, int]
    """Sequential scans of these that were counted in spite of everything."""


def find_plans(
    url: str, subjects: Sequence[Subject], inventory: Inventory, folder: Path
) -> Findings:
    """Make requests of each kind and return the plans of all that they ran.

    Raises:
        BenchmarkError: a request failed, or ran nothing that could be looked at.
    """
    large = {table: rows for table, rows in row_counts(url).items() if rows > SMALL_TABLE}
    plans: list[Plan] = []
    before = _sequential_scans(url)
    for kind in KINDS:
        plans += _explain(url, kind, [s for s in subjects if not s.scans], inventory, folder)
    after = _sequential_scans(url)
    for kind in KINDS:
        plans += _explain(url, kind, [s for s in subjects if s.scans], inventory, folder)
    scans = {table: after[table] - before[table] for table in large}
    return Findings(plans, large, {table: count for table, count in scans.items() if count})


def _explain(
    url: str, kind: str, subjects: Sequence[Subject], inventory: Inventory, folder: Path
) -> Iterator[Plan]:
    file = folder / f"{kind}.plans"
    database = make_conninfo(url, options=f"-c plan_cache_mode=force_{kind}_plan")
    flags = ["serve", "--port=0", f"--database-url={database}", "--log-level=warning"]
    command = Checkout.of_this_process().python(explained.__file__, file, *flags)
    with (
        running_server(kind, command, folder) as address,
        closing(Session(address)) as session,
        file.open() as lines,
    ):
        lines.read()
        asked = replace(inventory, session=session)
        for subject in subjects:
            for _ in range(REPEATS):
                subject.ask(asked, checked=False)
            found = {
                json.dumps([text, _shape(tree)]): (text, tree)
                for text, tree in map(json.loads, lines)
            }
            if not found:
                raise BenchmarkError(f"No {kind} plans were seen of {subject.name!r}.")
            for text, tree in found.values():
                yield Plan(subject, kind, text, tree)


def _shape(node: Mapping[str, Any]) -> list[object]:
    """Return what makes plans alike: the kinds of nodes and what they read, not the costs."""
    parts = [node.get(name) for name in ("Node Type", "Relation Name", "Index Name")]
    return [*parts, *(_shape(child) for child in node.get("Plans", ()))]


def _sequential_scans(url: str) -> dict[str, int]:
    """Return how often each table has been read as a whole.

    Raises:
        BenchmarkError: others use the database, and what they do is not counted yet.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        # At its end a connection tells what it did.
        deadline = time.monotonic() + QUIET_TIMEOUT
        while connection.execute(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone():
            if time.monotonic() > deadline:
                raise BenchmarkError("Somebody else uses the database; scans can't be counted.")
            time.sleep(0.05)
        return dict(
            connection.execute("SELECT relname, seq_scan FROM pg_stat_user_tables").fetchall()
        )


def print_findings(findings: Findings) -> bool:
    """Print how the large database finds what is asked for; return whether that is all right."""
    statements = {plan.statement for plan in findings.plans}
    print(f"\n{len(statements)} statements, {len(findings.plans)} plans; how they find rows:")
    is_right = not findings.scans
    for subject in dict.fromkeys(plan.subject for plan in findings.plans):
        plans = [plan for plan in findings.plans if plan.subject is subject]
        indexes = sorted({index for plan in plans for index in plan.indexes()})
        known = "; reads a whole table, as it is known to" if subject.scans else ""
        print(f"  {subject.name:30.30} {', '.join(indexes)}{known}")
        for plan in plans:
            tables = ", ".join(sorted(plan.scanned(findings.large)))
            if tables and not subject.scans:
                is_right = False
                print(
                    f"SEQUENTIAL SCAN of {tables} by {subject.name!r}, {plan.kind} plan:\n"
                    f"{plan.statement}\n{json.dumps(plan.tree, indent=2)}",
                    file=sys.stderr,
                )
    if findings.scans:
        print(f"SEQUENTIAL SCANS were counted: {findings.scans}", file=sys.stderr)
    print("Large tables that are read as a whole:", "none" if is_right else "SOME, see above")
    return is_right
