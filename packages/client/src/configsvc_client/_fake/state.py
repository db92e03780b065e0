"""State of the fake: its tables, with lookups in them."""

import re
from collections.abc import Callable, Container, Sequence
from typing import Any

from configsvc_client._fake.calls import Call
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import conflict, invalid, not_found

__all__ = ["ACTOR", "State", "check_name", "is_ulid", "matches"]

ACTOR = "fake"
"""Actor of every change."""

_MAX_NAME = 256
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)


class State:
    """Tables of the fake."""

    def __init__(self) -> None:
        self.applications: dict[str, Record] = {}
        self.configurations: dict[str, Record] = {}
        """Configurations that are not deleted, by id."""
        self.revisions: dict[str, list[Record]] = {}
        """Revisions by id of the configuration, deleted or not; oldest first."""
        self.environments: dict[str, dict[str, Record]] = {}
        """Environments by id of the application and by name."""
        self.releases: list[Record] = []
        """Releases, oldest first."""
        self.restored: dict[int, int] = {}
        """Index of the release that a rollback has brought back, by that of its own release."""
        self.changes: list[Record] = []
        self._count = 0

    def new_id(self) -> str:
        """Return an id with the length of a ULID."""
        self._count += 1
        return f"{self._count:026d}"

    def pick_id(self, body: Record, taken: Container[str]) -> str:
        """Return the id that is asked for, or a new one."""
        chosen = body.get("id")
        if chosen is None:
            return self.new_id()
        if not is_ulid(chosen):
            raise invalid("/id", "must be a ULID")
        if chosen.upper() in taken:
            raise conflict("id-taken", f"There is already one with id {chosen!r}.", "/id")
        return str(chosen.upper())

    def application(self, key: str) -> Record:
        """Return an application by its id or name."""
        for record in self.applications.values():
            if key in (record["id"], record["name"]):
                return record
        raise not_found("application", key)

    def configuration(self, key: str) -> Record:
        """Return a configuration that is not deleted."""
        if key not in self.configurations:
            raise not_found("configuration", key)
        return self.configurations[key]

    def configurations_of(self, application_id: str) -> list[Record]:
        """Return the configurations of an application, oldest first."""
        records = self.configurations.values()
        return [record for record in records if record["application_id"] == application_id]

    def revision(self, key: str, version: int | None, pointer: str = "") -> Record:
        """Return a revision of a configuration, deleted or not; ``None`` for the newest."""
        found = self.revisions.get(key)
        if found is None:
            raise not_found("configuration", key)
        if version is None:
            return found[-1]
        if not 1 <= version <= len(found):
            if pointer:
                raise invalid(pointer, f"must be a version from 1 to {len(known)}")
            raise not_found("revision", str(version))
        return known[version - 1]

    def environment(self, application_id: str, name: str, pointer: str = "") -> Record:
        """Return an environment of an application."""
        found = self.environments.get(application_id, {}).get(name)
        if found is None:
            raise (
                invalid(pointer, "must be an environment")
                if pointer
                else not_found("environment", name)
            )
        return found

    def served(
        self, application_id: str, environment: str, at: str | None = None
    ) -> dict[str, Record]:
        """Return the release in force of each configuration, now or at a timestamp."""
        found: dict[str, Record] = {}
        for release in self.releases:
            is_there = (release["application_id"], release["environment"]) == (
                application_id,
                environment,
            )
            if is_there and (at is None or release["created_at"] <= at):
                found[release["configuration_id"]] = release
        return {key: release for key, release in found.items() if release["version"] is not None}

    def serving(self, configuration: Record) -> list[str]:
        """Return the names of the environments that serve a configuration."""
        application_id = configuration["application_id"]
        return [
            name
            for name in self.environments[application_id]
            if configuration["id"] in self.served(application_id, name)
        ]

    def require_unprotected(self, configuration: Record) -> None:
        """Check that no protected environment serves a configuration.

        Raises:
            ProblemError: one does.
        """
        environments = self.environments[configuration["application_id"]]
        for name in self.serving(configuration):
            if environments[name]["protected"]:
                detail = f"The protected environment {name!r} serves {configuration['name']!r}."
                raise conflict("protected", detail)

    def log(self, call: Call, action: str, entity: str, record: Record, **more: Any) -> int:
        """Add a change to the audit log and return its id."""
        change: Record = {
            "id": len(self.changes) + 1,
            "action": action,
            "entity": entity,
            "application_id": record.get("application_id", record.get("id")),
            "configuration_id": None,
            "name": record["name"],
            "previous_name": None,
            "version": None,
            "previous_version": None,
            "source_version": None,
            "environments": [],
            "actor": ACTOR,
            "request_id": call.request_id,
            "message": call.message,
            "created_at": call.timestamp,
        }
        self.changes.append(change | more)
        return len(self.changes)

    def move(self, call: Call, environment: str, revision: Record, version: int | None) -> Record:
        """Add a release, without logging it; ``None`` for a version withdraws."""
        key, application_id = revision["configuration_id"], revision["application_id"]
        before = self.served(application_id, environment).get(key)
        release: Record = {
            "id": len(self.changes) + 1,
            "configuration_id": key,
            "application_id": application_id,
            "name": revision["name"],
            "environment": environment,
            "version": version,
            "previous_version": None if before is None else before["version"],
            "author": ACTOR,
            "message": call.message,
            "created_at": call.timestamp,
        }
        self.releases.append(release)
        return release


def check_name(record: Record, others: Sequence[Record]) -> None:
    """Check a name, also against those of ``others``.

    Raises:
        ProblemError: the name is not valid, or is taken.
    """
    name = record.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME:
        raise invalid("/name", f"must have 1 to {_MAX_NAME} characters")
    for other in others:
        if other["name"] == name and other["id"] != record.get("id"):
            raise conflict("name-taken", f"There is already one with name {name!r}.", "/name")


def is_ulid(text: object) -> bool:
    """Tell whether ``text`` has the shape of a ULID."""
    return isinstance(text, str) and _ULID.fullmatch(text) is not None


def matches(call: Call) -> Callable[[Record], bool]:
    """Return the filter that the query of a list asks for."""
    name, text = call.param("name"), (call.param("q") or "").lower()

    def match(record: Record) -> bool:
        searched = f"{record['name']} {record['comments'] or ''}".lower()
        return name in (None, record["name"]) and text in searched

    return match
