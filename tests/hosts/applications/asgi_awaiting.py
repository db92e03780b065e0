"""ASGI application whose client is a part of its lifespan."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from tests.hosts.applications.awaiting import reader

__all__ = ["application"]


class State(TypedDict):
    answer: Callable[[], str]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with AsyncExitStack() as stack:
        yield {"answer": await reader(stack)}


application = FastAPI(lifespan=lifespan)


@application.get("/", response_class=PlainTextResponse)
async def read(request: Request) -> str:
    await asyncio.sleep(0.01)
    answer: Callable[[], str] = request.state.answer
    return answer()
