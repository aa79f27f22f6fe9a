"""The provider server as a process, and a hand on the sessions that it plays."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Play:
    """An open session: `tag` in a prompt leads that request to it."""

    http: httpx.Client
    id: str
    openai_base_url: str
    anthropic_base_url: str

    @property
    def tag(self) -> str:
        """What a prompt carries."""
        return f"[scenario:{self.id}]"

    @property
    def env(self) -> dict[str, str]:
        """What a continuous run's `env` carries instead."""
        return {
            "OPENAI_BASE_URL": self.openai_base_url,
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_BASE_URL": self.anthropic_base_url,
            "ANTHROPIC_API_KEY": "test",
        }

    def look(self) -> dict[str, Any]:
        """`{requests, faults}` so far."""
        return self.http.get(f"/sessions/{self.id}").raise_for_status().json()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of its requests so far."""
        return [request["body"] for request in self.look()["requests"]]

    def release(self) -> None:
        """Let the answer that holds go on."""
        self.http.post(f"/sessions/{self.id}/release").raise_for_status()

    def check(self) -> None:
        """Everything that it was asked was as its scenario says, and all of it was asked."""
        seen = self.look()
        assert seen["faults"] == []
        assert seen["unused_steps"] == []


class Providers:
    """The process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def play(self, scenario: str | dict[str, Any]) -> Play:
        """Open a session with a scenario: the name of a file, or what would stand in one."""
        body = {"scenario": scenario}
        told = self.http.post("/sessions", json=body).raise_for_status().json()
        return Play(self.http, told["id"], told["openai_base_url"], told["anthropic_base_url"])

    @property
    def env(self) -> dict[str, str]:
        """The environment of a service whose providers these are."""
        return {
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "test",
        }


@contextmanager
def playing() -> Generator[Providers]:
    """A provider server in a process of its own, on a port that is free."""
    command = [sys.executable, "-m", "fixtures.providers", "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            url = next(word for word in said.split() if word.startswith("http://"))
            providers = Providers(url)
            with providers.http:
                yield providers
        finally:
            process.terminate()
            process.wait(10)
