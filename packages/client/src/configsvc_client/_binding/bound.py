"""Bound objects: configurations as typed objects that follow their configuration."""

from collections.abc import Callable, Mapping
from logging import getLogger
from typing import Any, Final, Generic, TypeVar

from configsvc_client._binding.conversion import converter
from configsvc_client._binding.defaults import filled
from configsvc_client._binding.scalars import ConversionError, Converter
from configsvc_client._values.paths import find, locate
from configsvc_client._values.snapshot import Snapshot
from configsvc_client.errors import BindError, FieldProblem

__all__ = ["Bound"]

_log = getLogger("configsvc_client")

T_co = TypeVar("T_co", covariant=True)

_ABSENT: Final = object()


class Bound(Generic[T_co]):
    """Bound object of a type, made from the newest document of a configuration that fits.

    ``value`` is a complete object made from one document; read it once where several members
    must fit together.

    Example:
        >>> database = app.bind("database", DatabaseSettings)
        >>> database.value.pool_size
        10
        >>> settings = database.value  # one object, so that host and port fit together
        >>> settings.host, settings.port
        ('db1', 5432)
    """

    def __init__(
        self,
        path: str,
        model: type[T_co],
        wake: Callable[[], bool],
        snapshot: Snapshot,
        *,
        schema_defaults: bool = False,
    ) -> None:
        self._path = path
        self._model = model
        self._wake = wake
        self._is_dormant = False
        self._convert: Converter = converter(model)
        self._source = _Filled() if schema_defaults else _Plain()
        self._problem: BindError | None = None
        self._source.move_to(snapshot, path)
        self._value: T_co = self._make(self._source.value)

    @property
    def value(self) -> T_co:
        """Object made from the newest document that fits.

        Example:
            >>> app.bind("database", DatabaseSettings).value.host
            'db1'
        """
        self._wake()
        return self._value

    @property
    def error(self) -> BindError | None:
        """Reason why the newest document is not in use; ``None`` where it is.

        Example:
            >>> app.bind("database", DatabaseSettings).error is None
            True
        """
        return self._problem

    def __repr__(self) -> str:
        state = "" if self._problem is None else f", newest rejected: {self._problem}"
        return f"<Bound {self._path!r}: {self._value!r}{state}>"

    @property
    def path(self) -> str:
        """Path that it is bound to."""
        return self._path

    def _follow(self, snapshot: Snapshot) -> None:
        if not self._source.move_to(snapshot, self._path):
            return
        try:
            self._value = self._make(self._source.value)
        except BindError as error:
            self._problem = error
            _log.warning("%s The object made from an earlier version stays.", error)
        else:
            self._problem = None

    def _after_fork_in_child(self) -> None:
        self._is_dormant = True

    def _make(self, source: object) -> T_co:
        name = getattr(self._model, "__name__", str(self._model))
        if source is _ABSENT:
            raise BindError(f"There is no {self._path!r} to make {name} of.")
        try:
            value: T_co = self._convert(source, ())
        except ConversionError as error:
            raise _bind_error(self._path, name, error.problems) from None
        return value


def _bind_error(path: str, name: str, problems: list[FieldProblem]) -> BindError:
    what = "; ".join(f"{problem.pointer} {problem.message}".strip() for problem in problems)
    error = BindError(f"{path!r} does not fit {name}: {what}.")
    error.errors = tuple(problems)
    return error


class _Plain:
    """Value at a path, as it is."""

    def __init__(self) -> None:
        self.value: object = None

    def move_to(self, snapshot: Snapshot, path: str) -> bool:
        """Read the value from another snapshot, and return whether it is another one."""
        before, self.value = self.value, _lookup(snapshot.configs, path)
        return self.value is not before


class _Filled(_Plain):
    """Value at a path, with the defaults of the schema filled in."""

    def __init__(self) -> None:
        super().__init__()
        self._config: object = None
        self._defaults: object = None

    def move_to(self, snapshot: Snapshot, path: str) -> bool:
        name, _ = locate(snapshot.configs, path)
        config: Any = snapshot.configs.get(name)
        defaults = None if config is None else snapshot.defaults(name)
        # Equal configurations are the same object in each snapshot.
        if config is not None and config is self._config and defaults is self._defaults:
            return False
        self._config, self._defaults = config, defaults
        before = self.value
        configurations = {} if config is None else {name: filled(config, defaults or {})}
        self.value = _lookup(configurations, path)
        return self.value is not before


def _lookup(configurations: Mapping[str, Any], path: str) -> object:
    try:
        return find(configurations, path)
    except KeyError:
        return _ABSENT
