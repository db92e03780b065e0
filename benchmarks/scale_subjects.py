"""What is measured in a small and a large database, and what the answers must be."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from http_load import example_document
from scale_data import ROBOT
from scale_world import Application, Request, World

from configsvc_server.domain.pages import Cursor, Sort

READ_BOUND: Final = 1.5
"""How many times as long a read may take in the large database."""

_FRESH: Final = {"Cache-Control": "no-cache"}


Make: TypeAlias = Callable[[World], Request]
Check: TypeAlias = Callable[[World, Any], bool]


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of request."""

    name: str
    make: Make
    check: Check
    """Tells whether a body that was read as JSON is right."""
    bound: float | None = READ_BOUND
    """The largest ratio that is all right; ``None`` for a figure that is for information."""
    scans: bool = False
    """Whether it is known to look at every row."""
    statuses: Sequence[int] = (HTTPStatus.OK,)


def read_subjects() -> list[Subject]:
    """Return the reads that have to be as fast in a large database, or nearly so."""
    return [*_single(), *_lists(), *_history(), *_feed(), *_snapshots()]


def information() -> list[Subject]:
    """Return what is measured beside that, and bound by nothing."""
    return [
        Subject(
            "GET one, from memory",
            lambda w: Request(f"/configurations/{w.applications[0].configurations[0][0]}"),
            _is_newest,
            bound=None,
        ),
        Subject(
            "snapshot, from memory",
            lambda w: Request(
                f"/applications/{w.applications[0].id}/environments/default/snapshot"
            ),
            _is_whole,
            bound=None,
        ),
        Subject(
            "list, name= in one application",
            lambda w: _in_application(w.application(), name="settings-0001"),
            lambda _, body: body["total"] == 1,
            bound=None,
        ),
        Subject(
            "list, name= in all of them",
            lambda w: _query("/configurations", name="settings-0001", limit=w.limit),
            lambda w, body: body["total"] == w.size.applications,
            bound=None,
        ),
        Subject(
            "list, last page by offset",
            lambda w: _query("/configurations", limit=w.limit, offset=w.size.total - w.limit),
            _is_page,
            bound=None,
        ),
        Subject(
            "list, q= that nothing has",
            lambda w: _query("/configurations", q="no such text", limit=w.limit),
            lambda _, body: body["total"] == 0,
            bound=None,
            scans=True,
        ),
    ]


def write_subjects() -> list[Subject]:
    """Return the writes."""
    return [
        Subject("PUT", _put, _is_object, bound=None),
        Subject(
            "POST release",
            _release,
            _is_object,
            bound=None,
            statuses=(HTTPStatus.OK, HTTPStatus.CREATED),
        ),
        Subject(
            "POST release rollback",
            lambda w: _write(
                "POST",
                f"/configurations/{_next_configuration(w)[0]}/releases/rollback",
                {"environment": "default"},
            ),
            _is_object,
            bound=None,
            statuses=(HTTPStatus.CREATED,),
        ),
        Subject(
            "POST configuration", _create, _is_object, bound=None, statuses=(HTTPStatus.CREATED,)
        ),
    ]


def _single() -> list[Subject]:
    return [
        Subject(
            "GET one",
            lambda w: Request(f"/configurations/{w.configuration()}", headers=_FRESH),
            _is_newest,
        ),
        Subject(
            "GET application by id",
            lambda w: Request(f"/applications/{w.application().id}"),
            _has_members,
        ),
        Subject(
            "GET application by name",
            lambda w: Request(f"/applications/{w.application().name}"),
            _has_members,
        ),
    ]


