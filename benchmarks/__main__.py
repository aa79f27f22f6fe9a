"""`make bench`: one JSON object of {figure: {ours, baseline, ratio, unit}}, medians of five rounds."""

import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks import append, fold
from tests.parts import running_redis


def main() -> None:
    """Run every benchmark on servers of its own."""
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as redis:
        figures = {
            "append": asyncio.run(append.measure(redis.url)),
            "fold": fold.measure(),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
