"""Measure what the client costs, and how fast a change arrives.

    uv run python benchmarks/client.py

Everything is shown beside what it is compared with: a plain dict, ``import requests``, the
parsed JSON alone. The last two figures need a server, which is started for them; give
``--url`` to use one that runs already.
"""

import argparse
import gc
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from configsvc_client import ConfigClient, ConflictError
from configsvc_client._values.snapshot import Snapshot, read_snapshot
from configsvc_client._view.poller import Updater
from configsvc_client._view.snapshot_source import Fetched, SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client._view.view import ConfigView
from configsvc_client.options import Options
from configsvc_client.testing import FakeConfigClient

APPLICATION: Final = "benchmark"
CONFIGURATIONS: Final = 1000
WORKERS: Final = 4
"""Processes that the live views are spread over."""

_ANSWERS = re.compile(r"answers at (http://\S+)")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Measure the client.")
    parser.add_argument("--url", help="a running server; without it one is started")
    parser.add_argument("--token", help="for that server")
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--views", type=int, nargs="*", default=[1, 50, 200])
    parser.add_argument("--pause", type=float, help="seconds between two changes")
    parser.add_argument("--idle", type=float, default=90.0, help="seconds to watch an idle view")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _work(options.url, options.token, options.worker)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {platform.python_version()} on {platform.machine()}, {cores} cores")
    _print_reads()
    _print_imports()
    _print_memory()
    with ExitStack() as stack:
        url = options.url or stack.enter_context(_server())
        client = stack.enter_context(ConfigClient(url, token=options.token))
        _prepare(client)
        for views in options.views:
            _print_latency(client, url, options.token, views, options.changes, options.pause)
        if options.idle:
            _print_idle(client, options.idle)


def _print_reads() -> None:
    plain = {"database": {"pool_size": 10}}
    view = FakeConfigClient({APPLICATION: plain}).application(APPLICATION)
    names = {"plain": plain, "app": view}
    costs = {
        name: min(
            timeit.repeat(
                f"{name}['database']['pool_size']", globals=names, number=1_000_000, repeat=7
            )
        )
        * 1000
        for name in ("plain", "app")
    }
    print(
        f"cached read        {costs['app']:.0f} ns, a plain dict {costs['plain']:.0f} ns:"
        f" {costs['app'] / costs['plain']:.1f} times"
    )


def _print_imports() -> None:
    modules = ("requests", "configsvc_client")
    # In turns, so that whatever else the machine does hits both.
    times = [[_import_time(module) for module in modules] for _ in range(21)]
    requests, client = (min(column) for column in zip(*times, strict=True))
    ratio = client / requests
    print(f"import             {client:.0f} ms, requests {requests:.0f} ms: {ratio:.2f} times")


def _import_time(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) * 1000


class _Once(SnapshotSource):
    """A source that has one snapshot, and an updater that fetches it at the start."""

    mode = "once"

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._sync: Synchronizer | None = None

    def fetch(
        self, current: Snapshot | None, *, wait: float = 0, bypass_cache: bool = False
    ) -> Fetched:
        return Fetched(read_snapshot(self._body, '"1"', previous=current), b"", granted=False)

    def make(self, store: SnapshotStore, sync: Synchronizer) -> Updater:
        self._sync = sync
        return self

    def start(self) -> None:
        assert self._sync is not None
        self._sync.update(self)

    def stop(self) -> None:
        pass

    after_fork_in_child = stop


def _print_memory() -> None:
    body = _large_snapshot()
    tracemalloc.start()
    parsed, parsed_size = _traced(lambda: json.loads(body))
    once = _Once(body)
    view, view_size = _traced(lambda: _ready_view(once))
    tracemalloc.stop()
    assert len(view) == len(parsed["configurations"])
    print(
        f"memory             {view_size / 1024:.0f} KiB for {CONFIGURATIONS} configurations,"
        f" parsed JSON {parsed_size / 1024:.0f} KiB: {view_size / parsed_size:.2f} times"
    )


