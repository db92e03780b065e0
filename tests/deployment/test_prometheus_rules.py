"""Rules for Prometheus: they load, they do what their tests say, and the runbook has each alert."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployment.promql import ROOT, RULES, alerts, panels
from tests.support.programs import require_program

FOLDER = ROOT / "deploy" / "prometheus"
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
RUNBOOK = ROOT / "docs" / "observability.md"


def promtool(*arguments: str | Path) -> str:
    """Run promtool and return what it says; it has to succeed."""
    done = subprocess.run(
        [require_program("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_loads_every_file_of_rules() -> None:
    said = promtool("check", "config", FOLDER / "prometheus.yml")

    assert f"{len(RULES)} rule files found" in said
    assert "FAILED" not in said


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_do_what_their_tests_say(file: Path) -> None:
    promtool("test", "rules", file)


def test_each_file_of_rules_has_tests() -> None:
    assert [file.name for file in TESTS] == [file.name for file in RULES]


@pytest.mark.parametrize("alert", alerts())
def test_each_alert_fires_in_a_test(alert: str) -> None:
    expected = [
        sample["labels"]
        for file in TESTS
        for one in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for query in one["promql_expr_test"]
        for sample in query["exp_samples"]
    ]

    assert [labels for labels in expected if f'alertname="{alert}", alertstate="firing"' in labels]


def test_the_runbook_has_each_alert_and_how_urgent_it_is() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    found = re.findall(r"^#### (Configsvc\w+)\n\n\*(page|ticket)\.\* ", text, re.MULTILINE)

    assert dict(found) == alerts()
    assert len(found) == len(alerts())


def test_the_runbook_names_panels_that_there_are() -> None:
    text = RUNBOOK.read_text(encoding="utf-8").partition("\n## Runbook\n")[2]
    text = text.partition("\n## ")[0]
    named = {re.sub(r"\s+", " ", name) for name in re.findall(r"\*([A-Z][^*→]+)\*", text)}

    assert named - {"Look at"} <= {panel["title"] for panel in panels()}
    assert len(named) > 20


def test_each_alert_leads_to_its_part_of_the_runbook() -> None:
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    assert rule["annotations"]["runbook"] == (
                        f"docs/observability.md#{rule['alert'].lower()}"
                    )
                    assert rule["annotations"]["summary"]
