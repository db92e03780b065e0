"""Measurement of how long one frozen server stops the writes of another.

    uv run python benchmarks/frozen_server.py
    uv run python benchmarks/frozen_server.py --rounds 10

Two servers share a database. The first is frozen (SIGSTOP) while it holds the write lock, and the
second writes. Two kinds of write are interrupted: one of several statements, after which
PostgreSQL waits for the next, and one whose result is so large that PostgreSQL waits until it is
taken. What counts is the time from the freeze to the answer of the second server.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import requests

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import at_least, create_database, machine, run_benchmark
from benchmarks.servers import BenchmarkError, Checkout, running_process
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

BOUND: Final = 10.0
"""Seconds after which the writes of others have to go on."""

REQUEST_TIMEOUT: Final = 120.0
"""In seconds."""

_APPLICATIONS: Final = "/api/v1/applications"

_WAITING: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory'
"""


def create(address: str, name: str) -> requests.Response:
    """Create an application, in several statements."""
    return requests.post(address + _APPLICATIONS, json={"name": name}, timeout=REQUEST_TIMEOUT)


def create_large(address: str, name: str) -> requests.Response:
    """Create a configuration that no socket holds while nobody reads it."""
    return requests.post(
        f"{address}{_APPLICATIONS}/benchmark/configurations",
        json={"name": name, "config": {"text": "x" * 900_000}},
        timeout=REQUEST_TIMEOUT,
    )


KINDS: Final[Sequence[tuple[str, Callable[[str, str], requests.Response]]]] = (
    ("between two statements", create),
    ("within a large result", create_large),
)


def measure(
    url: str, frozen: tuple[str, int], other: str, write: Callable[[str, str], requests.Response]
) -> float:
    """Return the seconds from the freeze of one server to the write of the other."""
    address, process_id = frozen
    serial = time.monotonic_ns()
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(url) as holder:
            holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
            interrupted = pool.submit(write, address, f"interrupted {serial}")
            with psycopg.connect(url, autocommit=True) as watch:
                while watch.execute(_WAITING).fetchone() == (0,):
                    time.sleep(0.01)
            os.kill(process_id, signal.SIGSTOP)
            os.waitid(os.P_PID, process_id, os.WSTOPPED)
        started = time.monotonic()
        try:
            # Refused for a while, a client tries again.
            while create(other, f"other {serial}").status_code != requests.codes.created:
                pass
            seconds = time.monotonic() - started
        finally:
            os.kill(process_id, signal.SIGCONT)
        interrupted.result()
    return seconds


def run(rounds: int) -> bool:
    """Measure and print; return whether every write came in time."""
    print(machine())
    print(f"seconds from the freeze of one server to the write of another (at most {BOUND:.0f}):")
    in_time = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
        url = create_database(cluster, "frozen")
        command = Checkout.of_this_process().serve("--database-url", url)
        first = stack.enter_context(running_process("first", command, folder))
        second, _ = stack.enter_context(running_process("second", command, folder))
        create(second, "benchmark").raise_for_status()
        for name, write in KINDS:
            seconds = sorted(measure(url, first, second, write) for _ in range(rounds))
            verdict = "met" if seconds[-1] <= BOUND else "MISSED"
            in_time = in_time and verdict == "met"
            print(
                f"  {name:24} median {statistics.median(seconds):5.1f}, "
                f"longest {seconds[-1]:5.1f}: {verdict}"
            )
    return in_time


def main() -> int:
    """Run the benchmark and return the exit code: 1 where a write came too late."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=at_least(1), default=3, help="how often each is measured")
    rounds = parser.parse_args().rounds
    return 0 if run(rounds) else 1


if __name__ == "__main__":
    sys.exit(run_benchmark(main, BenchmarkError, EmbeddedPostgresError))
