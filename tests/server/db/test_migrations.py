"""Migrations: applied once each, in order, and verified."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from configsvc_server.db.migrations import MigrationError, Migrator, default_folder

FIRST = "CREATE TABLE first (id int);"
SECOND = "CREATE TABLE second (id int); INSERT INTO second VALUES (1); -- 100 % done"

Write = Callable[..., Migrator]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path, empty_database_url: str) -> Write:
    """Put files into the folder and return a migrator over it."""

    def write(**files: str) -> Migrator:
        for name, sql in files.items():
            (folder / f"{name.removeprefix('m')}.sql").write_text(sql)
        return Migrator(empty_database_url, folder=folder)

    return write


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] for row in rows}


def test_files_are_applied_in_order_and_recorded(write: Write, empty_database_url: str) -> None:
    migrator = write(m0002_second=SECOND, m0001_first=FIRST)

    assert migrator.up() == ["0001_first.sql", "0002_second.sql"]
    assert tables(empty_database_url) == {"first", "second", "migrations"}
    assert [(s.filename, s.state) for s in migrator.status()] == [
        ("0001_first.sql", "applied"),
        ("0002_second.sql", "applied"),
    ]
    assert all(s.applied_at and s.duration and s.duration > 0 for s in migrator.status())


def test_what_is_applied_is_not_applied_again(write: Write) -> None:
    write(m0001_first=FIRST).up()
    reported: list[str] = []

    migrator = write(m0002_second=SECOND)
    migrator.up(on_applied=lambda name, _: reported.append(name))

    assert reported == ["0002_second.sql"]
    assert migrator.up() == []


def test_before_the_first_run_everything_is_pending(write: Write, empty_database_url: str) -> None:
    migrator = write(m0001_first=FIRST)

    assert [s.state for s in migrator.status()] == ["pending"]
    assert tables(empty_database_url) == set()


def test_a_failing_file_leaves_nothing_behind(write: Write, empty_database_url: str) -> None:
    migrator = write(m0001_first=FIRST, m0002_second="SELECT 1/0;" + SECOND, m0003_third=FIRST)

    with pytest.raises(MigrationError, match=r"0002_second\.sql failed: division by zero"):
        migrator.up()

    assert tables(empty_database_url) == {"first", "migrations"}
    assert [s.state for s in migrator.status()] == ["applied", "pending", "pending"]


def test_a_corrected_file_is_applied_by_the_next_run(write: Write) -> None:
    with pytest.raises(MigrationError):
        write(m0001_first="CREATE TABLE first (id nonsense)").up()

    assert write(m0001_first=FIRST).up() == ["0001_first.sql"]


def test_a_file_changed_after_it_was_applied_is_named(write: Write) -> None:
    write(m0001_first=FIRST).up()
    migrator = write(m0001_first=FIRST + " -- changed")

    for attempt in (migrator.up, migrator.verify):
        with pytest.raises(MigrationError, match=r"0001_first\.sql was changed"):
            attempt()
    assert [s.state for s in migrator.status()] == ["changed"]


def test_other_line_endings_are_no_change(write: Write, folder: Path) -> None:
    write(m0001_first=FIRST + "\n").up()
    (folder / "0001_first.sql").write_bytes(FIRST.encode() + b"\r\n")

    write().verify()


def test_a_database_newer_than_the_server_is_named(write: Write, folder: Path) -> None:
    write(m0001_first=FIRST, m0002_second=SECOND).up()
    (folder / "0002_second.sql").unlink()
    migrator = write()

    with pytest.raises(MigrationError, match=r"0002_second\.sql is applied, but not in the folder"):
        migrator.up()
    assert [s.state for s in migrator.status()] == ["applied", "missing"]


def test_a_file_below_the_newest_applied_is_named(write: Write, empty_database_url: str) -> None:
    write(m0001_first=FIRST, m0002_second=SECOND).up()
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("DELETE FROM migrations WHERE filename = '0001_first.sql'")

    with pytest.raises(
        MigrationError, match=r"0001_first\.sql is not applied, but the later 0002_second\.sql is"
    ):
        write().up()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"m0001_a": "", "m0003_c": ""}, r"0003_c\.sql should have the number 0002"),
        ({"m0001_a": "", "m0001_b": ""}, r"0001_b\.sql should have the number 0002"),
        ({"m0002_a": ""}, r"0002_a\.sql should have the number 0001"),
        ({"m1_a": ""}, r"1_a\.sql is not named like"),
        ({"m0001-A": ""}, r"0001-A\.sql is not named like"),
    ],
)
def test_a_folder_with_gaps_or_strange_names_is_refused(
    write: Write, files: dict[str, str], message: str
) -> None:
    with pytest.raises(MigrationError, match=message):
        write(**files).up()


def test_a_missing_folder_is_named(tmp_path: Path, empty_database_url: str) -> None:
    with pytest.raises(MigrationError, match="no folder of migrations at"):
        Migrator(empty_database_url, folder=tmp_path / "nowhere").up()


def test_a_file_must_not_end_its_transaction(write: Write) -> None:
    with pytest.raises(MigrationError, match="take COMMIT and ROLLBACK out"):
        write(m0001_first="COMMIT; CREATE TABLE first (id int)").up()


def test_verify_names_what_is_pending(write: Write) -> None:
    write(m0001_first=FIRST).up()
    migrator = write(m0002_second=SECOND)

    with pytest.raises(MigrationError, match=r"0002_second\.sql is not applied"):
        migrator.verify()


def test_eight_runners_at_once_apply_each_file_once(write: Write, empty_database_url: str) -> None:
    files = {f"m{n:04}_table": f"CREATE TABLE t{n} (id int)" for n in range(1, 6)}
    write(**files)

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: write().up(), range(8)))

    assert sorted(name for run in runs for name in run) == sorted(
        f"{name.removeprefix('m')}.sql" for name in files
    )
    assert len(tables(empty_database_url)) == 6


def test_our_own_migrations_apply_to_an_empty_database(empty_database_url: str) -> None:
    migrator = Migrator(empty_database_url)

    assert len(migrator.up()) == len(list(default_folder().glob("*.sql")))
    migrator.verify()
