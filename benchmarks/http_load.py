"""Measure configsvc beside what it is built on: waitress, Falcon and PostgreSQL.

    uv run python benchmarks/http_load.py

Absolute numbers say as much about the machine as about the service, so everything is
measured in turns, round by round, with the same load, and shown as a ratio to its reference:
reads to a Falcon application that does nothing, writes to a bare INSERT of one row into the
same PostgreSQL. Load comes from ``wrk``.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg.abc
import requests
from psycopg.types.json import Jsonb

from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

HERE: Final = Path(__file__).parent

CONFIGURATIONS: Final = 50
"""How many there are: as many as a list shows by default."""

WARM_UP: Final = 1
"""Seconds of load before each measurement."""

START_TIMEOUT: Final = 120.0
STOP_TIMEOUT: Final = 30.0
REQUEST_TIMEOUT: Final = 30.0
"""In seconds, each."""

# Both Python and Lua put the number in.
_NAME = "configuration %d"

_BANNER = re.compile(r"answers at \S+:(\d+)")

_MARK = "result: "

# What wrk calls once at the end; the numbers that it prints by itself are rounded.
_REPORT_LUA = f"""
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '{_MARK}{{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, '
        .. '"not_2xx": %d, "broken": %d}}\\n',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
        e.status, e.connect + e.read + e.write + e.timeout
    ))
end
"""

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


class BenchmarkError(Exception):
    """The benchmark can't go on; the message says why."""


_FAILURES = (BenchmarkError, EmbeddedPostgresError, requests.RequestException, psycopg.Error)


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to try."""

    seconds: int
    connections: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one load of one subject gave; durations are in seconds."""

    rate: float
    """Requests or statements per second."""
    p50: float
    p99: float
    not_2xx: int = 0
    broken: int = 0
    """Connections that failed or timed out."""


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
    if shutil.which("wrk") is None:
        print(
            "wrk is needed to make load and is not on the PATH. "
            "Debian and Ubuntu have it: apt-get install wrk. macOS: brew install wrk.",
            file=sys.stderr,
        )
        return 1
    load = Load(options.duration, options.connections)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
            subjects = prepare(stack, folder, threads=options.threads)
            print_facts(options)
            rounds = [measure_all(subjects, load) for _ in range(options.rounds)]
    except _FAILURES as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1
    print_table(subjects, rounds)
    return print_failures(subjects, rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure configsvc beside waitress, Falcon and PostgreSQL.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    whole = _positive
    parser.add_argument("--duration", type=whole, default=6, help="seconds of each measurement")
    parser.add_argument("--connections", type=whole, default=16, help="connections of the load")
    parser.add_argument("--threads", type=whole, default=16, help="threads of each waitress")
    parser.add_argument("--rounds", type=whole, default=3, help="rounds to take the median of")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


# ---- Setting up --------------------------------------------------------------------------


def prepare(stack: ExitStack, folder: Path, *, threads: int) -> list[Subject]:
    """Start everything, to be stopped with ``stack``, and return what is to be measured."""
    data = folder / "data"
    # We start PostgreSQL and configsvc joins: it is stopped with us whatever happens to
    # configsvc, and the INSERTs go to the very same one.
    database = stack.enter_context(EmbeddedPostgres(data))
    command = [sys.executable, "-m", "configsvc_server", "serve", "--port=0"]
    command += [f"--data-dir={data}", f"--threads={threads}"]
    ours = stack.enter_context(running_server("configsvc", command, folder))
    paths = create_configurations(ours)
    body = requests.get(ours + paths[0], timeout=REQUEST_TIMEOUT).content
    (folder / "body").write_bytes(body)

    def reference(name: str) -> str:
        command = [sys.executable, str(HERE / "reference_servers.py"), name]
        command += [f"--body={folder / 'body'}", f"--threads={threads}"]
        return stack.enter_context(running_server(name, command, folder))

    def http(url: str, *, script: str = "") -> Callable[[Load], Measurement]:
        lua = Path(tempfile.mkstemp(suffix=".lua", dir=folder)[1])
        lua.write_text(script + _REPORT_LUA)
        return lambda load: run_wrk(url, lua, load)

    rows = ScratchTable(database)
    stack.callback(rows.drop)
    subjects = [
        Subject("waitress", http(reference("waitress") + "/configuration")),
        Subject("Falcon", http(reference("falcon") + "/configuration"), "waitress"),
        Subject("GET one", http(ours + paths[0]), "Falcon", 0.5),
        Subject("GET list", http(ours + "/api/v1/configurations"), "Falcon"),
        Subject("INSERT", rows.measure),
        Subject("PUT", http(ours, script=put_script(paths)), "INSERT", 0.4),
    ]
    print(f"The body of GET one, waitress and Falcon has {len(body)} bytes.")
    return subjects


@contextmanager
def running_server(name: str, command: Sequence[str], folder: Path) -> Iterator[str]:
    """Run a server as a process of its own, its log in a file, and give its address.

    Raises:
        BenchmarkError: it does not start.
    """
    output, log = folder / f"{name}.output", folder / f"{name}.log"
    # Neither variables nor a file .env of the caller may change what is measured.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CONFIGSVC_")}
    with output.open("w") as stdout, log.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, cwd=folder, env=environment
        )
    try:
        yield f"http://127.0.0.1:{_wait_for_port(process, output, log)}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], output: Path, log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if banner := _BANNER.search(output.read_text()):
            return int(banner[1])
        if process.poll() is not None:
            raise BenchmarkError(f"{process.args!r} did not start:\n{log.read_text()}")
        time.sleep(0.02)
    raise BenchmarkError(f"{process.args!r} did not start within {START_TIMEOUT:.0f} s.")


