"""Example: real JSON configuration files stored in configsvc, read back after a restart.

    uv run python examples/real_configurations.py

The files are JSON documents of packages that are installed here: in the running interpreter
and under /usr/share. Each is sent as it is, byte for byte. The service has a fresh embedded
PostgreSQL in a temporary folder; it is stopped and started again before everything is read.
"""

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

import requests

JsonObject: TypeAlias = dict[str, Any]

ENOUGH = 10
"""How many files must have been stored for a success."""

MAX_BYTES = 1024 * 1024
MAX_NAME = 256

START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0
REQUEST_TIMEOUT = 30.0
"""In seconds, each."""

REFUSALS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Statuses that say that a document breaks a rule, as opposed to a failure of ours."""

SHARED = Path("/usr/share")

# Written by installers, not by the authors of the package.
_INSTALLER_FILES = {"direct_url.json", "uv_build.json", "uv_cache.json"}

_BANNER = re.compile(r"answers at \S+:(\d+)")


@dataclass(frozen=True, slots=True)
class RealFile:
    """A JSON object that some package has brought onto this machine."""

    package: str
    file: str
    """Its path below the folder of its package's kind, such as site-packages."""
    text: str
    content: JsonObject

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file."""

    source: RealFile
    id: str | None = None
    refusal: str | None = None
    version: int | None = None
    equal: bool = False


class ExampleError(Exception):
    """The example can't go on; the message says why."""


def main() -> int:
    """Run the example and return the exit code."""
    options = _options()
    files = find_files(options.files)
    if len(files) < ENOUGH:
        print(f"Only {len(files)} suitable files are on this machine; {ENOUGH} are needed.")
        return 1
    try:
        if options.url:
            outcomes = use_running_server(options.url, files, keep=options.keep)
        else:
            outcomes = use_own_server(files, keep=options.keep)
    except (ExampleError, requests.RequestException) as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1
    return report(outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Store real JSON files of installed packages, restart the service, read "
        "them back and compare. Exits with 1 if anything differs or fewer than "
        f"{ENOUGH} files were stored."
    )
    parser.add_argument(
        "--url", help="use the server that runs there instead of one of our own; no restart then"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep what was stored: the folder of the database, or with --url the application",
    )
    parser.add_argument(
        "--files", type=int, default=40, help="files at most (default: %(default)s)"
    )
    return parser.parse_args()


# ---- Finding files -----------------------------------------------------------------------


def find_files(limit: int) -> list[RealFile]:
    """Return up to ``limit`` JSON objects with distinct contents, from many packages.

    Every package gives one file before any gives a second.
    """
    by_package: dict[str, list[RealFile]] = {}
    seen: set[bytes] = set()
    for package, file, path in _json_files():
        found = _read(package, file, path)
        if found is None:
            continue
        digest = hashlib.sha256(found.text.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            by_package.setdefault(package, []).append(found)
    turns = itertools.zip_longest(*(by_package[name] for name in sorted(by_package)))
    in_turn = (found for turn in turns for found in turn if found is not None)
    return sorted(itertools.islice(in_turn, limit), key=lambda found: (found.package, found.file))


def _json_files() -> Iterator[tuple[str, str, Path]]:
    """Go through the JSON files of this machine, as package, path inside, path."""
    modules = importlib.metadata.packages_distributions()
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    for folder in map(Path, dict.fromkeys(folders)):
        for path in sorted(folder.rglob("*.json")):
            if path.name not in _INSTALLER_FILES:
                inside = path.relative_to(folder)
                yield _distribution(inside.parts[0], modules), inside.as_posix(), path
    for path in sorted(SHARED.rglob("*.json")):
        inside = path.relative_to(SHARED)
        # Documentation has the name of its package one level down.
        parts = inside.parts[1:] if inside.parts[0] == "doc" else inside.parts
        yield parts[0], inside.as_posix(), path


def _distribution(folder: str, modules: Mapping[str, list[str]]) -> str:
    if folder.endswith(".dist-info"):
        return folder.partition("-")[0].replace("_", "-").lower()
    return modules.get(folder, [folder])[0].lower()


def _read(package: str, file: str, path: Path) -> RealFile | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return RealFile(package, file, text, content) if isinstance(content, dict) else None


# ---- Running the service -----------------------------------------------------------------


def use_own_server(files: Sequence[RealFile], *, keep: bool) -> list[Outcome]:
    """Store the files in a server of our own, restart it, and read them back."""
    folder = Path(tempfile.mkdtemp(prefix="configsvc-example-"))
    try:
        with running_server(folder) as (url, first_start), requests.Session() as session:
            application = create_application(session, url)
            outcomes = store(session, url, application, files)
        with running_server(folder) as (url, second_start), requests.Session() as session:
            outcomes = read_back(session, url, outcomes)
        print(f"First start:   {first_start:.1f} s (with a new database)")
        print(f"Second start:  {second_start:.1f} s")
    finally:
        if keep:
            print(f"Kept:          configsvc serve --data-dir {folder / 'data'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return outcomes


def use_running_server(url: str, files: Sequence[RealFile], *, keep: bool) -> list[Outcome]:
    """Store the files in the server at ``url`` and read them back."""
    url = url.rstrip("/")
    with requests.Session() as session:
        application = create_application(session, url)
        try:
            return read_back(session, url, store(session, url, application, files))
        finally:
            address = f"{url}/api/v1/applications/{application}"
            if keep:
                print(f"Kept: {address}")
            else:
                session.delete(address, timeout=REQUEST_TIMEOUT).raise_for_status()


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, float]]:
    """Run ``configsvc serve`` over ``folder``; give its address and the seconds it took.

    Raises:
        ExampleError: it does not start, or does not stop cleanly.
    """
    command = [sys.executable, "-m", "configsvc_server", "serve", "--port", "0"]
    # Neither variables nor a file .env of the caller may point it to another database.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CONFIGSVC_")}
    output, log = folder / "output", folder / "log"
    started = time.monotonic()
    with output.open("w") as stdout, log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env=environment,
        )
    try:
        port = _wait_for_port(process, output, log)
        yield f"http://127.0.0.1:{port}", time.monotonic() - started
    finally:
        process.terminate()
        try:
            status = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ExampleError(f"The server did not stop within {STOP_TIMEOUT:.0f} s.") from None
    if status:
        raise ExampleError(f"The server stopped with status {status}:\n{log.read_text()}")


