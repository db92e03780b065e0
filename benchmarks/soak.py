"""Soak: mixed requests for a while, and what the server's memory does meanwhile.

    uv run python benchmarks/soak.py
    uv run python benchmarks/soak.py --minutes 2 --seed 7

Reads, snapshots, pages, writes, schema checks, long polls, errors of all kinds, new
connections, slow readers and clients that go away, all at once, against one server. Its
resident memory is sampled every second; that of the last minute is compared with that of the
first, which begins when the caches are warm. No answer may be a 5xx, apart from 503, which are
counted. Linux only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import requests

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import at_least, create_database, machine, run_benchmark
from benchmarks.processes import MIB, Sample, ServerProcess, Watch, free_port
from benchmarks.servers import START_TIMEOUT, STOP_TIMEOUT, BenchmarkError, Checkout
from benchmarks.soak_traffic import Tally, Traffic
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

MEMORY_BOUND: Final = 1.20
"""How much of the memory of the first minute the last one may take."""

FILES_BOUND: Final = 40
"""How many more files may be open at the end than before the traffic: pool, pipes, log."""

WARM_UP: Final = 15.0
"""Seconds of traffic before the first minute."""

REST: Final = 10.0
"""Seconds between the end of the traffic and the last look."""

MINUTE: Final = 60.0
"""In seconds."""

_FAILURES: Final = (
    BenchmarkError,
    EmbeddedPostgresError,
    requests.RequestException,
    psycopg.Error,
)


def main() -> int:
    """Run the benchmark and return the exit code: 1 where a bound was missed."""
    options = _options()
    with ExitStack() as stack:
        return int(run(stack, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Send mixed requests to configsvc and watch its memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=at_least(2), default=10, help="after the warm-up")
    add("--clients", type=at_least(1), default=8, help="threads that send requests of all kinds")
    add("--pollers", type=at_least(0), default=20, help="threads that wait for changes")
    add("--readers", type=at_least(0), default=4, help="threads that read slowly")
    add("--pause", type=float, default=0.002, help="seconds between two requests of a client")
    add("--seed", type=int, default=1, help="of the requests")
    return parser.parse_args()


def run(stack: ExitStack, options: argparse.Namespace) -> bool:
    """Soak a server and print what came of it; return whether a bound was missed."""
    print(
        f"{machine()}; {options.minutes} minutes after {WARM_UP:.0f} s of warm-up, "
        f"{options.clients} clients, {options.pollers} pollers, {options.readers} slow readers, "
        f"seed {options.seed}"
    )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
    cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
    port = free_port()
    database = create_database(cluster, "soak")
    command = Checkout.of_this_process().serve(f"--port={port}", f"--database-url={database}")
    server = ServerProcess(command, folder, name="soak", port=port)
    stack.callback(server.stop, STOP_TIMEOUT)
    server.start()
    server.wait_until_ready(START_TIMEOUT)
    traffic = Traffic(port, seed=options.seed)
    with Watch(server.pid, interval=1.0) as watch:
        time.sleep(1.5)
        traffic.start(
            clients=options.clients,
            pollers=options.pollers,
            readers=options.readers,
            pause=options.pause,
        )
        begun = time.monotonic()
        time.sleep(WARM_UP)
        warm = watch.samples[-1].seconds
        for minute in range(options.minutes):
            time.sleep(MINUTE)
            print(
                f"minute {minute + 1}: {watch.samples[-1].rss / MIB:.0f} MiB, "
                f"{traffic.tally.kinds.total()} requests",
                file=sys.stderr,
                flush=True,
            )
            if not server.is_running:
                raise BenchmarkError(f"the server has ended:\n{server.log.read_text()[-2000:]}")
        seconds = time.monotonic() - begun
        traffic.stop()
        time.sleep(REST)
    missed = print_memory(watch.samples, warm, options.minutes)
    return print_requests(traffic.tally, seconds) or missed


# ---- Showing it --------------------------------------------------------------------------


def print_memory(samples: Sequence[Sample], warm: float, minutes: int) -> bool:
    """Print the memory minute by minute; return whether a bound was missed.

    Args:
        samples: of the whole run, one a second.
        warm: when the first minute began, in seconds since the first sample.
        minutes: how many there are.
    """
    print(
        f"\nResident memory in MiB; the ratio is that to minute 1.\n"
        f"{'':10} {'median':>8} {'ratio':>6} {'largest':>8} {'ratio':>6} {'children':>9} "
        f"{'files':>6} {'threads':>8}"
    )
    rows = {"begin": [samples[0]]}
    for minute in range(minutes):
        begin = warm + minute * MINUTE
        rows[f"minute {minute + 1}"] = [s for s in samples if begin <= s.seconds < begin + MINUTE]
    rows["after rest"] = [samples[-1]]
    first, last = rows["minute 1"], rows[f"minute {minutes}"]

    def ratios(mine: Sequence[Sample]) -> tuple[float, float]:
        return _median(mine) / _median(first), _largest(mine) / _largest(first)

    for name, mine in rows.items():
        of_median, of_largest = ratios(mine)
        print(
            f"{name:10} {_median(mine) / MIB:8.1f} {of_median:6.2f} {_largest(mine) / MIB:8.1f} "
            f"{of_largest:6.2f} {max(s.children for s in mine) / MIB:9.1f} "
            f"{max(s.files for s in mine):6} {max(s.threads for s in mine):8}"
        )
    worst = max(ratios(last))
    grown = samples[-1].files - samples[0].files
    print(
        f"\nThe last minute to the first: {worst:.2f}, bound {MEMORY_BOUND:.2f} "
        f"{_verdict(worst <= MEMORY_BOUND)}\n"
        f"Files open at the end and not at the begin: {grown}, bound {FILES_BOUND} "
        f"{_verdict(grown <= FILES_BOUND)}"
    )
    return worst > MEMORY_BOUND or grown > FILES_BOUND


def _median(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.rss for sample in samples)


def _largest(samples: Sequence[Sample]) -> float:
    return max(sample.rss for sample in samples)


def print_requests(tally: Tally, seconds: float) -> bool:
    """Print what was asked and answered; return whether something came that must not."""
    total = tally.kinds.total()
    print(f"\n{total} requests, {total / seconds:.0f} per second:")
    for kind, count in sorted(tally.kinds.items(), key=lambda item: -item[1]):
        print(f"  {kind:20} {count:8} {count / seconds:8.1f} per second")
    print("Answers: " + ", ".join(f"{k}: {n}" for k, n in sorted(tally.statuses.items())))
    failures = sum(n for status, n in tally.statuses.items() if status >= 500 and status != 503)
    print(
        f"503, which is allowed: {tally.statuses[503]}; other 5xx: {failures}, bound 0 "
        f"{_verdict(not failures)}"
    )
    for what, count in tally.unexpected.items():
        print(f"NOT EXPECTED, {count} times: {what}")
    return bool(failures or tally.unexpected)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(run_benchmark(main, *_FAILURES))
