"""Application endpoints of the fake."""

from http import HTTPStatus

from configsvc_client._fake.access import require
from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.configurations import remove
from configsvc_client._fake.documents import Record, digest
from configsvc_client._fake.environments import DEFAULT
from configsvc_client._fake.problems import invalid
from configsvc_client._fake.state import State, check_name, matches
from configsvc_client._resources.ids import is_ulid
from configsvc_client._values.merging import merged

__all__ = ["collection", "single"]


def collection(state: State, call: Call) -> Reply:
    """Answer ``/applications``."""
    if call.method == "POST":
        return _create(state, call)
    found = filter(matches(call), state.applications.values())
    readable = [record for record in found if call.principal.reads_part_of(record["id"])]
    return page(call, [{**record, "etag": _etag(state, record)} for record in readable])


def single(state: State, call: Call, key: str) -> Reply:
    """Answer ``/applications/{application}``."""
    record = state.application(key)
    call.check_match(_etag(state, record))
    if call.method == "DELETE":
        _delete(state, call, record)
        return Reply(None, status=HTTPStatus.NO_CONTENT)
    if call.method in {"PUT", "PATCH"}:
        old = {"name": record["name"], "comments": record["comments"]}
        new = {
            "comments": None,
            **(merged(old, call.body) if call.method == "PATCH" else call.body),
        }
        if new["name"] != old["name"]:
            require(call.principal, "admin", record, is_visible=True)
        _check_name(state, {**new, "id": record["id"]})
        record.update(name=new["name"], comments=new["comments"], updated_at=call.timestamp)
        previous = old["name"] if old["name"] != new["name"] else None
        served = state.environment_names(record["id"]) if previous else []
        state.log(
            call, "update", "application", record, previous_name=previous, environments=served
        )
    return Reply(_shown(state, record), _etag(state, record))


def _create(state: State, call: Call) -> Reply:
    body = call.body
    chosen = state.pick_id(body, state.applications)
    _check_name(state, {**body, "id": chosen})
    record: Record = {
        "id": chosen,
        "name": body["name"],
        "comments": body.get("comments"),
        "created_at": call.timestamp,
        "updated_at": call.timestamp,
    }
    state.applications[chosen] = record
    state.environments[chosen] = {
        DEFAULT: {
            "application_id": chosen,
            "name": DEFAULT,
            "position": 0,
            "auto_release": True,
            "protected": False,
            "created_at": call.timestamp,
            "updated_at": call.timestamp,
        }
    }
    state.log(call, "create", "application", record, environments=[DEFAULT])
    return Reply(_shown(state, record), _etag(state, record), HTTPStatus.CREATED)


def _delete(state: State, call: Call, record: Record) -> None:
    configurations = state.configurations_of(record["id"])
    for configuration in configurations:
        state.require_unprotected(configuration)
    for configuration in configurations:
        remove(state, call, configuration, with_application=True)
    environments = state.environment_names(record["id"])
    for name in environments:
        state.end_environment(call, record["id"], name)
    del state.environments[record["id"]]
    del state.applications[record["id"]]
    state.log(call, "delete", "application", record, environments=environments)


def _check_name(state: State, record: Record) -> None:
    check_name(record, list(state.applications.values()))
    if is_ulid(record["name"]):
        raise invalid("/name", "must not be shaped like a ULID, since a path takes either")


def _shown(state: State, record: Record) -> Record:
    ids = [configuration["id"] for configuration in state.configurations_of(record["id"])]
    return {**record, "configuration_ids": ids}


def _etag(state: State, record: Record) -> str:
    return digest(_shown(state, record))[:32]
