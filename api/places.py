"""Where a working directory may lie."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from api.problems import ProblemError, invalid, problem
from cody.contract import errors as e


def check_place(working_dir: str, roots: Sequence[Path], paths: Iterable[tuple[str, str]] = ()) -> None:
    """Raise a 400 unless the directory exists, really lies inside a root, and is a directory. Blocking.

    `paths` are (field, relative path) of what a request names in it: none may lead out, by a symbolic link either.
    """
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
    for field, name in paths:
        _check_inside(real, field, name)


def _check_inside(working_dir: Path, field: str, name: str) -> None:
    try:
        inside = (working_dir / name).resolve().is_relative_to(working_dir)
    except (OSError, RuntimeError) as error:
        raise invalid(field, f"cannot be used: {error}") from error
    if not inside:
        raise invalid(field, "leads out of the working directory")


def _outside(working_dir: str) -> ProblemError:
    detail = f"working_dir: {working_dir} does not lie inside an allowed root (CODY_WORKSPACE_ROOTS)"
    fault = e.FieldError(field="working_dir", message="does not lie inside an allowed root")
    return problem(400, e.WORKING_DIR_NOT_ALLOWED, detail, (fault,))
