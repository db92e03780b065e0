"""Benchmark of the HTTP API under load, beside waitress, Falcon and PostgreSQL alone.

    uv run python benchmarks/http_load.py
    uv run python benchmarks/http_load.py --against ../before --rounds 7 --seconds 3
    uv run python benchmarks/http_load.py --authentication

Absolute numbers say as much about the machine as about the service, so everything is measured
by turns, round by round, with the same load, and shown as a ratio to its reference: reads to a
Falcon application that does nothing, writes to a bare INSERT of one row into the same
PostgreSQL. With ``--against`` the reference is the server of another checkout, which needs a
virtual environment of its own. Last comes what authentication costs (see
``authentication_cost.py``); with ``--authentication`` that alone. Load comes from ``wrk``.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import psycopg.abc
import requests
from psycopg.types.json import Jsonb

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import reference_servers
from benchmarks.authentication_cost import AuthenticationCost
from benchmarks.common import (
    Comparison,
    at_least,
    create_database,
    example_document,
    machine,
    run_benchmark,
)
from benchmarks.servers import BenchmarkError, Checkout, running_server
from benchmarks.wrk import Load, Measurement, require_wrk, wrk
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

CONFIGURATIONS: Final = 50
"""How many there are: as many as a list shows by default."""

APPLICATION: Final = "benchmark"

WARM_UP: Final = 1
"""Seconds of load before each measurement."""

REQUEST_TIMEOUT: Final = 30.0
"""In seconds."""

# Both Python and Lua put the number in.
_NAME = "configuration %d"

# The document changes with every request; neighbouring requests go to different paths.
_PUT_LUA = """
local paths = {%(paths)s}
local body = [==[%(body)s]==]
local headers = {["Content-Type"] = "application/json"}
local serial = 0
function request()
    local number = serial %% #paths
    serial = serial + 1
    return wrk.format("PUT", paths[number + 1], headers, string.format(body, number, serial))
end
"""

_UNDISTURBED: Final = {"autovacuum": "off"}

_FAILURES = (BenchmarkError, EmbeddedPostgresError, requests.RequestException, psycopg.Error)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure."""

    name: str
    measure: Callable[[Load], Measurement]
    reference: str | None = None
    """Name of the subject that it is compared with."""
    aim: float | None = None
    """The ratio to the reference that is wanted."""


def main() -> int:
    """Run the benchmark and return the exit code: 1 if any answer was not a success."""
    options = _options()
    require_wrk()
    load = Load(options.seconds, options.connections)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
        print(
            f"{machine()}; {options.connections} connections, {options.threads} threads, "
            f"{options.rounds} rounds of {options.seconds} s each"
        )
        if options.against:
            before = Checkout.in_folder(options.against)
            pairs = prepare_comparison(stack, folder, before, threads=options.threads)
            return compare(pairs, load, options.rounds)
        database = stack.enter_context(EmbeddedPostgres(folder / "data"))
        ours = Service(stack, folder, Checkout.of_this_process(), database, threads=options.threads)
        cost = prepare_authentication(stack, folder, ours, database, threads=options.threads)
        status = 0
        if not options.authentication:
            subjects = prepare(stack, folder, ours, database, threads=options.threads)
            rounds = [measure_all(subjects, load) for _ in range(options.rounds)]
            print_table(subjects, rounds)
            status = print_failures(subjects, rounds)
        cost.measure(options.rounds * options.seconds, options.connections)
    return max(status, cost.print_results())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure configsvc beside waitress, Falcon and PostgreSQL, or beside itself.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    whole = at_least(1)
    add = parser.add_argument
    add("--seconds", type=whole, default=6, help="length of each measurement")
    add("--connections", type=whole, default=16, help="connections of the load")
    add("--threads", type=whole, default=16, help="threads of each waitress")
    add("--rounds", type=whole, default=3, help="rounds to take the median of")
    add("--against", type=Path, metavar="DIR", help="compare with the server of this checkout")
    add("--authentication", action="store_true", help="measure the cost of authentication alone")
    return parser.parse_args()


# ---- Setting up --------------------------------------------------------------------------


