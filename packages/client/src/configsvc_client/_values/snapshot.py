"""Snapshot: all configurations of an application at one time."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from configsvc_client._values.entries import plain_tag
from configsvc_client._values.frozen import FrozenDict
from configsvc_client._values.secrets import mark_secrets

__all__ = ["EMPTY", "Provenance", "Snapshot"]


class Provenance(NamedTuple):
    """Revision of a configuration that a snapshot holds.

    Example:
        >>> app.snapshot().provenance("database").version
        3
    """

    id: str
    """Id of the configuration."""
    version: int
    """1, 2, 3, …: one more with every write."""
    updated_at: datetime
    """Time in UTC, timezone-aware."""


class Snapshot(Mapping[str, Mapping[str, Any]]):
    """Snapshot of all configurations of an application at one time: read-only, never changing.

    Values of one snapshot fit together, which two reads of a live view need not.

    Example:
        >>> snapshot = app.snapshot()
        >>> snapshot["database"]["host"], snapshot["database"]["port"]
        ('db1', 5432)
    """

    _SHOWN: Final = 60

    __slots__ = (
        "_defaults",
        "_provenance",
        "_secrets",
        "application",
        "application_id",
        "configs",
        "digests",
        "environment",
        "etag",
    )

    def __init__(
        self,
        *,
        application: str,
        application_id: str,
        environment: str,
        etag: str | None,
        configs: FrozenDict,
        provenance: Mapping[str, tuple[str, int, str]],
        defaults: Mapping[str, Mapping[str, Any]] | None = None,
        secrets: Mapping[str, tuple[str, ...]] | None = None,
        digests: Mapping[str, bytes] | None = None,
    ) -> None:
        self.application: str = application
        """Name of the application."""
        self.application_id: str = application_id
        """Id of the application."""
        self.environment: str = environment
        """Name of the environment."""
        self.etag: str | None = etag
        """ETag of this content, with its quotes."""
        self.configs: FrozenDict = configs
        """Configurations by name: the same as this mapping, and a little quicker."""
        self.digests: Mapping[str, bytes] | None = digests
        """Digests of the entries as the server has written them, by name; ``None`` where the ETag
        is not put together from them, so that a delta could not be checked."""
        self._provenance = provenance
        self._defaults = defaults or {}
        self._secrets = secrets or {}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        value: Mapping[str, Any] = self.configs[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.configs)

    def __len__(self) -> int:
        return len(self.configs)

    def __contains__(self, name: object) -> bool:
        return name in self.configs

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self.configs.keys()

    def values(self) -> ValuesView[Mapping[str, Any]]:
        """Return the configurations."""
        return self.configs.values()

    def items(self) -> ItemsView[str, Mapping[str, Any]]:
        """Return names and configurations."""
        return self.configs.items()

    @property
    def version(self) -> str | None:
        """ETag without its quotes.

        Example:
            >>> app.snapshot().version
            '...'
        """
        return plain_tag(self.etag)

    def provenance(self, name: str) -> Provenance:
        """Return the revision of a configuration that this snapshot holds.

        Raises:
            KeyError: there is no such configuration.

        Example:
            >>> provenance = app.snapshot().provenance("database")
            >>> provenance.version, provenance.updated_at
            (3, datetime.datetime(2026, ..., tzinfo=datetime.timezone.utc))
        """
        configuration_id, version, updated_at = self._provenance[name]
        return Provenance(
            configuration_id, version, datetime.fromisoformat(updated_at).astimezone(UTC)
        )

    def defaults(self, name: str) -> Mapping[str, Any]:
        """Return the defaults of a configuration's schema by JSON Pointer into the configuration.

        They are not in the configuration; ``bind(…, schema_defaults=True)`` fills them in.

        Raises:
            KeyError: there is no such configuration.

        Example:
            >>> app.snapshot().defaults("database")  # it has no schema
            {}
        """
        if name not in self.configs:
            raise KeyError(name)
        return self._defaults.get(name, _NO_DEFAULTS)

    def _masked(self, name: str, config: FrozenDict) -> FrozenDict:
        """Return other values of a configuration with its secrets masked."""
        return mark_secrets(config, self._secrets.get(name, ()))

    def _has_secrets_of(self, other: "Snapshot", name: str) -> bool:
        """Return whether a configuration has the same secrets as in another snapshot."""
        return self._secrets.get(name, ()) == other._secrets.get(name, ())

    def __repr__(self) -> str:
        names = ", ".join(self.configs) or "empty"
        short = names if len(names) <= self._SHOWN else f"{names[: self._SHOWN]}…"
        return f"<Snapshot {self.application}/{self.environment} {self.version}: {short}>"


_NO_DEFAULTS: Final = FrozenDict()

EMPTY: Final = Snapshot(
    application="",
    application_id="",
    environment="",
    etag=None,
    configs=FrozenDict(),
    provenance={},
)
"""Placeholder for a snapshot that is not there yet."""
