"""Requests over one kept connection, and what a database has that can be asked for."""

import http.client
import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import psycopg
from http_load import BenchmarkError
from scale_data import ROBOT, Size

from configsvc_server.domain.pages import Cursor

API: Final = "/api/v1"
TIMEOUT: Final = 60.0
"""How long to wait for an answer, in seconds."""

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to a server."""

    path: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    seconds: float


class Session:
    """One connection to a server that is kept open."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT)

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the whole answer."""
        started = time.perf_counter()
        self._connection.request(
            request.method, API + request.path, request.body, dict(request.headers)
        )
        response = self._connection.getresponse()
        body = response.read()
        return Answer(response.status, body, time.perf_counter() - started)

    def get(self, path: str) -> Any:
        """Return what is at a path.

        Raises:
            BenchmarkError: the answer is no success.
        """
        answer = self.send(Request(path))
        if answer.status != HTTPStatus.OK:
            raise BenchmarkError(f"GET {path} gave {answer.status}: {answer.body!r}")
        return json.loads(answer.body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Application:
    """An application that is there."""

    id: str
    name: str
    configurations: Sequence[tuple[str, str]]
    """The id and name of each, oldest first."""


@dataclass(frozen=True, slots=True)
class World:
    """What a database has, to ask for."""

    size: Size
    applications: Sequence[Application]
    people: Sequence[str]
    first: datetime
    """Since when everything is there."""
    last: datetime
    """When something was last written."""
    last_change: int
    limit: int
    """How many items a page has."""
    last_page: Cursor
    """Where the last page of all configurations begins."""
    rng: random.Random
    turns: Iterator[int] = field(default_factory=itertools.count)
    """Numbers the writes."""

    def application(self) -> Application:
        """Return any application."""
        return self.rng.choice(self.applications)

    def configuration(self) -> str:
        """Return the id of any configuration."""
        return self.rng.choice(self.application().configurations)[0]

    def moment(self) -> datetime:
        """Return any past moment at which everything was there."""
        return self.first + self.rng.random() * (self.last - self.first)


def explore(url: str, size: Size, rng: random.Random, *, last_page: Cursor) -> World:
    """Find out what there is in a database."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            """
            SELECT applications.id, applications.name,
                   array_agg(configurations.id ORDER BY configurations.id),
                   array_agg(configurations.name ORDER BY configurations.id)
            FROM applications
            JOIN configurations ON configurations.application_id = applications.id
            GROUP BY applications.id
            ORDER BY applications.id
            """
        ).fetchall()
        people = connection.execute(
            "SELECT DISTINCT author FROM revisions WHERE author <> %s ORDER BY author", [ROBOT]
        ).fetchall()
        times = connection.execute(
            "SELECT (SELECT max(created_at) FROM configurations), max(created_at), max(id) "
            "FROM changes"
        ).fetchone()
    assert times is not None
    return World(
        size,
        [Application(row[0], row[1], list(zip(row[2], row[3], strict=True))) for row in found],
        [row[0] for row in people],
        first=times[0] + timedelta(seconds=1),
        last=times[1],
        last_change=times[2],
        limit=page_limit(size),
        last_page=last_page,
        rng=rng,
    )


def page_limit(size: Size) -> int:
    """Return how many items pages have, so that every list has a second one."""
    return min(PAGE, size.configurations // 2)
