"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own.

The table ``migrations`` records each applied file with its checksum, so that a file that was
changed afterwards, or one that was added below the newest, is reported instead of ignored.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import pq

from configsvc_server.db.connections import BoundedConnection, Connection, apply_settings

__all__ = [
    "Migration",
    "MigrationError",
    "MigrationStatus",
    "Migrator",
    "default_folder",
]

# Any constant that nothing else in the database uses.
_ADVISORY_LOCK_KEY = 0x636F6E66696773

_LOCK_INTERVAL = 0.1
"""Seconds between two attempts to acquire the lock."""

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    filename text COLLATE "C" PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL,
    duration interval NOT NULL
)
"""


class MigrationError(Exception):
    """The migrations can't be applied as they are; the message names the file."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of the folder."""

    filename: str
    sql: str

    @property
    def number(self) -> int:
        """The four digits that the file name begins with."""
        return int(self.filename[:4])

    @property
    def checksum(self) -> str:
        """SHA-256 of the text with Unix line endings, as 64 hexadecimal digits."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """State of one migration."""

    filename: str
    state: Literal["applied", "pending", "changed", "missing"]
    applied_at: datetime | None = None
    duration: float | None = None
    """Seconds that it took to apply; ``None`` if it is pending."""


@dataclass(frozen=True, slots=True)
class _Applied:
    filename: str
    checksum: str
    applied_at: datetime
    duration: float


def default_folder() -> Path:
    """Return the folder of migrations: that of the wheel, or of the repository in a checkout."""
    packaged = Path(str(resources.files("configsvc_server"))) / "_migrations"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[5] / "migrations"


class Migrator:
    """Migrations of one folder for one database."""

    ANSWER_TIMEOUT = 10.0
    """Seconds to wait for a connection, and for each answer but those below."""

    APPLY_TIMEOUT = 3600.0
    """Seconds that the SQL of one migration may take."""

    LOCK_TIMEOUT = 10.0
    """Seconds to wait for each lock on a table: whoever wants to read it has to wait meanwhile."""

    RUNNER_TIMEOUT = 300.0
    """Seconds to wait for another runner of migrations."""

    PATIENCE = 60.0
    """Seconds after which PostgreSQL ends a runner that does nothing."""

    def __init__(self, url: str, *, folder: Path | None = None) -> None:
        self._url = url
        self._folder = folder or default_folder()

    def up(self, *, on_applied: Callable[[str, float], None] = lambda *_: None) -> list[str]:
        """Apply every pending migration.

        Runners that start together wait for one another; each file is applied by one.

        Args:
            on_applied: called after each file with its name and its duration in seconds.

        Returns:
            The names of the files that were applied, in order.

        Raises:
            MigrationError: a file is invalid, was changed, is missing, or fails. The files
                before it stay applied; the failing one is rolled back.
            psycopg.OperationalError: the database can't be reached.
        """
        migrations = self._read_folder()
        applied_now: list[str] = []
        with (
            self._connect() as connection,
            _advisory_lock(connection, timeout=self.RUNNER_TIMEOUT),
        ):
            connection.execute(_CREATE_TABLE)
            applied = self._read_applied(connection)
            _raise_for(_problems(migrations, applied))
            names = {row.filename for row in applied}
            for migration in migrations:
                if migration.filename not in names:
                    duration = _apply(connection, migration, timeout=self.APPLY_TIMEOUT)
                    applied_now.append(migration.filename)
                    on_applied(migration.filename, duration)
        return applied_now

    def status(self) -> list[MigrationStatus]:
        """Return the state of every migration in the folder or the database, by file name.

        Raises:
            MigrationError: the folder has an invalid file name or number.
            psycopg.OperationalError: the database can't be reached.
        """
        with self._connect() as connection:
            return self.status_with(connection)

    def status_with(self, connection: Connection) -> list[MigrationStatus]:
        """Do the same as :meth:`status`, over an existing connection."""
        migrations = {migration.filename: migration for migration in self._read_folder()}
        applied = {row.filename: row for row in self._read_applied(connection)}
        return [
            _status(name, migrations.get(name), applied.get(name))
            for name in sorted({*migrations, *applied})
        ]

    def verify(self) -> None:
        """Check that the database has exactly the migrations of the folder.

        Raises:
            MigrationError: they differ; the message names each file.
            psycopg.OperationalError: the database can't be reached.
        """
        migrations = self._read_folder()
        with self._connect() as connection:
            applied = self._read_applied(connection)
        problems = _problems(migrations, applied)
        names = {row.filename for row in applied}
        pending = [m.filename for m in migrations if m.filename not in names]
        problems += [f"{name} is not applied" for name in pending]
        _raise_for(problems)

    def _connect(self) -> BoundedConnection:
        connection = BoundedConnection.open(
            self._url,
            answer_timeout=self.ANSWER_TIMEOUT,
            connect_timeout=self.ANSWER_TIMEOUT,
            name="configsvc-migrate",
        )
        # A runner that has stopped in the middle must not keep the others waiting.
        patience = str(round(self.PATIENCE * 1000))
        apply_settings(
            connection,
            {
                "idle_session_timeout": patience,
                "idle_in_transaction_session_timeout": patience,
                "lock_timeout": str(round(self.LOCK_TIMEOUT * 1000)),
            },
        )
        return connection

    def _read_folder(self) -> list[Migration]:
        if not self._folder.is_dir():
            raise MigrationError(f"There is no folder of migrations at {self._folder}.")
        migrations = []
        for path in sorted(self._folder.glob("*.sql")):
            if not _FILE_NAME.fullmatch(path.name):
                raise MigrationError(
                    f"{path.name} is not named like 0001_lower_case_words.sql; rename it."
                )
            # Text mode reads every line ending as \n, so a checkout on Windows is the same file.
            migrations.append(Migration(path.name, path.read_text(encoding="utf-8")))
        for expected, migration in enumerate(migrations, start=1):
            if migration.number != expected:
                raise MigrationError(
                    f"{migration.filename} should have the number {expected:04}: "
                    "numbers must have no gaps or duplicates."
                )
        return migrations

    @staticmethod
    def _read_applied(connection: Connection) -> list[_Applied]:
        exists = connection.execute("SELECT to_regclass('migrations') IS NOT NULL").fetchone()
        if exists is None or not exists[0]:
            return []
        rows = connection.execute(
            "SELECT filename, checksum, applied_at, extract(epoch FROM duration)::float8 "
            "FROM migrations ORDER BY filename"
        )
        return [_Applied(*row) for row in rows]


@contextmanager
def _advisory_lock(connection: Connection, *, timeout: float) -> Iterator[None]:
    # Asking again and again, each time with an answer, notices a database that falls silent.
    give_up_at = time.monotonic() + timeout
    while not _acquires_lock(connection):
        if time.monotonic() >= give_up_at:
            raise MigrationError(
                f"Another runner of migrations has not finished within {timeout:.0f} seconds."
            )
        time.sleep(_LOCK_INTERVAL)
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK_KEY])


def _acquires_lock(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK_KEY]).fetchone()
    return bool(row and row[0])


def _apply(connection: BoundedConnection, migration: Migration, *, timeout: float) -> float:
    started = time.monotonic()
    try:
        with connection.transaction():
            with connection.waiting(timeout):
                # No parameters: the file may hold several statements and literal percent signs.
                connection.execute(migration.sql.encode())
            if connection.info.transaction_status != pq.TransactionStatus.INTRANS:
                raise MigrationError(
                    f"{migration.filename} ends its own transaction; take COMMIT and "
                    "ROLLBACK out of it."
                )
            duration = time.monotonic() - started
            connection.execute(
                "INSERT INTO migrations (filename, checksum, applied_at, duration) "
                "VALUES (%s, %s, now(), make_interval(secs => %s))",
                [migration.filename, migration.checksum, duration],
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationError(f"{migration.filename} failed: {error}") from error
    return duration


def _status(
    filename: str, migration: Migration | None, applied: _Applied | None
) -> MigrationStatus:
    if applied is None:
        return MigrationStatus(filename, "pending")
    state: Literal["applied", "changed", "missing"] = "applied"
    if migration is None:
        state = "missing"
    elif migration.checksum != applied.checksum:
        state = "changed"
    return MigrationStatus(filename, state, applied.applied_at, applied.duration)


def _problems(migrations: Sequence[Migration], applied: Sequence[_Applied]) -> list[str]:
    known = {migration.filename: migration for migration in migrations}
    done = {row.filename for row in applied}
    newest = max(done, default="")
    problems = []
    for row in applied:
        if row.filename not in known:
            problems.append(
                f"{row.filename} is applied, but not in the folder: is this server older than "
                "the database?"
            )
        elif known[row.filename].checksum != row.checksum:
            problems.append(f"{row.filename} was changed after it was applied")
    problems += [
        f"{migration.filename} is not applied, but the later {newest} is"
        for migration in migrations
        if migration.filename not in done and migration.filename < newest
    ]
    return problems


def _raise_for(problems: Sequence[str]) -> None:
    if problems:
        raise MigrationError("; ".join(problems))
