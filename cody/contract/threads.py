"""A thread: the conversation that the turns of one or more runs belong to, in order."""

from cody.contract.base import Model
from cody.contract.responses import Response


class Exchange(Model):
    """A turn of a thread: what was asked, and what was answered."""

    prompt: str
    response: Response
