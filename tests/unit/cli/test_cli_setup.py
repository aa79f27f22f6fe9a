"""`scripts/setup.sh` where there is nothing to set up with; that it sets up is what every fresh machine tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "cat", "cksum", "dirname", "rm", "flock")


@pytest.fixture
def checkout(tmp_path):
    here = tmp_path / "a checkout"
    (here / "scripts").mkdir(parents=True)
    (here / "bin").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        shutil.copy(ROOT / name, here / name)
    for tool in TOOLS:
        if found := shutil.which(tool):
            (here / "bin" / tool).symlink_to(found)
    return here


def setup(checkout: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(checkout / "bin")}
    script = [str(checkout / "bin" / "bash"), str(checkout / "scripts" / "setup.sh")]
    return subprocess.run(script, cwd="/", env=env, capture_output=True, text=True, timeout=30)


def tool(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def test_without_python_it_says_what_is_needed(checkout):
    done = setup(checkout)
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr


def test_a_shim_without_a_python_behind_it_is_passed_over(checkout):
    tool(checkout, "python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    tool(checkout, "python3.12", 'case "$1" in -c) exit 0 ;; --version) echo Python 3.12 ;; *) exit 9 ;; esac')
    done = setup(checkout)
    assert done.returncode == 1
    assert "making .venv with Python 3.12" in done.stderr
    assert "python3-venv" in done.stderr


def test_where_uv_does_not_succeed_pip_is_tried(checkout):
    tool(checkout, "uv", "echo 'uv cannot' >&2; exit 2")
    done = setup(checkout)
    assert "uv did not succeed; trying with pip" in done.stderr
    assert "no Python 3.11 or newer found" in done.stderr
