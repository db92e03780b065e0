"""Rules of the fake: the role that each route takes, and where."""

from typing import Final

from configsvc_client._fake.access import require
from configsvc_client._fake.calls import Call
from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import not_found
from configsvc_client._fake.state import State

__all__ = ["check"]

_WRITES: Final = ("PUT", "PATCH", "DELETE")

_ROLES: Final[dict[str, dict[str, str]]] = {
    "applications": {"POST": "editor"},
    "applications/*": {"PUT": "editor", "PATCH": "editor", "DELETE": "admin"},
    "applications/*/configurations": {"GET": "reader", "POST": "editor"},
    "applications/*/environments": {"POST": "admin"},
    "applications/*/environments/*": {"GET": "reader", **dict.fromkeys(_WRITES, "admin")},
    "applications/*/environments/*/convergence": {"GET": "reader"},
    "applications/*/environments/*/instances": {"GET": "reader"},
    "applications/*/environments/*/instances/*": {"GET": "reader"},
    "applications/*/environments/*/snapshot": {"GET": "reader"},
    "applications/*/promote": {"POST": "releaser"},
    "configurations": {"POST": "editor"},
    "configurations/validate": {"POST": "reader"},
    "configurations/*": {"GET": "reader", **dict.fromkeys(_WRITES, "editor")},
    "configurations/*/diff": {"GET": "reader", "POST": "reader"},
    "configurations/*/releases": {"POST": "releaser"},
    "configurations/*/releases/rollback": {"POST": "releaser"},
    "configurations/*/restore": {"POST": "editor"},
    "configurations/*/revisions": {"GET": "reader"},
    "configurations/*/revisions/*": {"GET": "reader"},
    "configurations/*/rollback": {"POST": "editor"},
}
"""Roles by route and method; where there is none, what may not be read is left out of the list."""


def check(state: State, call: Call, route: str, keys: tuple[str, ...]) -> None:
    """Check that the principal of a call may make it.

    Args:
        state: the tables.
        call: the call.
        route: the template of its path.
        keys: what stands for the variable parts of the path.

    Raises:
        ProblemError: it may not, or what it is about does not exist for it.
    """
    principal, role = call.principal, _ROLES.get(route, {}).get(call.method)
    application = _application(state, call, route, keys)
    environment = None if role is None else _environment(call, route, keys)
    if application is not None:
        key, is_document = application["id"], route.startswith("configurations")
        is_whole = is_document and role is not None and environment is None
        if not (principal.rank(key) if is_whole else principal.reads_part_of(key)):
            raise not_found(
                "configuration" if is_document else "application", keys[0] if keys else key
            )
    if role is None:
        return
    is_visible = environment is None and route in {"applications/*", "applications/*/environments"}
    require(principal, role, application, environment, is_visible=is_visible)


def _application(state: State, call: Call, route: str, keys: tuple[str, ...]) -> Record | None:
    """Return the application that a call is about; ``None`` where it is about none."""
    if route in {"configurations", "configurations/validate"}:
        chosen = call.body.get("application_id")
        return state.applications.get(chosen) if isinstance(chosen, str) else None
    if route.startswith("applications/"):
        return state.application(keys[0])
    if route.startswith("configurations/"):
        key = state.revision(keys[0], None)["application_id"]
        # What is left of one that was deleted can be read by those who read everything.
        return state.applications.get(key, {"id": key, "name": key})
    return None


def _environment(call: Call, route: str, keys: tuple[str, ...]) -> str | None:
    if route.startswith("applications/*/environments/"):
        return keys[1]
    if route == "applications/*/promote":
        return str(call.body["to"])
    return str(call.body["environment"]) if "/releases" in route else None
