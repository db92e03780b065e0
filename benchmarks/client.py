"""Benchmark of the client SDK: cached reads, import, memory, and how fast a change arrives.

    uv run python benchmarks/client.py
    uv run python benchmarks/client.py --against ../before --rounds 3 --seconds 10

Everything is shown beside what it is compared with: a plain dict, ``import requests``, the
parsed JSON alone, and for the async face the threaded one. The last figures need a server, which
is started for them; give ``--url`` to use one that runs already. With ``--against`` the client and
the server of another checkout, which needs a virtual environment of its own, are measured by turns
with those of this one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import psycopg

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import client_probe
from benchmarks.common import Comparison, at_least, create_database, machine, run_benchmark
from benchmarks.servers import BenchmarkError, Checkout, clean_environment, running_server
from configsvc_client import ConfigClient, ConfigSvcError, ConflictError
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

CONFIGURATIONS: Final = 1000
"""Of the view whose memory is measured."""

WORKERS: Final = 4
"""Processes that the live views are spread over."""

IMPORTS: Final = 21
"""How often each module is imported; the fastest counts."""

PARTS: Final = 3
"""How often each face is measured; the medians count."""

PROBE_TIMEOUT: Final = 60.0
"""How long a process may take to end, in seconds."""

_FAILURES: Final = (
    BenchmarkError,
    ConfigSvcError,
    EmbeddedPostgresError,
    subprocess.SubprocessError,
    psycopg.Error,
)


@dataclass(frozen=True, slots=True)
class Target:
    """The client of a checkout, and a server for it."""

    checkout: Checkout
    url: str
    token: str | None = None

    def start_probe(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a measurement in the interpreter of the checkout."""
        variables = {"CONFIGSVC_URL": self.url, "CONFIGSVC_TOKEN": self.token or ""}
        return subprocess.Popen(
            self.checkout.python(client_probe.__file__, *arguments),
            env={**clean_environment(), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def probe(self, *arguments: object) -> Any:
        """Return what a measurement gives.

        Raises:
            BenchmarkError: it failed.
        """
        with self.start_probe(*arguments) as process:
            return _result(process)


def _result(process: subprocess.Popen[str], *, timeout: float | None = None) -> Any:
    output, _ = process.communicate("done\n", timeout)
    if process.returncode:
        raise BenchmarkError(f"{process.args!r} failed with status {process.returncode}.")
    return json.loads(output)


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    print(machine())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
        snapshots = stack.enter_context(serving_snapshots())
        ours = Checkout.of_this_process()
        if options.against:
            both = {"before": Checkout.in_folder(options.against), "after": ours}
            cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
            targets = [
                Target(checkout, stack.enter_context(_server(checkout, name, cluster, folder)))
                for name, checkout in both.items()
            ]
            compare(targets[0], targets[1], snapshots, options)
            return 0
        target = Target(ours, options.url or "", options.token)
        print_costs(target, snapshots)
        if not options.url:
            cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
            url = stack.enter_context(_server(ours, "after", cluster, folder))
            target = Target(ours, url)
        print_arrivals(target, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure the client SDK.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--url", help="a running server; without it one is started")
    add("--token", default=os.environ.get("CONFIGSVC_TOKEN"), help="for that server")
    add("--changes", type=at_least(2), default=200, help="of each number of views")
    add("--seconds", type=float, default=120.0, help="make no changes for longer than that")
    add("--views", type=at_least(1), nargs="*", default=[1, 50, 200], help="that wait for changes")
    add("--pause", type=float, help="seconds between two changes")
    add("--idle", type=float, default=90.0, help="seconds to watch an idle view")
    add("--against", type=Path, metavar="DIR", help="compare with the SDK of this checkout")
    add("--rounds", type=at_least(1), default=3, help="of a comparison")
    return parser.parse_args()


@contextmanager
def _server(checkout: Checkout, name: str, cluster: str, folder: Path) -> Iterator[str]:
    url = create_database(cluster, name)
    command = checkout.serve(f"--database-url={url}", "--log-level=warning")
    with running_server(name, command, folder) as address:
        yield address


# ---- What it costs -----------------------------------------------------------------------


def measure_imports(target: Target) -> dict[str, float]:
    """Return the milliseconds that the client takes to import, and requests alone."""

    def milliseconds(module: str) -> float:
        code = (
            f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        )
        command = target.checkout.python("-c", code)
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) * 1000

    modules = ("configsvc_client", "requests")
    # By turns, so that whatever else the machine does hits both.
    times = [[milliseconds(module) for module in modules] for _ in range(IMPORTS)]
    client, requests = (min(column) for column in zip(*times, strict=True))
    return {"client": client, "requests": requests}


@contextmanager
def serving_snapshots() -> Iterator[str]:
    """Serve a large snapshot, and a small one at every other path; yield the address."""
    large, small = _snapshot(CONFIGURATIONS), _snapshot(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = large if self.path == client_probe.LARGE_PATH else small
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="snapshots")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _snapshot(count: int) -> bytes:
    configurations = {
        f"service-{index}": {
            "id": f"01K9YV5C7W3V0Y1Q3W6M{index:06d}",
            "version": index % 7 + 1,
            "updated_at": f"2026-11-24T08:00:00.{index:06d}Z",
            "config": {
                "enabled": index % 2 == 0,
                "timeout": index / 10,
                "retries": index % 5,
                "url": f"https://service-{index}.example.com/api",
                "hosts": [f"host-{index}-{number}" for number in range(3)],
                "limits": {"per_minute": index, "burst": 10, "labels": {"team": f"t{index}"}},
            },
        }
        for index in range(count)
    }
    head = {"application_id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E", "application": "benchmark"}
    document = {**head, "environment": "default", "configurations": configurations}
    return json.dumps(document).encode()


def print_costs(target: Target, snapshots: str) -> None:
    """Measure and print what needs no server of ours."""
    read = target.probe("read")
    print(
        f"cached read        {read['view']:.0f} ns, a parsed dict {read['dict']:.0f} ns:"
        f" {read['view / dict']:.2f} times"
        f" ({read['view / literal']:.2f} times the {read['literal']:.0f} ns of a literal)"
    )
    print(f"cached async read  {read['async']:.0f} ns: {read['async / view']:.2f} times that")
    print(f"bound object       {read['bound']:.0f} ns for a member of its value")
    imports = measure_imports(target)
    print(
        f"import             {imports['client']:.0f} ms, requests {imports['requests']:.0f} ms:"
        f" {imports['client'] / imports['requests']:.2f} times"
    )
    memory = target.probe("memory", snapshots)
    print(
        f"memory             {memory['view']:.0f} KiB for {CONFIGURATIONS} configurations,"
        f" parsed JSON {memory['json']:.0f} KiB: {memory['view'] / memory['json']:.2f} times"
    )


# ---- How fast a change arrives -----------------------------------------------------------


def measure_latency(
    target: Target,
    views: int,
    *,
    changes: int,
    seconds: float,
    pause: float | None,
    face: str = "watch",
) -> dict[str, float]:
    """Return the milliseconds from each write to the callbacks of all views.

    Args:
        target: the client and the server.
        views: number of live views.
        changes: number of changes.
        seconds: time after which no more changes are made.
        pause: seconds between two changes; ``None`` for enough to have all views wait again.
        face: the probe that watches, ``watch`` or ``watch-async``.

    Raises:
        BenchmarkError: hardly any change arrived.
    """
    # Each change must meet views that wait, not such as are busy with the one before.
    pause = 0.1 + views * 0.002 if pause is None else pause
    shares = [views // WORKERS + (index < views % WORKERS) for index in range(WORKERS)]
    with ExitStack() as stack:
        client = stack.enter_context(ConfigClient(target.url, token=target.token))
        _prepare(client)
        workers = [
            stack.enter_context(target.start_probe(face, share)) for share in shares if share
        ]
        for worker in workers:
            if worker.stdout is None or worker.stdout.readline().strip() != "ready":
                raise BenchmarkError(f"{worker.args!r} did not become ready.")
        # The views have their snapshot; now let them all be waiting.
        time.sleep(2)
        probe = client.configurations.find(client_probe.APPLICATION, "probe")
        n = int(probe.config["n"])
        sent: dict[int, float] = {}
        answered: dict[int, float] = {}
        end = time.monotonic() + seconds
        while len(answered) < changes and time.monotonic() < end:
            n += 1
            sent[n] = time.monotonic()
            client.configurations.update(probe.id, config={"n": n})
            answered[n] = time.monotonic()
            time.sleep(pause)
        time.sleep(2)
        seen = [arrival for w in workers for arrival in _result(w, timeout=PROBE_TIMEOUT)]
    late = sorted(max(0.0, at - answered[n]) * 1000 for n, at in seen if n in answered)
    if len(late) < 2:
        raise BenchmarkError(f"No change arrived at {views} views.")
    cuts = statistics.quantiles(late, n=100)
    # A change may arrive before the answer, so ratios need the time since the request.
    whole = statistics.quantiles([(at - sent[n]) * 1000 for n, at in seen if n in sent], n=100)
    return {
        "p50": cuts[49],
        "p99": cuts[98],
        "worst": late[-1],
        "p50 since request": whole[49],
        "p99 since request": whole[98],
        "arrivals": len(late),
        "missed": len(answered) * views - len(late),
    }


def _prepare(client: ConfigClient) -> None:
    try:
        client.applications.create(name=client_probe.APPLICATION)
        client.configurations.create(client_probe.APPLICATION, name="probe", config={"n": 0})
    except ConflictError:
        client.configurations.find(client_probe.APPLICATION, "probe")


def print_arrivals(target: Target, options: argparse.Namespace) -> None:
    """Measure and print what needs a server."""
    limits = {
        "changes": max(2, options.changes // PARTS),
        "seconds": options.seconds / PARTS,
        "pause": options.pause,
    }
    for views in options.views:
        # By turns, in several parts, so that whatever else the machine does hits both.
        parts: dict[str, list[dict[str, float]]] = {"watch": [], "watch-async": []}
        for number in range(PARTS):
            for face in sorted(parts, reverse=number % 2 == 0):
                parts[face].append(measure_latency(target, views, **limits, face=face))
        medians = {}
        for face, measured in parts.items():
            found = {
                figure: statistics.median(part[figure] for part in measured)
                for figure in measured[0]
            }
            medians[face] = found
            print(
                f"latency, {views:3} views{', asyncio' * (face != 'watch')}"
                f"  p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms,"
                f" worst {found['worst']:.1f} ms; {found['arrivals']:.0f} arrivals,"
                f" {found['missed']:.0f} overtaken by a later change"
            )
        ratios = ", ".join(
            f"{name} {medians['watch-async'][figure] / medians['watch'][figure]:.2f}"
            for figure, name in _COMPARED.items()
            if name.startswith("p")
        )
        print(f"                   asyncio / threads since the request: {ratios}")
    if options.idle:
        idle = target.probe("idle", options.idle)
        print(
            f"idle view          {idle['polls']:.1f} requests a minute"
            f" ({idle['mode']}, watched for {options.idle:.0f} s)"
        )


# ---- Comparing with another checkout -----------------------------------------------------


def compare(before: Target, after: Target, snapshots: str, options: argparse.Namespace) -> None:
    """Measure both checkouts round by round; print the ratios."""
    limits = {"changes": options.changes, "seconds": options.seconds, "pause": options.pause}
    measurements: dict[str, Callable[[Target], Mapping[str, float]]] = {
        "cached read": lambda target: target.probe("read"),
        "import": measure_imports,
        "memory": lambda target: target.probe("memory", snapshots),
    }
    for views in options.views:
        measurements[f"latency, {views} views"] = partial(measure_latency, views=views, **limits)
    rounds: list[Mapping[str, Mapping[str, Mapping[str, float]]]] = []
    for number in range(options.rounds):
        targets = {"before": before, "after": after}
        # Who comes second may find the processor warmer.
        order = sorted(targets, reverse=number % 2 == 0)
        rounds.append(
            {
                name: {side: measure(targets[side]) for side in order}
                for name, measure in measurements.items()
            }
        )
        print(".", end="", flush=True)
    print(
        f"\nMedians; ratios are after/before: median (lowest-highest) of {options.rounds} rounds.\n"
        f"{'':24} {'figures':>18} {'ratio':>20}"
    )
    for name in measurements:
        for figure, unit in _COMPARED.items():
            if figure not in rounds[0][name]["before"]:
                continue
            sides = [[r[name][side][figure] for r in rounds] for side in ("before", "after")]
            pair = Comparison(*sides)
            figures = " -> ".join(f"{statistics.median(side):.1f}" for side in sides)
            label = f"{name}, {unit}" if unit else name
            print(f"{label:24} {figures:>18} {pair!s:>20}  {pair.verdict(more_is_better=False)}")


_COMPARED: Final = {
    "view": "",
    "client": "",
    "p50 since request": "p50",
    "p99 since request": "p99",
}
"""Figures that are compared, and what they are called beside the name of the measurement."""


if __name__ == "__main__":
    sys.exit(run_benchmark(main, *_FAILURES))
