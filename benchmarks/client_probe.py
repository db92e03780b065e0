"""Measurements of the client SDK of one checkout; ``client.py`` runs them in its interpreter.

    python benchmarks/client_probe.py read|memory|watch VIEWS|watch-async VIEWS|idle SECONDS

It knows nothing but the public SDK, so that it fits every checkout. The server is that of
``CONFIGSVC_URL``; what was measured is printed as JSON.
"""

import asyncio
import gc
import json
import statistics
import sys
import time
import timeit
import tracemalloc
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from configsvc_client import ConfigClient
from configsvc_client.testing import FakeConfigClient

T = TypeVar("T")

APPLICATION = "benchmark"
LARGE_PATH = "/api/v1/applications/large/environments/default/snapshot"

READ_ROUNDS = 501
"""How often each kind of read is measured; the medians count."""

READS = 5_000
"""Reads of each kind in a round."""


def read() -> object:
    """Return the nanoseconds of each kind of cached read, and their ratios to that of a dict.

    A view is compared with what a program would have in its place: a dict, read by the very same
    expression, and parsed from JSON like the configuration. The names in a dict that stands in
    the program itself are the strings of the program, which is a little quicker: it is measured
    as ``literal``. All are measured by turns, in the same loop, whose own time is in all figures,
    and by the time of the processor; a ratio is the median of those of all rounds. So other work
    of the machine counts for neither, or for both.
    """
    literal = {"database": {"pool_size": 10}}
    plain = json.loads(json.dumps(literal))
    app = FakeConfigClient({APPLICATION: plain}).application(APPLICATION)
    database = app.bind("database", _Database)
    items = {"dict": plain, "view": app, "literal": literal}
    async_app = _ready_async_view(plain)
    if async_app is not None:
        items["async"] = async_app
    clock = time.process_time
    timers = {
        kind: timeit.Timer("it['database']['pool_size']", timer=clock, globals={"it": item})
        for kind, item in items.items()
    }
    timers["bound"] = timeit.Timer("it.value.pool_size", timer=clock, globals={"it": database})
    rounds = [
        {kind: timer.timeit(READS) / READS * 1e9 for kind, timer in timers.items()}
        for _ in range(READ_ROUNDS)
    ]
    found = {kind: statistics.median(one[kind] for one in rounds) for kind in timers}
    ratios = {
        f"{kind} / {other}": statistics.median(one[kind] / one[other] for one in rounds)
        for kind, other in (("view", "dict"), ("view", "literal"), ("async", "view"))
        if kind in timers
    }
    return found | ratios


@dataclass(frozen=True)
class _Database:
    pool_size: int


def _ready_async_view(configurations: dict[str, dict[str, int]]) -> object:
    try:
        from configsvc_client.testing import FakeAsyncConfigClient  # noqa: PLC0415
    except ImportError:
        # Of a checkout from before there was one.
        return None
    app = FakeAsyncConfigClient({APPLICATION: configurations}).application(APPLICATION)
    asyncio.run(app.ready())
    return app


def memory(url: str) -> object:
    """Return the KiB of a view of a large snapshot, and of its parsed JSON."""
    with urllib.request.urlopen(url + LARGE_PATH) as response:
        body = response.read()
    # Nothing but the first request must happen while we count.
    with ConfigClient(url, long_poll=0, poll_interval=3600) as client:
        # What is made once for all views is made before.
        client.application("small").wait_until_ready(30)
        tracemalloc.start()
        parsed, parsed_size = _traced(lambda: json.loads(body))
        view = client.application("large")
        _, view_size = _traced(lambda: view.wait_until_ready(30))
        tracemalloc.stop()
        assert len(view) == len(parsed["configurations"])
    return {"view": view_size, "json": parsed_size}


def _traced(make: Callable[[], T]) -> tuple[T, float]:
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    made = make()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return made, (after - before) / 1024


def watch(views: int) -> object:
    """Watch with some live views, each of a client of its own, until a line comes in.

    Returns:
        Each number that arrived, and when.
    """
    seen: list[tuple[int, float]] = []
    with ExitStack() as stack:
        for _ in range(views):
            view = stack.enter_context(ConfigClient()).application(APPLICATION)
            view.wait_until_ready(30)
            view.on_change(lambda change: seen.append((change.new, time.monotonic())), "probe.n")
        print("ready", flush=True)
        sys.stdin.readline()
    return seen


def watch_async(views: int) -> object:
    """Do the same with the async face: all views on one event loop."""
    from configsvc_client import AsyncConfigClient  # noqa: PLC0415 - see above

    seen: list[tuple[int, float]] = []

    async def main() -> None:
        clients = [AsyncConfigClient() for _ in range(views)]
        for client in clients:
            view = client.application(APPLICATION)
            await view.ready(30)
            view.on_change(lambda change: seen.append((change.new, time.monotonic())), "probe.n")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(client.aclose() for client in clients))

    asyncio.run(main())
    return seen


def idle(seconds: float) -> object:
    """Return the requests that an idle view makes in a minute, and how it polls."""
    with ConfigClient() as client:
        view = client.application(APPLICATION)
        view.wait_until_ready(30)
        time.sleep(1)
        before = view.status().polls
        time.sleep(seconds)
        polls = view.status().polls - before
        return {"polls": polls * 60 / seconds, "mode": view.status().mode}


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "read":
        result = read()
    elif name == "memory":
        result = memory(*arguments)
    elif name == "watch":
        result = watch(int(*arguments))
    elif name == "watch-async":
        result = watch_async(int(*arguments))
    else:
        result = idle(float(*arguments))
    print(json.dumps(result))
