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
    found = [
        release
        for release in found
        if environment in (None, release["environment"])
        and call.principal.rank(release["application_id"], release["environment"])
    ]
    return page(call, found)


def roll_back(state: State, call: Call, key: str) -> Reply:
    """Answer ``/configurations/{id}/releases/rollback``."""
    configuration, name = _wanted(state, call, key)
    since = state.environment(configuration["application_id"], name)["created_at"]
    moves = [
        index
        for index, release in enumerate(state.releases)
        if (release["configuration_id"], release["environment"]) == (key, name)
        and release["created_at"] >= since
    ]
    # What a rollback has brought back is what the next one goes back from.
    present = state.rolled_back_to.get(moves[-1], moves[-1]) if moves else 0
    before = [
        place for place in moves if place < present and state.releases[place]["version"] is not None
    ]
    if not before:
        detail = f"The environment {name!r} served nothing before its first release."
        raise conflict("nothing-before", detail, "/environment")
    source = state.rolled_back_to.get(before[-1], before[-1])
    version = state.releases[source]["version"]
    _require_free_name(state, configuration, name, version)
    state.rolled_back_to[len(state.releases)] = source
    return _move(state, call, configuration, name, version, "rollback")


def promote(state: State, call: Call, key: str) -> Reply:
    """Answer ``/applications/{application}/promote``."""
    application_id = state.application(key)["id"]
    source, target = call.body["from"], call.body["to"]
    if source == target:
        raise invalid("/to", "must be another environment than 'from'")
    state.environment(application_id, source, "/from")
    state.environment(application_id, target, "/to")
    wanted = state.served(application_id, source)
    present = {
        key: release["version"] for key, release in state.served(application_id, target).items()
    }
    moving = {key: r for key, r in wanted.items() if present.get(key) != r["version"]}
    state.require_free_names(application_id, target, moving)
    released = [
        _move(
            state,
            call,
            state.configuration(release["configuration_id"]),
            target,
            release["version"],
            "promote",
        ).document
        for release in sorted(moving.values(), key=lambda release: str(release["name"]))
    ]
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
    _require_free_name(state, configuration, name, version)
    return _move(state, call, configuration, name, version, "release")


def _wanted(state: State, call: Call, key: str) -> tuple[Record, str]:
    configuration, name = state.configuration(key), call.body["environment"]
    state.environment(configuration["application_id"], name, "/environment")
    return configuration, name


def _require_free_name(state: State, configuration: Record, environment: str, version: int) -> None:
    moved = {configuration["id"]: state.revision(configuration["id"], version)}
    state.require_free_names(configuration["application_id"], environment, moved)


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
