"""Benchmark of what metrics cost: GET with ``--metrics on`` beside ``--metrics off``.

    uv run python benchmarks/metrics_cost.py
    uv run python benchmarks/metrics_cost.py --everything
    uv run python benchmarks/metrics_cost.py --against ../before --turns 40

Two servers of this checkout differ by that flag alone; with ``--everything``, one of them has the
log of requests and the record of the fleet as well, and the other neither. With ``--against`` the
server of another checkout takes the place of the one that is off. Other processes share the
machine, so the turns are short and the first is now the one and now the other, and beside the rate
there is the processor time that the server takes for a request, which is disturbed less. In the end
it is scraped, to show what one scrape takes.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg
import requests

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import Comparison, at_least, create_database, machine, run_benchmark
from benchmarks.http_load import APPLICATION, create_configurations
from benchmarks.servers import BenchmarkError, Checkout, running_process
from benchmarks.wrk import Load, Measurement, get_script, wrk
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

BOUND: Final = 0.96
"""How much of the rate has to remain."""

BOUND_OF_EVERYTHING: Final = 0.90
"""The same, where the log and the fleet are on as well."""

INSTANCES: Final = 1_000
"""Instances whose polls are made."""

SCRAPES: Final = 50

_WARM_UP: Final = Load(1, 16)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the servers, under one load."""

    measure: Callable[[Load], Measurement]
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Seconds of processor time for a request, of each turn."""

    def take_turn(self, load: Load) -> int:
        """Measure once; return how many requests failed."""
        before = _processor_time(self.process)
        found = self.measure(load)
        self.rates.append(found.rate)
        self.costs.append((_processor_time(self.process) - before) / (found.rate * load.seconds))
        return found.not_2xx + found.broken


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    load = Load(options.seconds, options.connections)
    failures = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
        cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
        print(f"{machine()}; {options.turns} turns of {options.seconds} s each", flush=True)

        def serve(name: str, command: list[str]) -> tuple[str, list[str], psutil.Process]:
            (folder / name).mkdir()
            url, pid = stack.enter_context(running_process(name, command, folder / name))
            return url, create_configurations(url), psutil.Process(pid)

        here = Checkout.of_this_process()
        flags = [f"--database-url={create_database(cluster, name)}" for name in ("off", "on")]
        others = ("--fleet=off", "--log-level=error") if options.everything else ()
        before = (
            Checkout.in_folder(options.against).serve(flags[0])
            if options.against
            else here.serve(flags[0], "--metrics=off", *others)
        )
        servers = [serve("off", before), serve("on", here.serve(flags[1], "--metrics=on"))]
        snapshot = f"/api/v1/applications/{APPLICATION}/environments/default/snapshot"
        for name, path in (("GET one", None), ("GET snapshot", snapshot), ("poll", snapshot)):
            off, on = (
                Side(
                    wrk(
                        url + (path or paths[0]),
                        folder,
                        script=_polls(url + snapshot) if name == "poll" else "",
                    ),
                    process,
                )
                for url, paths, process in servers
            )
            for side in (off, on):
                side.measure(_WARM_UP)
            for turn in range(options.turns):
                for side in (off, on) if turn % 2 else (on, off):
                    failures += side.take_turn(load)
            _show(name, off, on, BOUND_OF_EVERYTHING if options.everything else BOUND)
        _show_scrapes(servers[1][0], servers[1][2])
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what metrics cost.")
    add = parser.add_argument
    add("--turns", type=at_least(2), default=20, help="turns of each server")
    add("--seconds", type=at_least(1), default=1, help="length of each turn")
    add("--connections", type=at_least(1), default=16, help="connections of the load")
    add("--everything", action="store_true", help="with the log of requests and the fleet")
    add("--against", type=Path, metavar="DIR", help="compare with the server of this checkout")
    return parser.parse_args()


def _polls(url: str) -> str:
    """Return the script of polls by many instances that have the snapshot."""
    etag = requests.get(url, timeout=30).headers["ETag"]
    return get_script(
        [
            {
                "If-None-Match": etag,
                "Configsvc-Instance": f'id="web-{number}", service="shop", host="node-{number}"',
            }
            for number in range(INSTANCES)
        ]
    )


def _show(name: str, off: Side, on: Side, bound: float) -> None:
    rate, cost = Comparison(off.rates, on.rates), Comparison(off.costs, on.costs)
    costs = [statistics.median(side.costs) * 1e6 for side in (off, on)]
    verdict = "met" if rate.ratio >= bound else "MISSED"
    print(
        f"{name:12}  {statistics.median(off.rates):6.0f} -> {statistics.median(on.rates):6.0f} "
        f"per second, ratio {rate}, at least {bound:.2f} {verdict}; processor time for each "
        f"{costs[0]:.1f} -> {costs[1]:.1f} us, ratio {cost}",
        flush=True,
    )


def _show_scrapes(url: str, process: psutil.Process) -> None:
    with requests.Session() as session:
        size = len(session.get(f"{url}/metrics", timeout=30).content)
        before = _processor_time(process)
        for _ in range(SCRAPES):
            session.get(f"{url}/metrics", timeout=30)
    each = (_processor_time(process) - before) / SCRAPES
    print(f"A scrape      {size} bytes, processor time {each * 1000:.1f} ms")


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(
        run_benchmark(
            main, BenchmarkError, EmbeddedPostgresError, requests.RequestException, psycopg.Error
        )
    )
