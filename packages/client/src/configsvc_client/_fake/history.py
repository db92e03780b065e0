"""History endpoints of the fake: revisions, differences, rollback and restoration."""

from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.configurations import MEMBERS, write
from configsvc_client._fake.documents import Record, differences, resolved
from configsvc_client._fake.problems import conflict
from configsvc_client._fake.state import State

__all__ = ["diff", "restore", "revision", "revisions", "roll_back"]


def revisions(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/revisions``."""
    state.revision(key, None)
    return page(call, state.revisions[key])


def revision(state: State, _call: Call, key: str, version: str) -> Reply:
    """Answer ``/configurations/{id}/revisions/{version}``."""
    found = state.revision(key, int(version))
    return Reply(found, found["digest"])


def diff(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/diff``."""
    newest = state.revision(key, None)
    asked: Record = call.body if call.method == "POST" else dict(call.request.params)
    environment, document = asked.get("environment"), asked.get("document")
    if environment is not None:
        state.environment(newest["application_id"], environment, "/environment")
    resolved_for = environment or asked.get("from_environment") or asked.get("to_environment")
    if document is not None:
        document = {"comments": None, "overlays": {}, "schema": None, **document}
        to: Record = {"version": None, "environment": resolved_for}
        new = _content(document, resolved_for)
    else:
        to, new = _side(state, newest, asked, "to", resolved_for)
    has_from = "from" in asked or "from_environment" in asked
    if not has_from and document is None and "to_environment" not in asked:
        # The version before; the first one came out of nothing.
        asked["from"] = to["version"] - 1
    if asked.get("from") == 0:
        before: Record = {"version": None, "environment": resolved_for}
        old: Record = {}
    else:
        before, old = _side(state, newest, asked, "from", resolved_for)
    patch, changes = differences(old, new)
    return Reply(
        {"configuration_id": key, "from": before, "to": to, "patch": patch, "changes": changes}
    )


def roll_back(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/rollback``."""
    record = state.configuration(key)
    call.check_match(str(record["version"]), record["version"])
    source = state.revision(key, call.body["version"], "/version")
    return write(state, call, record, source, "rollback", source["version"])


def restore(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/restore``."""
    source = state.revision(key, call.body.get("version"), "/version")
    if key in state.configurations:
        raise conflict("not-deleted", f"The configuration {key} is not deleted.")
    if source["application_id"] not in state.applications:
        raise conflict("application-deleted", "The application has been deleted.")
    record = {
        "id": key,
        "application_id": source["application_id"],
        "created_at": state.revision(key, 1)["created_at"],
    }
    return write(state, call, record, source, "restore", source["version"])


def _side(
    state: State, newest: Record, asked: Record, side: str, resolved_for: str | None
) -> tuple[Record, Record]:
    key, environment = newest["configuration_id"], asked.get(f"{side}_environment")
    if environment is None:
        version = asked.get(side)
        found = state.revision(key, None if version is None else int(version), f"/{side}")
        environment = resolved_for
    else:
        pointer = f"/{side}_environment"
        state.environment(newest["application_id"], environment, pointer)
        release = state.served(newest["application_id"], environment).get(key)
        environment = asked.get("environment") or environment
        if release is None:
            return {"version": None, "environment": environment}, {}
        found = state.revision(key, release["version"])
    about = {"version": found["version"], "environment": environment}
    return about, _content(found, environment)


def _content(document: Record, environment: str | None) -> Record:
    if environment is None:
        return {name: document[name] for name in MEMBERS}
    return {"name": document["name"], "config": resolved(document, environment)}
