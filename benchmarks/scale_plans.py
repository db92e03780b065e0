"""Look at the plans of the statements that requests really run.

The service runs in this process over a database that asks PostgreSQL for the plan of every
statement just before running it, with its parameters, on the same connection. A second pass
makes PostgreSQL plan for any parameters (``force_generic_plan``), as it may from the sixth
time on that a prepared statement runs. What functions and triggers run can't be asked for;
PostgreSQL counts the sequential scans of each table, and those have to stay none.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import psycopg
from http_load import BenchmarkError
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composable, Identifier
from scale_data import row_counts
from scale_subjects import Subject
from scale_world import Session, World

from configsvc_server.app import serve_database
from configsvc_server.db.database import Connection, Database
from configsvc_server.logs import configure_logging
from configsvc_server.serving.server import HttpServer
from configsvc_server.settings import Settings

REPEATS: Final = 3
"""How often each kind of request is made in each pass."""

SMALL_TABLE: Final = 1000
"""A table with at most so many rows may be read as a whole."""

QUIET_TIMEOUT: Final = 30.0
"""How long connections may take to go, in seconds."""

_EXPLAINABLE: Final = (b"SELECT", b"WITH", b"INSERT", b"UPDATE", b"DELETE")


@dataclass(frozen=True, slots=True)
class Plan:
    """How PostgreSQL runs a statement."""

    subject: str
    statement: str
    is_generic: bool
    tree: Mapping[str, Any]

    def nodes(self) -> Iterator[Mapping[str, Any]]:
        """Give every node of the plan."""
        waiting = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.get("Plans", ()))

    def scanned(self, rows: Mapping[str, int]) -> list[str]:
        """Return the tables that are read as a whole and are not small."""
        return [
            node["Relation Name"]
            for node in self.nodes()
            if node["Node Type"] == "Seq Scan" and rows[node["Relation Name"]] > SMALL_TABLE
        ]

    def indexes(self) -> set[str]:
        """Return the indexes that are used."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}


class Recorder:
    """Gathers plans, each once."""

    def __init__(self) -> None:
        self.subject = ""
        self.plans: list[Plan] = []
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def add(self, statement: str, plan: Any, *, is_generic: bool = False) -> None:
        """Remember the plan of a statement, as EXPLAIN gave it."""
        tree = plan[0]["Plan"]
        with self._lock:
            key = (self.subject, statement, str(_shape(tree)))
            if key not in self._seen:
                self._seen.add(key)
                self.plans.append(Plan(self.subject, statement, is_generic, tree))


def explain(url: str, subjects: Sequence[Subject], world: World) -> list[Plan]:
    """Make requests of each kind and return the plans of all that they ran.

    Raises:
        BenchmarkError: a request failed, or ran nothing that could be looked at.
    """
    # The server of this process would write its log of requests between our lines.
    configure_logging(level="warning", log_format="console")
    recorder = Recorder()
    with _serving(url, _explaining(recorder)) as session:
        _ask(session, subjects, world, recorder)
    generic = make_conninfo(url, options="-c plan_cache_mode=force_generic_plan")
    with _serving(generic, _explaining_generically(recorder)) as session:
        _ask(session, subjects, world, recorder)
    seen = {(plan.subject, plan.is_generic) for plan in recorder.plans}
    for subject in subjects:
        if not {(subject.name, False), (subject.name, True)} <= seen:
            raise BenchmarkError(f"No plans were seen of {subject.name!r}.")
    return recorder.plans


