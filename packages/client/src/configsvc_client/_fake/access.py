"""Access to the fake: who a token stands for, and what that may do.

A client without a token may do everything, as where authentication is off.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from configsvc_client._fake.documents import Record
from configsvc_client._fake.problems import ProblemError, not_found

__all__ = ["EVERYBODY", "ROLES", "Principal", "require", "unauthorized"]

ROLES: Final = ("reader", "editor", "releaser", "admin")


class Principal(NamedTuple):
    """Principal that makes a call."""

    actor: str
    """Name in the history."""
    grants: Sequence[Record]
    """Roles with the scopes that they are for."""
    token: Record | None = None
    """Token that was sent."""

    def rank(self, application_id: str | None, environment: str | None = None) -> int:
        """Return the number of the highest role on a scope, from 1; 0 for none."""
        return max(
            (
                ROLES.index(grant["role"]) + 1
                for grant in self.grants
                if grant["application_id"] in (None, application_id)
                and grant["environment"] in (None, environment)
            ),
            default=0,
        )

    def may(self, role: str, application_id: str | None, environment: str | None = None) -> bool:
        """Return whether it has a role on a scope."""
        return self.rank(application_id, environment) > ROLES.index(role)

    def reads_part_of(self, application_id: str) -> bool:
        """Return whether it may read an application, or at least one environment of it."""
        return any(grant["application_id"] in (None, application_id) for grant in self.grants)

    def reads_change(self, change: Record) -> bool:
        """Return whether it may read a change of the audit trail."""
        application_id = change["application_id"]
        if change["entity"] in {"token", "grant", "session"}:
            return self.may("admin", application_id)
        return self.rank(application_id) > 0 or any(
            self.rank(application_id, name) for name in change["environments"]
        )


EVERYBODY: Final = Principal(
    "fake",
    [{"role": "admin", "application_id": None, "application": None, "environment": None}],
)
"""Principal of a client without a token."""


def unauthorized() -> ProblemError:
    """Return the problem of a token that nobody knows."""
    detail = "The token is not known."
    return ProblemError(HTTPStatus.UNAUTHORIZED, "unauthorized", detail)


def _forbidden(role: str, application: Record | None, environment: str | None) -> ProblemError:
    """Return the problem of a role that is missing, and where."""
    missing = {
        "role": role,
        "application_id": None if application is None else application["id"],
        "application": None if application is None else application["name"],
        "environment": environment,
    }
    detail = "You may not do that here."
    return ProblemError(HTTPStatus.FORBIDDEN, "forbidden", detail, missing=missing)


def require(
    principal: Principal,
    role: str,
    application: Record | None,
    environment: str | None = None,
    *,
    is_visible: bool = False,
) -> None:
    """Check that a principal has a role on everything, an application, or an environment.

    Args:
        principal: who wants to do something.
        role: the role that it takes.
        application: the application; ``None`` for everything.
        environment: the name of the environment; ``None`` for the whole application.
        is_visible: whether the principal may know that it is there, whatever its role.

    Raises:
        ProblemError: it has not, or does not even see it.
    """
    key = None if application is None else application["id"]
    if principal.may(role, key, environment):
        return
    if application is None or is_visible or principal.rank(key, environment):
        raise _forbidden(role, application, environment)
    if environment is None:
        raise not_found("application", application["name"])
    raise not_found("environment", environment)
