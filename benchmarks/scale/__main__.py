"""Benchmark of the service with 100,000 configurations beside 100, of ten revisions each.

    uv run python -m benchmarks.scale
    uv run python -m benchmarks.scale --configurations 2000 --revisions 3   # half a minute

Two databases in a PostgreSQL of their own, in a temporary folder: a small one with a single
application, and a large one with as many as it takes; each has a server. The same requests,
for things chosen at random, go to both by turns, and what takes longer in the large one is shown
as a ratio. Afterwards the plans of every statement that those requests run in the large database
are looked at: none may read a large table as a whole.

At full size this takes some minutes, and 5 GB of disk in the temporary folder. With few
``--configurations`` PostgreSQL may well find it cheapest to read a table of some thousand rows
as a whole, and be blamed for it.
"""

import argparse
import gc
import http.client
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.common import at_least, create_database, machine, run_benchmark
from benchmarks.scale.data import Size, load, row_counts
from benchmarks.scale.inventory import Inventory, Session, take_inventory
from benchmarks.scale.plans import find_plans, print_findings
from benchmarks.scale.subjects import READS, WRITES, Subject
from benchmarks.servers import BenchmarkError, Checkout, running_server
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

WARM_UP: Final = 24
"""Requests of each kind before the first is timed: by then both connections that a server
holds have prepared every statement, and PostgreSQL has settled for one kind of plan."""

SLOWER: Final = 20
"""How many times fewer requests are made of the kinds that read every row."""

_CLUSTER: Final = {
    # Loading writes so much that PostgreSQL would stop again and again to tidy up.
    "max_wal_size": "'2GB'",
    # It is vacuumed once after loading, and not by surprise while something is timed.
    "autovacuum": "off",
}

_FAILURES: Final = (
    BenchmarkError,
    EmbeddedPostgresError,
    http.client.HTTPException,
    psycopg.Error,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Times:
    """How long one kind of request took in both databases, in seconds."""

    subject: Subject
    small: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Of the bodies from the large database, in bytes."""

    @property
    def ratio(self) -> float:
        """How many times as long it takes in the large database."""
        return statistics.median(self.large) / statistics.median(self.small)

    @property
    def is_missed(self) -> bool:
        """Whether that is beyond the bound."""
        return self.subject.bound is not None and self.ratio > self.subject.bound


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    members = min(options.per_application, options.configurations)
    small = Size(1, members, options.revisions)
    large = Size(max(2, options.configurations // members), members, options.revisions)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
        cluster = stack.enter_context(EmbeddedPostgres(folder / "data", options=_CLUSTER))
        urls = {
            name: filled_database(cluster, name, size, folder)
            for name, size in (("small", small), ("large", large))
        }
        rng = random.Random(options.seed)
        with (
            served(urls["small"], "small", small, rng, folder) as one,
            served(urls["large"], "large", large, rng, folder) as other,
        ):
            print(f"{machine()}; {options.rounds} rounds of {options.requests} requests")
            # What writes comes last.
            times = [
                *measure(READS, one, other, options.rounds, options.requests),
                *measure(WRITES, one, other, options.rounds, options.requests),
            ]
        print_times(times)
        _say("looking at plans")
        findings = find_plans(urls["large"], [*READS, *WRITES], other, folder)
    is_right = print_findings(findings)
    missed = [item.subject.name for item in times if item.is_missed]
    print(f"\nBounds missed: {', '.join(missed) or 'none'}")
    return 0 if is_right and not (missed and options.strict) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Measure whether the service stays as fast with very many configurations.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--configurations", type=at_least(4), default=100_000, help="in the large database")
    add("--per-application", type=at_least(2), default=100, help="the small one has as many")
    add("--revisions", type=at_least(2), default=10, help="of each configuration, in both")
    add("--rounds", type=at_least(1), default=5, help="how often to go through everything")
    add("--requests", type=at_least(2), default=60, help="of each kind, round and database")
    add("--seed", type=int, default=1, help="of what is chosen at random")
    add("--strict", action="store_true", help="exit with 1 when a bound is missed, too")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- Setting up --------------------------------------------------------------------------


def filled_database(cluster: str, name: str, size: Size, folder: Path) -> str:
    """Create and fill a database; return its URL."""
    started = time.monotonic()
    url = create_database(cluster, name)
    # A server makes the tables at its start.
    with running_server(name, _serve(url), folder):
        pass
    load(url, size, report=lambda text: _say(f"{name}: {text}"))
    rows = ", ".join(f"{count:,} {table}" for table, count in row_counts(url).items())
    seconds = time.monotonic() - started
    print(f"{name}: {size.total:,} configurations loaded in {seconds:.0f} s: {rows}", flush=True)
    return url


@contextmanager
def served(
    url: str, name: str, size: Size, rng: random.Random, folder: Path
) -> Iterator[Inventory]:
    """Serve a database; yield what it has."""
    with (
        running_server(name, _serve(url), folder) as address,
        closing(Session(address)) as session,
    ):
        yield take_inventory(url, session, size, rng)


def _serve(url: str) -> list[str]:
    return Checkout.of_this_process().serve(f"--database-url={url}")


# ---- Measuring ---------------------------------------------------------------------------


def measure(
    subjects: Sequence[Subject], small: Inventory, large: Inventory, rounds: int, requests: int
) -> list[Times]:
    """Time each subject in each round, so that a noisy moment does not fall on one alone."""
    result = [Times(subject) for subject in subjects]
    for times in result:
        _measure_one(Times(times.subject), small, large, WARM_UP)
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}: {len(subjects)} kinds of requests")
        for times in result:
            gc.collect()
            _measure_one(times, small, large, requests)
    return result


def _measure_one(times: Times, small: Inventory, large: Inventory, requests: int) -> None:
    subject = times.subject
    for number in range(max(2, requests // SLOWER) if subject.scans else requests):
        # Who comes second may find the processor warmer.
        for database in (small, large) if number % 2 else (large, small):
            seconds, size = subject.ask(database)
            if database is small:
                times.small.append(seconds)
            else:
                times.large.append(seconds)
                times.sizes.append(size)


def print_times(items: Sequence[Times]) -> None:
    """Print medians and what is only seldom exceeded, in milliseconds."""
    print(
        f"\n{'':37} {'small':>15} {'large':>15}\n"
        f"{'milliseconds':30} {'bytes':>6} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7} "
        f"{'ratio':>6} {'bound':>6}"
    )
    for item in items:
        figures = " ".join(
            f"{seconds * 1000:7.2f}"
            for times in (item.small, item.large)
            for seconds in (statistics.median(times), statistics.quantiles(times, n=100)[98])
        )
        bound = item.subject.bound
        verdict = "" if bound is None else f"{bound:6.1f} {'MISSED' if item.is_missed else 'met'}"
        print(
            f"{item.subject.name:30.30} {statistics.median(item.sizes):6.0f} {figures} "
            f"{item.ratio:6.2f} {verdict}".rstrip()
        )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_benchmark(main, *_FAILURES))
