"""Benchmark of a change in a large application: bytes on the wire, CPU and stalls of a client.

    uv run python benchmarks/deltas.py
    uv run python benchmarks/deltas.py --configurations 500 --bytes 2500 --changes 5

A server, and between it and the client a relay that counts what the client receives, headers
included. One value of one configuration is changed again and again. The client gets it in three
forms: as a delta, as the whole snapshot compressed, and as the whole snapshot plain, which is the
reference; the relay takes the headers away by which a client asks for less. The client is a
process of its own: its CPU is that of the whole process, and its stalls are measured by a thread
that sleeps for a millisecond in a loop, in another process so that it does not count as CPU. How
late that thread is while nothing happens is shown beside it.
"""

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import at_least, create_database, machine, run_benchmark
from benchmarks.servers import BenchmarkError, Checkout, clean_environment, running_server
from configsvc_client import ConfigClient, ConfigSvcError
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

APPLICATION: Final = "large"
SETTLE: Final = 1.0
"""Seconds after which everything that a change causes in a client is done."""

FORMS: Final = {
    "whole": ("A-IM", "Accept-Encoding"),
    "whole, gzip": ("A-IM",),
    "delta": (),
}
"""Headers that the relay takes away; the first form is the reference."""

BOUNDS: Final = {"bytes": 5_000, "cpu": 20.0, "stall": 10.0}
"""For a delta of a change in 5 MB: bytes, and milliseconds."""

_FAILURES: Final = (
    BenchmarkError,
    ConfigSvcError,
    EmbeddedPostgresError,
    subprocess.SubprocessError,
    psycopg.Error,
)


def main() -> int:
    """Measure all forms by turns, and print them beside the reference."""
    if len(sys.argv) > 1 and sys.argv[1] == "probe":
        probe(sys.argv[2], sys.argv[3])
        return 0
    options = _options()
    print(machine())
    ours = Checkout.of_this_process()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
        command = ours.serve(
            f"--database-url={create_database(cluster, 'deltas')}", "--log-level=warning"
        )
        url = stack.enter_context(running_server("server", command, folder))
        client = stack.enter_context(ConfigClient(url))
        size = _fill(client, options.configurations, options.bytes)
        print(f"{options.configurations} configurations, {size / 1e6:.1f} MB")
        _print(_measure(client, ours, url, options.changes))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure what a change costs a client of a large application.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--configurations", type=at_least(2), default=2000, help="in the application")
    add("--bytes", type=at_least(100), default=2500, help="of each, about")
    add("--changes", type=at_least(2), default=15, help="of one value, for each form")
    return parser.parse_args()


def _fill(client: ConfigClient, configurations: int, size: int) -> int:
    client.applications.create(name=APPLICATION)
    total = 0
    for number in range(configurations):
        config = _config(number, size)
        total += len(json.dumps(config))
        client.configurations.create(APPLICATION, name=f"service-{number:04}", config=config)
    return total


