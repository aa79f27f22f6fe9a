"""Ports, the data directory's lock, and the environment that `cody dev` gives to its parts."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cody.cli.dev import ports
from cody.cli.dev.lock import DataDirInUseError, DataDirLock
from cody.cli.dev.plan import Plan
from cody.cli.dev.providers import NoProvidersError, providers_part
from cody.cli.dev.redis import server_binary
from cody.cli.dev.service import worker_parts
from cody.cli.dev.targets import write_targets


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_option(taken):
    with pytest.raises(ports.PortTakenError, match=rf"port {taken} is taken; choose another with --ui-port"):
        ports.settle({"--api-port": 0, "--ui-port": taken}, patience_seconds=0.2)


def test_zero_is_a_free_port_and_none_is_given_twice():
    settled = ports.settle({f"--{number}": 0 for number in range(20)})
    assert len(set(settled.values())) == 20
    assert all(ports.is_free(port) for port in settled.values())


def test_two_options_cannot_have_one_port():
    port = ports.free_port()
    with pytest.raises(ports.PortTakenError, match="twice"):
        ports.settle({"--api-port": port, "--ui-port": port})


def test_a_data_directory_has_one_owner(tmp_path):
    lock = DataDirLock(tmp_path)
    with pytest.raises(DataDirInUseError, match=rf"process {os.getpid()}.*--data-dir"):
        DataDirLock(tmp_path)
    lock.close()
    DataDirLock(tmp_path).close()


def test_a_server_of_a_killed_owner_still_holds_it(tmp_path):
    lock = DataDirLock(tmp_path)
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,))
    lock.close()
    (tmp_path / "dev.lock").write_text(f"{dead_pid()}\n")
    with pytest.raises(DataDirInUseError, match="was killed"):
        DataDirLock(tmp_path, patience_seconds=0.2)
    server.communicate(b"\n")
    DataDirLock(tmp_path).close()


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def plan(data: Path, **user: str) -> Plan:
    return Plan(data_dir=data, api_port=1, temporal_port=2, ui_port=3, redis_port=4, workers=1, demo=False, user=user)


def test_the_parts_get_what_they_need(tmp_path):
    env = plan(tmp_path, HOME="/h").env()
    assert env["HOME"] == "/h"
    assert env["REDIS_URL"] == "redis://127.0.0.1:4/0"
    assert env["TEMPORAL_ADDRESS"] == "127.0.0.1:2"
    assert env["TEMPORAL_NAMESPACE"] == "default"
    assert env["TEMPORAL_UI_URL"] == "http://127.0.0.1:3"
    assert env["DATABASE_URL"] == f"sqlite:///{tmp_path}/cody.db"
    assert (env["CODY_HOST"], env["CODY_PORT"]) == ("127.0.0.1", "1")
    assert env["CODY_WORKSPACE_ROOTS"] == str(Path.cwd())


def test_the_demo_may_work_in_its_place_whatever_the_roots(tmp_path):
    assert replace(plan(tmp_path), demo=True).env()["CODY_WORKSPACE_ROOTS"] == f"{Path.cwd()}:{tmp_path}/demo"
    settled = replace(plan(tmp_path, CODY_WORKSPACE_ROOTS="/w:/v"), demo=True)
    assert settled.env()["CODY_WORKSPACE_ROOTS"] == f"/w:/v:{tmp_path}/demo"


def test_what_the_user_set_wins_where_no_option_does(tmp_path):
    user = {"REDIS_URL": "redis://r:1", "DATABASE_URL": "postgresql://d", "CODY_WORKSPACE_ROOTS": "/w"}
    settled = plan(tmp_path, **user, TEMPORAL_ADDRESS="elsewhere:1", CODY_HOST="0.0.0.0", CODY_PORT="99")
    env = settled.env()
    assert user.items() <= env.items()
    assert not settled.own_redis
    assert env["TEMPORAL_ADDRESS"] == "127.0.0.1:2"
    assert (env["CODY_HOST"], env["CODY_PORT"]) == ("0.0.0.0", "1")
    assert settled.url == "http://127.0.0.1:1"


def test_prometheus_is_told_where_each_process_shows_its_figures(tmp_path):
    settled = replace(plan(tmp_path, CODY_METRICS_HOST="::"), workers=2, metrics_ports={"worker-1": 7, "worker-2": 8})
    write_targets(settled)
    groups = json.loads((tmp_path / "prometheus-targets.json").read_text())
    found = {group["labels"]["part"]: group["targets"] for group in groups}
    assert found == {"api": ["127.0.0.1:1"], "worker-1": ["127.0.0.1:7"], "worker-2": ["127.0.0.1:8"]}
    ports = {part.name: part.env["CODY_METRICS_PORT"] for part in worker_parts(settled)}
    assert ports == {"worker-1": "7", "worker-2": "8"}
    assert {part.env["CODY_METRICS_HOST"] for part in worker_parts(settled)} == {"::"}


def test_an_empty_variable_is_not_set(tmp_path):
    settled = plan(tmp_path, REDIS_URL="", DATABASE_URL="")
    assert settled.own_redis
    assert settled.env()["DATABASE_URL"].startswith("sqlite:///")


def test_there_is_a_server_for_redis():
    assert os.access(server_binary(), os.X_OK)


def test_fake_providers_win_over_the_users(tmp_path):
    user = {"OPENAI_BASE_URL": "https://real", "OPENAI_API_KEY": "real", "ANTHROPIC_API_KEY": "real"}
    faked = replace(plan(tmp_path, **user), providers_port=5)
    assert faked.env() == {
        **plan(tmp_path, **user).env(),
        "OPENAI_BASE_URL": "http://127.0.0.1:5/v1",
        "OPENAI_API_KEY": "fake",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:5",
        "ANTHROPIC_API_KEY": "fake",
    }
    assert user.items() <= plan(tmp_path, **user).env().items()


def test_fake_providers_need_a_checkout(tmp_path):
    with pytest.raises(NoProvidersError, match="needs a checkout"):
        providers_part(plan(tmp_path), 5, checkout=tmp_path)