def _lists() -> list[Subject]:
    return [
        Subject("list, first page", lambda w: _query("/configurations", limit=w.limit), _is_page),
        Subject(
            "list, last page",
            lambda w: _query("/configurations", limit=w.limit, after=w.last_page.encode()),
            _is_last_page,
        ),
        Subject(
            "list, first page by name",
            lambda w: _query("/configurations", limit=w.limit, sort="name"),
            _is_page,
        ),
        Subject("list, any page by name", _page_by_name, _is_page),
        Subject(
            "list, newest first",
            lambda w: _query("/configurations", limit=w.limit, sort="-updated_at"),
            _is_page,
        ),
        Subject("list, any page by time", _page_by_time, _is_page),
        Subject(
            "list in application, first",
            lambda w: _in_application(w.application(), limit=w.limit),
            _is_page,
        ),
        Subject("list in application, last", _last_in_application, _is_last_page),
        Subject(
            "list in application, newest",
            lambda w: _in_application(w.application(), limit=w.limit, sort="-updated_at"),
            _is_page,
        ),
        Subject(
            "list in application, by name",
            lambda w: _in_application(w.application(), limit=w.limit, sort="name"),
            _is_page,
        ),
    ]


def _history() -> list[Subject]:
    def of(path: str, **parameters: object) -> Make:
        return lambda w: _query(f"/configurations/{w.configuration()}/{path}", **parameters)

    return [
        Subject("history", of("revisions"), _is_history),
        Subject("history, newest first", of("revisions", sort="-version"), _is_history),
        Subject(
            "one revision",
            lambda w: Request(
                f"/configurations/{w.configuration()}/revisions/"
                f"{w.rng.randint(1, w.size.revisions)}"
            ),
            lambda _, body: len(body["digest"]) == 64,
        ),
        Subject("diff of the newest", of("diff"), _is_difference),
        Subject(
            "diff of any two",
            lambda w: _query(
                f"/configurations/{w.configuration()}/diff",
                **{"from": 1, "to": w.rng.randint(2, w.size.revisions)},
            ),
            _is_difference,
        ),
        Subject("releases", of("releases"), _is_history),
        Subject(
            "releases, current",
            of("releases", current="true"),
            lambda w, body: [r["version"] for r in body["items"]] == [w.size.revisions],
        ),
    ]


def _feed() -> list[Subject]:
    def feed(name: str, make: Callable[[World], Mapping[str, object]], check: Check) -> Subject:
        return Subject(
            f"feed, {name}",
            lambda w: _query("/changes", **{"limit": w.limit, **make(w)}),
            check,
        )

    def end(w: World) -> int:
        return w.last_change - w.limit

    return [
        feed("first page", lambda _: {}, _is_page),
        feed("last page", lambda w: {"after": end(w)}, _is_last_page),
        feed("newest first", lambda _: {"sort": "-id"}, _is_page),
        feed("any page", lambda w: {"after": w.rng.randrange(end(w))}, _is_page),
        feed("of an application", lambda w: {"application_id": w.application().id}, _is_page),
        feed(
            "of an application, back",
            lambda w: {"application_id": w.application().id, "sort": "-id"},
            _is_page,
        ),
        feed(
            "of an environment",
            lambda w: {"application_id": w.application().id, "environment": "default"},
            _is_page,
        ),
        feed(
            "of a configuration",
            lambda w: {"configuration_id": w.configuration()},
            lambda w, body: len(body["items"]) == w.size.revisions,
        ),
        feed(
            "by a person",
            lambda w: {"actor": w.rng.choice(w.people)},
            lambda _, body: body["items"] != [],
        ),
        feed("by the robot, back", lambda _: {"actor": ROBOT, "sort": "-id"}, _is_page),
        feed("of creations, back", lambda _: {"action": "create", "sort": "-id"}, _is_page),
        feed("of restorations", lambda _: {"action": "restore"}, _is_empty),
        feed(
            "of applications, back",
            lambda _: {"entity": "application", "sort": "-id", "limit": 1},
            lambda _, body: len(body["items"]) == 1,
        ),
        feed("of environments", lambda _: {"entity": "environment"}, _is_empty),
    ]


def _snapshots() -> list[Subject]:
    def snapshot(w: World) -> str:
        return f"/applications/{w.application().id}/environments/default/snapshot"

    return [
        Subject("snapshot", lambda w: Request(snapshot(w), headers=_FRESH), _is_whole),
        Subject(
            "snapshot by name",
            lambda w: Request(
                f"/applications/{w.application().name}/environments/default/snapshot",
                headers=_FRESH,
            ),
            _is_whole,
        ),
        Subject(
            "snapshot of a past moment",
            lambda w: _query(snapshot(w), at=w.moment().isoformat()),
            _is_whole,
        ),
    ]


