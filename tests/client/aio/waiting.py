"""Waiting in coroutines, and running them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own, for a minute at most."""

    async def limited() -> T:
        async with asyncio.timeout(60):
            return await main

    return asyncio.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that has no event."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
