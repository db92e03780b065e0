"""Parts that several benchmarks share: databases, documents, options, ratios."""

import argparse
import os
import platform
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

COMPARISON_BOUND: Final = 0.95
"""How much of the speed of another checkout has to remain."""


def at_least(minimum: int) -> Callable[[str], int]:
    """Return a type of options: a whole number from ``minimum`` on."""

    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return value

    return number


def run_benchmark(main: Callable[[], int], *failures: type[Exception]) -> int:
    """Run a benchmark; return its exit code, or that of how it failed or was stopped.

    SIGTERM ends it as Ctrl-C does, with everything that it has started.

    Args:
        main: the benchmark; returns its exit code.
        failures: exceptions whose message is all that there is to say.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except failures as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1


def machine() -> str:
    """Return what absolute figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"Python {platform.python_version()}, {cores} cores, {platform.system()} "
        f"{platform.machine()}"
    )


def create_database(cluster: str, name: str) -> str:
    """Create an empty database in a PostgreSQL; return its URL."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return make_conninfo(cluster, dbname=name)


def example_document(serial: int) -> dict[str, Any]:
    """Return a configuration such as a service has: a few hundred bytes, two levels."""
    return {
        "serial": serial,
        "debug": False,
        "log_level": "info",
        "database": {"host": "db.internal", "port": 5432, "pool": {"min": 2, "max": 20}},
        "http": {"timeout": 2.5, "retries": 3, "hosts": ["a.internal", "b.internal"]},
        "features": {"checkout": True, "search": False, "recommendations": None},
        "limits": {"requests_per_minute": 600, "upload_bytes": 10485760, "ratio": 0.25},
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two checkouts, measured in the same rounds."""

    before: Sequence[float]
    after: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """After to before, of each round, ascending."""
        return sorted(a / b for a, b in zip(self.after, self.before, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios of all rounds."""
        return statistics.median(self.ratios)

    def verdict(self, *, more_is_better: bool) -> str:
        """Return whether enough of the speed remains."""
        speed = self.ratio if more_is_better else 1 / self.ratio
        return "met" if speed >= COMPARISON_BOUND else "MISSED"

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.ratios[0]:.2f}-{self.ratios[-1]:.2f})"
