"""Permissions that each operation takes: the one table of routes and roles, for people.

Services decide (:mod:`configsvc_server.domain.access.decisions`); this says what they decide, and
tests hold them to it. An operation without a row here has no document, and so does the server.
"""

from collections.abc import Mapping
from typing import Any, Final

from configsvc_server.domain.access.decisions import Permission
from configsvc_server.http import PREFIX

__all__ = [
    "FILTERED",
    "OPEN_ROUTES",
    "PERMISSIONS",
    "SELF",
    "access_table",
    "describe_permissions",
    "open_table",
]

FILTERED: Final = "filtered"
"""For everybody who is known; it shows what the caller may read."""
SELF: Final = "self"
"""Of tokens: for their admins, and for the token itself."""

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

_APPLICATION = "/applications/{application}"
_ENVIRONMENT = f"{_APPLICATION}/environments/{{environment}}"
_CONFIGURATION = "/configurations/{id}"

PERMISSIONS: Final[Mapping[tuple[str, str], Permission | str]] = {
    ("GET", "/applications"): FILTERED,
    ("POST", "/applications"): Permission.CREATE_APPLICATION,
    ("GET", _APPLICATION): Permission.READ_APPLICATION,
    ("PUT", _APPLICATION): Permission.UPDATE_APPLICATION,
    ("PATCH", _APPLICATION): Permission.UPDATE_APPLICATION,
    ("DELETE", _APPLICATION): Permission.DELETE_APPLICATION,
    ("GET", f"{_APPLICATION}/configurations"): FILTERED,
    ("POST", f"{_APPLICATION}/configurations"): Permission.WRITE_CONFIGURATIONS,
    ("GET", f"{_APPLICATION}/environments"): FILTERED,
    ("POST", f"{_APPLICATION}/environments"): Permission.CREATE_ENVIRONMENT,
    ("GET", _ENVIRONMENT): Permission.READ_ENVIRONMENT,
    ("PUT", _ENVIRONMENT): Permission.ADMINISTER_ENVIRONMENT,
    ("PATCH", _ENVIRONMENT): Permission.ADMINISTER_ENVIRONMENT,
    ("DELETE", _ENVIRONMENT): Permission.ADMINISTER_ENVIRONMENT,
    ("GET", f"{_ENVIRONMENT}/snapshot"): Permission.READ_ENVIRONMENT,
    ("GET", f"{_ENVIRONMENT}/instances"): Permission.READ_ENVIRONMENT,
    ("GET", f"{_ENVIRONMENT}/instances/{{instance}}"): Permission.READ_ENVIRONMENT,
    ("POST", f"{_ENVIRONMENT}/instances/{{instance}}/rejections"): Permission.READ_ENVIRONMENT,
    ("GET", f"{_ENVIRONMENT}/convergence"): Permission.READ_ENVIRONMENT,
    ("POST", f"{_APPLICATION}/promote"): Permission.RELEASE,
    ("GET", "/configurations"): FILTERED,
    ("POST", "/configurations"): Permission.WRITE_CONFIGURATIONS,
    ("POST", "/configurations/validate"): Permission.READ_CONFIGURATIONS,
    ("GET", _CONFIGURATION): Permission.READ_CONFIGURATIONS,
    ("PUT", _CONFIGURATION): Permission.WRITE_CONFIGURATIONS,
    ("PATCH", _CONFIGURATION): Permission.WRITE_CONFIGURATIONS,
    ("DELETE", _CONFIGURATION): Permission.WRITE_CONFIGURATIONS,
    ("GET", f"{_CONFIGURATION}/revisions"): Permission.READ_CONFIGURATIONS,
    ("GET", f"{_CONFIGURATION}/revisions/{{version}}"): Permission.READ_CONFIGURATIONS,
    ("GET", f"{_CONFIGURATION}/diff"): Permission.READ_CONFIGURATIONS,
    ("POST", f"{_CONFIGURATION}/diff"): Permission.READ_CONFIGURATIONS,
    ("POST", f"{_CONFIGURATION}/rollback"): Permission.WRITE_CONFIGURATIONS,
    ("POST", f"{_CONFIGURATION}/restore"): Permission.WRITE_CONFIGURATIONS,
    ("GET", f"{_CONFIGURATION}/releases"): FILTERED,
    ("POST", f"{_CONFIGURATION}/releases"): Permission.RELEASE,
    ("POST", f"{_CONFIGURATION}/releases/rollback"): Permission.RELEASE,
    ("GET", "/changes"): FILTERED,
    ("GET", "/tokens"): FILTERED,
    ("POST", "/tokens"): Permission.ADMINISTER_ACCESS,
    ("GET", "/tokens/{id}"): SELF,
    ("DELETE", "/tokens/{id}"): SELF,
    ("POST", "/tokens/{id}/rotate"): SELF,
    ("GET", "/grants"): FILTERED,
    ("POST", "/grants"): Permission.ADMINISTER_ACCESS,
    ("DELETE", "/grants/{id}"): Permission.ADMINISTER_ACCESS,
    ("GET", "/sessions"): FILTERED,
    ("DELETE", "/sessions/{id}"): SELF,
    ("GET", "/me"): FILTERED,
    ("GET", "/health"): Permission.READ_HEALTH,
}
"""By method and path below the prefix of the API."""