def prepare(
    stack: ExitStack, folder: Path, ours: "Service", database: str, *, threads: int
) -> list[Subject]:
    """Start the references, to be stopped with ``stack``, and return what is to be measured."""
    body = requests.get(ours.url + ours.paths[0], timeout=REQUEST_TIMEOUT).content
    (folder / "body").write_bytes(body)

    def reference(name: str) -> str:
        flags = [f"--body={folder / 'body'}", f"--threads={threads}"]
        command = Checkout.of_this_process().python(reference_servers.__file__, name, *flags)
        return stack.enter_context(running_server(name, command, folder))

    def http(name: str) -> Callable[[Load], Measurement]:
        return wrk(reference(name) + reference_servers.PATH, folder)

    rows = ScratchTable(database)
    stack.callback(rows.drop)
    print(f"The body of GET one, waitress and Falcon has {len(body)} bytes.")
    return [
        Subject("waitress", http("waitress")),
        Subject("Falcon", http("falcon"), "waitress"),
        Subject("GET one", ours.subjects["GET one"], "Falcon", 0.5),
        Subject("GET list", ours.subjects["GET list"], "Falcon"),
        Subject("GET snapshot", ours.subjects["GET snapshot"], "Falcon"),
        Subject("INSERT", rows.measure),
        Subject("PUT", ours.subjects["PUT"], "INSERT", 0.4),
    ]


def prepare_authentication(
    stack: ExitStack, folder: Path, ours: "Service", database: str, *, threads: int
) -> AuthenticationCost:
    """Start the servers with and without authentication; say what is to be asked of both."""
    cost = AuthenticationCost(stack, folder, database, APPLICATION, threads=threads)
    cost.add("GET snapshot", ours.snapshot)
    cost.add("GET, 304", ours.snapshot, is_known=True)
    cost.add("GET one", ours.paths[0])
    return cost


def prepare_comparison(
    stack: ExitStack, folder: Path, before: Checkout, *, threads: int
) -> list[tuple[Subject, Subject]]:
    """Start the servers of both checkouts; return each subject before and after."""
    # One PostgreSQL for both, so that it makes no difference.
    cluster = stack.enter_context(EmbeddedPostgres(folder / "data", options=_UNDISTURBED))
    subjects = []
    for name, checkout in (("before", before), ("after", Checkout.of_this_process())):
        url = create_database(cluster, name)
        (folder / name).mkdir()
        service = Service(stack, folder / name, checkout, url, threads=threads)
        # Otherwise it would happen to one of the two some time before the other.
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        subjects.append([Subject(f"{key} {name}", do) for key, do in service.subjects.items()])
    return list(zip(*subjects, strict=True))


class Service:
    """A configsvc server with some configurations, and what is measured of it."""

    def __init__(
        self, stack: ExitStack, folder: Path, checkout: Checkout, database: str, *, threads: int
    ) -> None:
        command = checkout.serve(f"--database-url={database}", f"--threads={threads}")
        self.url = stack.enter_context(running_server("configsvc", command, folder))
        self.paths = create_configurations(self.url)
        api = f"{self.url}/api/v1"
        self.snapshot = f"/api/v1/applications/{APPLICATION}/environments/default/snapshot"
        self.subjects = {
            "GET one": wrk(self.url + self.paths[0], folder),
            "GET list": wrk(f"{api}/configurations", folder),
            "GET snapshot": wrk(self.url + self.snapshot, folder),
            "PUT": wrk(self.url, folder, script=put_script(self.paths)),
        }


def create_configurations(url: str) -> list[str]:
    """Create one application with configurations; return their paths."""
    with requests.Session() as session:

        def create(path: str, body: Mapping[str, object]) -> str:
            response = session.post(url + path, json=body, timeout=REQUEST_TIMEOUT)
            response.raise_for_status()
            return response.headers["Location"]

        application = create("/api/v1/applications", {"name": APPLICATION})
        return [
            create(
                f"{application}/configurations",
                {"name": _NAME % serial, "config": example_document(serial)},
            )
            for serial in range(CONFIGURATIONS)
        ]


def put_script(paths: Sequence[str]) -> str:
    """Return the part of the wrk script that makes each request a PUT."""
    serial = 987654321
    body = json.dumps({"name": _NAME, "config": example_document(serial)})
    return _PUT_LUA % {
        "paths": ", ".join(f'"{path}"' for path in paths),
        "body": body.replace(str(serial), "%d"),
    }


# ---- Measuring ---------------------------------------------------------------------------


def measure_all(subjects: Sequence[Subject], load: Load) -> dict[str, Measurement]:
    """Measure everything once, each after a warm-up of its own."""
    warm_up = Load(WARM_UP, load.connections)
    result = {}
    for subject in subjects:
        subject.measure(warm_up)
        result[subject.name] = subject.measure(load)
        print(".", end="", flush=True)
    print()
    return result


