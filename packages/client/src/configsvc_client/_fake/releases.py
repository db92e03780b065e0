"""Release endpoints of the fake: changes of the versions that an environment serves."""

from http import HTTPStatus

from configsvc_client._fake.calls import Call, Reply, page
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import conflict, invalid
from configsvc_client._fake.state import State

__all__ = ["collection", "promote", "roll_back"]


def collection(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/releases``."""
    if call.method == "POST":
        return _release(state, call, key)
    newest, environment = state.revision(key, None), call.param("environment")
    found = [release for release in state.releases if release["configuration_id"] == key]
    if call.param("current") == "true":
        names = state.environments.get(newest["application_id"], {})
        in_force = (state.served(newest["application_id"], name).get(key) for name in names)
        found = [release for release in in_force if release is not None]
    found = [release for release in found if environment in (None, release["environment"])]
    return page(call, found)


def roll_back(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/releases/rollback``."""
    configuration, name = _wanted(state, call, key)
    moves = [
        index
        for index, release in enumerate(state.releases)
        if (release["configuration_id"], release["environment"]) == (key, name)
    ]
    if moves:
        # What a rollback has brought back is what the next one goes back from.
        present = state.restored.get(moves[-1], moves[-1])
        moves = moves[: moves.index(present)]
    if not moves:
        detail = f"The environment {name!r} served nothing before its first release."
        raise conflict("nothing-before", detail, "/environment")
    version = state.releases[moves[-1]]["version"]
    state.restored[len(state.releases)] = moves[-1]
    return _move(state, call, configuration, name, version, "rollback")


def promote(state: State, call: Call, key: str) -> Reply:
    """Answer ``/applications/{application}/promote``."""
    application_id = state.application(key)["id"]
    source, target = call.body["from"], call.body["to"]
    state.environment(application_id, source, "/from")
    state.environment(application_id, target, "/to")
    if source == target:
        raise invalid("/to", "must be another environment than 'from'")
    wanted = state.served(application_id, source)
    present = state.served(application_id, target)
    released = []
    for configuration_id, release in wanted.items():
        before = present.get(configuration_id)
        if before is None or before["version"] != release["version"]:
            record = state.configuration(configuration_id)
            moved = _move(state, call, record, target, release["version"], "promote")
            released.append(moved.document)
    unchanged = len(wanted) - len(released)
    return Reply({"from": source, "to": target, "released": released, "unchanged": unchanged})


def _release(state: State, call: Call, key: str) -> Reply:
    configuration, name = _wanted(state, call, key)
    present = state.served(configuration["application_id"], name).get(key)
    wanted = call.body.get("version", configuration["version"])
    if wanted is None:
        if present is None:
            detail = f"The environment {name!r} does not serve this configuration."
            raise conflict("not-served", detail, "/environment")
        return _move(state, call, configuration, name, None, "withdraw")
    version = state.revision(key, wanted, "/version")["version"]
    if present is not None and present["version"] == version:
        return Reply(present)
    return _move(state, call, configuration, name, version, "release")


def _wanted(state: State, call: Call, key: str) -> tuple[Record, str]:
    configuration, name = state.configuration(key), call.body["environment"]
    state.environment(configuration["application_id"], name, "/environment")
    return configuration, name


def _move(
    state: State,
    call: Call,
    configuration: Record,
    environment: str,
    version: int | None,
    action: str,
) -> Reply:
    revision = state.revision(configuration["id"], version)
    release = state.move(call, environment, revision, version)
    state.log(
        call,
        action,
        "release",
        revision,
        configuration_id=configuration["id"],
        version=version,
        previous_version=release["previous_version"],
        environments=[environment],
    )
    return Reply(release, status=HTTPStatus.CREATED)
