"""State of the fake: its tables, with lookups in them."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from configsvc_client._fake.calls import Call
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import conflict, invalid, not_found
from configsvc_client._resources.ids import is_ulid

__all__ = ["State", "check_name", "matches"]

_MAX_NAME = 256

# As the server has it.
_UNSEEN = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufdd0-\ufdef\ufffe\uffff"
)
_NAME = re.compile(rf"(?!\.\.?\Z)(?!\s)[^{_UNSEEN}]*[^\s{_UNSEEN}]\Z")


class State:
    """Tables of the fake."""

    def __init__(self) -> None:
        self.applications: dict[str, Record] = {}
        self.configurations: dict[str, Record] = {}
        """Configurations that are not deleted, by id."""
        self.revisions: dict[str, list[Record]] = {}
        """Revisions by id of the configuration, deleted or not; oldest first."""
        self.environments: dict[str, dict[str, Record]] = {}
        """By the id of the application and by name."""
        self.former_environments: list[Record] = []
        """Those that were deleted, each with the time of it."""
        self.releases: list[Record] = []
        """Releases, oldest first."""
        self.rolled_back_to: dict[int, int] = {}
        """Index of the release that a rollback has brought back, by that of its own release."""
        self.changes: list[Record] = []
        self.tokens: dict[str, Record] = {}
        self.grants: dict[str, Record] = {}
        self.instances: dict[tuple[str, str], dict[str, Record]] = {}
        """Instances by their id, by the id of the application and the environment."""
        self.snapshots: dict[str | None, Record | None] = {}
        """Snapshots that instances have had, by their tags."""
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
                raise invalid(pointer, f"must be a version from 1 to {len(found)}")
            raise not_found("revision", str(version))
        return found[version - 1]

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

    def environment_at(self, application_id: str, name: str, at: str | None) -> Record | None:
        """Return the environment of a name that there is, or that there was at a timestamp."""
        present = self.environments.get(application_id, {}).get(name)
        if at is None:
            return present
        for record in (*self.former_environments, *([] if present is None else [present])):
            is_it = (record["application_id"], record["name"]) == (application_id, name)
            if is_it and record["created_at"] <= at < record.get("deleted_at", "~"):
                return record
        return None

    def environment_names(self, application_id: str) -> list[str]:
        """Return the names of the environments of an application, in the order of promotion."""
        known = self.environments[application_id].values()
        return [
            record["name"]
            for record in sorted(known, key=lambda record: (record["position"], record["name"]))
        ]

    def end_environment(self, call: Call, application_id: str, name: str) -> None:
        """Delete an environment; what it has served ends with it, and no release says so."""
        record = self.environments[application_id].pop(name)
        self.former_environments.append({**record, "deleted_at": call.timestamp})

    def served(
        self, application_id: str, environment: str, at: str | None = None
    ) -> dict[str, Record]:
        """Return the release in force of each configuration, now or at a timestamp."""
        found: dict[str, Record] = {}
        serving = self.environment_at(application_id, environment, at)
        if serving is None:
            return found
        for release in self.releases:
            is_there = (release["application_id"], release["environment"]) == (
                application_id,
                environment,
            )
            # An earlier environment of this name has ended with what it served.
            is_then = serving["created_at"] <= release["created_at"] and (
                at is None or release["created_at"] <= at
            )
            if is_there and is_then:
                found[release["configuration_id"]] = release
        return {key: release for key, release in found.items() if release["version"] is not None}

    def serving(self, configuration: Record) -> list[str]:
        """Return the names of the environments that serve a configuration."""
        application_id = configuration["application_id"]
        return [
            name
            for name in sorted(self.environments[application_id])
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

    def require_free_names(
        self,
        application_id: str,
        environment: str,
        moved: Mapping[str, Record],
        pointer: str | None = None,
    ) -> None:
        """Refuse where an environment would serve two configurations under one name.

        Args:
            application_id: the application.
            environment: the name of the environment.
            moved: what it is to serve besides, or instead, by the id of the configuration.
            pointer: the member that asks for the name.
        """
        after = {**self.served(application_id, environment), **moved}
        for key, record in moved.items():
            if any(after[other]["name"] == record["name"] for other in after.keys() - {key}):
                detail = (
                    f"The environment {environment!r} serves another configuration under the"
                    f" name {record['name']!r}."
                )
                raise conflict("name-served", detail, pointer)

    def log(self, call: Call, action: str, entity: str, record: Record, **more: Any) -> int:
        """Add a change to the audit trail and return its id."""
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
            "actor": call.principal.actor,
            "request_id": call.request_id,
            "message": call.message,
            "created_at": call.timestamp,
            "details": None,
        }
        self.changes.append(change | more)
        return len(self.changes)

    def move(self, call: Call, environment: str, revision: Record, version: int | None) -> Record:
        """Add a release, without logging it; ``None`` for a version withdraws."""
        key, application_id = revision["configuration_id"], revision["application_id"]
        before = self.served(application_id, environment).get(key)
        release: Record = {
            "id": len(self.releases) + 1,
            "configuration_id": key,
            "application_id": application_id,
            "name": revision["name"],
            "environment": environment,
            "version": version,
            "previous_version": None if before is None else before["version"],
            "author": call.principal.actor,
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
    if not _NAME.match(name):
        raise invalid("/name", "must not begin or end with a blank, or have control characters")
    for other in others:
        if other["name"] == name and other["id"] != record.get("id"):
            raise conflict("name-taken", f"There is already one with name {name!r}.", "/name")


def matches(call: Call) -> Callable[[Record], bool]:
    """Return the filter that the query of a list asks for."""
    name, text = call.param("name"), (call.param("q") or "").lower()

    def match(record: Record) -> bool:
        searched = f"{record['name']} {record['comments'] or ''}".lower()
        return name in (None, record["name"]) and text in searched

    return match