def sequential_scans(url: str) -> dict[str, int]:
    """Return how often each table that is not small has been read as a whole.

    Raises:
        BenchmarkError: others use the database, and what they do is not counted yet.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        _wait_until_alone(connection)
        rows = row_counts(connection)
        counts = connection.execute("SELECT relname, seq_scan FROM pg_stat_user_tables")
        return {name: count for name, count in counts if rows[name] > SMALL_TABLE}


def _wait_until_alone(connection: Connection) -> None:
    """Wait until every other connection is gone: at its end it tells what it did."""
    deadline = time.monotonic() + QUIET_TIMEOUT
    while connection.execute(
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone():
        if time.monotonic() > deadline:
            raise BenchmarkError("Somebody else uses the database; scans can't be counted.")
        time.sleep(0.05)


def _ask(session: Session, subjects: Sequence[Subject], world: World, recorder: Recorder) -> None:
    for subject in subjects:
        recorder.subject = subject.name
        for _ in range(REPEATS):
            request = subject.make(world)
            answer = session.send(request)
            if answer.status not in subject.statuses:
                raise BenchmarkError(f"{request.path} gave {answer.status}: {answer.body!r}")


@contextmanager
def _serving(url: str, database: type[Database]) -> Iterator[Session]:
    with (
        patch("configsvc_server.app.Database", database),
        # As it comes: what the variables of the caller say does not count here.
        serve_database(Settings.model_construct(), url) as runtime,
    ):
        server = HttpServer(runtime.app, port=0, on_stop=runtime.release_waiters)
        thread = threading.Thread(target=server.run, name="explained-server")
        thread.start()
        session = Session(f"http://127.0.0.1:{server.port}")
        try:
            yield session
        finally:
            session.close()
            server.stop()
            thread.join()


def _explaining(recorder: Recorder) -> type[Database]:
    """Return a database that has every statement explained with its parameters."""

    def explained(connection: Connection, query: Any, parameters: Any) -> None:
        text = query.as_bytes(connection) if isinstance(query, Composable) else query
        text = text.encode() if isinstance(text, str) else text
        if text.strip().upper().startswith(_EXPLAINABLE):
            with psycopg.Cursor(connection) as cursor:
                plan = cursor.execute(
                    b"EXPLAIN (FORMAT JSON) " + text, parameters, prepare=False
                ).fetchone()
            assert plan is not None
            recorder.add(text.decode(), plan[0])

    class ExplainingCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            explained(self.connection, query, params)
            return super().execute(query, params, **options)

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
            rows = list(params_seq)
            explained(self.connection, query, rows[0])
            super().executemany(query, rows, **options)

    def prepare(connection: Connection) -> None:
        connection.cursor_factory = ExplainingCursor

    return _watched(before=prepare, after=lambda _: None)


def _explaining_generically(recorder: Recorder) -> type[Database]:
    """Return a database that has every statement explained as it is prepared."""

    def prepare(connection: Connection) -> None:
        connection.prepare_threshold = 0

    def explained(connection: Connection) -> None:
        with psycopg.Cursor(connection) as cursor:
            prepared = cursor.execute(
                "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements",
                prepare=False,
            ).fetchall()
            for name, statement, count in prepared:
                # A plan for any parameters is one for these, too.
                nulls = SQL(", ").join([SQL("NULL")] * count)
                arguments = SQL("({})").format(nulls) if count else SQL("")
                query = SQL("EXPLAIN (FORMAT JSON) EXECUTE {}{}")
                plan = cursor.execute(
                    query.format(Identifier(name), arguments), prepare=False
                ).fetchone()
                assert plan is not None
                recorder.add(statement, plan[0], is_generic=True)
            # What comes next is prepared anew, and belongs to the next request.
            connection.execute("DEALLOCATE ALL", prepare=False)

    return _watched(before=prepare, after=explained)


def _watched(
    *, before: Callable[[Connection], None], after: Callable[[Connection], None]
) -> type[Database]:
    class WatchedDatabase(Database):
        @contextmanager
        def autocommit(self) -> Iterator[Connection]:
            with super().autocommit() as connection:
                before(connection)
                yield connection
                after(connection)

        @contextmanager
        def transaction(self) -> Iterator[Connection]:
            with super().transaction() as connection:
                before(connection)
                yield connection
                after(connection)

    return WatchedDatabase


def _shape(node: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what makes plans alike: the kinds of nodes and what they read, not the costs."""
    parts = (node["Node Type"], node.get("Relation Name"), node.get("Index Name"))
    return (*parts, *(_shape(child) for child in node.get("Plans", ())))
