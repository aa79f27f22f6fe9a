"""The only place that reads the environment; fails fast with every fault listed."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cody.stream.cluster_url import ClusterUrl


class SettingsError(Exception):
    """The environment is not usable; the message lists every fault, a line each."""


class Settings(BaseSettings):
    """Every setting of the service, by the name of its environment variable (in lower case)."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    # The parts.
    redis_url: str = Field(
        description="redis://, rediss:// or unix:// address of Redis ≥ 7 or Valkey, or redis+cluster://host:port,host:port/"
    )
    temporal_address: str = Field(description="host:port of the Temporal frontend")
    database_url: str = Field(description="sqlite:///path or postgresql://…")
    temporal_namespace: str = Field(default="default", description="Temporal namespace of the runs")
    temporal_ui_url: str | None = Field(default=None, description="base of the Temporal Web UI, for links")

    # The door.
    cody_host: str = Field(default="127.0.0.1", description="address that the API listens on")
    cody_port: int = Field(default=8000, ge=0, le=65535, description="port that the API listens on")
    cody_max_body_bytes: int = Field(
        default=1_000_000, ge=1000, le=1_500_000, description="largest request body; Temporal takes 2 MiB at most"
    )
    cody_sse_keepalive_seconds: float = Field(
        default=15.0, gt=0, description="silence on a stream after which a keepalive comment is sent"
    )
    cody_sse_max_seconds: float = Field(
        default=3600.0, gt=0, description="a stream is closed after this, for its client to resume"
    )
    cody_workspace_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default_factory=lambda: (Path.cwd(),), description="where a working_dir may lie, colon-separated"
    )

    # The figures of a worker; the API's are at its own /metrics.
    cody_metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="port of a worker's /metrics; 0: a free one, unset: none"
    )
    cody_metrics_host: str = Field(default="127.0.0.1", description="address that a worker's /metrics listens on")

    # The log.
    cody_log_young_seconds: float = Field(
        default=3600.0, ge=0, description="how long an event stays in Redis; then only the archive has it"
    )
    cody_log_young_bytes: int = Field(
        default=16 << 20, ge=0, description="bytes of a run's archived events that stay in Redis at most"
    )
    cody_archive_gather_events: int = Field(
        default=500, ge=1, description="events of a live run that are archived together"
    )
    cody_archive_gather_seconds: float = Field(
        default=30.0, ge=0, description="after so long what a live run has said is archived, however little it is"
    )
    cody_archive_seconds: float | None = Field(
        default=None, gt=0, description="how long the archive keeps an event; for good unless told"
    )
    cody_hub_bytes: int = Field(
        default=256 << 20, ge=0, description="bytes of events in memory, for those who follow runs; the rest is read"
    )

    # The turn.
    cody_max_turns: int = Field(
        default_factory=lambda: max(8, 4 * (os.cpu_count() or 1)), ge=1, description="turns at once in one worker"
    )
    cody_kill_grace_seconds: float = Field(
        default=5.0, ge=0, description="from asking an agent's processes to stop to killing them"
    )
    cody_output_max_bytes: int = Field(default=2048, ge=16, description="text of one subprocess_output event")
    cody_output_max_events_per_second: int = Field(
        default=10, ge=2, description="subprocess_output events of one stream in any second"
    )
    cody_env_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="more names of environment variables that agents get, comma-separated"
    )

    # Providers.
    cody_provider_answer_seconds: float = Field(
        default=60.0, gt=0, description="how long a model's provider may take before its answer begins"
    )
    cody_provider_silence_seconds: float = Field(
        default=300.0, gt=0, description="how long a provider or its agent may be silent within a turn"
    )
    openai_api_key: SecretStr | None = Field(default=None, description="key for openai and codex turns")
    openai_base_url: str | None = Field(default=None, description="where their provider is, unless at its usual place")
    anthropic_api_key: SecretStr | None = Field(default=None, description="key for anthropic and claude-code turns")
    anthropic_base_url: str | None = Field(default=None, description="where their provider is")

    SCHEMES: ClassVar[dict[str, tuple[str, ...]]] = {
        "redis_url": ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://"),
        "database_url": ("sqlite:///", "postgresql://"),
    }

    @field_validator("redis_url", "database_url")
    @classmethod
    def _known_scheme(cls, value: str, info: Any) -> str:
        schemes = cls.SCHEMES[info.field_name]
        if not value.startswith(schemes):
            raise ValueError(f"must start with {' or '.join(schemes)}")
        if ClusterUrl.fits(value):
            ClusterUrl.parse(value)
        return value

    @field_validator("temporal_address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("must be host:port")
        return value

    @field_validator("cody_workspace_roots", mode="before")
    @classmethod
    def _roots(cls, value: Any) -> Any:
        return tuple(Path(part).resolve() for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("cody_env_allow", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


_ANY_PARTS = {"redis_url": "redis://", "temporal_address": "any:1", "database_url": "sqlite:///"}
"""Stand for what has no default, so that all else can be looked at."""


def load() -> Settings:
    """The settings that the environment gives; SettingsError lists every fault with its variable's name."""
    settings, faults = examine()
    if faults:
        raise SettingsError("\n".join(f"{name.upper()}: {fault}" for name, fault in faults.items()))
    return settings


def examine() -> tuple[Settings, dict[str, str]]:
    """The settings, and the faults of those that the environment does not give well: these are not to be used."""
    try:
        return Settings(), {}  # pyright: ignore[reportCallIssue]  # the environment fills it
    except ValidationError as error:
        faults = {str(fault["loc"][0]): _said(fault["type"], fault["msg"]) for fault in error.errors()}
    fields = Settings.model_fields
    stand_ins: dict[str, Any] = {
        name: _ANY_PARTS.get(name) or fields[name].get_default(call_default_factory=True, validated_data={})
        for name in faults
    }
    return Settings(**stand_ins), faults


def _said(kind: str, message: str) -> str:
    return "is not set" if kind == "missing" else message.removeprefix("Value error, ")
