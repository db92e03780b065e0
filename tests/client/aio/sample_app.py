"""An application on asyncio that uses only the public API; mypy checks it, in strict mode."""

import asyncio
from dataclasses import dataclass
from logging import getLogger

from configsvc_client import AsyncConfigClient, AsyncConfigView, Change, Configuration, Status

log = getLogger(__name__)


@dataclass(frozen=True)
class DatabaseSettings:
    host: str
    port: int = 5432


async def report(change: Change) -> None:
    log.info("%s: %s → %s", change.path, change.old, change.new)


async def resize(old: DatabaseSettings, new: DatabaseSettings) -> None:
    log.info("%s → %s", old.host, new.host)


def tell(status: Status) -> None:
    log.info("%s", status.state)


async def follow(app: AsyncConfigView) -> None:
    async for change in app.changes("limits"):
        log.info("%s", change.configurations)


async def main() -> None:
    async with AsyncConfigClient("https://config.internal", token="t") as client:
        app = client.application("billing")
        await app.ready(timeout=5)
        client.on_status(tell)
        subscription = app.on_change(report, "limits", call_now=True)
        database = app.bind("database", DatabaseSettings)
        database.on_change(resize)
        log.info("%s %s", database.value.host, app["database"]["port"])
        found: Configuration = await client.configurations.find("billing", "database")
        changed = await client.configurations.update(found, config={"port": 1})
        await client.configurations.update("billing", "database", config={"port": 2})
        async for revision in client.configurations.history(changed, newest_first=True):
            log.info("%s", revision.message)
        async with client.changes.follow(application="billing") as feed:
            async for entry in feed:
                log.info("%s %s", entry.actor, feed.cursor)
        subscription.cancel()


asyncio.run(main())
