"""Where a Prometheus finds the figures of everything that `cody dev` runs."""

import json

from cody.cli.dev.plan import Plan

NAME = "prometheus-targets.json"


def write_targets(plan: Plan) -> None:
    """Write the data directory's file for `file_sd_configs`. A worker that is started again keeps its port."""
    groups = [_group(plan.address(plan.host, plan.api_port), "api")]
    groups += [_group(plan.address(plan.metrics_host, port), name) for name, port in plan.metrics_ports.items()]
    new = plan.data_dir / f"{NAME}.new"
    new.write_text(json.dumps(groups, indent=2) + "\n")
    new.replace(plan.data_dir / NAME)  # at once: Prometheus reads it as soon as it changes


def _group(address: str, name: str) -> dict[str, object]:
    return {"targets": [address], "labels": {"job": "cody", "part": name}}
