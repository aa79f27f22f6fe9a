"""`make bench`: every figure beside its baseline as one JSON object, and `docs/benchmarks.md` with its plot.

`make bench ROUNDS=1 ONLY=turns,cancel` is for work on it: the documents are written only by a whole run.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import cancel, fanout, first_event, idle, latency, machine, projector, report, scan, throughput, turns
from benchmarks.figure import Figure
from benchmarks.stage import Stage
from tests.service import running

ROUNDS = 5
MEASURES = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "fanout": fanout.measure,
    "projector": projector.measure,
    "first_event": first_event.measure,
    "turns": turns.measure,
    "cancel": cancel.measure,
    "idle": idle.measure,
    "scan": scan.measure,
}


def main() -> None:
    """Take the figures on a `cody dev` of one's own; what is being measured is told on stderr."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--only", default="", help=f"of {','.join(MEASURES)}")
    given = options.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(MEASURES)
    figures, here = list[Figure](), machine.described()
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        # Each on servers of its own: what one leaves behind is no burden to the next.
        with tempfile.TemporaryDirectory(prefix="cody-bench-") as folder, running(Path(folder)) as service:
            taken = MEASURES[name](Stage(service, given.rounds))
        for each in taken:
            told = each.json()
            print(*(told[key] for key in ("ours", "baseline", "ratio", "unit")), each.name, file=sys.stderr, flush=True)
        figures += taken
    told = {figure.name: figure.json() for figure in figures}
    print(json.dumps({"machine": here, "rounds": given.rounds, "figures": told}, indent=2))
    if chosen == list(MEASURES) and given.rounds >= ROUNDS:
        report.write(figures, here, given.rounds)


if __name__ == "__main__":
    main()
