"""A thin typed client of the service: one method a route, models of the contract in and out.

What can go wrong:

    ClientError
    ├── UnreachableError           nobody answers at that address
    └── RefusedError               an answer that is an error, with its `Problem`
        └── CursorRefusedError     409 or 410 of the stream, with what heals it
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from cody.contract.errors import CursorProblem, Problem
from cody.contract.lifecycle import Action
from cody.contract.responses import ResponseList
from cody.contract.runs import Accepted, Controlled, RunList, Snapshot

DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Never reached through a proxy that the environment names."""
_START_TRIES = 4
_START_PAUSE_SECONDS = 0.5

ModelT = TypeVar("ModelT", bound=BaseModel)


class ClientError(Exception):
    """The service did not do what it was asked."""


class UnreachableError(ClientError):
    """Nobody answers at `url`."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"no answer from {url}: {why}")
        self.url = url


class RefusedError(ClientError):
    """The service answered with an error."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class CursorRefusedError(RefusedError):
    """The stream cannot go on from the cursor it was given; `problem` has all that heals it."""

    def __init__(self, problem: CursorProblem) -> None:
        super().__init__(problem)
        self.healing = problem


class Client:
    """Calls of the service at `url`, as an async context manager."""

    def __init__(self, url: str = DEFAULT_URL) -> None:
        self.url = url.rstrip("/")
        try:
            near = httpx.URL(self.url).host in _LOOPBACK
            self.http = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT, trust_env=not near)
        except httpx.InvalidURL as error:
            raise UnreachableError(url, f"this is not an address ({error})") from error

    async def __aenter__(self) -> Self:
        await self.http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.__aexit__(kind, error, trace)

    async def start(self, body: Mapping[str, Any], *, single: bool = False, key: str | None = None) -> Accepted:
        """Start a run. A start whose answer got lost is repeated under the same `Idempotency-Key`."""
        path = "/api/runs" if single else "/api/runs/continuous"
        headers = {"Idempotency-Key": key or uuid4().hex}
        tries = 0
        while True:
            tries += 1
            try:
                return await self._call(Accepted, "POST", path, json=body, headers=headers)
            except UnreachableError as error:
                never_sent = isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout)
                if never_sent or tries == _START_TRIES:
                    raise
                await asyncio.sleep(_START_PAUSE_SECONDS)

    async def get(self, run_id: str) -> Snapshot:
        """The run's snapshot."""
        return await self._call(Snapshot, "GET", f"/api/runs/{quote(run_id, safe='')}")

    async def list(self, **query: str | int | None) -> RunList:
        """A page of runs; `query` is `status`, `epic_id`, `agent`, `limit`, `cursor`."""
        params = {name: value for name, value in query.items() if value is not None}
        return await self._call(RunList, "GET", "/api/runs", params=params)

    async def control(self, run_id: str, action: Action, **options: str | None) -> Controlled:
        """Pause, resume or cancel; `options` is `reason` and `mode`."""
        body = {"action": action, **{name: value for name, value in options.items() if value is not None}}
        return await self._call(Controlled, "POST", f"/api/runs/{quote(run_id, safe='')}/control", json=body)

    async def responses(self, run_id: str) -> ResponseList:
        """The run's documents as they are stored, in turn order."""
        return await self._call(ResponseList, "GET", f"/api/runs/{quote(run_id, safe='')}/responses")

    async def _call(self, model: type[ModelT], method: str, path: str, **request: Any) -> ModelT:
        try:
            answer = await self.http.request(method, path, **request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(self.url, str(error) or type(error).__name__) from error
        if answer.is_error:
            raise refusal(answer)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            raise RefusedError(_not_cody(answer, "this is not an answer of Cody's")) from error


def refusal(answer: httpx.Response) -> RefusedError:
    """The exception for an error answer whose body was read."""
    try:
        if answer.status_code in (HTTPStatus.CONFLICT, HTTPStatus.GONE) and b"earliest_cursor" in answer.content:
            return CursorRefusedError(CursorProblem.model_validate_json(answer.content))
        return RefusedError(Problem.model_validate_json(answer.content))
    except ValidationError:
        return RefusedError(_not_cody(answer, answer.text[:200] or answer.reason_phrase))


def _not_cody(answer: httpx.Response, detail: str) -> Problem:
    """A problem for an answer that something between us and the service gave, such as a proxy."""
    title = answer.reason_phrase or "unexpected answer"
    return Problem(title=title, status=answer.status_code, detail=f"{answer.status_code}: {detail}", code="http_error")
