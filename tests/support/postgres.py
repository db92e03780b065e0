"""A real PostgreSQL for tests: one cluster a run, one database a test."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from configsvc_server.db.embedded import EmbeddedPostgres
from configsvc_server.db.migrations import Migrator, default_folder
from configsvc_server.domain.identifiers import new_ulid

# Nothing of a test has to survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_LOCK = 0x74656D706C617465


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Give the URL of a cluster, shared by all the processes of a run.

    ``CONFIGSVC_TEST_DATABASE_URL`` names a PostgreSQL to use instead of the embedded one; its
    user must be allowed to create databases.
    """
    given = os.environ.get("CONFIGSVC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with EmbeddedPostgres(folder, options=FAST) as url:
        yield url


def ensure_template(url: str) -> str:
    """Make the database that every test's database is a copy of, once; return its name."""
    files = sorted(default_folder().glob("*.sql"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    name = f"configsvc_template_{digest}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            unfinished = f"{name}_unfinished"
            _execute(connection, "DROP DATABASE IF EXISTS {}", unfinished)
            _execute(connection, "CREATE DATABASE {}", unfinished)
            Migrator(make_conninfo(url, dbname=unfinished)).up()
            _execute(connection, "ALTER DATABASE {} RENAME TO {}", unfinished, name)
    return name


@contextmanager
def fresh_database(url: str, *, template: str = "template1") -> Iterator[str]:
    """Give the URL of a database of one's own, dropped afterwards."""
    name = f"test_{new_ulid().lower()}"
    with psycopg.connect(url, autocommit=True) as connection:
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def empty_tables(url: str) -> None:
    """Leave a migrated database as if nothing had been written to it yet.

    This takes a small part of the time that a database of one's own takes. Sessions that an earlier
    test has left are ended first.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        found = connection.execute(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = current_schema AND tablename <> 'migrations'"
        )
        tables = [sql.Identifier(name) for (name,) in found]
        if connection.info.parameter_status("is_superuser") != "on":
            names = sql.SQL(", ").join(tables)
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))
            return
        # New files for each table and index, which TRUNCATE makes, take longer than a test.
        # Triggers would refuse, or count and notify.
        deletions = [sql.SQL("DELETE FROM {}").format(table) for table in tables]
        restart = (
            "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)"
            " FROM pg_sequences WHERE schemaname = current_schema"
        )
        statements = [sql.SQL("SET session_replication_role = replica"), *deletions]
        connection.execute(sql.SQL("; ").join([*statements, sql.SQL(restart)]))


def wait_for_lock(url: str, *, waiting: int = 1) -> None:
    """Wait until as many sessions of this database wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND datname = current_database()"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        while (connection.execute(query).fetchone() or [0])[0] < waiting:
            pass


def _execute(connection: psycopg.Connection, statement: str, *names: str) -> None:
    query = sql.SQL(statement)
    connection.execute(query.format(*map(sql.Identifier, names)))
