"""What a client sends: the two requests that start a run, and the control."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from cody.contract.agents import WORKS_ON_FILES, Agent, Text
from cody.contract.base import Id, RequestModel
from cody.contract.lifecycle import Action, PauseMode

NO_PLACE: Final = "working_dir_missing"
"""Type of the fault that a working directory is needed: it shows in the whole, and is told of that field."""

MAX_SECONDS = 366 * 86400
"""Bound of every duration: what a timer of the parts can hold, and longer than a run should be unattended."""


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError("must be a relative path inside the working directory")
    return str(pure)


RelativePath = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=4096), AfterValidator(_inside)]
EnvName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$", max_length=1000)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
PositiveSeconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


class PromptSpec(RequestModel):
    """What each turn's prompt is built from, anew: see `cody.agents.prompt`."""

    template: Text = ""
    state_files: list[RelativePath] = Field(default=[])
    reference_files: list[RelativePath] = Field(default=[])


def _prompt_shape(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    return "PromptSpec" if isinstance(value, dict | PromptSpec) else None


Prompt = Annotated[
    Annotated[Text, Tag("text")] | Annotated[PromptSpec, Tag("PromptSpec")],
    Discriminator(
        _prompt_shape,
        custom_error_type="prompt_type",
        custom_error_message="Input should be a string or an object with a template",
    ),
]
"""Told apart by what was sent, so that only the faults of that shape are told."""


class CompletionSpec(RequestModel):
    """When the goal is met: a line of `log` that matches `pattern` (RE2), or a `stop_file` that appears."""

    log: RelativePath | None = None
    pattern: Text | None = None
    scan_tail_lines: Annotated[int, Field(ge=1, le=100_000)] = 50
    stop_file: RelativePath = ".stop"

    @model_validator(mode="after")
    def _pattern_needs_log(self) -> "CompletionSpec":
        if self.pattern is not None and self.log is None:
            raise ValueError("a pattern needs the log it is searched in")
        return self


class Budget(RequestModel):
    """What a run may use up; judged after each turn."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_duration_seconds: PositiveSeconds | None = None

    def is_used_up(self, tokens: int, worked_seconds: float) -> bool:
        """Whether a run that has used so much, its pauses not counted, is over."""
        over_tokens = self.max_tokens is not None and tokens >= self.max_tokens
        return over_tokens or (self.max_duration_seconds is not None and worked_seconds >= self.max_duration_seconds)


NOBODYS_WORK = (".git/**", ".cody/**", "**/.venv/**", "**/node_modules/**", "**/__pycache__/**", "**/.*_cache/**")
"""Where tools keep things for themselves, Cody's own data among them: not watched unless a request says otherwise."""


class WatchSpec(RequestModel):
    """What of the working directory is reported: these logs line by line, files by glob."""

    logs: list[RelativePath] | None = None
    include: list[Text] = Field(default=["**/*"])
    exclude: list[Text] = Field(default=[*NOBODYS_WORK])


class StartRequest(RequestModel):
    """What both kinds of run need."""

    agent: Agent
    working_dir: Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=4096)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: Any) -> Any:
        """A field sent as null means what leaving it out means."""
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        return {name: value for name, value in fields.items() if value is not None}

    @model_validator(mode="after")
    def _files_need_a_place(self) -> "StartRequest":
        if self.working_dir is None and self.agent.kind in WORKS_ON_FILES:
            message = f"an agent of kind {self.agent.kind!r} works on files and needs a working_dir"
            raise PydanticCustomError(NO_PLACE, "{message}", {"message": message})
        return self


class ContinuousRunRequest(StartRequest):
    """`POST /api/runs/continuous`: turn after turn until a goal is met."""

    epic_id: Id | None = None
    prompt: Prompt = ""
    max_turns: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    loop_delay_seconds: Seconds = 0.0
    turn_timeout_seconds: PositiveSeconds = 3600.0
    turn_attempts: Annotated[int, Field(ge=1, le=900)] = 3
    completion: CompletionSpec = CompletionSpec()
    budget: Budget = Budget()
    watch: WatchSpec = WatchSpec()
    env: dict[EnvName, Text] = Field(default={})
    metadata: dict[Text, Text] = Field(default={})

    @property
    def prompt_spec(self) -> PromptSpec:
        """The prompt in its one form: a plain string is a template without files."""
        return PromptSpec(template=self.prompt) if isinstance(self.prompt, str) else self.prompt

    @property
    def named_paths(self) -> list[tuple[str, str]]:
        """Every path in the working directory that the request names, with the field that names it."""
        lists = {
            "prompt.state_files": self.prompt_spec.state_files,
            "prompt.reference_files": self.prompt_spec.reference_files,
            "watch.logs": self.watch.logs or [],
        }
        log = [("completion.log", self.completion.log)] if self.completion.log else []
        listed = [(f"{field}.{at}", path) for field, paths in lists.items() for at, path in enumerate(paths)]
        return [*log, ("completion.stop_file", self.completion.stop_file), *listed]

    @property
    def watched_logs(self) -> list[str]:
        """`watch.logs`, or the log and the state files that the request names."""
        if self.watch.logs is not None:
            return self.watch.logs
        named = [self.completion.log] if self.completion.log else []
        return list(dict.fromkeys([*named, *self.prompt_spec.state_files]))

    def continuous(self) -> "ContinuousRunRequest":
        """Itself."""
        return self


class SingleRunRequest(StartRequest):
    """`POST /api/runs`: one turn."""

    prompt: Text
    thread_id: Id | None = None

    def continuous(self) -> ContinuousRunRequest:
        """The same as a continuous run of one turn, with every default: what does a turn need not tell them apart."""
        return ContinuousRunRequest(agent=self.agent, working_dir=self.working_dir, prompt=self.prompt, max_turns=1)


class ControlOptions(RequestModel):
    """`POST /api/runs/{id}/pause|resume|cancel`, and the argument of the signals of those names."""

    reason: Annotated[Text, StringConstraints(max_length=2000)] = "manual"
    mode: PauseMode = "after_turn"


class ControlRequest(ControlOptions):
    """`POST /api/runs/{id}/control`."""

    action: Action


def canonical(request: RequestModel) -> dict[str, Any]:
    """The request with its defaults filled in, so that equal requests compare equal."""
    return request.model_dump(mode="json")
