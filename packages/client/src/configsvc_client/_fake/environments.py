"""Environment endpoints of the fake, with the snapshots that they serve."""

import re
from http import HTTPStatus

from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.documents import Record, digest, resolved
from configsvc_client._fake.problems import conflict, invalid, not_found
from configsvc_client._fake.state import State
from configsvc_client._values.merging import merged

__all__ = ["DEFAULT", "collection", "single", "snapshot"]

DEFAULT = "default"
"""Environment that every application is created with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MEMBERS = ("position", "auto_release", "protected")


def collection(state: State, call: Call, key: str) -> Reply:
    """Answer ``/applications/{application}/environments``."""
    application_id = state.application(key)["id"]
    if call.method == "POST":
        return _create(state, call, application_id)
    existing = [
        record
        for record in state.environments[application_id].values()
        if call.principal.rank(application_id, record["name"])
    ]
    found = sorted(existing, key=lambda record: (record["position"], record["name"]))
    return page(call, [{**record, "etag": _etag(record)} for record in found])


def single(state: State, call: Call, key: str, name: str) -> Reply:
    """Answer ``/applications/{application}/environments/{name}``."""
    application_id = state.application(key)["id"]
    record = state.environment(application_id, name)
    call.check_match(_etag(record))
    if call.method == "DELETE":
        _delete(state, call, record)
        return Reply(None, status=HTTPStatus.NO_CONTENT)
    if call.method in {"PUT", "PATCH"}:
        old = {member: record[member] for member in _MEMBERS} if call.method == "PATCH" else {}
        if call.body.get("protected") and not record["protected"]:
            # What becomes protected ceases to release by itself, unless that is said as well.
            old.pop("auto_release", None)
        record.update(_checked(state, application_id, merged(old, call.body)))
        record["updated_at"] = call.timestamp
        state.log(call, "update", "environment", record)
    return Reply(record, _etag(record))


def snapshot(state: State, call: Call, key: str, name: str) -> Reply:
    """Answer ``/applications/{application}/environments/{name}/snapshot``."""
    application = state.application(key)
    at = call.param("at")
    if state.environment_at(application["id"], name, at) is None:
        raise not_found("environment", name)
    served = state.served(application["id"], name, at)
    entries = sorted(
        (state.revision(key, release["version"]) for key, release in served.items()),
        key=lambda revision: str(revision["name"]),
    )
    document = {
        "application_id": application["id"],
        "application": application["name"],
        "environment": name,
        "configurations": {
            revision["name"]: {
                "id": revision["configuration_id"],
                "version": revision["version"],
                "updated_at": revision["created_at"],
                "config": resolved(revision, name),
            }
            for revision in entries
        },
    }
    return Reply(document, digest(document)[:32])


def _create(state: State, call: Call, application_id: str) -> Reply:
    name, existing = call.body["name"], state.environments[application_id]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("/name", "must begin with a letter or digit, and go on with those or ._-")
    if name in existing:
        raise conflict("name-taken", f"There is already one with name {name!r}.", "/name")
    record = {
        "application_id": application_id,
        "name": name,
        **_checked(state, application_id, call.body),
        "created_at": call.timestamp,
        "updated_at": call.timestamp,
    }
    existing[name] = record
    if record["auto_release"]:
        for configuration in state.configurations_of(application_id):
            newest = state.revision(configuration["id"], None)
            state.move(call, name, newest, newest["version"])
    state.log(call, "create", "environment", record, environments=[name])
    return Reply(record, _etag(record), HTTPStatus.CREATED)


def _checked(state: State, application_id: str, body: Record) -> Record:
    protected = body.get("protected", False)
    auto_release = body.get("auto_release", not protected)
    if protected and auto_release:
        raise invalid("/auto_release", "must be false in a protected environment")
    last = max(record["position"] for record in state.environments[application_id].values())
    position = body.get("position", last + 1)
    if not isinstance(position, int) or position < 0:
        raise invalid("/position", "must be 0 or more")
    return {
        "position": position,
        "auto_release": auto_release,
        "protected": protected,
    }


def _delete(state: State, call: Call, record: Record) -> None:
    if record["name"] == DEFAULT:
        raise conflict("default-environment", f"The environment {DEFAULT!r} stays.")
    if record["protected"]:
        raise conflict("protected", f"The environment {record['name']!r} is protected.")
    state.end_environment(call, record["application_id"], record["name"])
    state.log(call, "delete", "environment", record, environments=[record["name"]])


def _etag(record: Record) -> str:
    return digest(record)[:32]
