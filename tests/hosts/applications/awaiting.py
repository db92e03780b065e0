"""Reading by coroutines: a view that is made ready on the loop of each process."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

from tests.hosts.applications.answers import Database, answer_of

__all__ = ["reader"]


async def reader(stack: AsyncExitStack) -> Callable[[], str]:
    """Return a function that reads and answers; its client is closed with the stack."""
    # For comparison, the same application runs without the client, too.
    if "CONFIGSVC_URL" not in os.environ:
        return lambda: answer_of(10, 10)
    from configsvc_client import AsyncConfigClient

    client = await stack.enter_async_context(AsyncConfigClient())
    app = client.application("billing")
    await app.ready()
    bound = app.bind("database", Database)
    return lambda: answer_of(app["database"]["pool_size"], bound.value.pool_size)
