"""Table of the requests that are measured, and what their answers must be."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from benchmarks.common import example_document
from benchmarks.scale.data import ROBOT
from benchmarks.scale.inventory import Inventory
from benchmarks.servers import BenchmarkError

READ_BOUND: Final = 1.5
"""How many times as long a read may take in the large database."""

Check: TypeAlias = Callable[[Inventory, Any], bool]
"""Returns whether a body that was read as JSON is right."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One kind of request."""

    name: str
    path: str
    """With placeholders of an inventory."""
    check: Check = lambda _, body: isinstance(body, dict)
    method: str = "GET"
    body: Callable[[Inventory, str], object] = lambda _inventory, _path: None
    bound: float | None = None
    """The largest ratio that is all right; ``None`` for a figure that is for information."""
    from_memory: bool = False
    """Whether the server may answer from memory."""
    scans: bool = False
    """Whether it is known to look at every row."""

    def ask(self, inventory: Inventory, *, checked: bool = True) -> tuple[float, int]:
        """Make one such request; return the seconds and the bytes of the answer.

        Args:
            inventory: of a database that is served.
            checked: whether the body has to be as it was before anything was written.

        Raises:
            BenchmarkError: the answer is wrong.
        """
        path = self.path.format_map(inventory)
        status, body, seconds = inventory.session.send(
            self.method, path, self.body(inventory, path), no_cache=not self.from_memory
        )
        if status in _SUCCESS and (not checked or self.check(inventory, json.loads(body))):
            return seconds, len(body)
        raise BenchmarkError(
            f"{self.name}: {self.method} {path} gave a wrong answer, {status}: {body[:1000]!r}"
        )


_SUCCESS = (HTTPStatus.OK, HTTPStatus.CREATED)


# ---- Answers -----------------------------------------------------------------------------


def _has(member: str, count: str | int) -> Check:
    """Check how many items there are: a number, or the placeholder of one."""
    return lambda i, body: len(body[member]) == (i[count] if isinstance(count, str) else count)


_PAGE: Final = _has("items", "limit")
_MEMBERS: Final = _has("configuration_ids", "members")
_SNAPSHOT: Final = _has("configurations", "members")


def _last_page(inventory: Inventory, body: Any) -> bool:
    return _PAGE(inventory, body) and not body["has_more"]


def _newest(inventory: Inventory, body: Any) -> bool:
    return bool(body["version"] == inventory.size.revisions == body["config"]["step"])


def _versions(inventory: Inventory, body: Any) -> bool:
    versions = range(1, inventory.size.revisions + 1)
    return sorted(item["version"] for item in body["items"]) == list(versions)


def _releases(inventory: Inventory, body: Any) -> bool:
    before = [item["previous_version"] for item in body["items"]]
    return _versions(inventory, body) and before == [None, *range(1, inventory.size.revisions)]


def _step(_: Inventory, body: Any) -> bool:
    return "/config/step" in {change["path"] for change in body["changes"]}


# ---- Requests ----------------------------------------------------------------------------

_ALL: Final = "/configurations?limit={limit}"
_ONE: Final = "/configurations/{configuration}"
_MINE: Final = "/applications/{application}/configurations?limit={limit}"
_FEED: Final = "/changes?limit={limit}"
_MY_FEED: Final = f"{_FEED}&application_id={{application}}"
_ENVIRONMENT: Final = "environments/default/snapshot"

