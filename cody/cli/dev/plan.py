"""What `cody dev` is asked to do, with every port settled, and the environment that its parts get."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = "default"
FAKE_KEY = "fake"
"""For fake providers, which take any key; agents want one."""
_ADDRESSES = ("REDIS_URL", "DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")
_ANYWHERE = frozenset({"0.0.0.0", "::", "localhost"})  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True)
class Plan:
    """The options of `cody dev`, and the user's environment where it decides."""

    data_dir: Path
    api_port: int
    temporal_port: int
    ui_port: int
    redis_port: int
    workers: int
    demo: bool
    user: Mapping[str, str]
    """The environment that `cody dev` was started in."""
    metrics_ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """Where the workers, by name, show their figures."""
    providers_port: int | None = None
    """Where the fake providers listen; None without any."""

    @property
    def host(self) -> str:
        """Where the API listens."""
        return self.user.get("CODY_HOST") or "127.0.0.1"

    @property
    def url(self) -> str:
        """Where a client on this machine finds the API."""
        return f"http://{self.address(self.host, self.api_port)}"

    @property
    def metrics_host(self) -> str:
        """Where the workers' figures are shown."""
        return self.user.get("CODY_METRICS_HOST") or "127.0.0.1"

    @staticmethod
    def address(host: str, port: int) -> str:
        """Where somebody on this machine finds what listens on `host`."""
        host = "127.0.0.1" if host in _ANYWHERE else host
        return f"{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def ui_url(self) -> str:
        """Where a person finds the Temporal Web UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def temporal_address(self) -> str:
        """Where the parts find Temporal."""
        return f"127.0.0.1:{self.temporal_port}"

    @property
    def own_redis(self) -> bool:
        """Whether to start a Redis; not if the user names one."""
        return not self.user.get("REDIS_URL")

    @property
    def providers_url(self) -> str | None:
        """Where the fake providers are, if there are any."""
        return None if self.providers_port is None else f"http://127.0.0.1:{self.providers_port}"

    @property
    def demos(self) -> Path:
        """Where demo runs work."""
        return self.data_dir / "demo"

    @property
    def roots(self) -> str:
        """Where a person's runs may work."""
        return self.user.get("CODY_WORKSPACE_ROOTS") or str(Path.cwd())

    def write_addresses(self) -> None:
        """Leave a file for a shell: `set -a; . .cody/service.env` gives other commands the parts that run here."""
        env = self.env()
        lines = [f"{name}={shlex.quote(env[name])}\n" for name in (*_ADDRESSES, *self._faked())]
        path = self.data_dir / "service.env"
        path.touch(mode=0o600)  # an address may hold a password
        path.write_text("".join(lines))

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.data_dir / "logs" / f"{name}.log"

    def env(self) -> dict[str, str]:
        """The environment of API and workers.

        What has an option here follows the option; Redis, database and workspace roots are the user's if they are set,
        and the demo may work in its place. So are providers and their keys, unless they are faked.
        """
        supplied = {
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "DATABASE_URL": f"sqlite:///{self.data_dir / 'cody.db'}",
            "TEMPORAL_UI_URL": self.ui_url,
        }
        decided = {
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "CODY_HOST": self.host,
            "CODY_PORT": str(self.api_port),
            "CODY_METRICS_HOST": self.metrics_host,
            "CODY_WORKSPACE_ROOTS": ":".join((self.roots, *([str(self.demos)] if self.demo else []))),
            # What a part prints stands in its log at once.
            "PYTHONUNBUFFERED": "1",
        }
        given = {name: value for name, value in self.user.items() if value or name not in supplied}
        return {**supplied, **given, **decided, **self._faked()}

    def _faked(self) -> dict[str, str]:
        """Addresses and keys of the fake providers. They win over the user's: who asks for fakes wants no real ones."""
        if self.providers_url is None:
            return {}
        return {
            "OPENAI_BASE_URL": f"{self.providers_url}/v1",
            "OPENAI_API_KEY": FAKE_KEY,
            "ANTHROPIC_BASE_URL": self.providers_url,
            "ANTHROPIC_API_KEY": FAKE_KEY,
        }
