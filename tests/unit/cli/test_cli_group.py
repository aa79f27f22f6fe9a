import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from cody.cli.config import shown
from cody.cli.group import COMMANDS, main


def test_help_imports_no_subcommand():
    code = "import sys, cody.cli; cody.cli.main(['--help'], standalone_mode=False); print(*sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = set(output.splitlines()[-1].split())
    assert modules.isdisjoint({entry.module for entry in COMMANDS.values()})
    assert modules.isdisjoint({"httpx", "temporalio", "litestar", "pydantic", "rich"})
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_is_there_and_helps(name):
    assert isinstance(import_module(COMMANDS[name].module).command, click.Command)
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: main {name} ")


def test_an_unknown_subcommand_is_a_usage_error():
    result = CliRunner().invoke(main, ["fly"])
    assert result.exit_code == 2


REQUIRED = ("REDIS_URL", "TEMPORAL_ADDRESS", "DATABASE_URL")


def test_config_shows_what_is_missing_or_wrong_among_the_rest(monkeypatch):
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CODY_PORT", "many")
    monkeypatch.setenv("CODY_HOST", "h")
    result = CliRunner().invoke(main, ["config"])
    assert result.exit_code == 2
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in result.stdout.splitlines()}
    for name in REQUIRED:
        assert lines[name].startswith("is not set – ")
    assert lines["CODY_PORT"].startswith("Input should be a valid integer")
    assert lines["CODY_HOST"].startswith("h environment")
    assert lines["CODY_KILL_GRACE_SECONDS"].startswith("5.0 default")
    assert "cody dev supplies the parts" in result.stderr


def test_config_tells_values_and_sources_without_secrets(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://me:hush@h:1/0")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "h:2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush@h/db")
    monkeypatch.setenv("OPENAI_API_KEY", "hush")
    result = CliRunner().invoke(main, ["config"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split()[1:3] for line in result.output.splitlines()}
    assert lines["REDIS_URL"] == ["redis://me:***@h:1/0", "environment"]
    assert lines["OPENAI_API_KEY"] == ["(hidden)", "environment"]
    assert lines["CODY_MAX_BODY_BYTES"] == ["1000000", "default"]
    assert lines["CODY_URL"] == ["http://127.0.0.1:8000", "default"]
    assert "hush" not in result.output


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://:p@w:x@h:6379/0", "redis://:***@h:6379/0"),
        ("unix:///tmp/s?password=x&db=1", "unix:///tmp/s?password=***&db=1"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("http://h:80/v1", "http://h:80/v1"),
    ],
)
def test_passwords_are_masked(url, text):
    assert shown(url) == text
