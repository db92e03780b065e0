"""Prometheus as ``deploy/prometheus`` configures it, which scrapes a real server.

Its time runs faster: an hour of the rules is a minute, since nobody wants to wait for an alert.
"""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.deployment.promql import ROOT, RULES
from tests.support.programs import require_program
from tests.support.waiting import until

SPEED = 60
"""How many times as fast as time goes by."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# What looks back, what has to last, and how often is looked; names of metrics have durations too.
_DURATION = re.compile(
    r"(?<=\[)(\d+)([smhd])(?=\])|(?:(?<=for: )|(?<=interval: ))(\d+)([smhd])$", re.MULTILINE
)


_SUBJECTS = ("slo", "application")

# A threshold that is a time, too.
_LATE = "(configsvc_fleet_unconverged_seconds) > 300"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what its API answers."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def firing(self) -> set[str]:
        """Return the alerts that fire: name, and what it is about."""
        labels = [a["labels"] for a in self.ask("alerts")["alerts"] if a["state"] == "firing"]
        return {" ".join(x[y] for y in ("alertname", *_SUBJECTS) if y in x) for x in labels}

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its state."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def value(self, expression: str) -> float:
        """Return the value of an expression with at most one series; 0 where there is none."""
        found = self.ask("query", query=expression)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0


@contextmanager
def prometheus(server: str, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus until the block ends.

    Args:
        server: the address of a server, which has its metrics there.
        folder: for its files.
    """
    program = require_program("prometheus")
    _configure(folder, server.removeprefix("http://"))
    process, port = _started(program, folder)
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


def faster(text: str) -> str:
    """Return rules of which everything takes a fraction of its time, but a second at least."""

    def shorten(found: re.Match[str]) -> str:
        number, unit = (part for part in found.groups() if part is not None)
        return f"{max(1, int(number) * _SECONDS[unit] // SPEED)}s"

    return _DURATION.sub(shorten, text)


def _configure(folder: Path, target: str) -> None:
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    for theirs, ours in {
        "scrape_interval: 15s": "scrape_interval: 1s",
        "evaluation_interval: 30s": "evaluation_interval: 1s",
        '["config-1.internal:9464", "config-2.internal:9464"]': f'["{target}"]',
        '["config-staging.internal:9464"]': "[]",
        '["alertmanager.internal:9093"]': "[]",
    }.items():
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    (folder / "rules").mkdir()
    for file in RULES:
        rules = faster(file.read_text(encoding="utf-8"))
        assert rules.count(_LATE) == (file.name == "fleet.yml")
        rules = rules.replace(_LATE, _LATE.replace("300", str(300 // SPEED)))
        (folder / "rules" / file.name).write_text(rules, encoding="utf-8")


def _started(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on a free port; others may take that first, so that it has to try again."""
    log = folder / "prometheus.log"
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    program,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(lambda: process.poll() is not None or _is_ready(port))  # noqa: B023
        if process.poll() is None:
            return process, port
        assert "address already in use" in log.read_text(), log.read_text()
    raise AssertionError("no port is free")


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
