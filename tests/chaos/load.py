"""What goes on while parts fail: runs of several kinds, people who start and steer more of them."""

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.ground import PATIENCE_SECONDS, Ground
from tests.service import ENDED, Run, Service, eventually

_SAY = """echo "line $n of turn $CODY_TURN"; sleep 0.05"""
_READ = """{"__cody_event__": {"type": "file_read", "path": "a-file"}}"""
_TOKEN = """{"__cody_event__": {"type": "token_usage", "prompt_tokens": 2, "completion_tokens": 1}}"""
TALKER = f"for n in $(seq 40); do {_SAY}; echo '{_READ}'; done"
FLOOD = f"for n in $(seq 300); do echo '{_TOKEN}'; done; for n in $(seq 40); do {_SAY}; done"
STUBBORN = f"(trap '' TERM; exec setsid sleep 600) > /dev/null 2>&1 & for n in $(seq 30); do {_SAY}; done"
FLAKY = f"""
tries=$(cat tries || echo 0); echo $((tries + 1)) > tries
for n in $(seq 20); do {_SAY}; done
[ $((tries % 2)) = 1 ] || exit 7
"""
STEERED = f"for n in $(seq 20); do {_SAY}; done"
_STOP_FILE = ".stop"


def insisted(send: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, over any number of tries while the service, or what it needs, is away."""

    def answered() -> httpx.Response | None:
        try:
            answer = send()
        except httpx.TransportError:
            return None
        return None if answer.status_code == 503 else answer

    return eventually(answered, PATIENCE_SECONDS, "an answer")


def ended(run: Run) -> dict[str, Any]:
    """The snapshot of the run when it has reached its end."""

    def look() -> dict[str, Any] | None:
        snapshot = insisted(lambda: run.service.http.get(run.path)).raise_for_status().json()
        return snapshot if snapshot["status"] in ENDED else None

    return eventually(look, PATIENCE_SECONDS, f"the end of {run.id}")


class Person(threading.Thread, ABC):
    """Somebody who does something now and then; what goes wrong with it is raised by `leave`."""

    def __init__(self, seed: str) -> None:
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        self.leaving = threading.Event()
        self.fault: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.leaving.wait(self.dice.uniform(0.5, 3)):
                self.act()
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            self.fault = error

    @abstractmethod
    def act(self) -> None:
        """Do one thing; an error of it is raised by `leave`."""

    def leave(self) -> None:
        self.leaving.set()
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive()
        if self.fault is not None:
            raise self.fault


class Steersman(Person):
    """Pauses and resumes a run, at any time."""

    def __init__(self, run: Run, seed: str) -> None:
        self._run = run
        super().__init__(seed)

    def act(self) -> None:
        action = self.dice.choice(("pause", "resume"))
        mode = {"mode": self.dice.choice(("now", "after_turn"))} if action == "pause" else {}
        answer = insisted(lambda: self._run.control(action, **mode))
        assert answer.status_code in {202, 409}, answer.text


class Starter(Person):
    """Starts runs of one turn, and asks again with the same key until that is answered."""

    def __init__(self, service: Service, seed: str) -> None:
        self._service = service
        self.runs: list[Run] = []
        super().__init__(seed)

    def act(self) -> None:
        key, body = uuid4().hex, self._service.body("echo at once", prompt="now")
        answer = insisted(lambda: self._service.post(body, single=True, key=key))
        assert answer.status_code == 202, answer.text
        self.runs.append(Run(self._service, answer.json(), self._service.root))


class Load:
    """Runs that go on until they are stopped, and people at work."""

    def __init__(self, ground: Ground, seed: str) -> None:
        service = ground.service
        self.talker = self._start(service, TALKER)
        self.flood = self._start(service, FLOOD)
        self.stubborn = self._start(service, STUBBORN)
        self.flaky = self._start(service, FLAKY, turn_attempts=900)
        self.steered = self._start(service, STEERED, loop_delay_seconds=0.2)
        self.model = self._model(service)
        self._steersman = Steersman(self.steered, f"{seed} steersman")
        self._starter = Starter(service, f"{seed} starter")

    @property
    def watched(self) -> list[Run]:
        """The runs that clients follow."""
        return [self.talker, self.flood, self.stubborn, self.flaky, self.steered, self.model]

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [*self.watched, *self._starter.runs]

    def stop(self) -> None:
        """Have every run end: by its stop file after the turn that it is in, the steered one by a cancel."""
        for run in self.watched:
            (run.dir / _STOP_FILE).touch()
        self._starter.leave()
        self._steersman.leave()
        answer = insisted(lambda: self.steered.control("cancel"))
        assert answer.status_code in {202, 409}, answer.text

    def abandon(self) -> None:
        """Nobody asks for anything any more."""
        for person in (self._starter, self._steersman):
            person.leaving.set()

    def check_ends(self) -> None:
        """Every run reaches the end that it has to reach."""
        for run in self.runs:
            snapshot = ended(run)
            wanted = {"completed", "cancelled"} if run is self.steered else {"completed"}
            assert snapshot["status"] in wanted, snapshot
            assert snapshot["stats"]["turns"] or run is self.steered, snapshot

    @staticmethod
    def _start(service: Service, script: str, **options: Any) -> Run:
        return service.start(script, max_turns=None, completion={"stop_file": _STOP_FILE}, **options)

    @staticmethod
    def _model(service: Service) -> Run:
        place = service.workspace()
        agent = {"kind": "openai", "model": "any"}
        body = {"agent": agent, "working_dir": str(place), "prompt": "Go on.", "loop_delay_seconds": 0.5}
        answer = service.post({**body, "completion": {"stop_file": _STOP_FILE}, "turn_attempts": 900})
        assert answer.status_code == 202, answer.text
        return Run(service, answer.json(), place)