def example_document(serial: int) -> dict[str, Any]:
    """Return a configuration such as a service has: a few hundred bytes, two levels."""
    return {
        "serial": serial,
        "debug": False,
        "log_level": "info",
        "database": {"host": "db.internal", "port": 5432, "pool": {"min": 2, "max": 20}},
        "http": {"timeout": 2.5, "retries": 3, "hosts": ["a.internal", "b.internal"]},
        "features": {"checkout": True, "search": False, "recommendations": None},
        "limits": {"requests_per_minute": 600, "upload_bytes": 10485760, "ratio": 0.25},
    }


def create_configurations(url: str) -> list[str]:
    """Create one application with configurations; return their paths."""
    with requests.Session() as session:

        def create(path: str, body: Mapping[str, object]) -> str:
            response = session.post(url + path, json=body, timeout=REQUEST_TIMEOUT)
            response.raise_for_status()
            return response.headers["Location"]

        application = create("/api/v1/applications", {"name": "benchmark"})
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


def run_wrk(url: str, lua: Path, load: Load) -> Measurement:
    """Let wrk ask for ``url`` from one thread over so many connections.

    Raises:
        BenchmarkError: wrk failed.
    """
    command = ["wrk", "--threads=1", f"--connections={load.connections}"]
    command += [f"--duration={load.seconds}s", "--timeout=10s", f"--script={lua}", url]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in process.stdout.splitlines():
        if line.startswith(_MARK):
            numbers = json.loads(line.removeprefix(_MARK))
            rate = numbers.pop("requests") / numbers.pop("seconds")
            return Measurement(rate=rate, **numbers)
    raise BenchmarkError(f"wrk failed:\n{process.stdout}{process.stderr}")


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


def print_facts(options: argparse.Namespace) -> None:
    """Say what the numbers depend on."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}; {options.connections} connections, {options.threads} threads, "
        f"{options.rounds} rounds of {options.duration} s each"
    )


def print_table(subjects: Sequence[Subject], rounds: Sequence[Mapping[str, Measurement]]) -> None:
    """Print medians; a ratio is the median of the ratios within each round."""
    print()
    print(
        f"{'':10} {'per second':>10} {'p50 ms':>8} {'p99 ms':>8} {'not 2xx':>8}  "
        f"{'ratio':>5}  {'beside':10} {'aim':6}"
    )
    for subject in subjects:
        mine = [results[subject.name] for results in rounds]
        line = (
            f"{subject.name:10} {statistics.median(m.rate for m in mine):10.0f} "
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
    sys.exit(main())
