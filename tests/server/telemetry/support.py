"""Scrapes, read as Prometheus reads them."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from configsvc_server.telemetry.metrics import Metrics


class Scrape:
    """What a server exports at one moment."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples: list[Sample] = [
            sample for family in self.families.values() for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with these labels, whatever others they have."""
        return sum(sample.value for sample in self.samples if _matches(sample, name, labels))

    def labels(self, name: str, label: str) -> set[str]:
        """Return what a label of a metric says."""
        return {sample.labels[label] for sample in self.samples if sample.name == name}


def scrape(metrics: Metrics) -> Scrape:
    """Return what a server exports now."""
    return Scrape(metrics.render().body.decode())


def _matches(sample: Sample, name: str, labels: Mapping[str, str]) -> bool:
    return sample.name == name and labels.items() <= sample.labels.items()
