"""Attacks on the start and the stop of the command: signals at bad moments, odd surroundings."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from fasteners import InterProcessReaderWriterLock

from configsvc_server.db.embedded import EmbeddedPostgres
from configsvc_server.db.postmaster import processes_in, read_postmaster
from tests.server.cli.support import run
from tests.support.postgres import FAST
from tests.support.servers import clean_environment, command, server_process
from tests.support.waiting import until

MIGRATION_LOCK = 0x636F6E66696773
"""Key of the advisory lock under which migrations are applied."""

STOP_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@contextmanager
def starting(*arguments: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    """Give a command that has not got anywhere yet."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Stop a start, and check that it ends in the right way."""
    process.send_signal(number)
    output, errors = process.communicate(timeout=90)
    assert process.returncode == STOP_CODES[number]
    assert "answers at" not in output
    assert errors.splitlines()[-1] == "Stopped before the start was complete."
    assert "Traceback" not in errors


def is_initializing(data_dir: Path) -> bool:
    return any(data_dir.glob("postgres.new-*/PG_VERSION"))


def is_launched(data_dir: Path) -> bool:
    return (data_dir / "postgres" / "postmaster.pid").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
class TestStopDuringStart:
    @pytest.mark.parametrize(
        ("has_come_to", "number"),
        [(is_initializing, signal.SIGINT), (is_launched, signal.SIGTERM)],
    )
    def test_no_postgres_is_left_and_the_next_start_succeeds(
        self,
        tmp_path: Path,
        data_dir: Path,
        has_come_to: Callable[[Path], bool],
        number: signal.Signals,
    ) -> None:
        with starting("serve", "--data-dir", str(data_dir), "--port", "0", cwd=tmp_path) as process:
            until(lambda: has_come_to(data_dir))
            stopped(process, number)

        assert read_postmaster(data_dir / "postgres") is None
        until(lambda: not processes_in(data_dir / "postgres"))
        assert not list(data_dir.glob("postgres.new-*"))
        with server_process("--data-dir", str(data_dir), cwd=tmp_path) as server:
            assert requests.get(f"{server.url}/health/ready", timeout=30).ok

    def test_migrate_leaves_none_either(self, tmp_path: Path, data_dir: Path) -> None:
        with starting("migrate", "up", "--data-dir", str(data_dir), cwd=tmp_path) as process:
            until(lambda: is_launched(data_dir))
            stopped(process, signal.SIGTERM)

        assert read_postmaster(data_dir / "postgres") is None

    def test_a_start_that_waits_for_another_one_gives_up(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        data_dir.mkdir()
        flags = ("--data-dir", str(data_dir), "--port", "0")
        with (
            InterProcessReaderWriterLock(str(data_dir / "start.lock")).write_lock(),
            starting("serve", *flags, cwd=tmp_path) as process,
        ):
            until((data_dir / "lock").exists)
            stopped(process, signal.SIGTERM)

    def test_migrations_are_given_up_and_the_postgres_of_others_stays(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        flags = ("--data-dir", str(data_dir), "--port", "0")
        with (
            EmbeddedPostgres(data_dir, options=FAST) as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            with starting("serve", *flags, cwd=tmp_path) as process:
                until(lambda: connection.execute(_MIGRATING).fetchone() == (1,))
                stopped(process, signal.SIGTERM)

            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert read_postmaster(data_dir / "postgres") is not None

    def test_a_second_signal_does_not_spoil_the_stop(self, tmp_path: Path, data_dir: Path) -> None:
        with starting("serve", "--data-dir", str(data_dir), "--port", "0", cwd=tmp_path) as process:
            until(lambda: is_launched(data_dir))
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=90)

        assert process.returncode in STOP_CODES.values()
        assert "Traceback" not in errors
        assert read_postmaster(data_dir / "postgres") is None


_MIGRATING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'configsvc-migrate'"


class TestAddress:
    def test_nothing_is_started_or_migrated_for_a_port_that_is_taken(
        self, tmp_path: Path, data_dir: Path
    ) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = str(taken.getsockname()[1])
            result = run("serve", "--port", port, "--data-dir", str(data_dir), cwd=tmp_path)

        assert result.returncode == 1
        assert f"can't listen on 127.0.0.1 port {port}" in result.stderr
        assert not data_dir.exists()


class TestShownUrl:
    # More forms: tests/server/db/test_urls.py.
    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://me:se/cret@127.0.0.1:1/db",
            "postgresql://me:se@cret@127.0.0.1:1/db",
            "postgresql://me:se?c=d/cret@127.0.0.1:1/db",
            "postgresql://me:se#cret@127.0.0.1:1/db",
            "host=127.0.0.1 port=1 user=me password=se cret",
        ],
    )
    def test_no_part_of_a_password_is_shown(self, tmp_path: Path, url: str) -> None:
        flags = ("--port", "0", "--database-timeout", "1")
        result = run("serve", "--database-url", url, *flags, cwd=tmp_path)

        assert result.returncode == 1
        shown = result.stdout + result.stderr
        assert "cret" not in shown
        assert ":se" not in shown
        assert "Traceback" not in shown


