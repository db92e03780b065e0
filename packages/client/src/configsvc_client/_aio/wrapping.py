"""Makers of async wrappers: the calls of a wrapper of the core, made in threads.

Each call has the parameters of its model, overloads included, since type checkers apply a
decorator to every one of them.
"""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from inspect import cleandoc
from textwrap import indent
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from configsvc_client._aio.pages import AsyncPages
from configsvc_client._aio.threads import Runner
from configsvc_client._http.api import Pages

__all__ = ["Wrapper", "awaited", "iterated", "like", "show"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
W = TypeVar("W")


class Wrapper(Generic[W]):
    """Wrapper whose calls are those of another one, made by a runner."""

    def __init__(self, wrapped: W, runner: Runner) -> None:
        self._wrapped = wrapped
        self._runner = runner

    def __repr__(self) -> str:
        return f"<async {repr(self._wrapped).removeprefix('<')}"


def awaited(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return a call that awaits what a method of the core returns."""

    async def call(self: Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._runner.run(partial(method, self._wrapped, *args, **kwargs))

    return like(call, method)


def iterated(
    method: Callable[Concatenate[Any, P], Pages[T]],
) -> Callable[Concatenate[Any, P], AsyncPages[T]]:
    """Return a call that returns the list of a method of the core, for ``async for``."""

    def call(self: Wrapper[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncPages[T]:
        # Not yet, since some ask the server which configuration is meant.
        return AsyncPages(partial(method, self._wrapped, *args, **kwargs), self._runner)

    return like(call, method)


C = TypeVar("C", bound=Callable[..., Any])


def like(call: C, method: Callable[..., Any]) -> C:
    """Give a call the name, the annotations and the description of its model."""
    wraps(method, assigned=("__name__", "__qualname__", "__annotations__", "__doc__"))(call)
    return call


def show(call: Callable[..., object], example: str) -> None:
    """Replace the example in the description that a call has from its model.

    As an argument of the functions above, it would cost type checkers the overloads.
    """
    text, _, _ = cleandoc(call.__doc__ or "").partition("\nExample:")
    call.__doc__ = f"{text}\nExample:\n{indent(cleandoc(example), '    ')}\n"
