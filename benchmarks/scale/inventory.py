"""Inventory of a loaded database: what its server can be asked for, chosen at random."""

import http.client
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import psycopg

from benchmarks.scale.data import Size
from benchmarks.servers import BenchmarkError

API: Final = "/api/v1"
TIMEOUT: Final = 60.0
"""How long to wait for an answer, in seconds."""

PAGE: Final = 50
"""Items of a page, unless lists are too short to have a second one then."""

CURSORS: Final = 16
"""Cursors of each kind that are asked for beforehand, to choose from."""


class Session:
    """One connection to a server that is kept open."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT)

    def send(
        self, method: str, path: str, body: object = None, *, no_cache: bool = False
    ) -> tuple[int, bytes, float]:
        """Send a request; return status, body, and the seconds until all of it was there."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        headers |= {"Cache-Control": "no-cache"} if no_cache else {}
        started = time.perf_counter()
        self._connection.request(method, API + path, content, headers)
        response = self._connection.getresponse()
        received = response.read()
        return response.status, received, time.perf_counter() - started

    def get(self, path: str) -> Any:
        """Return what is at a path.

        Raises:
            BenchmarkError: the answer is no success.
        """
        status, body, _ = self.send("GET", path)
        if status != HTTPStatus.OK:
            raise BenchmarkError(f"GET {path} gave {status}: {body!r}")
        return json.loads(body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Application(NamedTuple):
    """An application that is there."""

    id: str
    name: str
    configurations: Sequence[str]
    """The id of each, oldest first."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a database has, and its server.

    As a mapping it has the placeholders of paths: each look-up chooses anew.
    """

    session: Session
    size: Size
    applications: Sequence[Application]
    names: Mapping[str, str]
    """Name of each configuration, by id."""
    limit: int
    """How many items a page has."""
    first: datetime
    """Since when everything is there."""
    last: datetime
    """When something was last written."""
    last_change: int
    cursors: Mapping[str, Sequence[str]]
    """Cursors of lists, and of lists in an application with its path."""
    rng: random.Random
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """Numbers the writes."""

    def __getitem__(self, placeholder: str) -> object:
        if placeholder in self.cursors:
            return self.rng.choice(self.cursors[placeholder])
        return _PLACEHOLDERS[placeholder](self)

    def application(self) -> Application:
        """Return any application."""
        return self.rng.choice(self.applications)

    def next_written(self) -> str:
        """Return the id of the configuration to write next."""
        number = next(self.numbers)
        # Neighbouring writes go to different applications.
        members = self.applications[number % len(self.applications)].configurations
        return members[number // len(self.applications) % len(members)]


_PLACEHOLDERS: Final[Mapping[str, Callable[[Inventory], object]]] = {
    "application": lambda i: i.application().id,
    "application_name": lambda i: i.application().name,
    "first_application": lambda i: i.applications[0].id,
    "configuration": lambda i: i.rng.choice(i.application().configurations),
    "first_configuration": lambda i: i.applications[0].configurations[0],
    "written": Inventory.next_written,
    "limit": lambda i: i.limit,
    "members": lambda i: i.size.members,
    "version": lambda i: i.rng.randint(1, i.size.revisions),
    "later_version": lambda i: i.rng.randint(2, i.size.revisions),
    "person": lambda i: f"person-{i.rng.randrange(i.size.people):06}",
    # Past moments at which everything was there.
    "moment": lambda i: quote((i.first + i.rng.random() * (i.last - i.first)).isoformat()),
    "any_change": lambda i: i.rng.randrange(i.last_change - i.limit),
    "last_page_of_changes": lambda i: i.last_change - i.limit,
    "last_offset": lambda i: min(i.size.total - i.limit, 10_000),
}


def take_inventory(url: str, session: Session, size: Size, rng: random.Random) -> Inventory:
    """Find out what there is in a database that is served."""
    with psycopg.connect(url) as connection:
        applications = [
            Application(*row)
            for row in connection.execute(
                """
                SELECT applications.id, applications.name,
                       array_agg(configurations.id ORDER BY configurations.id)
                FROM applications
                JOIN configurations ON configurations.application_id = applications.id
                GROUP BY applications.id
                ORDER BY applications.id
                """
            )
        ]
        names: dict[str, str] = dict(
            connection.execute("SELECT id, name FROM configurations").fetchall()
        )
        found = connection.execute(
            "SELECT (SELECT max(created_at) FROM configurations), max(created_at), max(id) "
            "FROM changes"
        ).fetchone()
    assert found is not None
    limit = min(PAGE, size.members // 2)
    return Inventory(
        session,
        size,
        applications,
        names,
        limit,
        first=found[0] + timedelta(seconds=1),
        last=found[1],
        last_change=found[2],
        cursors=_cursors(session, size, limit, applications, rng),
        rng=rng,
    )


def _cursors(
    session: Session,
    size: Size,
    limit: int,
    applications: Sequence[Application],
    rng: random.Random,
) -> dict[str, list[str]]:
    def after(path: str, offset: int) -> str:
        """Return the cursor behind a number of rows."""
        return str(session.get(f"{path}limit=1&offset={offset - 1}")["next"])

    def anywhere(sort: str) -> list[str]:
        offsets = [rng.randint(1, size.total - limit) for _ in range(CURSORS)]
        return [after(f"/configurations?sort={sort}&", offset) for offset in offsets]

    def last_page(application: Application) -> str:
        path = f"/applications/{application.id}/configurations?"
        return f"{path}limit={limit}&after={after(path, size.members - limit)}"

    return {
        "last_page": [after("/configurations?", size.total - limit)],
        "page_by_name": anywhere("name"),
        "page_by_time": anywhere("updated_at"),
        "last_page_in_application": [last_page(rng.choice(applications)) for _ in range(CURSORS)],
    }
