"""Benchmark of a server under attack: how fast liveness and one read answer meanwhile.

    uv run python benchmarks/attacks.py
    uv run python benchmarks/attacks.py --against ../before --only blanks,readers --seconds 5

Each attack has a fresh server over an empty database. First liveness and a read from memory are
measured quietly, which is the reference of the ratios, then while the attack runs, each by a
connection of its own every tenth of a second. Liveness has to answer within a second all the
time. The attackers come from other addresses than these questions (``--same-address``: from the
same one). A server that does not answer or stop any more is killed, which is shown, and the
next attack begins. With ``--against`` the server of another checkout, which needs a virtual
environment of its own, is attacked in the same way. Linux only.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import psycopg
import requests

# Run as a file, this finds only the modules beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import attackers
from benchmarks.attack_plans import ATTACKS, Attack, Victim
from benchmarks.attackers import Plan
from benchmarks.common import at_least, create_database, machine, run_benchmark
from benchmarks.processes import MIB, ServerProcess, Watch, ask, free_port
from benchmarks.servers import START_TIMEOUT, BenchmarkError, Checkout
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

BOUND: Final = 1.0
"""Seconds within which liveness has to answer."""

PROBE_TIMEOUT: Final = 3.0
"""Seconds after which a question counts as not answered."""

PROBE_INTERVAL: Final = 0.1
"""Seconds between two questions."""

QUIET: Final = 2.0
"""Seconds of questions before the attack."""

REST: Final = 3.0
"""Seconds between the end of the attack and the last look at the memory."""

STOP_TIMEOUT: Final = 15.0
"""Seconds that a server may take to stop before it is killed."""

_FAILURES: Final = (BenchmarkError, requests.RequestException)


NEVER: Final = float("inf")


@dataclass(slots=True)
class Answers:
    """Seconds that one kind of question took."""

    taken: list[float] = field(default_factory=list)
    """Of each; infinite where no answer came, or an error."""

    @property
    def median(self) -> float:
        """The median of all."""
        return statistics.median(self.taken)

    @property
    def worst(self) -> float:
        """The slowest."""
        return max(self.taken)

    @property
    def missing(self) -> int:
        """How many were not answered."""
        return self.taken.count(NEVER)


@dataclass(frozen=True, slots=True)
class Result:
    """What one attack did to one server; memory is in bytes."""

    quiet: Mapping[str, Answers]
    attacked: Mapping[str, Answers]
    rss_before: int
    rss_peak: int
    rss_after: int
    logged: int
    """Bytes that the server wrote to its log meanwhile."""
    back: float | None
    """Seconds after the attack until liveness answered; ``None`` if it did not."""
    stopped: float | None
    """Seconds that the stop took; ``None`` if it had to be killed."""
    attackers: Mapping[str, int]
    """What came back to them."""


def main() -> int:
    """Run the benchmark and return the exit code: 1 where the bound was missed."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="configsvc-")))
        cluster = stack.enter_context(EmbeddedPostgres(folder / "data"))
        checkouts = {"this": Checkout.of_this_process()}
        if options.against:
            checkouts = {"before": Checkout.in_folder(options.against), **checkouts}
        print(f"{machine()}; {options.seconds} s of each attack")
        results = {
            (attack.name, name): measure(
                attack, checkout, f"{attack.name}-{name}", cluster, folder, options
            )
            for attack in options.only
            for name, checkout in checkouts.items()
        }
    return int(print_table(options.only, results, memory=options.memory))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Attack configsvc and measure how fast it answers meanwhile.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="attacks:\n" + "\n".join(f"  {a.name:15} {a.about}" for a in ATTACKS),
    )
    add = parser.add_argument
    add("--seconds", type=at_least(1), default=10, help="length of each attack (default: 10)")
    add("--only", type=_attacks, default=ATTACKS, metavar="NAMES", help="these, by commas")
    add("--against", type=Path, metavar="DIR", help="attack the server of this checkout too")
    add(
        "--memory",
        type=at_least(1),
        metavar="MIB",
        help="bound of the memory of server and children",
    )
    add("--same-address", action="store_true", help="attack from the address that asks, too")
    return parser.parse_args()


def _attacks(text: str) -> tuple[Attack, ...]:
    by_name = {attack.name: attack for attack in ATTACKS}
    names = text.split(",")
    if unknown := set(names) - set(by_name):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return tuple(by_name[name] for name in names)


# ---- Measuring ---------------------------------------------------------------------------


def measure(
    attack: Attack,
    checkout: Checkout,
    name: str,
    cluster: str,
    folder: Path,
    options: argparse.Namespace,
) -> Result | None:
    """Attack one server; return ``None`` where not even the preparation went through."""
    tell(f"{name}: {attack.about}")
    port = free_port()
    database = create_database(cluster, name)
    command = checkout.serve(f"--port={port}", f"--database-url={database}", *attack.flags)
    server = ServerProcess(command, folder, name=name, port=port, mute=attack.mute)
    with soft_limit(attack.soft_limit):
        server.start()
    try:
        server.wait_until_ready(START_TIMEOUT)
        victim = Victim(server.url)
        plan = replace(attack.plan(victim), port=port, seconds=options.seconds)
        if options.same_address:
            plan = replace(plan, addresses=1, first_address=1)
        return _measure(server, victim, plan)
    except _FAILURES as error:
        tell(f"  the preparation failed: {error}")
        return None
    finally:
        server.kill()


