"""Fleet of the fake: the views of its own clients as instances, and how far a version has come.

A view tells what it has after each update, without a request: a real one does so by its next poll.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.documents import Record
from configsvc_client._fake.environments import snapshot
from configsvc_client._fake.problems import ProblemError, invalid, not_found
from configsvc_client._fake.state import State
from configsvc_client._http.version import own_version

__all__ = ["collection", "convergence", "lose", "meet", "single"]

_STATES: Final = ("current", "behind", "rejecting", "gone")
_SHOWN: Final = ("configuration", "pointer", "message")


def meet(
    state: State,
    call: Call,
    application: str,
    environment: str,
    instance_id: str,
    serves: str | None,
    rejections: Sequence[Record],
) -> None:
    """Take note of what an instance has.

    Args:
        state: the tables.
        call: the call that would have told it.
        application: name or id of the application.
        environment: the name of the environment.
        instance_id: the id of the instance.
        serves: the tag of the snapshot that it has, without quotes.
        rejections: why it rejects that.
    """
    try:
        key = state.application(application)["id"]
        reply = snapshot(state, call, key, environment)
    except ProblemError:
        return
    known = state.instances.setdefault((key, environment), {})
    record = known.setdefault(instance_id, {"first_seen_at": call.timestamp, "log": []})
    told = {"serves": serves, "rejections": list(rejections)}
    if reply.etag == serves:
        state.snapshots[serves] = reply.document
    if record.get("serves", ...) != serves:
        record["since"] = call.timestamp
    if not record["log"] or record["log"][-1][1] != told:
        record["log"].append((call.timestamp, told, record["since"]))
    record |= {**told, "last_seen_at": call.timestamp, "is_gone": False}


def lose(state: State, application: str, environment: str, instance_id: str) -> None:
    """Take note that an instance is closed."""
    try:
        key = state.application(application)["id"]
    except ProblemError:
        return
    record = state.instances.get((key, environment), {}).get(instance_id)
    if record is not None:
        record["is_gone"] = True


def collection(state: State, call: Call, key: str, name: str) -> Reply:
    """Answer ``/applications/{application}/environments/{name}/instances``."""
    wanted, service = call.param("state"), call.param("service")
    if wanted not in (None, *_STATES):
        raise invalid("/state", f"must be one of {', '.join(_STATES)}")
    found = [
        document
        for document in _documents(state, call, key, name)
        if wanted in (None, document["state"]) and service in (None, document["service"])
    ]
    return page(call, found)


def single(state: State, call: Call, key: str, name: str, instance_id: str) -> Reply:
    """Answer ``/applications/{application}/environments/{name}/instances/{id}``."""
    by_id = {document["id"]: document for document in _documents(state, call, key, name)}
    if instance_id not in by_id:
        raise not_found("instance", instance_id)
    at = call.param("at")
    if at is None:
        return Reply(by_id[instance_id])
    log = state.instances[state.application(key)["id"], name][instance_id]["log"]
    entries = [entry for entry in log if entry[0] <= at]
    if not entries:
        raise not_found("instance", f"{instance_id} before it was first seen")
    _, told, since = entries[-1]
    serves = told["serves"]
    past = {"id": instance_id, "at": at, **told, "since": since, "gone": False}
    return Reply({**past, "snapshot": state.snapshots.get(serves)})


def convergence(state: State, call: Call, key: str, name: str) -> Reply:
    """Answer ``/applications/{application}/environments/{name}/convergence``."""
    documents = _documents(state, call, key, name)
    served = snapshot(state, call, state.application(key)["id"], name).etag
    version = call.param("version") or served
    there = [document for document in documents if document["state"] != "gone"]
    having = [document for document in there if document["serves"] == version]
    rejecting = [document for document in having if document["rejections"]]
    reasons = Counter(
        tuple(reason[member] for member in _SHOWN)
        for document in rejecting
        for reason in document["rejections"]
    )
    counts = {
        "instances": len(there),
        "current": len(having) - len(rejecting),
        "behind": len(there) - len(having),
        "rejecting": len(rejecting),
        "gone": len(documents) - len(there),
    }
    return Reply(
        {
            "version": version,
            "state": _state(counts, is_served=version == served),
            **counts,
            "rejections": [
                {**dict(zip(_SHOWN, reason, strict=True)), "instances": count}
                for reason, count in reasons.most_common(20)
            ],
        }
    )


def _state(counts: dict[str, int], *, is_served: bool) -> str:
    if not is_served:
        return "superseded"
    if counts["behind"]:
        return "converging"
    return "rejected" if counts["rejecting"] else "converged"


def _documents(state: State, call: Call, key: str, name: str) -> list[Record]:
    application_id = state.application(key)["id"]
    state.environment(application_id, name)
    served = snapshot(state, call._replace(request=call.request._replace(params={})), key, name)
    known: dict[str, dict[str, Any]] = state.instances.get((application_id, name), {})
    return [
        {
            "id": instance_id,
            "service": "fake",
            "version": None,
            "sdk": f"configsvc-client/{own_version()}",
            "host": "localhost",
            "processes": 1,
            **{
                member: record[member]
                for member in ("serves", "rejections", "first_seen_at", "last_seen_at", "since")
            },
            "state": _state_of(record, served.etag),
            "address": None,
            "principal": None,
        }
        for instance_id, record in sorted(known.items())
    ]


def _state_of(record: dict[str, Any], served: str | None) -> str:
    if record["is_gone"]:
        return "gone"
    if record["serves"] != served:
        return "behind"
    return "rejecting" if record["rejections"] else "current"