def _wait_for_port(process: subprocess.Popen[bytes], output: Path, log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if banner := _BANNER.search(output.read_text()):
            return int(banner[1])
        if process.poll() is not None:
            raise ExampleError(f"The server did not start:\n{log.read_text()}")
        time.sleep(0.02)
    raise ExampleError(f"The server did not start within {START_TIMEOUT:.0f} s.")


# ---- Talking to it -----------------------------------------------------------------------


def create_application(session: requests.Session, url: str) -> str:
    """Create an application and return its id."""
    name = f"real configurations {time.time_ns()}"
    response = session.post(
        f"{url}/api/v1/applications", json={"name": name}, timeout=REQUEST_TIMEOUT
    )
    response.raise_for_status()
    return str(response.json()["id"])


def store(
    session: requests.Session, url: str, application: str, files: Sequence[RealFile]
) -> list[Outcome]:
    """Create one configuration per file.

    Raises:
        ExampleError: the server failed; to refuse a document that can't be kept exactly is
            no failure.
    """
    outcomes = []
    for source in files:
        name = f"{source.package}: {source.file}"[-MAX_NAME:]
        # The text itself, not what Python makes of it: the service must see what is there.
        body = f'{{"name": {json.dumps(name)}, "config": {source.text}}}'
        response = session.post(
            f"{url}/api/v1/applications/{application}/configurations",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
            timeout=REQUEST_TIMEOUT,
        )
        if response.status_code == HTTPStatus.CREATED:
            outcomes.append(Outcome(source, id=response.json()["id"]))
        elif response.status_code in REFUSALS:
            outcomes.append(Outcome(source, refusal=response.json()["detail"]))
        else:
            raise ExampleError(f"POST of {name}: {response.status_code} {response.text}")
    return outcomes


def read_back(session: requests.Session, url: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Read every configuration and compare it with its file."""
    result = []
    for outcome in outcomes:
        if outcome.id is None:
            result.append(outcome)
            continue
        response = session.get(f"{url}/api/v1/configurations/{outcome.id}", timeout=REQUEST_TIMEOUT)
        response.raise_for_status()
        configuration = json.loads(response.content)
        equal = same(outcome.source.content, configuration["config"])
        result.append(
            Outcome(outcome.source, outcome.id, version=configuration["version"], equal=equal)
        )
    return result


def same(one: object, other: object) -> bool:
    """Return whether two JSON values are the same, numbers with their kind: 1 is not 1.0.

    Objects are unordered, and negative zero is zero, as the service documents.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


# ---- Showing it --------------------------------------------------------------------------


def report(outcomes: Sequence[Outcome]) -> int:
    """Print the table and return the exit code."""
    header = ("package", "file", "bytes", "keys", "version", "equal")
    rows = [header, *map(_row, outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    numbers = {2, 3, 4}
    print()
    for row in rows:
        cells = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
    stored = [outcome for outcome in outcomes if outcome.id]
    refused = [outcome for outcome in outcomes if outcome.refusal]
    different = [outcome for outcome in stored if not outcome.equal]
    packages = {outcome.source.package for outcome in stored}
    print()
    for outcome in refused:
        print(f"Refused: {outcome.source.file}: {outcome.refusal}")
    print(
        f"{len(stored)} files of {len(packages)} packages stored, {len(refused)} refused; "
        f"{len(stored) - len(different)} came back equal, {len(different)} different."
    )
    if len(stored) < ENOUGH:
        print(f"That is fewer than the {ENOUGH} that are needed.")
    return 1 if different or len(stored) < ENOUGH else 0


def _row(outcome: Outcome) -> tuple[str, ...]:
    source = outcome.source
    state = "refused" if outcome.refusal else "yes" if outcome.equal else "NO"
    return (
        source.package,
        _shorten(source.file),
        str(source.size),
        str(len(source.content)),
        str(outcome.version or "-"),
        state,
    )


def _shorten(text: str, width: int = 60) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]


if __name__ == "__main__":
    sys.exit(main())
