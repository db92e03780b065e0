"""Chaos: kill -9 of servers and of their PostgreSQL under load, and a look at what is left.

    uv run python benchmarks/chaos.py
    uv run python benchmarks/chaos.py --seconds 60 --servers 2 --kill server --seed 7

Writers, readers and followers of the change feed work all the time, while every few seconds a
server, the postmaster of the embedded PostgreSQL, or both at once are killed. A killed server
is started again by this program, as systemd would do it; the postmaster has to be started again
by a server. The last table shows how long it took until everything was ready and a write went
through, beside a start after an ordinary stop, and whether the history has everything that was
acknowledged, nothing by half, and whether each follower was told each change exactly once.
Linux only.
"""

import argparse
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import at_least, machine, run_benchmark
from benchmarks.ledger import Ledger
from benchmarks.processes import ServerProcess, end_postgres, free_port, postmaster
from benchmarks.servers import START_TIMEOUT, BenchmarkError, Checkout
from benchmarks.supervision import KINDS, Killer, Strike, Supervisor
from benchmarks.verification import History, verify
from benchmarks.witnesses import Load

RECOVERY_BOUND: Final = 15.0
"""Seconds within which everything has to be ready after a kill."""

RECOVERY_TIMEOUT: Final = 60.0
"""Seconds after which it will not come back any more."""

SETTLE: Final = 3.0
"""Seconds of load before the first kill, and after the last."""

FOLLOWER_TIMEOUT: Final = 30.0
"""Seconds that followers have to be told of the last change."""

STOP_TIMEOUT: Final = 30.0
"""In seconds."""

SHOWN: Final = 20
"""Violations that are printed."""


def main() -> int:
    """Run the benchmark and return the exit code: 1 where a promise was broken."""
    options = _options()
    # The SDK reports each failure that it waits out.
    logging.getLogger("configsvc_client").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="configsvc-chaos-"))
    kept = True
    try:
        broken = run(options, folder)
        kept = broken
    finally:
        end_postgres(folder / "data")
        if kept:
            shutil.rmtree(folder / "data", ignore_errors=True)
            print(f"The logs of the servers are in {folder}.", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return int(broken)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Kill servers and PostgreSQL under load, and verify that nothing is lost.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seconds", type=at_least(1), default=300, help="for how long to kill")
    add("--every", type=float, default=4.0, help="mean seconds between a recovery and a kill")
    add("--kill", type=_kinds, default=KINDS, metavar="KINDS", help="of " + ",".join(KINDS))
    add("--servers", type=at_least(1), default=1, help="servers over the one data directory")
    add("--writers", type=at_least(1), default=4, help="threads that write")
    add("--readers", type=at_least(1), default=4, help="threads that read")
    add("--followers", type=at_least(1), default=3, help="through the SDK; as many over HTTP")
    add("--pause", type=float, default=0.01, help="seconds between two requests of a thread")
    add("--seed", type=int, default=1, help="of what is killed when")
    return parser.parse_args()


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"must be some of {','.join(KINDS)}")
    return kinds


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Kill for as long as wanted, verify, and print it; return whether a promise was broken."""
    data_dir = folder / "data"
    print(
        f"{machine()}; {options.servers} servers, {options.writers} writers, "
        f"{options.readers} readers, {2 * options.followers} followers; "
        f"kill {','.join(options.kill)} for {options.seconds} s, seed {options.seed}"
    )
    with ExitStack() as stack:
        servers = []
        for number in range(options.servers):
            port = free_port()
            command = Checkout.of_this_process().serve(f"--data-dir={data_dir}", f"--port={port}")
            servers.append(ServerProcess(command, folder, name=f"server-{number}", port=port))
            stack.callback(servers[-1].stop, STOP_TIMEOUT)
        reference = ordinary_start(servers)
        tell(f"a start after an ordinary stop takes {reference:.2f} s")
        load = Load(
            [server.url for server in servers],
            writers=options.writers,
            readers=options.readers,
            followers=options.followers,
            pause=options.pause,
        )
        killer = Killer(servers, data_dir, kinds=options.kill, seed=options.seed)
        with Supervisor(servers) as supervisor:
            wear_down(killer, load.ledger, options.seconds, options.every)
            if killer.strikes and killer.strikes[-1].ready is None:
                load.ledger.violated("it did not come back by itself")
                tell("killing everything, to see at least what is left")
                for server in servers:
                    server.kill()
                wait_for_restart(servers)
            time.sleep(SETTLE)
            load.stop(timeout=FOLLOWER_TIMEOUT)
            tell("reading the whole history")
            history = History(load.ledger, servers[0].url)
            violations = verify(load.ledger, history, load.followers)
        slow = print_recoveries(killer.strikes, load.ledger, reference)
        print_history(load, history, supervisor.starts)
        for server in servers:
            if server.stop(STOP_TIMEOUT) is None:
                violations.append(f"{server.url} did not stop within {STOP_TIMEOUT:.0f} s")
        if postmaster(data_dir) is not None:
            violations.append("PostgreSQL still runs after the last server has stopped")
    print_violations(violations)
    return slow or bool(violations)


def ordinary_start(servers: Sequence[ServerProcess]) -> float:
    """Start everything, the first server twice; return how long its second start took."""
    servers[0].start()
    servers[0].wait_until_ready(START_TIMEOUT)
    servers[0].stop(STOP_TIMEOUT)
    begun = time.monotonic()
    servers[0].start()
    servers[0].wait_until_ready(START_TIMEOUT)
    seconds = time.monotonic() - begun
    for server in servers[1:]:
        server.start()
        server.wait_until_ready(START_TIMEOUT)
    return seconds


def wear_down(killer: Killer, ledger: Ledger, seconds: float, every: float) -> None:
    """Kill until the time is over, or until something does not come back."""
    time.sleep(SETTLE)
    begun = time.monotonic()
    reported = 0
    while time.monotonic() - begun < seconds:
        time.sleep(killer.pause(every))
        strike = killer.strike(timeout=RECOVERY_TIMEOUT)
        took = "never back" if strike.seconds is None else f"ready after {strike.seconds:.2f} s"
        tell(
            f"{time.monotonic() - begun:5.0f} s: {strike.kind} killed, {took}; "
            f"{len(ledger.acknowledgements)} writes acknowledged"
        )
        for violation in ledger.violations[reported:]:
            tell(f"VIOLATED: {violation}")
        reported = len(ledger.violations)
        if strike.ready is None:
            return


def wait_for_restart(servers: Sequence[ServerProcess]) -> None:
    """Wait until the supervisor has brought all servers back.

    Raises:
        BenchmarkError: they did not come.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not all(server.is_ready() for server in servers):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"a server does not start again; its log is {servers[0].log}")
        time.sleep(0.1)


