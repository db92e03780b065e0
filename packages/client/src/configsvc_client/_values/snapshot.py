"""Snapshot: all configurations of an application at one time."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from configsvc_client._values.frozen import FrozenDict, is_same, loads_frozen

__all__ = ["EMPTY", "Provenance", "Snapshot", "read_snapshot"]


@dataclass(frozen=True, slots=True)
class Provenance:
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
        "application",
        "application_id",
        "configs",
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
    ) -> None:
        self.application = application
        """Name of the application."""
        self.application_id = application_id
        """Id of the application."""
        self.environment = environment
        """Name of the environment."""
        self.etag = etag
        """ETag of this content, with its quotes."""
        self.configs = configs
        """Configurations by name: the same as this mapping, and a little quicker."""
        self._provenance = provenance
        self._defaults = defaults or {}

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
        return self.etag.removeprefix("W/").strip('"') if self.etag else None

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


def read_snapshot(body: bytes, etag: str | None, *, previous: Snapshot | None = None) -> Snapshot:
    """Read the response of the snapshot endpoint.

    Args:
        body: the body of the response.
        etag: the ETag of the response.
        previous: a snapshot to share unchanged configurations with.

    Raises:
        ValueError: the body is not a snapshot; the message says why.
    """
    try:
        document = loads_frozen(body)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    try:
        entries = {name: _entry(entry) for name, entry in document["configurations"].items()}
        shared = previous.configs if previous is not None else FrozenDict()
        return Snapshot(
            application=str(document["application"]),
            application_id=str(document["application_id"]),
            environment=str(document["environment"]),
            etag=etag,
            configs=FrozenDict(
                {
                    name: shared[name]
                    if name in shared and is_same(shared[name], config)
                    else config
                    for name, (config, _) in entries.items()
                }
            ),
            provenance={name: provenance for name, (_, provenance) in entries.items()},
            defaults=_defaults(document["configurations"], previous),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is no snapshot ({error!r})") from None


def _entry(entry: Mapping[str, Any]) -> tuple[FrozenDict, tuple[str, int, str]]:
    config = entry["config"]
    if not isinstance(config, FrozenDict):
        raise TypeError("config is not an object")
    updated_at = entry["updated_at"]
    datetime.fromisoformat(updated_at)
    return config, (str(entry["id"]), int(entry["version"]), updated_at)


def _defaults(
    entries: Mapping[str, Mapping[str, Any]], previous: Snapshot | None
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, entry in entries.items():
        defaults = entry.get("defaults")
        if not defaults:
            continue
        if not isinstance(defaults, FrozenDict) or not all(
            pointer.startswith("/") for pointer in defaults
        ):
            raise TypeError("defaults are no object of JSON Pointers")
        shared = previous._defaults.get(name) if previous is not None else None
        found[name] = shared if shared is not None and is_same(shared, defaults) else defaults
    return found
