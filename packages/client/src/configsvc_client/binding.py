"""Configurations as typed objects that stay fresh."""

from collections.abc import Callable
from logging import getLogger
from typing import Final, Generic, TypeVar

from configsvc_client.convert import converter
from configsvc_client.errors import BindError, FieldProblem
from configsvc_client.paths import find
from configsvc_client.scalars import Converter, Misfits
from configsvc_client.snapshot import Snapshot

__all__ = ["Bound"]

_log = getLogger("configsvc_client")

T_co = TypeVar("T_co", covariant=True)

_ABSENT: Final = object()


class Bound(Generic[T_co]):
    """A configuration as an object of a type, always the newest that fits.

    ``value`` is a complete object made from one document; take it once where several members
    must fit together.

    Example:
        >>> database = app.bind("database", DatabaseSettings)
        >>> database.value.pool_size
        10
        >>> settings = database.value       # these two belong together
        >>> settings.host, settings.port
        ('db1', 5432)
    """

    def __init__(
        self, path: str, model: type[T_co], wake: Callable[[], bool], snapshot: Snapshot
    ) -> None:
        self._path = path
        self._model = model
        self._wake = wake
        self._dormant = False
        self._convert: Converter = converter(model)
        self._source = _lookup(snapshot, path)
        self._problem: BindError | None = None
        self._value: T_co = self._make(self._source)

    @property
    def value(self) -> T_co:
        """The object made from the newest document that fits.

        Example:
            >>> app.bind("database", DatabaseSettings).value.host
            'db1'
        """
        if self._dormant:
            # The first use in a forked child: nobody polls there yet.
            self._dormant = False
            self._wake()
        return self._value

    @property
    def error(self) -> BindError | None:
        """Why the newest document is not in use; ``None`` where it is.

        Example:
            >>> database.error is None
            True
        """
        return self._problem

    def __repr__(self) -> str:
        state = "" if self._problem is None else f", newest rejected: {self._problem}"
        return f"<Bound {self._path!r}: {self._value!r}{state}>"

    @property
    def path(self) -> str:
        """What it is bound to."""
        return self._path

    def _follow(self, snapshot: Snapshot) -> None:
        source = _lookup(snapshot, self._path)
        if source is self._source:
            return
        self._source = source
        try:
            self._value = self._make(source)
        except BindError as error:
            self._problem = error
            _log.warning("%s The object made from an earlier version stays.", error)
        else:
            self._problem = None

    def _sleep(self) -> None:
        self._dormant = True

    def _make(self, source: object) -> T_co:
        name = getattr(self._model, "__name__", str(self._model))
        if source is _ABSENT:
            raise BindError(f"There is no {self._path!r} to make {name} of.")
        try:
            value: T_co = self._convert(source, ())
        except Misfits as misfits:
            raise _bind_error(self._path, name, misfits.found) from None
        return value


def _bind_error(path: str, name: str, problems: list[FieldProblem]) -> BindError:
    what = "; ".join(f"{problem.pointer} {problem.message}".strip() for problem in problems)
    error = BindError(f"{path!r} does not fit {name}: {what}.")
    error.errors = tuple(problems)
    return error


def _lookup(snapshot: Snapshot, path: str) -> object:
    try:
        return find(snapshot.configs, path)
    except KeyError:
        return _ABSENT
