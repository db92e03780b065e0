"""Catalogue: it is what the registry has, what the documentation says, and what promtool likes."""

import re
import shutil
import subprocess
from pathlib import Path

import falcon.testing
import pytest

from configsvc_server.telemetry.catalogue import CATALOGUE
from configsvc_server.telemetry.metrics import Metrics
from tests.server.telemetry.support import Scrape, scrape

DOCUMENT = Path(__file__).parents[3] / "docs" / "observability.md"
ROW = re.compile(r"^\| `(configsvc_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)

# What prometheus_client tells of the process and its interpreter.
OTHERS = ("process_", "python_")


def test_the_registry_has_what_is_in_the_catalogue(metrics: Metrics) -> None:
    found = scrape(metrics)
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in found.families.values()
        if not family.name.startswith(OTHERS)
    }

    assert exported == {metric.name: metric.kind for metric in CATALOGUE}


def test_the_documentation_has_what_is_in_the_catalogue() -> None:
    rows = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), text)
        for name, kind, labels, text in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    }

    assert rows == {m.name: (m.kind, m.labels, m.help) for m in CATALOGUE}


def test_the_process_and_its_interpreter_are_exported_too(metrics: Metrics) -> None:
    found = scrape(metrics)

    assert found.value("python_info") == 1
    assert found.value("configsvc_build_info") == 1
    assert found.value("python_gc_collections_total") > 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_of(
    api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    api.simulate_post("/api/v1/applications", json={"name": "billing"})
    api.simulate_post(
        "/api/v1/applications/billing/configurations", json={"name": "a", "config": {}}
    )
    api.simulate_get("/api/v1/applications/billing/environments/default/snapshot")

    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scrape(metrics).text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_each_sample_has_the_labels_of_the_catalogue(
    api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    api.simulate_get("/api/v1/applications")

    labels = {metric.name: set(metric.labels) for metric in CATALOGUE}
    for sample in Scrape(metrics.render().body.decode()).samples:
        name = re.sub("_(bucket|count|sum)$", "", sample.name)
        if not name.startswith(OTHERS):
            assert set(sample.labels) - {"le"} == labels[name]
