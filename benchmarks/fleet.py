"""Benchmark of the fleet: what it costs to know which instances poll, and how exact that is.

    uv run python benchmarks/fleet.py
    uv run python benchmarks/fleet.py --instances 2000 --seconds 30 --rounds 1

Simulated instances (10,000) poll one server every 30 s, without waiting, over connections that
stay open, from a process of their own. In each round that is measured with ``--fleet on`` and with
``--fleet off``, over databases of one PostgreSQL: the processor time of the server and of
PostgreSQL, and the memory of the server, when all instances are known. Then something is
released, and what the server says of convergence is compared with what the instances hold at that
time. Linux only.
"""

import argparse
import bisect
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import requests

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import (
    at_least,
    create_database,
    example_document,
    machine,
    run_benchmark,
)
from benchmarks.processes import MIB, postmaster
from benchmarks.servers import BenchmarkError, Checkout, running_process
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

CORE_BOUND: Final = 0.05
"""Share of one core that the fleet may take."""

MEMORY_BOUND: Final = 50
"""MiB that the fleet may take."""

LAG_BOUND: Final = 5.0
"""Seconds after which what the server says has to be what the instances hold."""

CONFIGURATIONS: Final = 20
SAMPLE_INTERVAL: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server has said of convergence; times are those of the monotonic clock."""

    asked: float
    answered: float
    current: int
    instances: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one server."""

    server: float
    """Processor time of the server in each second of steady polling."""
    postgres: float
    released_server: float
    """Processor time of the server in each second after the release."""
    released_postgres: float
    memory: float
    """MiB, when all instances are known."""
    polls: int
    failures: int
    lag: float | None = None
    """Seconds that the server was behind what the instances hold, at most."""
    final: str = ""


class Usage:
    """Processor time of a server and of PostgreSQL, from now on."""

    def __init__(self, server: psutil.Process, data_dir: Path) -> None:
        self._server, self._data_dir = server, data_dir
        self._begun = time.monotonic()
        self._before = self._read()

    def per_second(self) -> tuple[float, float]:
        """Return how much of a core the server and PostgreSQL have taken."""
        seconds = time.monotonic() - self._begun
        now = self._read()
        return (
            (now[0] - self._before[0]) / seconds,
            (now[1] - self._before[1]) / seconds,
        )

    def _read(self) -> tuple[float, float]:
        times = self._server.cpu_times()
        database = postmaster(self._data_dir)
        if database is None:
            raise BenchmarkError("PostgreSQL has ended.")
        spent = 0.0
        for process in (database, *database.children()):
            try:
                used = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            spent += used.user + used.system
            if process == database:
                # Those that have ended.
                spent += used.children_user + used.children_system
        return times.user + times.system, spent


