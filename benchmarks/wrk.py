"""Load from ``wrk``: how hard to try, what to ask for, and what came of it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.servers import BenchmarkError

__all__ = ["Load", "Measurement", "get_script", "require_wrk", "wrk"]

_MARK: Final = "result: "

# What wrk calls once at the end; the numbers that it prints by itself are rounded.
_REPORT_LUA: Final = f"""
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '{_MARK}{{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, '
        .. '"not_2xx": %d, "broken": %d}}\\n',
        summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
        e.status, e.connect + e.read + e.write + e.timeout
    ))
end
"""

# Put together once: what wrk does for each request must not depend on how many there are.
_GET_LUA: Final = """
local variants = {%(variants)s}
local requests = {}
local last = 0
function init(args)
    for index, headers in ipairs(variants) do
        requests[index] = wrk.format("GET", nil, headers)
    end
end
function request()
    last = last %% #requests + 1
    return requests[last]
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to try."""

    seconds: int
    connections: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one load of one subject gave; durations are in seconds."""

    rate: float
    """Requests or statements per second."""
    p50: float
    p99: float
    not_2xx: int = 0
    """Answers whose status is 400 or more."""
    broken: int = 0
    """Connections that failed or timed out."""
    requests: int = 0
    """How many were answered; 0 where nobody counts them."""


def require_wrk() -> None:
    """Check that wrk is installed.

    Raises:
        BenchmarkError: it is not.
    """
    if shutil.which("wrk") is None:
        raise BenchmarkError(
            "wrk is needed to make load and is not on the PATH. "
            "Debian and Ubuntu have it: apt-get install wrk. macOS: brew install wrk."
        )


def wrk(url: str, folder: Path, *, script: str = "") -> Callable[[Load], Measurement]:
    """Return a function that lets wrk ask for ``url``, or for what a script in Lua says."""
    lua = Path(tempfile.mkstemp(suffix=".lua", dir=folder)[1])
    lua.write_text(script + _REPORT_LUA)
    return lambda load: _run(url, lua, load)


def get_script(variants: Sequence[Mapping[str, str]]) -> str:
    """Return the part of a script that asks for one URL with different headers by turns.

    Args:
        variants: the headers of each.
    """
    return _GET_LUA % {"variants": ", ".join(map(_table, variants))}


def _table(headers: Mapping[str, str]) -> str:
    # Entity tags have double quotes; nothing that is sent has single ones.
    pairs = ", ".join(f"['{name}'] = '{value}'" for name, value in headers.items())
    return f"{{{pairs}}}"


def _run(url: str, lua: Path, load: Load) -> Measurement:
    """Let wrk ask for ``url`` from one thread over so many connections.

    Raises:
        BenchmarkError: wrk failed.
    """
    command = ["wrk", "--threads=1", f"--connections={load.connections}"]
    command += [f"--duration={load.seconds}s", "--timeout=10s", f"--script={lua}", url]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in process.stdout.splitlines():
        if line.startswith(_MARK):
            numbers = json.loads(line.removeprefix(_MARK))
            return Measurement(rate=numbers["requests"] / numbers.pop("seconds"), **numbers)
    raise BenchmarkError(f"wrk failed:\n{process.stdout}{process.stderr}")