def _traced(make: Any) -> tuple[Any, int]:
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    made = make()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return made, after - before


def _ready_view(once: _Once) -> ConfigView:
    view = ConfigView(
        APPLICATION,
        "default",
        options=Options(url="http://localhost"),
        sources=lambda _: once,
        updater=once.make,
        remove=lambda _: None,
    )
    view.wait_until_ready()
    return view


def _large_snapshot() -> bytes:
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
        for index in range(CONFIGURATIONS)
    }
    head = {"application_id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E", "application": APPLICATION}
    document = {**head, "environment": "default", "configurations": configurations}
    return json.dumps(document).encode()


@contextmanager
def _server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "configsvc_server", "serve", "--port", "0"],
            env={**os.environ, "CONFIGSVC_DATA_DIR": folder, "CONFIGSVC_LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        found = _ANSWERS.search(line)
        if found:
            # Whatever else it prints must not fill the pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found[1].replace("localhost", "127.0.0.1")
    raise SystemExit("The server did not start:\n" + "".join(seen))


def _prepare(client: ConfigClient) -> None:
    try:
        client.applications.create(name=APPLICATION)
        client.configurations.create(APPLICATION, name="probe", config={"n": 0})
    except ConflictError:
        client.configurations.find(APPLICATION, "probe")


def _print_latency(
    client: ConfigClient, url: str, token: str | None, views: int, changes: int, pause: float | None
) -> None:
    workers = [_start_worker(url, token, share) for share in _shares(views, WORKERS) if share]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == "ready"
    # The views have their snapshot; now let them all be waiting.
    time.sleep(2)
    probe = client.configurations.find(APPLICATION, "probe")
    first = int(probe.config["n"]) + 1
    answered = {}
    if pause is None:
        # Each change shall meet views that wait, not such as are busy with the one before.
        pause = 0.1 + views * 0.002
    for n in range(first, first + changes):
        client.configurations.update(probe.id, config={"n": n})
        answered[n] = time.monotonic()
        time.sleep(pause)
    time.sleep(2)
    seen = []
    for worker in workers:
        output, _ = worker.communicate("done\n", timeout=60)
        seen += json.loads(output)
    late = sorted(max(0.0, at - answered[n]) * 1000 for n, at in seen if n in answered)
    missed = changes * views - len(late)
    if len(late) < 2:
        print(f"latency, {views:3} views: no change arrived")
        return
    cuts = statistics.quantiles(late, n=100)
    print(
        f"latency, {views:3} views  p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, worst"
        f" {late[-1]:.1f} ms; {len(late)} arrivals, {missed} overtaken by a later change"
    )


def _shares(count: int, workers: int) -> Sequence[int]:
    return [count // workers + (index < count % workers) for index in range(workers)]


def _start_worker(url: str, token: str | None, views: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--worker", str(views), "--url", url]
    return subprocess.Popen(
        [*command, *(["--token", token] if token else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _work(url: str, token: str | None, views: int) -> None:
    """Watch with some live views, each of a client of its own, until a line comes in."""
    seen: list[tuple[int, float]] = []
    with ExitStack() as stack:
        for _ in range(views):
            client = stack.enter_context(ConfigClient(url, token=token))
            view = client.application(APPLICATION)
            view.wait_until_ready(30)
            view.on_change(lambda change: seen.append((change.new, time.monotonic())), "probe.n")
        print("ready", flush=True)
        sys.stdin.readline()
    print(json.dumps(seen))


def _print_idle(client: ConfigClient, seconds: float) -> None:
    view = client.application(APPLICATION)
    view.wait_until_ready()
    time.sleep(1)
    before = view.status().polls
    time.sleep(seconds)
    polls = view.status().polls - before
    print(
        f"idle view          {polls * 60 / seconds:.1f} requests a minute"
        f" ({view.status().mode}, watched for {seconds:.0f} s)"
    )


if __name__ == "__main__":
    main()
