"""The server's part of the API, in memory, for tests of applications."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from requests.structures import CaseInsensitiveDict

from configsvc_client.messages import Answer, Request

if TYPE_CHECKING:
    from configsvc_client.errors import ConfigSvcError

__all__ = ["FakeServer"]

Record = dict[str, Any]

_PATH: Final = re.compile(
    r"/api/v1/(?P<root>applications|configurations)(?:/(?P<key>[^/]+))?"
    r"(?:/(?P<nested>configurations)|/environments/(?P<environment>[^/]+)/snapshot)?"
)

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class _ProblemError(Exception):
    def __init__(self, status: HTTPStatus, kind: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.document = {
            "type": f"urn:configsvc:problem:{kind}",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            **members,
        }


class FakeServer:
    """Answers requests from dictionaries; a transport as :class:`HttpTransport` is one."""

    def __init__(self, on_write: Callable[[], None]) -> None:
        """Begin empty.

        Args:
            on_write: called after every change.
        """
        self.failure: ConfigSvcError | None = None
        """What every request meets instead of an answer."""
        self.requests: list[Request] = []
        """Everything that was asked, oldest first."""
        self._on_write = on_write
        self._applications: dict[str, Record] = {}
        self._configurations: dict[str, Record] = {}
        self._count = 0
        self._lock = threading.RLock()

    def send(self, request: Request) -> Answer:
        """Return the answer of a server to ``request``."""
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        try:
            with self._lock:
                status, document, etag = self._route(request)
        except _ProblemError as problem:
            status, document, etag = problem.status, problem.document, None
        request_id = f"request-{len(self.requests)}"
        headers = CaseInsensitiveDict({"ETag": f'"{etag}"'} if etag else {})
        if request.method == "GET" and etag and request.headers.get("If-None-Match") == f'"{etag}"':
            return Answer(request, HTTPStatus.NOT_MODIFIED, headers, b"", request_id)
        if request.method != "GET" and status < HTTPStatus.BAD_REQUEST:
            self._on_write()
        body = b"" if document is None else json.dumps(document).encode()
        return Answer(request, status, headers, body, request_id)

    def close(self) -> None:
        """Do nothing; there is nothing to close."""

    def forget_parent(self) -> None:
        """Do nothing; a child has its own copy."""
        self._lock = threading.RLock()

    def _route(self, request: Request) -> tuple[HTTPStatus, Record | None, str | None]:
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise _ProblemError(HTTPStatus.NOT_FOUND, "not-found", f"No {request.path} here.")
        key = unquote(found["key"]) if found["key"] else None
        if key is None:
            table = self._applications if found["root"] == "applications" else self._configurations
            return self._collection(request, table)
        if found["root"] == "configurations":
            return self._single(request, self._configurations, self._configuration(key))
        application = self._application(key)
        if found["environment"]:
            return self._snapshot(application, unquote(found["environment"]))
        if found["nested"]:
            return self._collection(request, self._configurations, application)
        return self._single(request, self._applications, application)

    def _collection(
        self, request: Request, table: dict[str, Record], application: Record | None = None
    ) -> tuple[HTTPStatus, Record | None, str | None]:
        above = None if application is None else application["id"]
        if request.method == "POST":
            body = _body(request)
            if table is self._configurations:
                body["application_id"] = above or self._application(body["application_id"])["id"]
            record = self._insert(table, body)
            return HTTPStatus.CREATED, self._shown(table, record), _etag(table, record, self)
        records = [
            record
            for record in table.values()
            if above in (None, record.get("application_id")) and _matches(record, request.params)
        ]
        start = int(request.params.get("after", "0"))
        end = start + int(request.params.get("limit", "50"))
        more = end < len(records)
        page = {
            "items": records[start:end],
            "total": len(records),
            "limit": end - start,
            "offset": 0,
            "has_more": more,
            "next": str(end) if more else None,
        }
        return HTTPStatus.OK, page, None

    def _single(
        self, request: Request, table: dict[str, Record], record: Record
    ) -> tuple[HTTPStatus, Record | None, str | None]:
        etag = _etag(table, record, self)
        wanted = request.headers.get("If-Match")
        if wanted is not None and wanted != f'"{etag}"':
            raise _ProblemError(
                HTTPStatus.PRECONDITION_FAILED,
                "precondition-failed",
                "The resource has changed since it was read.",
                current_etag=f'"{etag}"',
                **({"current_version": record["version"]} if "version" in record else {}),
            )
        if request.method == "DELETE":
            del table[record["id"]]
            for configuration in self._of(record["id"]):
                del self._configurations[configuration["id"]]
            return HTTPStatus.NO_CONTENT, None, None
        if request.method in {"PUT", "PATCH"}:
            self._change(request, table, record)
        return HTTPStatus.OK, self._shown(table, record), _etag(table, record, self)

    def _insert(self, table: dict[str, Record], body: Record) -> Record:
        self._check(table, body)
        self._count += 1
        chosen = body.get("id") or f"{self._count:026d}"
        if chosen in table:
            raise _ProblemError(HTTPStatus.CONFLICT, "id-taken", f"There is already {chosen!r}.")
        record = {**body, "id": chosen, "comments": body.get("comments")}
        if table is self._configurations:
            record |= {"version": 1, "updated_by": "fake"}
        record["created_at"] = record["updated_at"] = self._now()
        table[chosen] = record
        return record

    def _change(self, request: Request, table: dict[str, Record], record: Record) -> None:
        names = ("name", "comments", *(("config",) if "config" in record else ()))
        current = {name: record[name] for name in names}
        body = _body(request)
        changed = (
            _merged(current, body) if request.method == "PATCH" else {"comments": None, **body}
        )
        changed = {"comments": None, **changed}
        self._check(table, {**record, **changed}, record["id"])
        record.update({name: changed[name] for name in names}, updated_at=self._now())
        if "version" in record:
            record["version"] += 1

    def _check(self, table: dict[str, Record], body: Record, own_id: str | None = None) -> None:
        name = body.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 256:  # noqa: PLR2004
            raise _invalid("/name", "must have 1 to 256 characters")
        if table is self._configurations and not isinstance(body.get("config"), dict):
            raise _invalid("/config", "must be an object")
        for other in table.values():
            same_place = other.get("application_id") == body.get("application_id")
            if other["name"] == name and same_place and other["id"] != own_id:
                detail = f"There is already one with name {name!r}."
                raise _ProblemError(HTTPStatus.CONFLICT, "name-taken", detail)

    def _snapshot(self, application: Record, environment: str) -> tuple[HTTPStatus, Record, str]:
        if environment != "default":
            detail = f"There is no environment {environment!r}."
            raise _ProblemError(HTTPStatus.NOT_FOUND, "environment-not-found", detail)
        document = {
            "application_id": application["id"],
            "application": application["name"],
            "environment": environment,
            "configurations": {
                record["name"]: {
                    name: record[name] for name in ("id", "version", "updated_at", "config")
                }
                for record in self._of(application["id"])
            },
        }
        return HTTPStatus.OK, document, _digest(document)

    def _shown(self, table: dict[str, Record], record: Record) -> Record:
        if table is self._configurations:
            return record
        return {**record, "configuration_ids": [entry["id"] for entry in self._of(record["id"])]}

    def _of(self, application_id: str) -> list[Record]:
        return [
            record
            for record in self._configurations.values()
            if record["application_id"] == application_id
        ]

    def _application(self, key: str) -> Record:
        for record in self._applications.values():
            if key in (record["id"], record["name"]):
                return record
        detail = f"There is no application {key!r}."
        raise _ProblemError(HTTPStatus.NOT_FOUND, "application-not-found", detail)

    def _configuration(self, key: str) -> Record:
        if key not in self._configurations:
            detail = f"There is no configuration {key!r}."
            raise _ProblemError(HTTPStatus.NOT_FOUND, "configuration-not-found", detail)
        return self._configurations[key]

    def _now(self) -> str:
        # Not the real time: tests that print it shall print the same tomorrow.
        moment = _EPOCH + timedelta(seconds=len(self.requests))
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _etag(table: dict[str, Record], record: Record, server: FakeServer) -> str:
    if "version" in record:
        return str(record["version"])
    return _digest(server._shown(table, record))


def _digest(document: Record) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _invalid(pointer: str, message: str) -> _ProblemError:
    return _ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid",
        f"{pointer} {message}.",
        errors=[{"pointer": pointer, "in": "body", "message": message}],
    )


def _body(request: Request) -> Record:
    document: Record = json.loads(request.body or b"{}")
    return document


def _merged(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _matches(record: Record, params: Mapping[str, str]) -> bool:
    return all(_tests(record, params))


def _tests(record: Record, params: Mapping[str, str]) -> Iterator[bool]:
    if "name" in params:
        yield record["name"] == params["name"]
    if "q" in params:
        text = f"{record['name']} {record['comments'] or ''}"
        yield params["q"].lower() in text.lower()
