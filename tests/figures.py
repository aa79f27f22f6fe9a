"""What programs count, as a Prometheus reads it: for what one did in between, take the difference of two looks."""

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cody.metrics import WORKER


class Figures:
    """One scrape."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.kinds = {
            f"{family.name}_total" if family.type == "counter" else family.name: family.type
            for family in families
            if family.name.startswith("cody_")
        }
        self._samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        return sum(
            sample.value for sample in self._samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by(self, name: str, label: str) -> Mapping[str, float]:
        return {sample.labels[label]: sample.value for sample in self._samples if sample.name == name}


def scrape(target: str) -> Figures:
    """Those of the process that shows them at this host and port."""
    return Figures(httpx.get(f"http://{target}/metrics", trust_env=False, timeout=20).raise_for_status().text)


def own() -> Figures:
    """Those of this process, in which a test has a worker's parts."""
    return Figures(generate_latest(WORKER).decode())


def targets(data_dir: Path) -> dict[str, str]:
    """Part → address, as `cody dev` leaves them in its data directory."""
    groups = json.loads((data_dir / "prometheus-targets.json").read_text())
    return {group["labels"]["part"]: group["targets"][0] for group in groups}
