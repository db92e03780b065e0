"""Layers of a client: values below and over those of its server, in a fixed order.

From the lowest: the fallback, the server (or the files in its place), the override file, the
environment variables. The fallback is replaced as a whole; overrides are merged.
"""

import contextlib
import os
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

from configsvc_client._local.addresses import absolute, is_file_address, path_of
from configsvc_client._local.files import LocalFiles, LocalState, LocalValues
from configsvc_client._local.overrides import (
    Override,
    file_overrides,
    log_overrides,
    variable_overrides,
    warn_of_variables,
)
from configsvc_client._values.frozen import FrozenDict, freeze, is_same
from configsvc_client._values.merging import leaves, merged
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_snapshot
from configsvc_client.errors import NotFoundError

if TYPE_CHECKING:
    from configsvc_client._local.explanation import Explanation

__all__ = ["ClientLayers", "Fallback", "ViewLayers"]

Fallback = Mapping[str, Mapping[str, Mapping[str, Any]]] | str | os.PathLike[str]
"""Configurations by application and name, or the folder or file that has them."""


class Values(Protocol):
    """Configurations of applications."""

    def read(self, application: str, environment: str, *, anew: bool = False) -> LocalState:
        """Return the state of an application in an environment."""


class ClientLayers:
    """Layers of one client."""

    def __init__(
        self,
        *,
        files: LocalFiles | None = None,
        fallback: Fallback | None = None,
        overrides: str | os.PathLike[str] | None = None,
        env_overrides: bool = False,
    ) -> None:
        """Read the overrides, and the fallback where it is an object.

        Args:
            files: the files in place of a server.
            fallback: values for a first start without a server.
            overrides: file of overrides; ``CONFIGSVC_OVERRIDES`` without.
            env_overrides: whether variables override.

        Raises:
            ConfigFileError: a file, variable or object has what it can't have.
        """
        self._files = files
        self._fallback: Values | None = None
        if isinstance(fallback, Mapping):
            self._fallback = LocalValues(fallback, "fallback")
        elif fallback is not None:
            text = os.fspath(fallback)
            self._fallback = LocalFiles(path_of(text) if is_file_address(text) else absolute(text))
        self._overrides = list(_overrides(overrides, env_overrides=env_overrides))
        log_overrides(self._overrides)

    def of(self, application: str, environment: str) -> "ViewLayers":
        """Return the layers of one view."""
        return ViewLayers(application, environment, self._files, self._fallback, self._overrides)


class ViewLayers:
    """Layers of one view."""

    def __init__(
        self,
        application: str,
        environment: str,
        files: LocalFiles | None,
        fallback: Values | None,
        overrides: list[Override],
    ) -> None:
        """Create the layers of a view, and read its fallback.

        Args:
            application: the name of the application, as it was given.
            environment: the name of the environment.
            files: the files in place of a server.
            fallback: values for a first start without a server.
            overrides: what wins, the highest last.

        Raises:
            ConfigFileError: a file of the fallback can't be read; it is better known now than
                when there is no server.
        """
        self._application = application
        self._environment = environment
        self._files = files
        self._fallback: LocalState | None = None
        if fallback is not None:
            with contextlib.suppress(NotFoundError):
                self._fallback = fallback.read(application, environment)
        self._overrides = overrides
        self.origin = "server" if files is None else "file"
        """Source of the snapshots: ``server`` or ``file``."""

    @property
    def has_fallback(self) -> bool:
        """Whether there is a fallback for this application."""
        return self._fallback is not None

    def count(self, snapshot: Snapshot | None) -> int:
        """Return the number of values that are overridden."""
        found = {path for _, patch in self.patches(snapshot) for path in leaves(patch)}
        return len(found)

    def patches(self, snapshot: Snapshot | None) -> list[tuple[Override, Mapping[str, Any]]]:
        """Return the overrides of this application, each with its patch, the highest last."""
        # An application that was given by its id has the overrides of its name too.
        names = {self._application, snapshot.application if snapshot else self._application}
        return [
            (override, patch)
            for override in self._overrides
            for name, patch in override.patch.items()
            if name in names
        ]

    def fallback(self) -> Snapshot | None:
        """Return the fallback; ``None`` where there is none for this application."""
        # Without an ETag, so that a server is not asked whether it is current.
        return read_snapshot(self._fallback.body, None) if self._fallback else None

    def applied(self, snapshot: Snapshot, previous: Snapshot | None) -> Snapshot:
        """Return a snapshot with the overrides in it; the same where there are none.

        Args:
            snapshot: the snapshot as it was fetched.
            previous: a result to share equal configurations with.
        """
        patches = self.patches(snapshot)
        if not patches:
            return snapshot
        configs: dict[str, Any] = dict(snapshot.configs)
        for _, patch in patches:
            configs = merged(configs, patch)
        for name in {name for _, patch in patches for name in patch} & configs.keys():
            # A secret of a file or variable is as secret as that of the server.
            frozen = snapshot._masked(name, freeze(configs[name]))
            configs[name] = frozen
            # With other marks it is shown in another way.
            if previous is not None and snapshot._has_secrets_of(previous, name):
                old = previous.configs.get(name)
                configs[name] = old if old is not None and is_same(old, frozen) else frozen
        result = copy(snapshot)
        result.configs = FrozenDict(configs)
        return result

    def explain(self, path: str, snapshot: Snapshot, raw: Snapshot, source: str) -> "Explanation":
        """Return where the value at a path comes from.

        Args:
            path: dotted, or a JSON Pointer.
            snapshot: the snapshot, with overrides.
            raw: the snapshot as it was fetched.
            source: where it was fetched: ``server``, ``file``, ``disk`` or ``fallback``.
        """
        from configsvc_client._local.explanation import Explainer  # noqa: PLC0415 - rarely used

        names = self._application, self._environment
        documents = self._files.layers(*names) if self._files is not None else {}
        fallback = self._fallback.layers if self._fallback is not None else {}
        return Explainer(
            snapshot,
            raw,
            source=source,
            patches=[(o.kind, o.origin, patch) for o, patch in self.patches(raw)],
            documents=fallback if source == "fallback" else documents,
            fallback=fallback,
        ).explain(path)


def _overrides(file: str | os.PathLike[str] | None, *, env_overrides: bool) -> "list[Override]":
    path = file or os.environ.get("CONFIGSVC_OVERRIDES")
    if path and not file and not absolute(path).exists():
        # Set for this very process, unlike an argument, whose file most computers lack.
        raise ValueError(f"CONFIGSVC_OVERRIDES: there is no file {path!r}")
    found = list(file_overrides(absolute(path))) if path else []
    if env_overrides:
        found += variable_overrides(os.environ)
    else:
        warn_of_variables()
    return found
