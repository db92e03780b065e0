"""Measure whether the service stays as fast with very many configurations.

    uv run python benchmarks/scale.py

Two databases in a PostgreSQL of their own, in a temporary folder: a small one with a single
application, and a large one with a thousand times as much; each has a server. The same
requests, for things chosen at random, go to both in turns. What takes the longer in the large
one is shown as a ratio. Afterwards the plan of every statement that those requests run in the
large database is looked at: none may read a large table as a whole.

At full size this takes some minutes, and 5 GB of disk in the temporary folder. It can be
tried with fewer ``--applications``; but then PostgreSQL may well find it cheapest to read a
table of a few thousand rows as a whole, and be blamed for it.
"""

import argparse
import gc
import http.client
import json
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from http_load import BenchmarkError, running_server
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from scale_data import Size, load, row_counts
from scale_plans import Plan, explain, sequential_scans
from scale_report import Pair, print_facts, print_loaded, print_plans, print_table
from scale_subjects import Subject, information, read_subjects, write_subjects
from scale_world import Session, World, explore, page_limit

from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from configsvc_server.db.migrations import MigrationError
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.domain.pages import Cursor, Sort

WARM_UP: Final = 24
"""Requests of each kind before the first is timed: by then both connections that a server
holds have prepared every statement, and PostgreSQL has settled for one kind of plan."""

LARGEST_PAGE: Final = 1000
"""How many items a page may have."""

SLOW_WARM_UP: Final = 3
"""The same, of those that read every row."""

_CLUSTER: Final = {
    # Loading writes so much that PostgreSQL would stop again and again to tidy up.
    "max_wal_size": "'2GB'",
    # It is vacuumed once after loading, and not by surprise while something is timed.
    "autovacuum": "off",
}

