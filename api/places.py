"""Where a working directory may lie."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from api.problems import ProblemError, invalid, problem
from cody.contract import errors as e


def check_place(working_dir: str, roots: Sequence[Path]) -> None:
    """Raise a 400 unless the directory exists, really lies inside a root, and is a directory. Blocking."""
    path = Path(working_dir)
    if not path.is_absolute():
        raise invalid("working_dir", "must be an absolute path")
    try:
        real = path.resolve()
        if not any(real.is_relative_to(root.resolve()) for root in roots):
            raise _outside(working_dir)
        if not real.is_dir():
            raise invalid("working_dir", f"{working_dir} is not a directory" if real.exists() else "does not exist")
    except (OSError, RuntimeError) as error:  # a name too long, a loop of links, a part that may not be entered
        raise invalid("working_dir", f"cannot be used: {error}") from error


def check_inside(working_dir: str, paths: Iterable[tuple[str, str]]) -> None:
    """Raise a 400 if a (field, relative path) leads out of the directory by a symbolic link. Blocking."""
    real = Path(working_dir).resolve()
    for field, path in paths:
        try:
            inside = (real / path).resolve().is_relative_to(real)
        except (OSError, RuntimeError) as error:
            raise invalid(field, f"cannot be used: {error}") from error
        if not inside:
            raise invalid(field, "leads out of the working directory")


def _outside(working_dir: str) -> ProblemError:
    detail = f"working_dir: {working_dir} does not lie inside an allowed root (CODY_WORKSPACE_ROOTS)"
    fault = e.FieldError(field="working_dir", message="does not lie inside an allowed root")
    return problem(400, e.WORKING_DIR_NOT_ALLOWED, detail, (fault,))
