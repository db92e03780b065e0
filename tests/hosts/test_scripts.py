"""Plain scripts with a live view: how they end, and what ends only a callback."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.hosts.running import Place

Publish = Callable[[int], None]

_HEAD = """
import sys, threading
from configsvc_client import ConfigClient

def say(text):
    print(text, flush=True)

app = ConfigClient().application("billing")
assert app["database"]["pool_size"] == 10
"""

_FOLLOW = """
changed = threading.Event()
app.on_change(lambda change: (say(change.new), changed.set()), "database.pool_size")
say("ready")
changed.wait(30)
"""

_EXIT_IN_CALLBACK = """
said = threading.Event()

def leave(change):
    if change.new == 20:
        say("leaving")
        sys.exit(3)

def hear(change):
    say(change.new)
    if change.new == 30:
        said.set()

app.on_change(leave, "database.pool_size")
app.on_change(hear, "database.pool_size")
say("ready")
said.wait(30)
"""

_CTRL_C = """
try:
    say("ready")
    threading.Event().wait()
except KeyboardInterrupt:
    say("interrupted")
"""

_CTRL_C_UNHANDLED = """
say("ready")
threading.Event().wait()
"""

_FIRST_READ = """
from configsvc_client import ConfigClient
app = ConfigClient("http://127.0.0.1:9", start_timeout=60).application("billing")
print("ready", flush=True)
app["database"]
"""


@contextmanager
def script(text: str, place: Place) -> Iterator["subprocess.Popen[str]"]:
    """Run a script until it says that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-W", "default", "-c", text],
        env=place.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert says(process) == "ready", process.communicate()
            yield process
        finally:
            process.kill()


def says(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def errors(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.read()


def test_the_end_of_a_script_is_silent(place: Place, configured: Publish) -> None:
    with script(_HEAD + _FOLLOW, place) as process:
        configured(20)
        assert says(process) == "20"
        assert process.wait(20) == 0
        assert not errors(process)


def test_a_callback_that_exits_ends_only_itself(place: Place, configured: Publish) -> None:
    with script(_HEAD + _EXIT_IN_CALLBACK, place) as process:
        configured(20)
        assert says(process) == "leaving"
        configured(30)
        heard = [says(process), says(process)]
        assert "30" in heard, (heard, errors(process))
        assert process.wait(20) == 0


def test_ctrl_c_interrupts_what_the_script_does(place: Place, configured: Publish) -> None:
    with script(_HEAD + _CTRL_C, place) as process:
        process.send_signal(signal.SIGINT)
        assert says(process) == "interrupted"
        assert process.wait(20) == 0
        assert not errors(process)


def test_ctrl_c_shows_one_traceback_and_none_of_the_client(
    place: Place, configured: Publish
) -> None:
    with script(_HEAD + _CTRL_C_UNHANDLED, place) as process:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        shown = errors(process)
        assert shown.count("Traceback") == 1
        assert "configsvc" not in shown


def test_ctrl_c_ends_the_wait_for_the_first_snapshot(place: Place) -> None:
    with script(_FIRST_READ, place) as process:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        # The thread that polls may have its say after the interpreter.
        assert "KeyboardInterrupt" in errors(process).splitlines()