_FAILURES: Final = (
    BenchmarkError,
    EmbeddedPostgresError,
    MigrationError,
    UnavailableError,
    http.client.HTTPException,
    psycopg.Error,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A database that is filled, with a server over it."""

    url: str
    """Of the database."""
    world: World
    session: Session


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    rng = random.Random(options.seed)
    small = Size(1, options.configurations, options.revisions)
    large = Size(options.applications, options.configurations, options.revisions)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
            cluster = stack.enter_context(EmbeddedPostgres(folder / "data", options=_CLUSTER))
            urls = [_filled(cluster, name, size) for name, size in _named(small, large)]
            with ExitStack() as servers:
                places = [
                    servers.enter_context(_place(url, name, size, rng, folder))
                    for url, (name, size) in zip(urls, _named(small, large), strict=True)
                ]
                print_facts(options)
                pairs = measure(places[0], places[1], options)
            print_table(pairs)
            plans, scans = look_at_plans(urls[1], places[1].world)
            with psycopg.connect(urls[1]) as connection:
                rows = row_counts(connection)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except _FAILURES as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1
    all_right = print_plans(plans, scans, rows)
    missed = [pair.subject.name for pair in pairs if pair.verdict == "MISSED"]
    print(f"\nBounds missed: {', '.join(missed) or 'none'}")
    return 0 if all_right and not (missed and options.strict) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure whether the service stays as fast with very many configurations.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--applications", type=_at_least(2), default=1000, help="of the large database")
    add("--configurations", type=_at_least(2), default=100, help="in each application, in both")
    add("--revisions", type=_at_least(2), default=10, help="of each configuration, in both")
    add("--rounds", type=_at_least(1), default=5, help="how often to go through everything")
    add("--requests", type=_at_least(2), default=60, help="of each kind, round and database")
    add("--seed", type=int, default=1, help="of what is chosen at random")
    add("--strict", action="store_true", help="exit with 1 when a bound is missed, too")
    return parser.parse_args()


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return value

    return number


def _named(small: Size, large: Size) -> list[tuple[str, Size]]:
    return [("small", small), ("large", large)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- Setting up --------------------------------------------------------------------------


def _filled(cluster: str, name: str, size: Size) -> str:
    """Make and fill a database; return its URL."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = make_conninfo(cluster, dbname=name)
    print_loaded(name, size, load(url, size, report=lambda text: _say(f"{name}: {text}")))
    return url


@contextmanager
def _place(url: str, name: str, size: Size, rng: random.Random, folder: Path) -> Iterator[Place]:
    """Serve a database, and check that the service reads what was loaded."""
    command = [sys.executable, "-m", "configsvc_server", "serve", "--port=0"]
    with running_server(name, [*command, f"--database-url={url}"], folder) as address:
        session = Session(address)
        try:
            last_page = walk(session, size)
            world = explore(url, size, rng, last_page=last_page)
            verify(session, world)
            _say(f"{name}: the service reads what was loaded")
            yield Place(url, world, session)
        finally:
            session.close()


def walk(session: Session, size: Size) -> Cursor:
    """Read every configuration page by page; return the cursor before the last few.

    Raises:
        BenchmarkError: some are missing, or out of order.
    """
    ids: list[str] = []
    path = f"/configurations?limit={LARGEST_PAGE}"
    after = ""
    while True:
        page = session.get(path + after)
        ids += [item["id"] for item in page["items"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next']}"
    if len(ids) != size.total or page["total"] != size.total or ids != sorted(set(ids)):
        raise BenchmarkError(f"The list has {len(ids)} configurations, not {size.total} in order.")
    row_id = ids[-page_limit(size) - 1]
    cursor = Cursor(Sort(), row_id, row_id)
    limit = size.total - page_limit(size)
    if limit <= LARGEST_PAGE and session.get(f"/configurations?limit={limit}")["next"] != (
        cursor.encode()
    ):
        raise BenchmarkError("The server makes other cursors than this benchmark.")
    return cursor


def verify(session: Session, world: World) -> None:
    """Check a sample of what was loaded, through the API.

    Raises:
        BenchmarkError: it is not as it should be.
    """
    size = world.size
    for _ in range(3):
        application = world.application()
        row_id = world.rng.choice(application.configurations)[0]
        one = session.get(f"/configurations/{row_id}")
        revisions = session.get(f"/configurations/{row_id}/revisions")
        newest = revisions["items"][-1]
        releases = session.get(f"/configurations/{row_id}/releases")["items"]
        changes = session.get(f"/changes?configuration_id={row_id}")["items"]
        snapshot = session.get(f"/applications/{application.name}/environments/default/snapshot")
        numbers = list(range(1, size.revisions + 1))
        facts = {
            "application": one["application_id"] == application.id,
            "revisions": [r["version"] for r in revisions["items"]] == numbers,
            "total of revisions": revisions["total"] == one["version"] == size.revisions,
            "newest revision": newest["config"] == one["config"],
            "moment": newest["created_at"] == one["updated_at"],
            "author": newest["author"] == one["updated_by"],
            "releases": [r["version"] for r in releases] == numbers,
            "previous versions": [r["previous_version"] for r in releases] == [None, *numbers[:-1]],
            "changes": [c["version"] for c in changes] == numbers,
            "order of changes": [c["created_at"] for c in changes]
            == [r["created_at"] for r in releases],
            "snapshot": len(snapshot["configurations"]) == size.configurations,
            "configuration in it": snapshot["configurations"][one["name"]]["config"]
            == one["config"],
        }
        wrong = [name for name, is_right in facts.items() if not is_right]
        if wrong:
            raise BenchmarkError(f"Loaded wrongly, of {row_id}: {', '.join(wrong)}")


# ---- Measuring ---------------------------------------------------------------------------


def measure(small: Place, large: Place, options: argparse.Namespace) -> list[Pair]:
    """Time everything: first what reads, round by round, then what writes."""
    reads = [*read_subjects(), *information()]
    return [
        *measure_rounds(reads, small, large, options),
        *measure_rounds(write_subjects(), small, large, options),
    ]


def measure_rounds(
    subjects: Sequence[Subject], small: Place, large: Place, options: argparse.Namespace
) -> list[Pair]:
    """Time each subject in each round, so that a noisy moment does not fall on one alone."""
    times: dict[str, tuple[list[float], list[float], list[int]]] = {}
    for subject in subjects:
        times[subject.name] = ([], [], [])
        for _ in range(SLOW_WARM_UP if subject.scans else WARM_UP):
            for place in (small, large):
                ask(place, subject)
    for number in range(options.rounds):
        _say(f"round {number + 1} of {options.rounds}: {len(subjects)} kinds of requests")
        for subject in subjects:
            in_small, in_large, sizes = times[subject.name]
            gc.collect()
            for turn in range(max(2, options.requests // (20 if subject.scans else 1))):
                # Who comes second may find the processor warmer.
                for place in (small, large) if turn % 2 else (large, small):
                    seconds, length = ask(place, subject)
                    (in_small if place is small else in_large).append(seconds)
                    if place is large:
                        sizes.append(length)
    return [
        Pair(subject, in_small, in_large, round(statistics.median(sizes)))
        for subject in subjects
        for in_small, in_large, sizes in [times[subject.name]]
    ]


def ask(place: Place, subject: Subject) -> tuple[float, int]:
    """Make one request; return the seconds and the bytes of the answer.

    Raises:
        BenchmarkError: the answer is wrong.
    """
    request = subject.make(place.world)
    answer = place.session.send(request)
    if answer.status in subject.statuses and subject.check(place.world, json.loads(answer.body)):
        return answer.seconds, len(answer.body)
    raise BenchmarkError(
        f"{subject.name}: {request.method} {request.path} gave a wrong answer, status "
        f"{answer.status}: {answer.body[:1000]!r}"
    )


def look_at_plans(url: str, world: World) -> tuple[list[Plan], Mapping[str, int]]:
    """Return the plans of what requests run, and the sequential scans that happened meanwhile."""
    _say("looking at plans")
    subjects = [*read_subjects(), *information(), *write_subjects()]
    before = sequential_scans(url)
    plans = explain(url, [subject for subject in subjects if not subject.scans], world)
    after = sequential_scans(url)
    scans = {table: after[table] - before[table] for table in after}
    plans += explain(url, [subject for subject in subjects if subject.scans], world)
    return plans, scans


def _stop_on_terminate() -> None:
    """Make SIGTERM end the benchmark as Ctrl-C does, with everything that it has started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


if __name__ == "__main__":
    _stop_on_terminate()
    sys.exit(main())
