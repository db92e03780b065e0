"""Cost of authentication: the rate of GET with a token beside that without, of the same server.

``http_load.py`` runs it. Two servers of this checkout share one database and differ by ``--auth``
alone. With every request the next of a thousand tokens has its turn, each of which is a reader of
the application by a grant of its own. Rate limits are the default ones on both: with a token every
request is counted, and none is refused, since each token sends one request in a thousand.

Other processes share the machine. So the turns are short, the first is now the one and now the
other, and beside the rate there is the processor time that the server takes for a request, which
is disturbed less.
"""

import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import requests

from benchmarks.common import Comparison
from benchmarks.servers import BenchmarkError, Checkout, clean_environment, running_process
from benchmarks.wrk import Load, Measurement, get_script, wrk

__all__ = ["TOKENS", "AuthenticationCost"]

TOKENS: Final = 1000
"""Different tokens in use."""

BOUND: Final = 0.90
"""How much of the rate has to remain."""

_TIMEOUT: Final = 30.0
"""In seconds."""

_WARM_UP: Final = 1
_TURN: Final = 1
"""Seconds of each."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two servers under one load."""

    measure: Callable[[Load], Measurement]
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    """Requests per second, of each turn."""
    costs: list[float] = field(default_factory=list)
    """Seconds of processor time that a request took the server, of each turn."""

    def take_turn(self, connections: int) -> int:
        """Measure once; return how many requests failed."""
        before = self.process.cpu_times()
        found = self.measure(Load(_TURN, connections))
        after = self.process.cpu_times()
        used = after.user - before.user + after.system - before.system
        self.rates.append(found.rate)
        self.costs.append(used / found.requests)
        return found.not_2xx + found.broken


class AuthenticationCost:
    """Two servers over one database, and what is asked of both."""

    def __init__(
        self, stack: ExitStack, folder: Path, database: str, application: str, *, threads: int
    ) -> None:
        """Start the servers, and make the tokens.

        Args:
            stack: stops the servers.
            folder: for their logs.
            database: where the application is.
            application: its name, which the tokens may read.
            threads: of each server.
        """
        self._folder = folder
        checkout = Checkout.of_this_process()

        def start(auth: str) -> tuple[str, psutil.Process]:
            flags = [f"--database-url={database}", f"--threads={threads}", f"--auth={auth}"]
            process = running_process(f"auth-{auth}", checkout.serve(*flags), folder)
            url, pid = stack.enter_context(process)
            return url, psutil.Process(pid)

        self._without, self._with_token = start("off"), start("required")
        self._secrets = _create_tokens(self._with_token[0], checkout, database, folder, application)
        self._cases: dict[str, tuple[_Side, _Side]] = {}
        self._failures = 0

    def add(self, name: str, path: str, *, is_known: bool = False) -> None:
        """Add a GET that is to be measured.

        Args:
            name: for people.
            path: what to ask for.
            is_known: whether the client has it already, so that the answer is 304.
        """
        first = {"Authorization": f"Bearer {self._secrets[0]}"}
        found = requests.get(self._with_token[0] + path, headers=first, timeout=_TIMEOUT)
        found.raise_for_status()
        headers = {"If-None-Match": found.headers["ETag"]} if is_known else {}
        variants = [{**headers, "Authorization": f"Bearer {secret}"} for secret in self._secrets]

        def side(
            server: tuple[str, psutil.Process], variants: Sequence[Mapping[str, str]]
        ) -> _Side:
            url, process = server
            return _Side(wrk(url + path, self._folder, script=get_script(variants)), process)

        self._cases[name] = (side(self._without, [headers]), side(self._with_token, variants))

    def measure(self, turns: int, connections: int) -> None:
        """Measure everything by turns, after a warm-up."""
        for sides in self._cases.values():
            for side in sides:
                side.measure(Load(_WARM_UP, connections))
        for number in range(turns):
            for sides in self._cases.values():
                # Who comes second may find the processor warmer.
                for side in sides[::-1] if number % 2 else sides:
                    self._failures += side.take_turn(connections)
            print(".", end="", flush=True)
        print()

    def print_results(self) -> int:
        """Print the ratios; return the exit code: 1 if any request failed."""
        turns = max(len(side.rates) for sides in self._cases.values() for side in sides)
        print(
            f"\nAuthentication: with {TOKENS} tokens by turns, beside --auth off. Medians of "
            f"{turns} turns of {_TURN} s; ratios are median (lowest-highest).\n"
            f"{'':14} {'per second':>17} {'ratio of them':>18} {'processor us':>17} "
            f"{'ratio of them':>18}  at least {BOUND:.2f} of the rate"
        )
        for name, (without, with_token) in self._cases.items():
            rate = Comparison(without.rates, with_token.rates)
            cost = Comparison(without.costs, with_token.costs)
            print(
                f"{name:14} {_medians(rate, 1, 0):>17} {rate!s:>18} {_medians(cost, 1e6, 1):>17} "
                f"{cost!s:>18}  {'kept' if rate.ratio >= BOUND else 'NOT KEPT'}"
            )
        if self._failures:
            print(f"FAILED: {self._failures} requests failed; the numbers mean nothing.")
        return int(bool(self._failures))


def _medians(found: Comparison, unit: float, digits: int) -> str:
    before, after = (statistics.median(side) * unit for side in (found.before, found.after))
    return f"{before:.{digits}f} -> {after:.{digits}f}"


def _create_tokens(
    url: str, checkout: Checkout, database: str, folder: Path, application: str
) -> list[str]:
    """Create readers of an application; return their secrets."""
    command = checkout.run("token", "create", "benchmark", "--admin")
    made = subprocess.run(
        [*command, f"--database-url={database}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean_environment(),
    )
    if made.returncode:
        raise BenchmarkError(f"There is no token for everything:\n{made.stderr}")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {made.stdout.strip()}"

        def create(serial: int) -> str:
            grants = [{"role": "reader", "application": application}]
            body = {"name": f"reader-{serial:04}", "grants": grants}
            response = session.post(f"{url}/api/v1/tokens", json=body, timeout=_TIMEOUT)
            response.raise_for_status()
            return str(response.json()["token"])

        return [create(serial) for serial in range(TOKENS)]
