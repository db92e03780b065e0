"""An application that uses only the public API; mypy checks it, in strict mode."""

from dataclasses import dataclass, field
from logging import getLogger
from typing import Annotated, Any, Literal, TypedDict

import pydantic

from configsvc_client import (
    AuditChange,
    Bound,
    Change,
    ConfigClient,
    Configuration,
    ConfigView,
    ConflictError,
    Environment,
    Release,
    thaw,
)

log = getLogger(__name__)


@dataclass(frozen=True)
class DatabaseSettings:
    host: str
    port: int = 5432
    replicas: list[str] = field(default_factory=list[str])


class Limits(TypedDict):
    per_minute: int


class Mail(pydantic.BaseModel):
    sender: str


def connect(app: ConfigView) -> str:
    database: Bound[DatabaseSettings] = app.bind("database", DatabaseSettings)
    settings = database.value
    return f"{settings.host}:{settings.port + 1}"


def limit(app: ConfigView) -> int:
    return app.bind("limits", Limits).value["per_minute"]


def sender(app: ConfigView) -> str:
    return app.bind("mail", Mail).value.sender.lower()


class Gt:
    """Limit, as annotated-types has it."""

    def __init__(self, gt: int) -> None:
        self.gt = gt


def special_forms(app: ConfigView) -> list[object]:
    return [
        app.bind("limits.per_minute", int | None).value,
        app.bind("limits.per_minute", Literal[60, 90]).value,
        app.bind("limits.per_minute", Annotated[int, Gt(0)], strict=True).value,
        app.bind("limits", dict[str, int]).value.values(),
    ]


def resized(old: DatabaseSettings, new: DatabaseSettings) -> None:
    log.info("%s → %s", old.host, new.port + 1)


def read_mail(value: Any) -> Mail:
    return Mail.model_validate(value)


def follow(app: ConfigView) -> str:
    settings = app.bind("database", DatabaseSettings, strict=True)
    settings.on_change(resized, call_now=True).cancel()
    plain = thaw(app["database"])
    plain["host"] = "localhost"
    return app.bind("mail", converter=read_mail).value.sender.lower()


def report(change: Change) -> None:
    log.info("%s: %s → %s", change.path, change.old, change.new)


def raise_limit(client: ConfigClient, configuration: Configuration) -> int:
    try:
        changed = client.configurations.update(
            configuration, config={"per_minute": 60}, message="more customers"
        )
    except ConflictError as error:
        return error.current_version or 0
    return changed.version


def raise_in_prod(client: ConfigClient, configuration: Configuration) -> Release:
    prod: Environment = client.environments.create("billing", name="prod", protected=True)
    made = client.configurations.update(configuration, overlays={"prod": {"per_minute": 90}})
    for revision in client.configurations.history(made, newest_first=True):
        log.info("%s %s", revision.version, revision.message)
    for operation in client.configurations.diff(made, to_environment=prod).patch:
        log.info("%s", operation["op"])
    return client.releases.release(made, prod, message="tested")


def announce(client: ConfigClient, cursor: str | None) -> None:
    with client.changes.follow(application="billing", after=cursor) as feed:
        for change in feed:
            described: AuditChange = change
            log.info("%s %s %s", described.actor, described.action, feed.cursor.strip())


def main() -> None:
    with ConfigClient("https://config.internal", token="t") as client:
        app = client.application("billing")
        app.wait_until_ready(timeout=5)
        subscription = app.on_change(report, "limits.per_minute")
        log.info("%s %s %s", connect(app), limit(app), sender(app))
        log.info("%s", app.get("database.host", "localhost"))
        log.info("%s", app.bind("mail", Mail, schema_defaults=True))
        log.info("%s", app.diff(environment="prod"))
        for application in client.applications.list(q="bill"):
            log.info("%s %s", application.name, application.created_at.isoformat())
        log.info("%s %s", special_forms(app), follow(app))
        raise_limit(client, client.configurations.find("billing", "limits"))
        subscription.cancel()
