"""`python -m cody.agents.drivers NAME`: be that driver for a turn (`cody.agents.drivers.NAME.driver`).

Importing is most of what a driver's start costs. Of the models that are imported, over a thousand with Codex's SDK, a
turn uses a dozen, so each is built when it is first used; and what is imported is seldom looked through for garbage.
A driver of Codex is up after 1.1 s of CPU so, and after 2.4 s otherwise; one of Claude Code after 1.4 s and 2.2 s.
"""

import gc
import sys
from importlib import import_module

from pydantic import BaseModel

if __name__ == "__main__":
    gc.set_threshold(100_000)
    BaseModel.model_config["defer_build"] = True  # before anything is imported that has models
    from cody.agents.drivers.program import run

    run(import_module(f"cody.agents.drivers.{sys.argv[1]}.driver").turn)
