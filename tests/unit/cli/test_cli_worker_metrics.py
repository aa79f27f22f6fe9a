"""Where a worker shows its figures, if it is told to."""

import socket

import httpx
import pytest

from cody.cli.service import PartMissing
from cody.cli.worker_metrics import serve_metrics
from cody.settings import Settings


def settings(port: int | None) -> Settings:
    parts = {"redis_url": "redis://", "temporal_address": "any:1", "database_url": "sqlite:///"}
    return Settings(**parts, cody_metrics_port=port)


def test_unless_told_there_is_nothing(capsys: pytest.CaptureFixture[str]):
    serve_metrics(settings(None))
    assert capsys.readouterr().out == ""


def test_a_free_port_is_printed_and_serves(capsys: pytest.CaptureFixture[str]):
    serve_metrics(settings(0))
    said, url = capsys.readouterr().out.split()
    assert said == "metrics"
    assert url.startswith("http://127.0.0.1:")
    assert "cody_append_seconds_count" in httpx.get(url, trust_env=False).text


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PartMissing, match=f"CODY_METRICS_PORT.*{taken.getsockname()[1]}"):
            serve_metrics(settings(taken.getsockname()[1]))
