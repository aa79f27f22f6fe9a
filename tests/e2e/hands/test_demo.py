"""What `./temporal-dev.sh` shows: the demo run, from the first line to the last."""

import re
import signal
import subprocess
from pathlib import Path

import psutil

from tests.service import CODY, eventually, free_ports


def test_the_demo_mends_its_project_in_three_turns(tmp_path: Path):
    api, temporal, ui = free_ports(3)
    command = [CODY, "dev", f"--api-port={api}", f"--temporal-port={temporal}", f"--ui-port={ui}", "--data-dir=data"]
    said = tmp_path / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out)
    try:
        eventually(lambda: re.search(r"ready http://127.0.0.1:\d+\n", said.read_text()))
        eventually(lambda: "completed" in said.read_text().lower())
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
    text = said.read_text()
    assert code == 0, text
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    for turn in (1, 2, 3):
        assert f"turn {turn}" in text.lower()
    assert "passed" in text
    (project,) = (tmp_path / "data" / "demo").iterdir()
    assert "ALL DONE" in (project / "codys-log.md").read_text()