def _config(number: int, size: int) -> dict[str, object]:
    host = {"name": f"host-{number}.example.com", "port": 8000 + number, "weight": number / 7}
    hosts = [{**host, "zone": f"zone-{zone}"} for zone in range(size // len(json.dumps(host)))]
    config: dict[str, object] = {"n": 0, "enabled": number % 2 == 0, "hosts": hosts}
    while len(json.dumps(config)) > size and hosts:
        hosts.pop()
    return config


# ---- The relay -----------------------------------------------------------------------------


class Relay:
    """TCP relay that counts what comes back, and takes headers of requests away."""

    def __init__(self, url: str, without: Sequence[str]) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        names = "|".join(map(re.escape, without))
        self._headers = re.compile(rf"(?im)^(?:{names}):.*\r\n".encode()) if names else None
        self.received = 0
        """Bytes that clients have received."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close all connections."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += (client, server)
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            # A request of a view has no body, and comes in one piece.
            while data := client.recv(65536):
                server.sendall(self._headers.sub(b"", data) if self._headers else data)
        _end(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                self.received += len(data)
                client.sendall(data)
        _end(client)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


# ---- The client --------------------------------------------------------------------------


def probe(url: str, kind: str) -> None:
    """Follow the application; for each line, print what the time until the next one has cost.

    Args:
        url: address of the server.
        kind: ``cpu`` or ``stall``; both in milliseconds.
    """
    with ConfigClient(url) as client:
        view = client.application(APPLICATION)
        view.wait_until_ready(60)
        arrived = threading.Event()
        view.on_change(lambda _: arrived.set(), "service-0000.n")
        witness = Witness() if kind == "stall" else None
        print("ready", flush=True)
        cpu = time.process_time()
        for line in sys.stdin:
            expected = int(line)
            if expected and not (arrived.wait(60) and view["service-0000"]["n"] == expected):
                raise SystemExit("The change did not arrive.")
            time.sleep(SETTLE)
            arrived.clear()
            used = (time.process_time() - cpu) * 1000
            print(used if witness is None else witness.take() * 1000, flush=True)
            cpu = time.process_time()


class Witness:
    """Thread that notes how late it wakes up."""

    def __init__(self) -> None:
        self._worst = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> float:
        """Return the longest delay since the last call, in seconds."""
        worst, self._worst = self._worst, 0.0
        return worst

    def _run(self) -> None:
        while True:
            before = time.perf_counter()
            time.sleep(0.001)
            self._worst = max(self._worst, time.perf_counter() - before - 0.001)


@dataclass(frozen=True, slots=True)
class Follower:
    """A client in a process of its own, behind a relay."""

    process: "subprocess.Popen[str]"
    relay: Relay
    kind: str

    def take(self, expected: int) -> tuple[float, int]:
        """Return what has been measured since the last call, and the bytes received.

        Args:
            expected: the value to wait for; 0 for none.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(expected, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchmarkError("A client has ended.")
        received, self.relay.received = self.relay.received, 0
        return float(answer), received


@contextmanager
def _follower(checkout: Checkout, url: str, form: str, kind: str) -> Iterator[Follower]:
    relay = Relay(url, FORMS[form])
    process = subprocess.Popen(
        checkout.python(__file__, "probe", relay.url, kind),
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise BenchmarkError("A client did not become ready.")
        yield Follower(process, relay, kind)
    finally:
        process.kill()
        process.wait()
        relay.close()


Figures = dict[str, dict[str, list[float]]]


def _measure(client: ConfigClient, checkout: Checkout, url: str, changes: int) -> Figures:
    found: Figures = {form: {"bytes": [], "cpu": [], "stall": [], "idle": []} for form in FORMS}
    changed = client.configurations.find(APPLICATION, "service-0000")
    value = 0
    for form in FORMS:
        for kind in ("cpu", "stall"):
            with _follower(checkout, url, form, kind) as follower:
                time.sleep(SETTLE)
                follower.take(0)
                for _ in range(changes):
                    value += 1
                    client.configurations.update(changed.id, config={**changed.config, "n": value})
                    figure, received = follower.take(value)
                    found[form][kind].append(figure)
                    found[form]["bytes"].append(received)
                    idle, _ = follower.take(0)
                    if kind == "stall":
                        found[form]["idle"].append(idle)
    return found


def _print(found: Figures) -> None:
    reference = found[next(iter(FORMS))]
    print(f"one change, medians{'bytes':>16}{'CPU':>14}{'stall (worst)':>24}{'idle stall':>14}")
    for form, figures in found.items():
        middle = {name: statistics.median(values) for name, values in figures.items()}
        print(
            f"{form:19}{middle['bytes']:16,.0f}{middle['cpu']:11.1f} ms"
            f"{middle['stall']:11.1f} ({max(figures['stall']):.1f}) ms{middle['idle']:11.1f} ms"
        )
        if figures is not reference:
            ratios = [
                middle[name] / statistics.median(reference[name])
                for name in ("bytes", "cpu", "stall")
            ]
            print(f"  of the whole     {ratios[0]:16.4f}{ratios[1]:11.3f}   {ratios[2]:11.3f}")
    delta = {name: statistics.median(values) for name, values in found["delta"].items()}
    for name, bound in BOUNDS.items():
        verdict = "kept" if delta[name] <= bound else "EXCEEDED"
        print(f"delta, {name}: {delta[name]:,.1f} of at most {bound:,.0f}: {verdict}")


if __name__ == "__main__":
    sys.exit(run_benchmark(main, *_FAILURES))
