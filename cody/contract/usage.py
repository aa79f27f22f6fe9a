"""Token counts."""

from pydantic import NonNegativeInt

from cody.contract.base import Maybe, Model


class Usage(Model):
    """Tokens that one turn, or one attempt so far, has used."""

    prompt_tokens: NonNegativeInt = 0
    completion_tokens: NonNegativeInt = 0
    total_tokens: NonNegativeInt = 0
    cached_tokens: Maybe[NonNegativeInt] = None
    reasoning_tokens: Maybe[NonNegativeInt] = None
