"""ASGI application with a synchronous and an asynchronous endpoint."""

import asyncio
import time

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from tests.hosts.applications.reading import answer

__all__ = ["application"]

application = FastAPI()


@application.get("/sync", response_class=PlainTextResponse)
def read_sync() -> str:
    time.sleep(0.01)
    return answer()


@application.get("/async", response_class=PlainTextResponse)
async def read_async() -> str:
    await asyncio.sleep(0.01)
    return answer()