# Only the real user id, which a home folder is looked up by: the interpreter may lie in a folder
# that nobody but root may enter.
WITHOUT_HOME = """
import os, runpy, sys
os.setreuid(54321, 0)
sys.argv[0] = "configsvc"
runpy.run_module("configsvc_server", run_name="__main__")
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be somebody else")
class TestNoHome:
    """A user id without a home and without an entry in passwd, as containers are often given."""

    @staticmethod
    def run_without_home(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
        unwanted = {"HOME", "XDG_DATA_HOME"}
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_HOME, *arguments],
            cwd=cwd,
            env={k: v for k, v in clean_environment().items() if k not in unwanted},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @pytest.mark.parametrize("arguments", [("serve",), ("migrate", "up"), ("migrate", "status")])
    def test_it_says_what_to_give_instead(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        result = self.run_without_home(*arguments, cwd=tmp_path)

        assert result.returncode == 1
        assert result.stderr == (
            "configsvc: There is no home folder to keep the database in. Give its folder with "
            "--data-dir (CONFIGSVC_DATA_DIR), or a PostgreSQL with --database-url "
            "(CONFIGSVC_DATABASE_URL).\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_below_home_is_refused(self, tmp_path: Path) -> None:
        result = self.run_without_home("serve", "--data-dir", "~/data", cwd=tmp_path)

        assert result.returncode == 1
        assert result.stderr == (
            "configsvc: --data-dir is '~/data': ~ stands for a home folder, and there is none\n"
        )

    @pytest.mark.parametrize(
        "arguments", [("--version",), ("--help",), ("serve", "--help"), ("migrate", "up", "--help")]
    )
    def test_help_and_version_work(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        result = self.run_without_home(*arguments, cwd=tmp_path)

        assert result.returncode == 0
        assert result.stdout
        assert result.stderr == ""
        assert "~" not in result.stdout


@pytest.mark.parametrize("action", ["status", "verify"])
class TestMigrateWithoutDatabase:
    def test_it_says_that_there_is_none_and_creates_nothing(
        self, tmp_path: Path, data_dir: Path, action: str
    ) -> None:
        result = run("migrate", action, "--data-dir", str(data_dir), cwd=tmp_path)

        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr == (
            f"configsvc: There is no database in {data_dir}: nothing has been started there yet.\n"
        )
        assert not data_dir.exists()

    def test_one_that_is_there_is_looked_at(
        self, tmp_path: Path, data_dir: Path, action: str
    ) -> None:
        with EmbeddedPostgres(data_dir, options=FAST):
            pass

        result = run("migrate", action, "--data-dir", str(data_dir), cwd=tmp_path)

        assert "0001_initial_schema.sql" in result.stdout + result.stderr
        assert read_postmaster(data_dir / "postgres") is None
