"""Configuration endpoints of the fake: reading, validation and writing."""

from http import HTTPStatus

from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.documents import Record, digest, resolved
from configsvc_client._fake.problems import invalid
from configsvc_client._fake.state import State, check_name, matches
from configsvc_client._values.merging import merged

__all__ = ["MEMBERS", "collection", "nested", "remove", "single", "validate", "write"]

MEMBERS = ("name", "comments", "config", "overlays", "schema")
"""Members that are written; the others follow from them."""

_DEFAULTS: Record = {"comments": None, "overlays": {}, "schema": None}


def collection(state: State, call: Call) -> Reply:
    """Answer ``/configurations``."""
    if call.method == "POST":
        return _create(state, call, call.body["application_id"])
    found = filter(matches(call), state.configurations.values())
    return page(call, [item for item in found if call.principal.rank(item["application_id"])])


def nested(state: State, call: Call, key: str) -> Reply:
    """Answer ``/applications/{application}/configurations``."""
    application_id = state.application(key)["id"]
    if call.method == "POST":
        return _create(state, call, application_id)
    return page(call, list(filter(matches(call), state.configurations_of(application_id))))


def single(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}``."""
    record = state.configuration(key)
    call.check_match(str(record["version"]), record["version"])
    if call.method == "DELETE":
        state.require_unprotected(record)
        remove(state, call, record)
        return Reply(None, status=HTTPStatus.NO_CONTENT)
    if call.method in {"PUT", "PATCH"}:
        old = {name: record[name] for name in MEMBERS}
        body = merged(old, call.body) if call.method == "PATCH" else call.body
        return write(state, call, record, {**_DEFAULTS, **body}, "update")
    return Reply(record, str(record["version"]))


def validate(state: State, call: Call) -> Reply:
    """Answer ``/configurations/validate``."""
    body = call.body
    application_id, key = body["application_id"], body.get("id")
    if application_id not in state.applications:
        raise invalid("/application_id", "must be the id of an application that exists")
    if key is not None and key not in state.configurations:
        raise invalid("/id", "must be the id of a configuration that exists")
    base = _DEFAULTS if key is None else state.configurations[key]
    document = {**base, **body}
    _check(state, document, base["overlays"])
    names = sorted(state.environments[application_id])
    return Reply(
        {"valid": True, "environments": {name: resolved(document, name) for name in names}}
    )


def write(
    state: State,
    call: Call,
    record: Record,
    document: Record,
    action: str,
    source_version: int | None = None,
) -> Reply:
    """Add a version, release it where that is automatic, and return the reply with it."""
    new = {**record, **{name: document.get(name) for name in MEMBERS}}
    # Overlays of environments that have been deleted meanwhile may stay, and may come back.
    is_return = action in {"rollback", "restore"}
    _check(state, new, new["overlays"] if is_return else record.get("overlays", {}))
    history = state.revisions.setdefault(new["id"], [])
    previous = history[-1]["name"] if history else new["name"]
    new |= {
        "version": len(history) + 1,
        "updated_at": call.timestamp,
        "updated_by": call.principal.actor,
    }
    content = {name: new[name] for name in MEMBERS}
    revision = {
        "configuration_id": new["id"],
        "version": new["version"],
        "application_id": new["application_id"],
        **content,
        "digest": digest(content),
        "author": call.principal.actor,
        "message": call.message,
        "created_at": call.timestamp,
    }
    history.append(revision)
    state.configurations[new["id"]] = new
    environments = _released_at_once(state, new)
    for name in environments:
        state.move(call, name, revision, new["version"])
    state.log(
        call,
        action,
        "configuration",
        new,
        configuration_id=new["id"],
        version=new["version"],
        source_version=source_version,
        previous_name=previous if previous != new["name"] else None,
        environments=environments,
    )
    status = HTTPStatus.CREATED if action == "create" else HTTPStatus.OK
    return Reply(new, str(new["version"]), status)


def remove(state: State, call: Call, record: Record, *, with_application: bool = False) -> None:
    """Delete a configuration; its revisions stay."""
    environments = state.serving(record)
    if not with_application:
        for name in environments:
            state.move(call, name, state.revision(record["id"], None), None)
    del state.configurations[record["id"]]
    state.log(
        call,
        "delete",
        "configuration",
        record,
        configuration_id=record["id"],
        version=record["version"],
        environments=environments,
    )


def _create(state: State, call: Call, application: str) -> Reply:
    body = call.body
    application_id = state.application(application)["id"]
    # Whoever uses the id of a deleted configuration again has all its history.
    of_others = {
        key
        for key, history in state.revisions.items()
        if not call.principal.may("editor", history[-1]["application_id"])
    }
    chosen = state.pick_id(body, state.configurations.keys() | of_others)
    record = {"id": chosen, "application_id": application_id, "created_at": call.timestamp}
    return write(state, call, record, {**_DEFAULTS, **body}, "create")


def _released_at_once(state: State, document: Record) -> list[str]:
    known = state.environments[document["application_id"]]
    return sorted(name for name, environment in known.items() if environment["auto_release"])


def _check(state: State, document: Record, kept_overlays: Record) -> None:
    check_name(document, state.configurations_of(document["application_id"]))
    if not isinstance(document.get("config"), dict):
        raise invalid("/config", "must be an object")
    if not isinstance(document["schema"], dict | None):
        raise invalid("/schema", "must be an object or null")
    if not isinstance(document["overlays"], dict):
        raise invalid("/overlays", "must be an object")
    for name, overlay in document["overlays"].items():
        if not isinstance(overlay, dict):
            raise invalid(f"/overlays/{name}", "must be an object")
        if name not in {*state.environments[document["application_id"]], *kept_overlays}:
            raise invalid(f"/overlays/{name}", "must be for an environment of the application")
    moved = {document.get("id", ""): document}
    for name in _released_at_once(state, document):
        state.require_free_names(document["application_id"], name, moved, "/name")