# ---- Requests ----------------------------------------------------------------------------


def _query(path: str, **parameters: object) -> Request:
    return Request(f"{path}?{urlencode(parameters)}" if parameters else path)


def _in_application(application: Application, **parameters: object) -> Request:
    return _query(f"/applications/{quote(application.id)}/configurations", **parameters)


def _after(w: World, cursor: Cursor) -> Request:
    return _query("/configurations", limit=w.limit, after=cursor.encode())


def _page_by_name(w: World) -> Request:
    # Not so near the end that there is no whole page any more.
    names = [name for _, name in w.applications[0].configurations]
    name = sorted(names)[w.rng.randrange(len(names) - w.limit)]
    application = w.applications[0] if len(w.applications) == 1 else w.application()
    row_id = {name: row_id for row_id, name in application.configurations}[name]
    return _after(w, Cursor(Sort("name"), name, row_id))


def _page_by_time(w: World) -> Request:
    # The newest versions are all from the last part of the time; see _page_by_name.
    part = (w.last - w.first) / (w.size.revisions - 1)
    moment = w.last - part * (1 - 0.4 * w.rng.random())
    return _after(w, Cursor(Sort("updated_at"), moment.isoformat(), w.configuration()))


def _last_in_application(w: World) -> Request:
    application = w.application()
    row_id, _ = application.configurations[-w.limit - 1]
    return _in_application(
        application, limit=w.limit, after=Cursor(Sort(), row_id, row_id).encode()
    )


def _write(method: str, path: str, body: Mapping[str, object]) -> Request:
    return Request(
        path, method, json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )


def _next_configuration(w: World) -> tuple[str, str, int]:
    """Return id and name of a configuration to write, and how often each was written before."""
    turn = next(w.turns)
    # Neighbouring writes go to different applications.
    application = w.applications[turn % len(w.applications)]
    members = application.configurations
    place = turn // len(w.applications)
    row_id, name = members[place % len(members)]
    return row_id, name, place // len(members)


def _put(w: World) -> Request:
    row_id, name, _ = _next_configuration(w)
    body = {"name": name, "config": example_document(w.rng.randrange(10**9))}
    return _write("PUT", f"/configurations/{row_id}", body)


def _release(w: World) -> Request:
    row_id, _, times = _next_configuration(w)
    version = 1 + times % (w.size.revisions - 1)
    body = {"environment": "default", "version": version}
    return _write("POST", f"/configurations/{row_id}/releases", body)


def _create(w: World) -> Request:
    name = f"new-{next(w.turns)}-{w.rng.randrange(10**9)}"
    body = {"name": name, "config": example_document(w.rng.randrange(10**9))}
    return _write("POST", f"/applications/{w.application().id}/configurations", body)


# ---- Answers -----------------------------------------------------------------------------


def _is_object(_: World, body: Any) -> bool:
    return isinstance(body, dict)


def _is_newest(w: World, body: Any) -> bool:
    return bool(body["version"] == w.size.revisions == body["config"]["step"])


def _has_members(w: World, body: Any) -> bool:
    return len(body["configuration_ids"]) == w.size.configurations


def _is_page(w: World, body: Any) -> bool:
    return len(body["items"]) == w.limit


def _is_last_page(w: World, body: Any) -> bool:
    return _is_page(w, body) and not body["has_more"]


def _is_empty(_: World, body: Any) -> bool:
    return len(body["items"]) == 0


def _is_history(w: World, body: Any) -> bool:
    return bool(len(body["items"]) == body["total"] == w.size.revisions)


def _is_difference(_: World, body: Any) -> bool:
    return "/config/step" in {change["path"] for change in body["changes"]}


def _is_whole(w: World, body: Any) -> bool:
    return len(body["configurations"]) == w.size.configurations
