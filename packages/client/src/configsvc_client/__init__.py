"""Client SDK of configsvc: a fresh, local, failure-proof copy of your configuration.

Example:
    >>> from configsvc_client import ConfigClient
    >>> client = ConfigClient("https://config.internal", token="…")
    >>> app = client.application("billing")
    >>> app["database"]["pool_size"]
    10
"""

from typing import TYPE_CHECKING

from configsvc_client.api import KEEP, Keep, Pages
from configsvc_client.binding import Bound
from configsvc_client.client import ConfigClient
from configsvc_client.diff import Difference, Differences
from configsvc_client.dispatch import Change, Subscription
from configsvc_client.errors import (
    AuthError,
    BindError,
    ClosedError,
    ConfigSvcError,
    ConflictError,
    FieldProblem,
    NotFoundError,
    NotReadyError,
    ServerError,
    TransportError,
    ValidationError,
)
from configsvc_client.snapshot import Provenance, Snapshot
from configsvc_client.status import Status
from configsvc_client.view import ConfigView

if TYPE_CHECKING:
    from configsvc_client.applications import Applications
    from configsvc_client.auditlog import AuditChange, ChangeLog
    from configsvc_client.changefeed import ChangeFeed
    from configsvc_client.changes import Changes
    from configsvc_client.configurations import Configurations
    from configsvc_client.environments import Environments
    from configsvc_client.models import Application, Configuration, Environment
    from configsvc_client.releases import Promotion, Release, Releases
    from configsvc_client.revisions import ConfigurationDiff, DiffSide, Revision, Validation

    __version__: str

__all__ = [
    "KEEP",
    "Application",
    "Applications",
    "AuditChange",
    "AuthError",
    "BindError",
    "Bound",
    "Change",
    "ChangeFeed",
    "ChangeLog",
    "Changes",
    "ClosedError",
    "ConfigClient",
    "ConfigSvcError",
    "ConfigView",
    "Configuration",
    "ConfigurationDiff",
    "Configurations",
    "ConflictError",
    "DiffSide",
    "Difference",
    "Differences",
    "Environment",
    "Environments",
    "FieldProblem",
    "Keep",
    "NotFoundError",
    "NotReadyError",
    "Pages",
    "Promotion",
    "Provenance",
    "Release",
    "Releases",
    "Revision",
    "ServerError",
    "Snapshot",
    "Status",
    "Subscription",
    "TransportError",
    "Validation",
    "ValidationError",
    "__version__",
]

# Imported at their first use: a program that only reads its configuration needs none of them,
# and starts sooner.
_LATER = {
    "Application": "models",
    "Applications": "applications",
    "AuditChange": "auditlog",
    "ChangeFeed": "changefeed",
    "ChangeLog": "auditlog",
    "Changes": "changes",
    "Configuration": "models",
    "ConfigurationDiff": "revisions",
    "Configurations": "configurations",
    "DiffSide": "revisions",
    "Environment": "models",
    "Environments": "environments",
    "Promotion": "releases",
    "Release": "releases",
    "Releases": "releases",
    "Revision": "revisions",
    "Validation": "revisions",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module  # noqa: PLC0415

        found: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        globals()[name] = found
        return found
    # Reading the metadata of a distribution takes longer than all modules here together.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("configsvc-client")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
