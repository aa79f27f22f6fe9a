"""What Codex is answered when it asks its user something: nobody is there, so it is declined, and the turn goes on."""

import time
from collections.abc import Mapping
from typing import Any, Final

_ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "item/commandExecution/requestApproval": {"decision": "decline"},
    "item/fileChange/requestApproval": {"decision": "decline"},
    "item/permissions/requestApproval": {"permissions": {}},
    "item/tool/requestUserInput": {"answers": {}},
    "item/tool/call": {"contentItems": [], "success": False},
    "mcpServer/elicitation/request": {"action": "decline"},
    "applyPatchApproval": {"decision": "denied"},
    "execCommandApproval": {"decision": "denied"},
}
"""By the request's method, in the form that `codex app-server generate-json-schema` gives for its answer."""

ASKED: Final = frozenset(_ANSWERS)
"""Requests that are declined: a person should know of each."""


def answer(method: str) -> dict[str, Any]:
    """The answer to a request of Codex's; what nobody knows gets an empty one, so that nothing ever hangs."""
    if method == "currentTime/read":
        return {"currentTimeAt": int(time.time())}
    return dict(_ANSWERS.get(method, {}))


def asked(method: str, params: Mapping[str, Any]) -> str:
    """What was asked and declined, for a person."""
    what = params.get("command") or params.get("reason") or params.get("message") or params.get("tool") or ""
    return f"{method} was declined, as nobody is there to ask: {what}".rstrip(": ")
