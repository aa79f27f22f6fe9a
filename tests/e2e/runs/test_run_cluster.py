"""The whole service on a Redis Cluster: runs on every node, exact streams, and a node that dies under them."""

import subprocess
from collections.abc import Generator

import pytest

from tests.cluster import RedisCluster, running_cluster
from tests.e2e.conftest import OwnService
from tests.e2e.runs.readers import CHATTER, Reader, check_nothing_lost
from tests.service import CODY, Service


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "nodes") as cluster:  # not below what a service sweeps
        yield cluster


def verified(service: Service) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [CODY, "verify"], env={"CODY_URL": service.url}, cwd=service.root, capture_output=True, text=True, timeout=60
    )


def test_a_service_on_a_cluster(own_service: OwnService, cluster: RedisCluster):
    with own_service({"REDIS_URL": cluster.url}, workers=2) as service:
        runs = [service.start(CHATTER, max_turns=2) for _ in range(6)]
        readers = [Reader(run, restless=restless) for run in runs for restless in (False, True)]
        for run in runs:
            run.wait("completed")
        check_nothing_lost(runs, readers)
        done = verified(service)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("emptied", [False, True], ids=["with its data", "without its data"])
def test_a_node_dies_under_its_runs(own_service: OwnService, cluster: RedisCluster, emptied: bool):
    with own_service({"REDIS_URL": cluster.url}) as service:
        runs = [service.start(CHATTER, max_turns=2) for _ in range(6)]
        readers = [Reader(run) for run in runs]
        for run in runs:
            run.event("subprocess_output")
        node = cluster.of(runs[0].id)
        node.kill()
        if emptied:
            node.forget()
        for run in (run for run in runs if cluster.of(run.id) is not node):
            run.wait("completed")
        node.start()
        for run in runs:
            run.wait("completed")
        check_nothing_lost(runs, readers)