@contextmanager
def simulated(url: str, options: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    """Run the instances in a process of their own."""
    command = Checkout.of_this_process().python(
        Path(__file__).with_name("fleet_instances.py"),
        url,
        "--instances",
        options.instances,
        "--interval",
        options.interval,
    )
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def prepare(api: str) -> str:
    """Create what is polled; return the id of one of its configurations."""
    created = requests.post(f"{api}/applications", json={"name": "shop"}, timeout=30)
    created.raise_for_status()
    last = ""
    for serial in range(CONFIGURATIONS):
        body = {"name": f"configuration-{serial}", "config": example_document(serial)}
        response = requests.post(f"{api}/applications/shop/configurations", json=body, timeout=30)
        response.raise_for_status()
        last = response.json()["id"]
    return last


def release(api: str, configuration: str) -> None:
    """Change what is served."""
    requests.patch(
        f"{api}/configurations/{configuration}",
        json={"config": {**example_document(0), "serial": time.time_ns()}},
        timeout=30,
    ).raise_for_status()


def watch(environment: str, seconds: float) -> list[Sample]:
    """Ask for convergence all the time."""
    samples = []
    with requests.Session() as session:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            asked = time.monotonic()
            found = session.get(f"{environment}/convergence", timeout=30).json()
            samples.append(Sample(asked, time.monotonic(), found["current"], found["instances"]))
            time.sleep(SAMPLE_INTERVAL)
    return samples


def lag_of(samples: Sequence[Sample], held: Sequence[float], version: str) -> float:
    """Return by how many seconds the server was behind the instances, at most.

    Raises:
        BenchmarkError: it said that more of them had the version than had it.
    """
    lag = 0.0
    for sample in samples:
        if sample.current > bisect.bisect_right(held, sample.answered):
            raise BenchmarkError(f"More instances were said to serve {version} than do.")
        # Whoever was the next to get it was not known yet.
        if sample.current < len(held):
            lag = max(lag, sample.asked - held[sample.current])
    return lag


def measure(mode: str, cluster: str, folder: Path, name: str, options: Any) -> Figures:
    """Measure one server."""
    url = create_database(cluster, name)
    flags = ["--auth=off", f"--fleet={mode}", f"--database-url={url}"]
    command = Checkout.of_this_process().serve(*flags)
    with running_process(name, command, folder) as (address, pid):
        api = f"{address}/api/v1"
        environment = f"{api}/applications/shop/environments/default"
        configuration = prepare(api)
        server = psutil.Process(pid)
        with simulated(f"{environment}/snapshot", options) as process:
            time.sleep(options.interval + 5)
            usage = Usage(server, folder / "data")
            time.sleep(options.seconds)
            steady = usage.per_second()
            memory = server.memory_info().rss / MIB
            usage = Usage(server, folder / "data")
            release(api, configuration)
            samples = watch(environment, options.interval + LAG_BOUND) if mode == "on" else []
            if mode == "off":
                time.sleep(options.interval + LAG_BOUND)
            released = usage.per_second()
            final = requests.get(f"{environment}/convergence", timeout=30).json()
            output, _ = process.communicate()
    told = json.loads(output)
    lag = None
    if mode == "on":
        version = final["version"]
        held = sorted(moment for moment, tag in told["held"] if tag == version)
        # Each of them is counted once, and what is counted in the end is all.
        if len(held) != options.instances or final["current"] != len(held):
            raise BenchmarkError(f"{len(held)} instances hold {version}: {final}")
        lag = lag_of(samples, held, version)
    return Figures(
        *steady,
        *released,
        memory,
        told["polls"],
        told["failures"],
        lag,
        final.get("state", ""),
    )


def show(rounds: Sequence[tuple[Figures, Figures]]) -> bool:
    """Print what was measured; return whether all bounds are met."""
    line = "{:<34}{:>10}{:>10}{:>9}   {}"
    print(line.format("", "on", "off", "ratio", ""))
    for label, member in (
        ("server, of one core", "server"),
        ("PostgreSQL, of one core", "postgres"),
        ("server after a release", "released_server"),
        ("PostgreSQL after a release", "released_postgres"),
        ("memory of the server, MiB", "memory"),
    ):
        on, off = (
            statistics.median(getattr(pair[index], member) for pair in rounds) for index in (0, 1)
        )
        style = "{:.1f}" if member == "memory" else "{:.2%}"
        ratio = f"{on / off:.2f}" if off else "-"
        print(line.format(label, style.format(on), style.format(off), ratio, ""))
    core = statistics.median(
        on.server + on.postgres - off.server - off.postgres for on, off in rounds
    )
    memory = statistics.median(on.memory - off.memory for on, off in rounds)
    lag = max(on.lag or 0.0 for on, _ in rounds)
    failures = sum(on.failures + off.failures for on, off in rounds)
    verdicts = [
        ("the fleet, of one core", f"{core:.2%}", f"{CORE_BOUND:.0%}", core <= CORE_BOUND),
        ("the fleet, MiB", f"{memory:.1f}", f"{MEMORY_BOUND}", memory <= MEMORY_BOUND),
        ("behind the instances, s", f"{lag:.2f}", f"{LAG_BOUND:g}", lag <= LAG_BOUND),
        ("failed polls", f"{failures}", "0", failures == 0),
    ]
    print()
    for label, value, bound, is_met in verdicts:
        verdict = "met" if is_met else "MISSED"
        print(f"{label:<34}{value:>10}   at most {bound:<6}{verdict}")
    return all(is_met for *_, is_met in verdicts)


def main() -> int:
    """Run the benchmark; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=at_least(1), default=10_000)
    parser.add_argument("--interval", type=at_least(1), default=30, help="seconds")
    parser.add_argument("--seconds", type=at_least(5), default=60, help="of steady polling")
    parser.add_argument("--rounds", type=at_least(1), default=2)
    options = parser.parse_args()
    print(
        f"{options.instances} instances, each every {options.interval} s; "
        f"{options.rounds} rounds. {machine()}"
    )
    rounds = []
    with tempfile.TemporaryDirectory(prefix="configsvc-fleet-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "data") as cluster:
            for number in range(options.rounds):
                pair = [
                    measure(mode, cluster, folder, f"round_{number}_{mode}", options)
                    for mode in ("on", "off")
                ]
                rounds.append((pair[0], pair[1]))
    return 0 if show(rounds) else 1


if __name__ == "__main__":
    sys.exit(run_benchmark(main, BenchmarkError, EmbeddedPostgresError))
