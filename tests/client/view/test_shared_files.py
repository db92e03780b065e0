"""Files by which the processes of a host share their polls: the state and the lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from configsvc_client._view.host_lock import HostLock
from configsvc_client._view.shared_state import SharedState, StateFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on files")


def test_a_state_ends_with_its_heartbeat(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state")
    state = SharedState("leader", 1, '"1"', 1.0, 2.0, ("ServerError", "500"))
    file.write(state)
    assert file.read(max_age=60) == state
    assert str(state.read_error()) == "500"
    assert file.read(max_age=0) is None


def test_a_state_from_before_a_restart_is_not_believed(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state")
    file._boot = "another"
    file.write(SharedState("leader", 1, '"1"', 1.0, 2.0))
    assert StateFile(tmp_path / "state").read(max_age=60) is None


def test_a_half_written_state_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    StateFile(path).write(SharedState("leader", 1, '"1"', 1.0, 2.0))
    content = path.read_bytes()
    path.write_bytes(content[:30] + b"9" + content[31:])
    assert StateFile(path).read(max_age=60) is None


def test_a_lock_whose_file_was_removed_is_not_held(tmp_path: Path) -> None:
    lock = HostLock(tmp_path / "view.lock")
    assert lock.acquire()
    (tmp_path / "view.lock").unlink()
    assert other_takes(tmp_path, lock) is False


def other_takes(folder: Path, lock: HostLock) -> bool:
    code = (
        "import sys, pathlib; from configsvc_client._view.host_lock import HostLock;"
        "lock = HostLock(pathlib.Path(sys.argv[1])); print(lock.acquire(), flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "view.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        is_held = lock.acquire()
        other.communicate()
    return is_held


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_in_place_of_the_state_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state")
    file = StateFile(tmp_path / "state")
    assert file.read(max_age=60) is None
    with pytest.raises(OSError, match="state"):
        file.write(SharedState("leader", 1, '"1"', 1.0, 2.0))


def test_an_error_that_no_file_can_have_is_told_as_well_as_can_be(tmp_path: Path) -> None:
    error = ("ServerError", "half of a pair: \ud800")
    StateFile(tmp_path / "state").write(SharedState("leader", 1, '"1"', 1.0, 2.0, error))
    state = StateFile(tmp_path / "state").read(max_age=60)
    assert state is not None
    assert state.error == ("ServerError", "half of a pair: ?")
