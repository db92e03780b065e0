"""Client SDK of configsvc: an up-to-date, local, failure-proof copy of your configuration.

Example:
    >>> from configsvc_client import ConfigClient
    >>> client = ConfigClient("https://config.internal", token="...")
    >>> app = client.application("billing")
    >>> app["database"]["pool_size"]
    10
"""

from typing import TYPE_CHECKING

from configsvc_client._binding.bound import Bound, BoundSubscription
from configsvc_client._fork import postfork
from configsvc_client._http.api import KEEP, Keep, Pages
from configsvc_client._values.diff import Difference, Differences
from configsvc_client._values.frozen import thaw
from configsvc_client._values.secrets import Secret
from configsvc_client._values.snapshot import Provenance, Snapshot
from configsvc_client._view.listeners import Change, Subscription
from configsvc_client._view.status import Status, StatusSubscription
from configsvc_client._view.view import ConfigView
from configsvc_client.client import ConfigClient
from configsvc_client.errors import (
    AuthError,
    BindError,
    ClosedError,
    ConfigFileError,
    ConfigSvcError,
    ConflictError,
    FieldProblem,
    MissingRole,
    NotFoundError,
    NotReadyError,
    ServerError,
    TransportError,
    ValidationError,
)

if TYPE_CHECKING:
    from configsvc_client._aio.access import AsyncGrants, AsyncTokens
    from configsvc_client._aio.instances import AsyncInstances
    from configsvc_client._aio.pages import AsyncChangeFeed, AsyncChangeLog, AsyncPages
    from configsvc_client._aio.resources import (
        AsyncApplications,
        AsyncChanges,
        AsyncConfigurations,
        AsyncEnvironments,
        AsyncReleases,
    )
    from configsvc_client._aio.streams import ChangeStream
    from configsvc_client._aio.subscriptions import AsyncSubscription
    from configsvc_client._aio.view import AsyncConfigView
    from configsvc_client._local.explanation import Explanation
    from configsvc_client._resources.access_models import (
        CreatedToken,
        Grant,
        Me,
        OwnToken,
        StoredGrant,
        Token,
    )
    from configsvc_client._resources.applications import Applications
    from configsvc_client._resources.change_feed import ChangeFeed
    from configsvc_client._resources.change_log import ChangeLog
    from configsvc_client._resources.changes import Changes
    from configsvc_client._resources.configurations import Configurations
    from configsvc_client._resources.environments import Environments
    from configsvc_client._resources.fleet_models import (
        Convergence,
        Instance,
        PastInstance,
        Rejection,
    )
    from configsvc_client._resources.grants import Grants
    from configsvc_client._resources.instances import ConvergenceWait, Instances
    from configsvc_client._resources.models import (
        Application,
        AuditChange,
        Configuration,
        ConfigurationDiff,
        DiffSide,
        Environment,
        Promotion,
        Release,
        Revision,
        Validation,
    )
    from configsvc_client._resources.releases import Releases
    from configsvc_client._resources.tokens import Tokens
    from configsvc_client.aio import AsyncConfigClient

    __version__: str

__all__ = [
    "KEEP",
    "Application",
    "Applications",
    "AsyncApplications",
    "AsyncChangeFeed",
    "AsyncChangeLog",
    "AsyncChanges",
    "AsyncConfigClient",
    "AsyncConfigView",
    "AsyncConfigurations",
    "AsyncEnvironments",
    "AsyncGrants",
    "AsyncInstances",
    "AsyncPages",
    "AsyncReleases",
    "AsyncSubscription",
    "AsyncTokens",
    "AuditChange",
    "AuthError",
    "BindError",
    "Bound",
    "BoundSubscription",
    "Change",
    "ChangeFeed",
    "ChangeLog",
    "ChangeStream",
    "Changes",
    "ClosedError",
    "ConfigClient",
    "ConfigFileError",
    "ConfigSvcError",
    "ConfigView",
    "Configuration",
    "ConfigurationDiff",
    "Configurations",
    "ConflictError",
    "Convergence",
    "ConvergenceWait",
    "CreatedToken",
    "DiffSide",
    "Difference",
    "Differences",
    "Environment",
    "Environments",
    "Explanation",
    "FieldProblem",
    "Grant",
    "Grants",
    "Instance",
    "Instances",
    "Keep",
    "Me",
    "MissingRole",
    "NotFoundError",
    "NotReadyError",
    "OwnToken",
    "Pages",
    "PastInstance",
    "Promotion",
    "Provenance",
    "Rejection",
    "Release",
    "Releases",
    "Revision",
    "Secret",
    "ServerError",
    "Snapshot",
    "Status",
    "StatusSubscription",
    "StoredGrant",
    "Subscription",
    "Token",
    "Tokens",
    "TransportError",
    "Validation",
    "ValidationError",
    "__version__",
    "postfork",
    "thaw",
]

# Imported at their first use: a program that only reads its configuration needs none of them,
# and starts sooner.
_LATER = {
    "Application": "_resources.models",
    "Applications": "_resources.applications",
    "AsyncApplications": "_aio.resources",
    "AsyncChangeFeed": "_aio.pages",
    "AsyncChangeLog": "_aio.pages",
    "AsyncChanges": "_aio.resources",
    "AsyncConfigClient": "aio",
    "AsyncConfigView": "_aio.view",
    "AsyncConfigurations": "_aio.resources",
    "AsyncEnvironments": "_aio.resources",
    "AsyncGrants": "_aio.access",
    "AsyncInstances": "_aio.instances",
    "AsyncPages": "_aio.pages",
    "AsyncReleases": "_aio.resources",
    "AsyncSubscription": "_aio.subscriptions",
    "AsyncTokens": "_aio.access",
    "AuditChange": "_resources.models",
    "ChangeFeed": "_resources.change_feed",
    "ChangeLog": "_resources.change_log",
    "ChangeStream": "_aio.streams",
    "Changes": "_resources.changes",
    "Configuration": "_resources.models",
    "ConfigurationDiff": "_resources.models",
    "Configurations": "_resources.configurations",
    "Convergence": "_resources.fleet_models",
    "ConvergenceWait": "_resources.instances",
    "CreatedToken": "_resources.access_models",
    "DiffSide": "_resources.models",
    "Environment": "_resources.models",
    "Environments": "_resources.environments",
    "Explanation": "_local.explanation",
    "Grant": "_resources.access_models",
    "Grants": "_resources.grants",
    "Instance": "_resources.fleet_models",
    "Instances": "_resources.instances",
    "Me": "_resources.access_models",
    "OwnToken": "_resources.access_models",
    "PastInstance": "_resources.fleet_models",
    "Promotion": "_resources.models",
    "Rejection": "_resources.fleet_models",
    "Release": "_resources.models",
    "Releases": "_resources.releases",
    "Revision": "_resources.models",
    "StoredGrant": "_resources.access_models",
    "Token": "_resources.access_models",
    "Tokens": "_resources.tokens",
    "Validation": "_resources.models",
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
