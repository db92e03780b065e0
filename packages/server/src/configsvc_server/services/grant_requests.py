"""Requests for grants: what callers name, found for whoever may give it, and told to the feed."""

from collections.abc import Sequence
from dataclasses import dataclass

from configsvc_server.domain.access.decisions import Permission
from configsvc_server.domain.access.grants import INSTALLATION, Grant, Role, Scope
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.access.tokens import ShownGrant
from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import require
from configsvc_server.services.guards import find_environment_field

__all__ = ["GrantRequest", "find_grant_field", "grant_details"]


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """Grant as a caller asks for it."""

    role: str
    application: str | None = None
    """Id or name; ``None`` for everything."""
    environment: str | None = None
    """Needs ``application``."""


def find_grant_field(
    store: Repositories, principal: Principal, request: GrantRequest, *, pointer: str
) -> Grant:
    """Return the grant that fields of the input ask for.

    Args:
        store: finds applications and environments.
        principal: who asks.
        request: the fields.
        pointer: JSON Pointer to them.

    Raises:
        InvalidError: there is no such application or environment that the principal may see.
        ForbiddenError: the principal is no admin of it.
    """
    return Grant(Role.of(request.role), _find_scope(store, principal, request, pointer))


def grant_details(principal: str, grants: Sequence[ShownGrant]) -> JsonObject:
    """Return what the audit trail keeps of grants."""
    return {
        "principal": principal,
        "grants": [item.members for item in grants],
    }


def _find_scope(
    store: Repositories, principal: Principal, request: GrantRequest, pointer: str
) -> Scope:
    application, environment = request.application, request.environment
    if application is None:
        if environment is not None:
            message = "needs application: names are those of one application"
            raise InvalidError([FieldError(f"{pointer}/environment", message)])
        require(principal, Permission.ADMINISTER_ACCESS)
        return INSTALLATION
    application_id = store.applications.find_id(application)
    if application_id is None or not principal.access.reads_part_of(application_id):
        message = "must be the id or the name of an application that exists"
        raise InvalidError([FieldError(f"{pointer}/application", message)])
    if environment is not None:
        find_environment_field(
            store,
            application_id,
            environment,
            pointer=f"{pointer}/environment",
            access=principal.access,
        )
    scope = Scope(application_id, environment)
    require(principal, Permission.ADMINISTER_ACCESS, scope, application=application)
    return scope
