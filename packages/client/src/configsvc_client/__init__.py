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
from configsvc_client.applications import Applications
from configsvc_client.binding import Bound
from configsvc_client.client import ConfigClient
from configsvc_client.configurations import Configurations
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
from configsvc_client.models import Application, Configuration
from configsvc_client.snapshot import Provenance, Snapshot
from configsvc_client.status import Status
from configsvc_client.view import ConfigView

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "KEEP",
    "Application",
    "Applications",
    "AuthError",
    "BindError",
    "Bound",
    "Change",
    "ClosedError",
    "ConfigClient",
    "ConfigSvcError",
    "ConfigView",
    "Configuration",
    "Configurations",
    "ConflictError",
    "Difference",
    "Differences",
    "FieldProblem",
    "Keep",
    "NotFoundError",
    "NotReadyError",
    "Pages",
    "Provenance",
    "ServerError",
    "Snapshot",
    "Status",
    "Subscription",
    "TransportError",
    "ValidationError",
    "__version__",
]


def __getattr__(name: str) -> object:
    # Reading the metadata of a distribution takes longer than all modules here together.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("configsvc-client")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