_BOUND: Final[tuple[tuple[str, str, Check], ...]] = (
    ("GET one", _ONE, _newest),
    ("GET application by id", "/applications/{application}", _MEMBERS),
    ("GET application by name", "/applications/{application_name}", _MEMBERS),
    ("list, first page", _ALL, lambda i, body: body["total"] == i.size.total),
    ("list, last page", f"{_ALL}&after={{last_page}}", _last_page),
    ("list, first page by name", f"{_ALL}&sort=name", _PAGE),
    ("list, any page by name", f"{_ALL}&after={{page_by_name}}", _PAGE),
    ("list, newest first", f"{_ALL}&sort=-updated_at", _PAGE),
    ("list, any page by time", f"{_ALL}&after={{page_by_time}}", _PAGE),
    ("list in application, first", _MINE, _PAGE),
    ("list in application, last", "{last_page_in_application}", _last_page),
    ("list in application, newest", f"{_MINE}&sort=-updated_at", _PAGE),
    ("list in application, by name", f"{_MINE}&sort=name", _PAGE),
    ("history", f"{_ONE}/revisions", _versions),
    ("history, newest first", f"{_ONE}/revisions?sort=-version", _versions),
    ("one revision", f"{_ONE}/revisions/{{version}}", _has("digest", 64)),
    ("diff of the newest", f"{_ONE}/diff", _step),
    ("diff of any two", f"{_ONE}/diff?from=1&to={{later_version}}", _step),
    ("releases", f"{_ONE}/releases", _releases),
    ("releases, current", f"{_ONE}/releases?current=true", _has("items", 1)),
    ("feed, first page", _FEED, _PAGE),
    ("feed, last page", f"{_FEED}&after={{last_page_of_changes}}", _last_page),
    ("feed, newest first", f"{_FEED}&sort=-id", _PAGE),
    ("feed, any page", f"{_FEED}&after={{any_change}}", _PAGE),
    ("feed, of an application", _MY_FEED, _PAGE),
    ("feed, of an application, back", f"{_MY_FEED}&sort=-id", _PAGE),
    ("feed, of an environment", f"{_MY_FEED}&environment=default", _PAGE),
    ("feed, of a configuration", f"{_FEED}&configuration_id={{configuration}}", _versions),
    ("feed, by a person", f"{_FEED}&actor={{person}}", lambda _, body: body["items"] != []),
    ("feed, by the robot, back", f"{_FEED}&actor={ROBOT}&sort=-id", _PAGE),
    ("feed, of creations, back", f"{_FEED}&action=create&sort=-id", _PAGE),
    ("feed, of restorations", f"{_FEED}&action=restore", _has("items", 0)),
    (
        "feed, of applications, back",
        "/changes?entity=application&sort=-id&limit=1",
        _has("items", 1),
    ),
    ("feed, of environments", f"{_FEED}&entity=environment", _has("items", 0)),
    ("snapshot", f"/applications/{{application}}/{_ENVIRONMENT}", _SNAPSHOT),
    ("snapshot by name", f"/applications/{{application_name}}/{_ENVIRONMENT}", _SNAPSHOT),
    (
        "snapshot of a past moment",
        f"/applications/{{application}}/{_ENVIRONMENT}?at={{moment}}",
        _SNAPSHOT,
    ),
)

READS: Final = (
    *(Subject(name, path, check, bound=READ_BOUND) for name, path, check in _BOUND),
    # These are bound by nothing.
    Subject(
        "GET one, from memory", "/configurations/{first_configuration}", _newest, from_memory=True
    ),
    Subject(
        "snapshot, from memory",
        f"/applications/{{first_application}}/{_ENVIRONMENT}",
        _SNAPSHOT,
        from_memory=True,
    ),
    Subject("list, name= in one application", f"{_MINE}&name=settings-0001", _has("items", 1)),
    Subject(
        "list, name= in all of them",
        f"{_ALL}&name=settings-0001",
        lambda i, body: body["total"] == i.size.applications,
    ),
    Subject("list, a late page by offset", f"{_ALL}&offset={{last_offset}}", _PAGE),
    Subject("list, q= that nothing has", f"{_ALL}&q=no+such+text", _has("items", 0), scans=True),
)


def _replacement(inventory: Inventory, path: str) -> object:
    name = inventory.names[path.rpartition("/")[2]]
    return {"name": name, "config": example_document(inventory.rng.randrange(10**9))}


def _addition(inventory: Inventory, _path: str) -> object:
    name = f"new-{inventory.rng.randrange(10**15)}"
    return {"name": name, "config": example_document(inventory.rng.randrange(10**9))}


def _older_version(inventory: Inventory, _path: str) -> object:
    version = inventory.rng.randrange(1, inventory.size.revisions)
    return {"environment": "default", "version": version}


def _environment(_inventory: Inventory, _path: str) -> object:
    return {"environment": "default"}


_RELEASES: Final = "/configurations/{written}/releases"

WRITES: Final = (
    Subject("PUT", "/configurations/{written}", method="PUT", body=_replacement),
    Subject("POST release", _RELEASES, method="POST", body=_older_version),
    Subject("POST release rollback", f"{_RELEASES}/rollback", method="POST", body=_environment),
    Subject(
        "POST configuration",
        "/applications/{application}/configurations",
        method="POST",
        body=_addition,
    ),
)