_NOTHING = "nothing"

OPEN_ROUTES: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/"): _NOTHING,
    ("GET", "/docs"): _NOTHING,
    ("GET", "/docs/{asset}"): _NOTHING,
    ("GET", "/openapi.json"): _NOTHING,
    ("GET", "/health"): _NOTHING,
    ("GET", "/health/live"): _NOTHING,
    ("GET", "/health/ready"): _NOTHING,
    ("GET", "/metrics"): "nothing, where `--metrics` has opened it",
    ("GET", "/auth/sign-in"): _NOTHING,
    ("GET", "/auth/style.css"): _NOTHING,
    ("POST", "/auth/token"): "an API token, in a form of this server",
    ("POST", "/auth/sign-out"): "a form of this server; it ends the session of the browser",
    ("GET", "/auth/{issuer}/start"): _NOTHING,
    ("GET", "/auth/{issuer}/callback"): "the issuer's answer to what the same browser has begun, "
    "and any role",
}
"""What routes outside of the API take, in words, by method and path."""


def describe_permissions(paths: dict[str, Any]) -> None:
    """Say in each operation of the document what it takes, and that it can be refused.

    Raises:
        KeyError: an operation has no row in the table.
    """
    for path, node in paths.items():
        for method, operation in node.items():
            if method not in _METHODS:
                continue
            if not path.startswith(PREFIX):
                if (method.upper(), path) not in OPEN_ROUTES:
                    raise KeyError(method, path)
                operation["security"] = []
                continue
            rule = PERMISSIONS[method.upper(), path.removeprefix(PREFIX)]
            refusals = ["401", "429"]
            if isinstance(rule, Permission):
                operation["x-role"] = {"role": rule.role.label, "on": rule.part}
                if rule.role > 1:
                    refusals.append("403")
            for status in refusals:
                operation["responses"][status] = {"$ref": f"#/components/responses/{status}"}


def access_table() -> str:
    """Return the table of routes and roles as Markdown, for the documentation."""
    lines = ["| route | takes |", "|---|---|"]
    words = {
        FILTERED: "what one reads",
        SELF: "`admin` on all that the token may do, or the token itself",
    }
    parts = {
        "installation": "the installation",
        "application": "the application",
        "configurations": "the application",
        "environment": "the environment",
        "access": "what is granted",
    }
    for (method, path), rule in PERMISSIONS.items():
        text = (
            words[rule] if isinstance(rule, str) else f"`{rule.role.label}` on {parts[rule.part]}"
        )
        if path.startswith("/sessions"):
            text = "one's own; `admin` on the installation: all"
        if rule is Permission.READ_APPLICATION:
            text = "`reader` on the application, or on an environment of it"
        lines.append(f"| `{method} {path}` | {text} |")
    return "\n".join(lines) + "\n"


def open_table() -> str:
    """Return the table of the routes outside of the API as Markdown, for the documentation."""
    lines = ["| route | takes |", "|---|---|"]
    lines += [f"| `{method} {path}` | {text} |" for (method, path), text in OPEN_ROUTES.items()]
    return "\n".join(lines) + "\n"
