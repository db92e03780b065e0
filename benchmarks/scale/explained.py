"""Server that has PostgreSQL explain every statement; ``plans`` runs it.

    python benchmarks/scale/explained.py FILE serve --database-url URL

It is ``configsvc`` as a user runs it, but for a psycopg that writes a line to a file for each
statement: its text, and the plan that PostgreSQL makes at this moment on this connection. With
``plan_cache_mode=force_generic_plan`` that is the plan for any parameters, otherwise the one
for those that are given.
"""

import json
import runpy
import sys
import threading
from pathlib import Path
from typing import Any, TextIO
from weakref import WeakKeyDictionary

from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import Composable

_EXPLAINABLE = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")

_PREPARED = (
    "SELECT name, cardinality(parameter_types) FROM pg_prepared_statements WHERE name <> ALL (%s)"
)

_execute, _executemany = Cursor.execute, Cursor.executemany
_lock = threading.Lock()
_known: WeakKeyDictionary[Connection[Any], dict[str, tuple[str, int]]] = WeakKeyDictionary()
"""Text and number of parameters of each prepared statement, by connection and name."""


def explain_every_statement(file: TextIO) -> None:
    """Make every cursor write the plans of its statements to ``file``."""

    def prepare(connection: Connection[Any], query: Any) -> str:
        """Have the next statement prepared if it can be explained; return its text."""
        text = query.as_string(connection) if isinstance(query, Composable) else query
        text = text.decode() if isinstance(text, bytes) else text
        can_be_explained = text.strip().upper().startswith(_EXPLAINABLE)
        connection.prepare_threshold = 0 if can_be_explained else None
        connection.prepared_max = 10_000
        return text if can_be_explained else ""

    def explain(connection: Connection[Any], text: str, parameters: Any) -> None:
        if text:
            with Cursor(connection, row_factory=tuple_row) as cursor:
                (mode,) = _fetched(cursor, "SHOW plan_cache_mode")
                if mode == "force_generic_plan":
                    plan = _generic_plan(cursor, text)
                else:
                    (plan,) = _fetched(cursor, f"EXPLAIN (FORMAT JSON) {text}", parameters)
            with _lock:
                print(json.dumps([text, plan[0]["Plan"]]), file=file, flush=True)

    def execute(self: Cursor[Any], query: Any, params: Any = None, **options: Any) -> Any:
        text = prepare(self.connection, query)
        _execute(self, query, params, **options)
        explain(self.connection, text, params)
        return self

    def executemany(self: Cursor[Any], query: Any, params_seq: Any, **options: Any) -> None:
        rows = list(params_seq)
        text = prepare(self.connection, query)
        _executemany(self, query, rows, **options)
        explain(self.connection, text, rows[0])

    Cursor.execute = execute  # type: ignore[method-assign]
    Cursor.executemany = executemany  # type: ignore[method-assign]


def _generic_plan(cursor: Cursor[Any], text: str) -> Any:
    """Return the plan of the statement that was run last, and prepared then or before."""
    known = _known.setdefault(cursor.connection, {})
    new = _fetched(cursor, _PREPARED, [list(known)])
    if new:
        known[new[0]] = (text, new[1])
    # The same text is prepared anew for parameters of other types: the last one counts.
    name, count = [(name, count) for name, (other, count) in known.items() if other == text][-1]
    # A plan for any parameters is one for these, too.
    nulls = f"({', '.join(['NULL'] * count)})" if count else ""
    return _fetched(cursor, f'EXPLAIN (FORMAT JSON) EXECUTE "{name}"{nulls}')[0]


def _fetched(cursor: Cursor[Any], query: Any, parameters: Any = None) -> Any:
    return _execute(cursor, query, parameters, prepare=False).fetchone()


if __name__ == "__main__":
    explain_every_statement(Path(sys.argv.pop(1)).open("w"))  # noqa: SIM115
    runpy.run_module("configsvc_server", run_name="__main__", alter_sys=True)
