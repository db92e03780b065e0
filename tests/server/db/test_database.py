"""Errors of PostgreSQL, as the database reports them."""

from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from configsvc_server.db.database import Database
from configsvc_server.domain.errors import UnstorableValueError

# One page of an index holds about 2700 bytes; a repetitive text would be compressed.
TOO_LARGE_FOR_AN_INDEX = (
    "INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n"
)


@pytest.fixture
def database_url(new_database_url: str) -> str:
    """A database for a table of the test's own."""
    return new_database_url


@pytest.fixture
def table(database: Database) -> None:
    with database.autocommit() as connection:
        connection.execute("CREATE TABLE t (v text UNIQUE CHECK (v <> 'bad'))")


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        pytest.param("INSERT INTO t VALUES (%s)", ["\0"], id="data"),
        pytest.param("SELECT %s::text::int", ["x"], id="conversion"),
        pytest.param("INSERT INTO t VALUES (%s)", ["bad"], id="check"),
        pytest.param(TOO_LARGE_FOR_AN_INDEX, [], id="too large"),
    ],
)
@pytest.mark.usefixtures("table")
def test_a_value_that_cannot_be_stored_is_an_error_of_the_domain(
    database: Database, statement: str, parameters: list[Any]
) -> None:
    for connect in (database.autocommit, database.transaction):
        with capture_logs() as logs, pytest.raises(UnstorableValueError), connect() as connection:
            connection.execute(statement.encode(), parameters)

        [line] = [line for line in logs if line["event"] == "the database refused a value"]
        assert line["log_level"] == "error"
        assert isinstance(line["exc_info"], psycopg.Error)


@pytest.mark.usefixtures("table")
def test_other_violations_are_left_to_the_caller(database: Database) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation), database.autocommit() as connection:
        connection.execute("INSERT INTO t VALUES ('a'), ('a')")
