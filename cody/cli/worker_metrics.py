"""The worker's own `/metrics`, from a thread: it answers also while the event loop is busy."""

import click
from prometheus_client import start_http_server

from cody.cli.service import PartMissing
from cody.metrics import WORKER
from cody.settings import Settings


def serve_metrics(settings: Settings) -> None:
    """Serve until the process ends, if a port is set, and print where. Raises PartMissing if the port is taken."""
    host, port = settings.cody_metrics_host, settings.cody_metrics_port
    if port is None:
        return
    try:
        server, _ = start_http_server(port, host, WORKER)
    except OSError as error:
        raise PartMissing(f"CODY_METRICS_PORT: cannot listen on {host}, port {port}: {error}") from error
    click.echo(f"metrics http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics")
