"""How a person calls `cody` from here, for hints that can be pasted."""

import shlex
import shutil
import sys
from pathlib import Path

from cody.cli.client import DEFAULT_URL


def cody(url: str = DEFAULT_URL) -> str:
    """`cody` if that is us, else the whole path; with the service's address where it is not the usual one."""
    ours = Path(sys.executable).parent / "cody"
    found = shutil.which("cody")
    name = "cody" if found and Path(found).samefile(ours) else shlex.quote(str(ours))
    return name if url.rstrip("/") == DEFAULT_URL else f"CODY_URL={url} {name}"
