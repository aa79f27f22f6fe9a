"""How a worker that shuts down gives its work back."""

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from cody.contract.tasks import HANDED_OVER

_SOON = timedelta(milliseconds=100)


def handed_over(what: str) -> ApplicationError:
    """To raise: Temporal repeats the activity on another worker, soon, and nobody logs a fault."""
    return ApplicationError(
        f"{what} is handed over, as this worker shuts down",
        type=HANDED_OVER,
        next_retry_delay=_SOON,
        category=ApplicationErrorCategory.BENIGN,
    )
