"""PromQL of the rules and of the dashboard, and the metrics that it may speak of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from prometheus_client import Metric
from prometheus_client.registry import Collector

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "configsvc.json"

# What Prometheus adds to each series of what it scrapes.
TARGET_LABELS = frozenset({"job", "instance"})


@dataclass(frozen=True, slots=True)
class Selector:
    """Metric that an expression reads, and what it asks of its labels."""

    name: str
    labels: Mapping[str, str]
    """What each is compared with; a regular expression with ``=~``."""


def rules() -> Iterator[dict[str, Any]]:
    """Yield the recording and alerting rules of all files."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> dict[str, str]:
    """Return the severity of each alert, by name."""
    return {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that show something."""
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Return every expression, by where it is."""
    found = {f"{r.get('alert') or r.get('record')} {n}": r["expr"] for n, r in enumerate(rules())}
    for panel in panels():
        for target in panel["targets"]:
            # Grafana puts a duration there.
            expression = target["expr"].replace("$__rate_interval", "5m")
            found[f"panel {panel['id']} {panel['title']} {target['refId']}"] = expression
    return found


def selectors(expression: str) -> list[Selector]:
    """Return what an expression reads."""
    found: list[Selector] = []

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            labels = {matcher.name: matcher.value for matcher in part.matchers.matchers}
            name = part.name or labels.pop("__name__")
            found.append(Selector(name, labels))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def samples_of(collector: Collector) -> set[str]:
    """Return the names of all samples that a collector may have."""
    return {name for family in collector.collect() for name in _samples(family)}


def _samples(family: Metric) -> set[str]:
    suffixes = {
        "counter": ("_total",),
        "histogram": ("_bucket", "_count", "_sum"),
        "info": ("_info",),
    }
    return {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
