"""FastAPI with live settings: endpoints use what the configuration says at that moment.

    pip install fastapi uvicorn configsvc-client
    CONFIGSVC_URL=http://localhost:8080 uvicorn --app-dir examples/fastapi_app main:api

The server needs an application ``billing`` with two configurations, for instance:

    limits    {"per_minute": 60, "largest_invoice": 1000}
    features  {"discount": false}

Change one with the server's API, and the next request has it. A document that does not fit
``Limits`` changes nothing: the last one that did stays in use, and ``/health`` says why.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from configsvc_client import AsyncConfigClient, AsyncConfigView, Bound


class Limits(BaseModel):
    """Limits of the configuration ``limits``."""

    per_minute: int = Field(gt=0)
    largest_invoice: float = 1000


class State(TypedDict):
    """What the endpoints find in ``request.state``."""

    config: AsyncConfigView
    limits: Bound[Limits]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Follow the configuration while the application runs."""
    async with AsyncConfigClient() as client:
        config = client.application("billing")
        # The only wait for the server; all reads afterwards are from memory.
        await config.ready()
        yield {"config": config, "limits": config.bind("limits", Limits)}


api = FastAPI(title="Billing", lifespan=lifespan)


async def current_config(request: Request) -> AsyncConfigView:
    """Return the live configuration."""
    config: AsyncConfigView = request.state.config
    return config


async def current_limits(request: Request) -> Limits:
    """Return the limits as they are now; the whole request has the same object."""
    limits: Bound[Limits] = request.state.limits
    return limits.value


CurrentConfig = Annotated[AsyncConfigView, Depends(current_config)]
CurrentLimits = Annotated[Limits, Depends(current_limits)]


@api.get("/limits")
async def show_limits(limits: CurrentLimits) -> Limits:
    """Return what is allowed."""
    return limits


@api.post("/invoices")
async def invoice(amount: float, limits: CurrentLimits, config: CurrentConfig) -> dict[str, float]:
    """Make an invoice, if it is not too large."""
    if amount > limits.largest_invoice:
        raise HTTPException(422, f"No invoice may be larger than {limits.largest_invoice:g}.")
    return {"amount": amount * 0.9 if config.get("features.discount", False) else amount}


@api.get("/health")
async def health(config: CurrentConfig) -> dict[str, object]:
    """Return whether the configuration is up to date."""
    status = config.status()
    return {"config": status.state, "rejected": status.rejected}
