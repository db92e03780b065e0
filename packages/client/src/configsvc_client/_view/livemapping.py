"""How a live view is read: as a mapping of configurations, from memory."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.runtime import Engine

__all__ = ["LiveMapping"]


class LiveMapping(Mapping[str, Mapping[str, Any]]):
    """The newest snapshot that an engine has, as a mapping.

    Example:
        >>> app["database"]["pool_size"]
        10
        >>> list(app)
        ['database', 'limits']
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        """Return a configuration by its name.

        Raises:
            KeyError: there is none of that name.
            NotReadyError: there is no snapshot yet, and none came in time.
        """
        try:
            return self._store.current.configs[name]  # type: ignore[no-any-return]
        except KeyError:
            # Either it does not exist, or there is no snapshot here yet.
            pass
        return self._ready()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ready())

    def __len__(self) -> int:
        return len(self._ready())

    def __contains__(self, name: object) -> bool:
        return name in self._ready().configs

    def __bool__(self) -> bool:
        # Asked by ``if app:`` and by debuggers; it must not wait for a server.
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def keys(self) -> KeysView[str]:
        """Return the names of the configurations at this moment."""
        return self._ready().keys()

    def values(self) -> ValuesView[Mapping[str, Any]]:
        """Return the configurations at this moment."""
        return self._ready().values()

    def items(self) -> ItemsView[str, Mapping[str, Any]]:
        """Return names and configurations at this moment."""
        return self._ready().items()

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a path, or ``default`` if there is none.

        Args:
            path: dotted, such as ``database.pool_size``, or a JSON Pointer, such as
                ``/database/pool_size`` (for keys with a dot in them); a number is an index.
            default: what to return where there is nothing.

        Raises:
            NotReadyError: there is no snapshot yet, and none came in time.

        Example:
            >>> app.get("database.replicas.0.host"), app.get("/database/timeout", 30)
            ('db2', 30)
        """
        try:
            return find(self._ready().configs, path)
        except KeyError:
            return default

    def snapshot(self) -> Snapshot:
        """Return everything as it is now; it does not change any more.

        Example:
            >>> snapshot = app.snapshot()
            >>> snapshot["database"]["host"], snapshot["database"]["port"]  # fit together
            ('db1', 5432)
        """
        return self._ready()

    def _ready(self) -> Snapshot:
        current = self._store.current
        return current if current is not EMPTY else self._engine.ready()
