"""Access decision: whether a principal may do something, and why not."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from configsvc_server.domain.access.grants import INSTALLATION, Access, Role, Scope
from configsvc_server.domain.access.principals import Principal

__all__ = ["Decision", "Permission", "decide"]


class Permission(Enum):
    """Kind of act, with the role that it takes on its scope, and on which part that is."""

    READ_APPLICATION = ("read_application", "reader", "application")
    """See that an application exists, with its name. One of its environments is enough."""
    READ_CONFIGURATIONS = ("read_configurations", "reader", "configurations")
    """Read documents and their history, which belong to the application as a whole."""
    READ_ENVIRONMENT = ("read_environment", "reader", "environment")
    """Read an environment, what it serves and has served."""
    CREATE_APPLICATION = ("create_application", "editor", "installation")
    UPDATE_APPLICATION = ("update_application", "editor", "application")
    RENAME_APPLICATION = ("rename_application", "admin", "application")
    """Change its name, which clients read it by and rules of issuers give roles by."""
    WRITE_CONFIGURATIONS = ("write_configurations", "editor", "configurations")
    """Write documents, and thereby what environments serve that release at once."""
    RELEASE = ("release", "releaser", "environment")
    """Change what an environment serves."""
    CREATE_ENVIRONMENT = ("create_environment", "admin", "application")
    ADMINISTER_ENVIRONMENT = ("administer_environment", "admin", "environment")
    """Change the order, the protection and the releasing of an environment, or delete it."""
    DELETE_APPLICATION = ("delete_application", "admin", "application")
    ADMINISTER_ACCESS = ("administer_access", "admin", "access")
    """Read and change grants and tokens for a scope."""
    READ_HEALTH = ("read_health", "admin", "installation")
    """Read how the server is, in every detail."""

    def __init__(self, _label: str, role: str, part: str) -> None:
        self.role: Final = Role.of(role)
        """The least role that allows it."""
        self.part: Final = part
        """What it is done to."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome, with the reason where it is a refusal."""

    is_allowed: bool
    is_visible: bool
    """Whether the principal may know that there is such a thing."""
    missing: Role
    """The role that the act takes."""
    scope: Scope
    """Where it takes it."""


def decide(principal: Principal, permission: Permission, scope: Scope) -> Decision:
    """Decide whether a principal may do something.

    This is the only place where that is decided. What one may not read does not exist for one;
    what one may read, but not change, one may be told the missing role of.

    Args:
        principal: who wants to.
        permission: what.
        scope: what to. Of an environment, with its application.
    """
    access = principal.access
    if permission is Permission.READ_APPLICATION:
        allowed = scope.application_id is not None and access.reads_part_of(scope.application_id)
        return Decision(allowed, allowed, permission.role, scope)
    role = access.role_on(scope)
    is_allowed = role is not None and role >= permission.role
    is_visible = is_allowed or _is_visible(access, permission, role, scope)
    return Decision(is_allowed, is_visible, permission.role, scope)


def _is_visible(access: Access, permission: Permission, role: Role | None, scope: Scope) -> bool:
    match permission.part:
        case "installation":
            return True
        case "application":
            return scope.application_id is not None and access.reads_part_of(scope.application_id)
        case "access":
            return scope == INSTALLATION or role is not None
    return role is not None
