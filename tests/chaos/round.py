"""A round: load and clients, a schedule of faults, and the judgement."""

from collections.abc import Sequence

from tests.chaos.clients import KINDS, Client
from tests.chaos.ground import PATIENCE_SECONDS, Ground
from tests.chaos.judgement import judge_run
from tests.chaos.leaks import Levels
from tests.chaos.load import Load
from tests.chaos.past import Past
from tests.chaos.schedule import Blow, Say, play
from tests.service import Run, eventually


def play_round(ground: Ground, schedule: Sequence[Blow], seed: str, levels: Levels, say: Say) -> None:
    """Play it through; AssertionError says what was not as it has to be."""
    ground.past = Past()
    load = Load(ground, seed)
    clients = {run.id: [kind(run, f"{seed} {kind.__name__} {run.dir}") for kind in KINDS] for run in load.watched}
    everybody = [client for group in clients.values() for client in group]
    try:
        play(schedule, ground, say)
        eventually(ground.is_up, PATIENCE_SECONDS, "every part is up again")
        load.stop()
        for client in everybody:
            client.hurried.set()
        load.check_ends()
        _judge(ground, load.runs, clients, say)
        say(levels.check(ground))
    finally:
        load.abandon()
        for client in everybody:
            client.given_up.set()


def _judge(ground: Ground, runs: Sequence[Run], clients: dict[str, list[Client]], say: Say) -> None:
    gaps = sum(judge_run(run, clients.get(run.id, ()), ground.past) for run in runs)
    everybody = [client for group in clients.values() for client in group]
    entries, visits = sum(len(client.seen) for client in everybody), sum(client.visits for client in everybody)
    say(f"{len(runs)} runs ended, {gaps} gaps; {len(everybody)} clients: {entries} entries over {visits} connections")
