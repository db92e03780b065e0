"""Settings: flags, ``CONFIGSVC_*`` variables, ``.env``, and defaults, in this order."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from limits import parse
from pydantic import Field, IPvAnyNetwork, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from configsvc_server.db.urls import parse_url
from configsvc_server.http.hosts import is_loopback

__all__ = ["ENV_PREFIX", "Settings", "SettingsError", "load_settings"]

ENV_PREFIX = "CONFIGSVC_"

_MAX_PORT = 65535

_HOST_NAME = re.compile(r"(?:\*\.)?[a-z0-9_][a-z0-9_.-]*", re.ASCII | re.IGNORECASE)


_ORIGIN = re.compile(
    r"(https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)/?", re.ASCII | re.IGNORECASE
)


_METRICS = ("auto", "off", "on")

_ADDRESS = re.compile(
    r"(?:([a-z0-9_.-]+)|\[([0-9a-f:.%]+)\]):([0-9]{1,5})", re.ASCII | re.IGNORECASE
)


_DRAIN_SECONDS = 5.0


class SettingsError(Exception):
    """Settings are invalid; the message has one line for each of them."""


def _default_data_dir() -> Path | None:
    """Return the folder of the embedded PostgreSQL, or ``None`` for a user without a home."""
    try:
        folder = platformdirs.user_data_path("configsvc", appauthor=False).expanduser()
    except RuntimeError:
        return None
    # macOS has "Application Support" in the path, and the embedded PostgreSQL can't have its
    # socket in a folder with a space in its name.
    return folder if " " not in str(folder) or os.name == "nt" else Path.home() / ".configsvc"


class Settings(BaseSettings):
    """Every setting of the server; each is also a flag of ``configsvc serve``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    database_url: str | None = Field(
        None,
        repr=False,
        description="PostgreSQL to use, such as postgresql://user:password@host/database; "
        "without it, an embedded PostgreSQL is started.",
    )
    data_dir: Path | None = Field(
        default_factory=_default_data_dir,
        description="Folder of the embedded PostgreSQL.",
    )
    migrate: bool = Field(True, description="Apply pending migrations at the start.")
    migrations_dir: Path | None = Field(
        None, description="Folder of migrations instead of the installed one."
    )
    threads: int = Field(
        16, ge=1, le=1000, description="Reads, and writes, that are served at the same time."
    )
    max_waiters: int = Field(
        1500,
        ge=0,
        le=100_000,
        description="Requests that may wait for a change at the same time; three quarters of the "
        "open connections at most.",
    )
    cache_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="Responses cached in memory, in bytes; 0 for none."
    )
    pool_size: int = Field(
        8,
        ge=1,
        le=1000,
        description="Largest number of database connections for reads, and as many for writes.",
    )
    database_timeout: float = Field(
        5.0,
        gt=0,
        le=300,
        description="Seconds that a request waits for a database connection, and again for each "
        "answer of the database.",
    )
    max_body_bytes: int = Field(
        1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Largest request body, in bytes."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose web pages may call the API, separated by commas; * for all.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Host names that requests may be for, separated by commas, such as "
        "config.example.com,*.internal; * for all. IP addresses and localhost always may. "
        "By default all, but on a loopback address none else.",
    )
    auth: Literal["off", "required"] | None = Field(
        None,
        description="Who may call the API: off for everybody, required for those with a token. By "
        "default off on a loopback address, and required elsewhere.",
    )
    auth_file: Path | None = Field(
        None,
        description="TOML file of issuers, for single sign-on and workload identity; needs --auth "
        "required.",
    )
    public_url: str | None = Field(
        None,
        description="Where browsers reach this server, such as https://config.example.com; by "
        "default its port on localhost.",
    )
    session_lifetime: float = Field(
        12 * 3600.0,
        ge=60,
        le=90 * 86400,
        description="Seconds after which whoever has signed in has to do so again.",
    )
    session_idle_timeout: float = Field(
        2 * 3600.0,
        ge=60,
        le=90 * 86400,
        description="Seconds without a request after which a session ends.",
    )
    rate_limit: Annotated[str | None, NoDecode] = Field(
        "2000/second",
        description="Requests that each principal may send where authentication is required, such "
        "as 1000/second or 5000/minute; none for any number.",
    )
    shutdown_timeout: float = Field(
        5.0,
        ge=0,
        le=300,
        description="Seconds that running requests have to finish when the server stops.",
    )
    drain_seconds: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="Seconds that the server goes on serving after SIGTERM while /health/ready "
        "says that it drains, for load balancers to send no more. By default 0 on a loopback "
        "address, and 5 elsewhere.",
    )
    max_connections: int = Field(
        2000,
        ge=10,
        le=100_000,
        description="Open connections; fewer where the system's limit of open files is lower.",
    )
    max_connections_per_peer: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Open connections of one client address (or IPv6 /64 network).",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of reverse proxies, separated by commas: they may open "
        "any number of connections, and their X-Forwarded-For is believed.",
    )
    head_timeout: float = Field(
        10.0, gt=0, le=3600, description="Seconds for the first line and headers of a request."
    )
    body_timeout: float = Field(
        60.0, gt=0, le=3600, description="Seconds for the body of a request."
    )
    queue_timeout: float = Field(
        10.0, gt=0, le=3600, description="Seconds that a request may wait for a thread."
    )
    stall_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds after which a client that takes nothing of its response is cut.",
    )
    idle_timeout: float = Field(
        120.0,
        gt=0,
        le=86400,
        description="Seconds that a connection may be open without a request.",
    )
    max_buffered_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        description="Memory for request bodies and for responses that clients have yet to take, "
        "in bytes.",
    )
    metrics: str = Field(
        "auto",
        description="Where Prometheus finds the metrics: on for /metrics of the port of the API, "
        "HOST:PORT for a port of their own, or off. By default on where only this machine can "
        "reach the server, and off elsewhere.",
    )
    fleet: Literal["on", "off"] = Field(
        "on", description="Whether to know which instances poll, and what they serve: on or off."
    )
    fleet_retention: float = Field(
        7.0,
        gt=0,
        le=3650,
        description="Days for which it is known what each instance has served.",
    )
    traces: Literal["off", "otlp"] = Field(
        "off",
        description="Where traces go: off, or otlp for OpenTelemetry's protocol, as the variables "
        "OTEL_* say; needs the extra configsvc-server[otel].",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much to log: debug, info, warning or error."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Format of the log; auto is console on a terminal and json elsewhere."
    )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def drain_time(self) -> float:
        """Seconds that the server goes on serving after it was told to stop."""
        if self.drain_seconds is not None:
            return self.drain_seconds
        return 0.0 if self.is_local else _DRAIN_SECONDS

    @property
    def has_metrics_path(self) -> bool:
        """Whether the port of the API has the metrics."""
        return self.is_local if self.metrics == "auto" else self.metrics == "on"

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port that have the metrics alone; ``None`` for none."""
        return None if self.metrics in _METRICS else _address(self.metrics)

    @property
    def exports_metrics(self) -> bool:
        """Whether anybody can read the metrics."""
        return self.has_metrics_path or self.metrics_address is not None

    @property
    def browser_url(self) -> str:
        """Where browsers reach this server, without a slash at the end."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def requires_auth(self) -> bool:
        """Whether the API is only for those who show who they are."""
        return not self.is_local if self.auth is None else self.auth == "required"

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str) -> str:
        word = value.strip().lower()
        if word not in _METRICS and _address(word) is None:
            raise ValueError("must be on, off, auto, or an address such as 127.0.0.1:9464")
        return word

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, value: str | None) -> str | None:
        if value is None or value.strip().lower() in {"none", "off"}:
            return None
        try:
            parse(value)
        except ValueError:
            raise ValueError("must be like 1000/second, 5000/minute, or none") from None
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in value and len(value) > 1:
            raise ValueError("* stands for every origin, so it must stand alone")
        for origin in value:
            scheme, separator, rest = origin.partition("://")
            if origin != "*" and not (scheme and separator and rest and "/" not in rest):
                raise ValueError(f"{origin!r} is no origin such as https://example.com")
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in value and len(value) > 1:
            raise ValueError("* stands for every host, so it must stand alone")
        for host in value:
            if host != "*" and not _HOST_NAME.fullmatch(host):
                raise ValueError(
                    f"{host!r} is no host name such as config.example.com or *.example.com"
                )
        return value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser()
        except RuntimeError:
            raise ValueError("~ stands for a home folder, and there is none") from None

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        # No reason may quote the URL, which may contain a password.
        if value is not None and parse_url(value) is None:
            raise ValueError(
                "must be like postgresql://user:password@host/database, with characters such as "
                "/ and @ in the password percent-encoded (%2F and %40)"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        found = None if value is None else _ORIGIN.fullmatch(value)
        if value is not None and found is None:
            raise ValueError("must be like https://config.example.com, without a path")
        return None if found is None else found[1].lower()

    @field_validator("traces", "log_level", "log_format", "fleet", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def _address(text: str) -> tuple[str, int] | None:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > _MAX_PORT:
        return None
    return found[1] or found[2], int(found[3])


def load_settings(flags: Mapping[str, object] | None = None) -> Settings:
    """Return the settings from flags, environment variables, ``.env`` and defaults.

    Args:
        flags: the flags that were given on the command line, by the name of the setting.

    Raises:
        SettingsError: a value is invalid; the message names its flag or variable.
    """
    flags = flags or {}
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            message = str(problem["msg"]).removeprefix("Value error, ")
            shown = "" if name == "database_url" else f" is {problem['input']!r}"
            lines.append(f"{_source(name, flags)}{shown}: {_lower_first(message)}")
        raise SettingsError("\n".join(lines)) from None


def _source(name: str, flags: Mapping[str, object]) -> str:
    if name in flags:
        return "--" + name.replace("_", "-")
    variable = ENV_PREFIX + name.upper()
    return variable if variable in os.environ else f"{variable} in .env"


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
