"""Where the parts of a run are."""

from cody.contract.runs import Links


class Linker:
    """Makes links; `temporal_ui` is the base of the Temporal Web UI, if it is known."""

    def __init__(self, namespace: str, temporal_ui: str | None) -> None:
        self._workflows = f"{temporal_ui.rstrip('/')}/namespaces/{namespace}/workflows" if temporal_ui else None

    def run(self, run_id: str) -> Links:
        """The links of a run, relative to the API but for the one to Temporal's pages."""
        here = f"/api/runs/{run_id}"
        return Links(
            self=here,
            status=f"{here}/status",
            stream=f"{here}/stream",
            control=f"{here}/control",
            responses=f"{here}/responses",
            temporal=f"{self._workflows}/{run_id}" if self._workflows else None,
        )
