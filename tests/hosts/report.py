"""Report of what was measured of each host, as a table in Markdown."""

from pathlib import Path

import pytest

from tests.hosts.running import Host
from tests.hosts.table import HOSTS

__all__ = ["Rows"]

_HEAD = """\
| host | flags | workers | follows after | stops after | without the client | result |
|---|---|---|---|---|---|---|
"""


class Rows:
    """Plugin of pytest that gathers what the tests record, and writes it when they have ended."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._measured: dict[str, dict[str, object]] = {}
        self._troubles: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        recorded = dict(report.user_properties)
        host = str(recorded.pop("host", ""))
        # Properties grow from phase to phase; the result is that of the worst one.
        if host:
            self._measured.setdefault(host, {}).update(recorded)
            if report.outcome == "failed":
                self._troubles.setdefault(host, []).append(_reason(report))
            elif report.outcome == "skipped" and report.when != "teardown":
                self._troubles.setdefault(host, []).append(f"skipped: {_reason(report)}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        table = _HEAD + "".join(map(self._row, filter(self._is_measured, HOSTS)))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(table)
        terminalreporter.write(f"\n{table}\n")

    def _is_measured(self, host: Host) -> bool:
        return str(host) in self._measured

    def _row(self, host: Host) -> str:
        measured = self._measured[str(host)]
        troubles = "; ".join(dict.fromkeys(self._troubles.get(str(host), ()))) or "passed"
        cells = (
            *(host.name, f"`{host.flags}`", host.workers),
            *(_seconds(measured.get(name)) for name in ("follows", "stops", "alone")),
            troubles.replace("|", "\\|"),
        )
        return f"| {' | '.join(map(str, cells))} |\n"


def _seconds(measured: object) -> str:
    return f"{measured:.2f} s" if isinstance(measured, float) else "–"


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).splitlines()[0]
