"""Timing of the functions of the repositories, told to whoever the connection belongs to."""

import inspect
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any, TypeVar

from configsvc_server.db.connections import BoundedConnection

__all__ = ["timed"]

T = TypeVar("T")


def timed(name: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator that times every public function of a repository.

    What a function calls of its own repository is a part of its time, and counted as well.

    Args:
        name: the name of the repository; a query is ``name.function``.
    """

    def decorate(repository: type[T]) -> type[T]:
        for key, function in list(vars(repository).items()):
            if inspect.isfunction(function) and not key.startswith("_"):
                setattr(repository, key, _timed(function, f"{name}.{key}"))
        return repository

    return decorate


def _timed(function: Callable[..., Any], query: str) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self._connection
        on_query = connection.on_query if isinstance(connection, BoundedConnection) else None
        if on_query is None:
            return function(self, *args, **kwargs)
        started = perf_counter()
        try:
            return function(self, *args, **kwargs)
        finally:
            on_query(query, perf_counter() - started)

    return call
