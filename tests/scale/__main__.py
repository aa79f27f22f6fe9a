"""`make scale`: every case in full, each on a `cody dev` of its own; exit code 1 if a promise was broken.

`make scale ONLY=turns,clients` takes some, `SMALL=1` a form of minutes in which growth and cost are not judged.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.scale.cases import CASES, ENV
from tests.service import running


def main() -> None:
    """Print the account of each case as it is closed, and what was broken at the end."""
    options = argparse.ArgumentParser()
    options.add_argument("--only", default="", help=f"of {','.join(CASES)}")
    options.add_argument("--small", action="store_true")
    given = options.parse_args()
    faults: list[str] = []
    for name in [name for name in given.only.split(",") if name] or list(CASES):
        case = CASES[name]
        print(f"{name}: {case.about} …", file=sys.stderr, flush=True)
        began, load = time.monotonic(), os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="cody-scale-") as folder, running(Path(folder), ENV) as service:
            account = case.take(service, small=given.small)
        promises = [*account.broken, *([] if given.small else account.grown)]
        told = {"case": name, "load": [round(load, 1), round(os.getloadavg()[0], 1)], **account.told}
        verdict = {"whole_seconds": round(time.monotonic() - began, 1), "broken": promises}
        print(json.dumps(told | verdict), flush=True)
        faults += [f"{name}: {promise}" for promise in promises]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