def tell(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


# ---- Showing it --------------------------------------------------------------------------


def print_recoveries(strikes: Sequence[Strike], ledger: Ledger, reference: float) -> bool:
    """Print how long everything took to be back; return whether the bound was missed."""
    print(
        f"\nSeconds after a kill; the ratio is that of the worst to an ordinary start "
        f"({reference:.2f} s).\n"
        f"{'killed':12} {'times':>5} {'ready median':>13} {'worst':>7} {'ratio':>6} "
        f"{'write median':>13} {'worst':>7}   bound"
    )
    missed = False
    kinds = [kind for kind in KINDS if any(s.kind == kind for s in strikes)]
    for kind in [*kinds, "in a row", "all"]:
        mine = [
            strike
            for strike in strikes
            if kind in {"all", strike.kind} or (kind == "in a row" and "+" in strike.kind)
        ]
        if not mine:
            continue
        ready = [strike.seconds if strike.seconds is not None else float("inf") for strike in mine]
        writes = [
            done - strike.moment if done is not None else float("inf")
            for strike in mine
            for done in [ledger.first_write_after(strike.moment)]
        ]
        met = max(ready) <= RECOVERY_BOUND
        missed = missed or not met
        print(
            f"{kind:12} {len(mine):5} {statistics.median(ready):13.2f} {max(ready):7.2f} "
            f"{max(ready) / reference:6.1f} {statistics.median(writes):13.2f} "
            f"{max(writes):7.2f}   {RECOVERY_BOUND:.0f} s {'met' if met else 'MISSED'}"
        )
    return missed


def print_history(load: Load, history: History, starts: int) -> None:
    """Print what was done, and what of it is in the history."""
    ledger = load.ledger
    acknowledged = len(ledger.acknowledgements)
    print(
        f"\n{acknowledged} writes and {len(ledger.promotions)} promotions acknowledged, "
        f"{ledger.repeated} requests repeated, {ledger.resolved} writes found made by a look at "
        f"the history; {ledger.reads} reads, {ledger.behind} of them behind an earlier one with "
        f"no-cache; servers started again {starts} times.\n"
        f"Answers: {', '.join(f'{k}: {n}' for k, n in sorted(ledger.answers.items()))}.\n"
        f"The history has {history.versions} versions of {len(history.configurations)} "
        f"configurations and {len(history.changes)} changes."
    )
    for follower in load.followers:
        only = f" of {follower.application} alone" if follower.application else ""
        print(f"{follower.name} was told {len(follower.ids)} changes{only}.")


def print_violations(violations: Sequence[str]) -> None:
    """Print what must not have been."""
    for violation in violations[:SHOWN]:
        print(f"VIOLATED: {violation}")
    print(f"{len(violations)} promises broken: {'MISSED' if violations else 'met'}")


if __name__ == "__main__":
    sys.exit(run_benchmark(main, BenchmarkError))
