"""Scenarios of views in processes of their own, over any server."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.client.stub import eventually

Publish = Callable[[int], None]
"""Sets ``pool_size`` of ``database`` of ``billing``, which is 10 at first."""

_HEAD = """
import os, subprocess, sys, threading, time
from configsvc_client import ConfigClient

def until(size):
    deadline = time.monotonic() + 30
    while app["database"]["pool_size"] != size:
        if time.monotonic() > deadline:
            sys.exit(f"{os.getpid()} still has {app['database']}: {app!r} {app.status()!r}")
        time.sleep(0.005)

def pollers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("configsvc ")]

client = ConfigClient(sys.argv[1])
app = client.application("billing")
"""

_FORK = """
from dataclasses import dataclass

@dataclass
class Database:
    pool_size: int

bound = app.bind("database", Database)
(before,) = pollers()
child = os.fork()
if child == 0:
    assert not pollers()
    assert bound.value.pool_size == 10
    assert len(pollers()) == 1
    print("child polls", flush=True)
    until(20)
    # It follows the snapshot, a moment later.
    app.refresh()
    assert bound.value.pool_size == 20
    client.applications.get("billing")
    os._exit(0)
print("parent polls", flush=True)
until(20)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert pollers() == [before]
print("child has ended", flush=True)
until(30)
print("parent polls on", flush=True)
"""

_OUTLIVING = """
import gc
from dataclasses import dataclass

@dataclass
class Database:
    pool_size: int

bound = app.bind("database", Database)
told = []
subscription = app.on_change(lambda change: told.append(change.new), "database.pool_size")
del app, client
gc.collect()
child = os.fork()
name = "child" if child == 0 else "parent"
assert bound.value.pool_size == 10
print(name, "holds it", flush=True)
deadline = time.monotonic() + 30
while (bound.value.pool_size, told) != (20, [20]):
    assert time.monotonic() < deadline, (name, bound.value, told)
    time.sleep(0.005)
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
"""

_FOREIGN_FORK = """
import ctypes
from dataclasses import dataclass

@dataclass
class Database:
    pool_size: int

bound = app.bind("database", Database)
# Like a host that is written in C: Python's hooks are not called. Such a fork is safe only while
# no other thread wants the interpreter's lock; here, while the other waits for its long poll.
while app.status().polls < 2:
    time.sleep(0.005)
time.sleep(0.3)
child = ctypes.PyDLL(None).fork()
if child == 0:
    if sys.argv[2] == "bound":
        while bound.value.pool_size != 20:
            time.sleep(0.005)
    elif sys.argv[2] == "wrapper":
        client.applications.get("billing")
    until(20)
    os._exit(0)
print("forked", flush=True)
until(20)
_, status = os.waitpid(child, 0)
assert status == 0, status
"""

_MANY_FORKS = """
client.applications.get("billing")
app["database"]
for _ in range(20):
    child = os.fork()
    if child == 0:
        app["database"]
        client.applications.get("billing")
        app.refresh()
        client.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
print("forked", flush=True)
until(20)
print("done", flush=True)
"""

_SUBPROCESS = """
app["database"]
before = pollers()
for index in range(20):
    # With a function to run before it, the child runs Python, and the hooks of fork.
    subprocess.run(["true"], check=True, preexec_fn=(lambda: None) if index % 2 else None)
assert pollers() == before
print("called", flush=True)
until(20)
assert pollers() == before
print("done", flush=True)
"""

_EXIT = """
app["database"]
deadline = time.monotonic() + 20
while app.status().polls < 2 and time.monotonic() < deadline:
    time.sleep(0.005)
print("waiting", flush=True)
"""

_WSGI = """
import os
from configsvc_client import ConfigClient

app = ConfigClient(os.environ["CONFIGSVC_URL"]).application("billing")
assert app["database"]["pool_size"] == 10

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {app['database']['pool_size']}".encode()]
"""


@contextmanager
def _script(text: str, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _HEAD + text, url, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _says(process: subprocess.Popen[str], *lines: str) -> None:
    assert process.stdout is not None
    assert {process.stdout.readline().strip() for _ in lines} == set(lines)


def check_fork(url: str, publish: Publish) -> None:
    """A forked child polls by itself, and its parent goes on."""
    with _script(_FORK, url) as process:
        _says(process, "child polls", "parent polls")
        publish(20)
        _says(process, "child has ended")
        publish(30)
        _says(process, "parent polls on")
        assert process.wait(30) == 0


def check_outliving(url: str, publish: Publish) -> None:
    """What came from a client follows changes in parent and child after the client is gone."""
    with _script(_OUTLIVING, url) as process:
        _says(process, "child holds it", "parent holds it")
        publish(20)
        assert process.wait(40) == 0


def check_foreign_fork(url: str, publish: Publish, first_use: str) -> None:
    """A child whose parent forked without Python's hooks polls by itself."""
    with _script(_FOREIGN_FORK, url, first_use) as process:
        _says(process, "forked")
        publish(20)
        assert process.wait(40) == 0


def check_many_forks(url: str, publish: Publish) -> None:
    """Forks at any moment, also amid a request, leave child and parent working."""
    with _script(_MANY_FORKS, url) as process:
        _says(process, "forked")
        publish(20)
        _says(process, "done")
        assert process.wait(30) == 0


def check_subprocess(url: str, publish: Publish) -> None:
    """Running commands leaves the view alone."""
    with _script(_SUBPROCESS, url) as process:
        _says(process, "called")
        publish(20)
        _says(process, "done")
        assert process.wait(30) == 0


def check_exit(url: str) -> None:
    """An interpreter ends although a view waits for the server."""
    with _script(_EXIT, url) as process:
        _says(process, "waiting")
        # The long poll would go on for 30 seconds.
        assert process.wait(15) == 0


def check_gunicorn(url: str, publish: Publish, folder: Path) -> None:
    """Workers of a pre-forking server, loaded before the fork, follow changes by themselves."""
    (folder / "site_app.py").write_text(_WSGI)
    command = [
        *(sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--preload"),
        *("--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket", "site_app"),
    ]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={"CONFIGSVC_URL": url, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            address = _address(process)
            answers: dict[str, str] = {}

            def everybody_has(size: str) -> bool:
                # A new connection each time, so that both workers get some.
                pid, answered = requests.get(address, timeout=10).text.split()
                answers[pid] = answered
                return list(answers.values()) == [size, size]

            eventually(lambda: everybody_has("10"))
            publish(20)
            eventually(lambda: everybody_has("20"))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        found = re.search(r"Listening at: (http://\S+)", line)
        if found:
            return found[1]
    raise AssertionError("gunicorn did not start:\n" + "".join(seen))