def compare(pairs: Sequence[tuple[Subject, Subject]], load: Load, rounds: int) -> int:
    """Measure each subject before and after, round by round; print the ratios."""
    results = []
    for number in range(rounds):
        # Who comes second may find the processor warmer.
        turns = [pair[::-1] if number % 2 else pair for pair in pairs]
        results.append(measure_all([subject for turn in turns for subject in turn], load))
    print(
        f"\nMedians; ratios are after/before: median (lowest-highest) of {rounds} rounds.\n"
        f"{'':12} {'per second':>17} {'ratio of them':>20} {'ratio of p50':>20} "
        f"{'ratio of p99':>20}"
    )
    for before, after in pairs:
        rate, p50, p99 = (
            Comparison(
                [getattr(result[before.name], figure) for result in results],
                [getattr(result[after.name], figure) for result in results],
            )
            for figure in ("rate", "p50", "p99")
        )
        rates = f"{statistics.median(rate.before):6.0f} -> {statistics.median(rate.after):6.0f}"
        print(
            f"{after.name.removesuffix(' after'):12} {rates:>17} {rate!s:>20} {p50!s:>20} "
            f"{p99!s:>20}  {rate.verdict(more_is_better=True)}"
        )
    return print_failures([subject for pair in pairs for subject in pair], results)


class ScratchTable:
    """A table with one document per row, to see what PostgreSQL alone can do."""

    def __init__(self, url: str) -> None:
        """Create the table in the database at ``url``."""
        self._url = url
        self._next = 0
        self._execute("CREATE TABLE benchmark_scratch (id text PRIMARY KEY, config jsonb NOT NULL)")

    def drop(self) -> None:
        """Remove the table."""
        self._execute("DROP TABLE benchmark_scratch")

    def measure(self, load: Load) -> Measurement:
        """Insert rows one by one, in autocommit mode, over connections with a thread each."""
        start = threading.Barrier(load.connections, timeout=REQUEST_TIMEOUT)

        def insert(worker: int) -> list[float]:
            with psycopg.connect(self._url, autocommit=True) as connection:
                durations: list[float] = []
                start.wait()
                before = time.perf_counter()
                end = before + load.seconds
                while before < end:
                    connection.execute(
                        "INSERT INTO benchmark_scratch (id, config) VALUES (%s, %s)",
                        [
                            f"{self._next:04}-{worker:04}-{len(durations):015}",
                            Jsonb(example_document(len(durations))),
                        ],
                    )
                    now = time.perf_counter()
                    durations.append(now - before)
                    before = now
                return durations

        self._next += 1
        with ThreadPoolExecutor(load.connections, thread_name_prefix="insert") as executor:
            parts = executor.map(insert, range(load.connections))
            durations = [duration for part in parts for duration in part]
        percentiles = statistics.quantiles(durations, n=100)
        return Measurement(len(durations) / load.seconds, percentiles[49], percentiles[98])

    def _execute(self, statement: psycopg.abc.Query) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)


# ---- Showing it --------------------------------------------------------------------------


def print_table(subjects: Sequence[Subject], rounds: Sequence[Mapping[str, Measurement]]) -> None:
    """Print medians; a ratio is the median of the ratios within each round."""
    print()
    print(
        f"{'':12} {'per second':>10} {'p50 ms':>8} {'p99 ms':>8} {'not 2xx':>8}  "
        f"{'ratio':>5}  {'beside':10} {'aim':6}"
    )
    for subject in subjects:
        mine = [results[subject.name] for results in rounds]
        line = (
            f"{subject.name:12} {statistics.median(m.rate for m in mine):10.0f} "
            f"{statistics.median(m.p50 for m in mine) * 1000:8.2f} "
            f"{statistics.median(m.p99 for m in mine) * 1000:8.2f} "
            f"{sum(m.not_2xx for m in mine):8}"
        )
        if subject.reference:
            ratio = statistics.median(
                results[subject.name].rate / results[subject.reference].rate for results in rounds
            )
            line += f"  {ratio:5.2f}  {subject.reference:10}"
            if subject.aim is not None:
                line += f" {subject.aim:.2f} {'met' if ratio >= subject.aim else 'MISSED'}"
        print(line)


def print_failures(subjects: Sequence[Subject], rounds: Sequence[Mapping[str, Measurement]]) -> int:
    """Name every subject that did not always succeed and return the exit code."""
    status = 0
    for subject in subjects:
        not_2xx = sum(results[subject.name].not_2xx for results in rounds)
        broken = sum(results[subject.name].broken for results in rounds)
        if not_2xx or broken:
            status = 1
            print(
                f"FAILED: {subject.name}: {not_2xx} answers were no success, "
                f"{broken} connections broke; the numbers mean nothing.",
                file=sys.stderr,
            )
    return status


if __name__ == "__main__":
    sys.exit(run_benchmark(main, *_FAILURES))