def _measure(server: ServerProcess, victim: Victim, plan: Plan) -> Result:
    paths = {"live": "/health/live", "read": victim.small}
    with Watch(server.pid, interval=0.1) as watch:
        quiet = probe(server.port, paths, QUIET)
        before = watch.samples[-1]
        logged = server.log.stat().st_size
        with running_attack(plan) as process:
            attacked = probe(server.port, paths, plan.seconds)
            counts = finish_attack(process)
        tell(f"  attackers: {dict(counts)}")
        over = time.monotonic()
        back = None
        while back is None and time.monotonic() - over < STOP_TIMEOUT:
            if ask(server.port, paths["live"], timeout=PROBE_TIMEOUT) == 200:
                back = time.monotonic() - over
        time.sleep(REST)
        after = watch.samples[-1]
        peak = watch.peak
        logged = server.log.stat().st_size - logged
    stopped = server.stop(STOP_TIMEOUT)
    return Result(
        quiet=quiet,
        attacked=attacked,
        rss_before=before.rss + before.children,
        rss_peak=peak,
        rss_after=after.rss + after.children,
        logged=logged,
        back=back,
        stopped=stopped,
        attackers=counts,
    )


@contextmanager
def soft_limit(files: int | None) -> Iterator[None]:
    """Start processes with another soft limit of open files while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files or soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def running_attack(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    """Run the attackers in a process of their own."""
    process = subprocess.Popen(
        [sys.executable, "-P", attackers.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    try:
        with process.stdin:
            process.stdin.write(plan.write())
        yield process
    finally:
        process.kill()
        process.wait()


def finish_attack(process: subprocess.Popen[str]) -> Mapping[str, int]:
    """Return what the attackers count at their end."""
    assert process.stdout is not None
    with process.stdout:
        counts: dict[str, int] = json.loads(process.stdout.read() or "{}")
    return counts


def probe(port: int, paths: Mapping[str, str], seconds: float) -> dict[str, Answers]:
    """Ask for several paths side by side, again and again."""
    answers = {name: Answers() for name in paths}
    end = time.monotonic() + seconds

    def ask_again(path: str, found: Answers) -> None:
        while time.monotonic() < end:
            begun = time.monotonic()
            good = ask(port, path, timeout=PROBE_TIMEOUT) == 200
            found.taken.append(time.monotonic() - begun if good else NEVER)
            time.sleep(PROBE_INTERVAL)

    threads = [
        threading.Thread(target=ask_again, args=(path, answers[name]), name=f"probe-{name}")
        for name, path in paths.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def tell(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


# ---- Showing it --------------------------------------------------------------------------


def print_table(
    attacks: Sequence[Attack],
    results: Mapping[tuple[str, str], Result | None],
    *,
    memory: int | None,
) -> bool:
    """Print all results; return whether this checkout has missed a bound."""
    print(
        f"\nMilliseconds until liveness and a read from memory answer: quiet median, then median "
        f"and worst under attack;\nthe ratio is that of the medians; 'none': questions without a "
        f"good answer within {PROBE_TIMEOUT:.0f} s. Memory is in MiB, with child processes;\n"
        f"'answer': MiB of the largest answer to the attackers; 'log': MiB that were logged;\n"
        f"'back': seconds after the attack until liveness answered; 'stop': seconds of the stop.\n"
        f"Bounds of this checkout: liveness always within {BOUND:.0f} s, it can be stopped"
        + (f", memory at most {memory} MiB" if memory else "")
        + ".\n\n"
        f"{'':22} {' liveness ':-^36} {' read ':-^36} {' memory ':-^17}\n"
        f"{'attack':15}{'':7}"
        + f" {'quiet':>6} {'median':>7} {'ratio':>6} {'worst':>7} {'none':>6}" * 2
        + f" {'quiet':>5} {'peak':>5} {'after':>5} {'answer':>6} {'log':>5} {'back':>5} {'stop':>6}"
    )
    missed = False
    for (name, checkout), result in results.items():
        if result is None:
            print(f"{name:15}{checkout:7} was not prepared: no answer")
            missed = missed or checkout == "this"
            continue
        met = (
            result.attacked["live"].worst <= BOUND
            and result.stopped is not None
            and (memory is None or result.rss_peak <= memory * MIB)
        )
        missed = missed or (checkout == "this" and not met)
        cells = [_answers(result, probed) for probed in ("live", "read")]
        sizes = [result.rss_before, result.rss_peak, result.rss_after]
        print(
            f"{name:15}{checkout:7}{''.join(cells)} "
            + " ".join(f"{size / MIB:5.0f}" for size in sizes)
            + f" {result.attackers.get('largest', 0) / MIB:6.1f}"
            + f" {result.logged / MIB:5.1f}"
            + f" {_seconds(result.back, 'never'):>5} {_seconds(result.stopped, 'killed'):>6}"
            + (f"  {'met' if met else 'MISSED'}" if checkout == "this" else "")
        )
    for attack in attacks:
        before, after = results.get((attack.name, "before")), results.get((attack.name, "this"))
        if before is not None and after is not None:
            print(
                f"{attack.name:15}this to before: peak of memory "
                f"{after.rss_peak / before.rss_peak:.2f}, median of liveness "
                f"{_ratio(after.attacked['live'].median, before.attacked['live'].median)}"
            )
    return missed


def _answers(result: Result, name: str) -> str:
    quiet, attacked = result.quiet[name], result.attacked[name]
    return (
        f" {_milliseconds(quiet.median):>6} {_milliseconds(attacked.median):>7} "
        f"{_ratio(attacked.median, quiet.median):>6} {_milliseconds(attacked.worst):>7} "
        f"{f'{attacked.missing}/{len(attacked.taken)}':>6}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < NEVER else "none"


def _ratio(value: float, reference: float) -> str:
    return f"{value / reference:.1f}" if value < NEVER and reference < NEVER else "-"


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(run_benchmark(main, BenchmarkError, EmbeddedPostgresError, psycopg.Error))
