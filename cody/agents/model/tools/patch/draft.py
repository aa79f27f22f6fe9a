"""What a patch is about to make of the working directory: worked out in memory, then done as a whole or not at all."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cody.agents.model.tools.folder import Folder, Place, Staged
from cody.agents.model.tools.tool import Refusal

MAX_FILE_BYTES = 64 * 1024 * 1024


@dataclass
class _File:
    """A file before and after; None where there is none. `like` is whose mode a new one gets."""

    place: Place
    before: bytes | None
    after: bytes | None
    like: Place | None = None


@contextmanager
def _named(place: Place) -> Generator[None]:
    """An OSError that comes of this place says so; but that there is nothing stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refusal(f"{place.path}: {error.strerror or error}") from error


class Draft:
    """Files as they will be; later changes of a patch see what earlier ones made of them."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._files: dict[Place, _File] = {}

    def read(self, path: str) -> bytes:
        """A file's content. Raises Refusal if there is none."""
        content = self._file(self._folder.place(path)).after
        if content is None:
            raise Refusal(f"{path} does not exist")
        return content

    def add(self, path: str, content: bytes, like: str | None = None) -> None:
        """A file, in the place of one that is there: so does Codex, whose format this is."""
        place = self._folder.place(path)
        file = self._file(place)
        file.after = content
        file.like = self._folder.place(like) if like is not None and file.before is None else None

    def change(self, path: str, content: bytes) -> None:
        """New content for a file that was `read`."""
        self._file(self._folder.place(path)).after = content

    def delete(self, path: str) -> None:
        """A file that has to exist."""
        self.read(path)
        if self._folder.is_link(path):
            raise Refusal(f"{path} is a symlink; only files can be deleted or moved")
        self._file(self._folder.place(path)).after = None

    def written(self) -> list[tuple[Place, int]]:
        """What is new or changed, with its size in bytes."""
        return [(file.place, len(file.after)) for file in self._changed() if file.after is not None]

    def deleted(self) -> list[Place]:
        """What is gone."""
        return [file.place for file in self._changed() if file.after is None]

    def apply(self) -> None:
        """Do it. If that fails on the way, what was done is undone before the error is raised."""
        staged: list[Staged] = []
        aside: list[Staged] = []
        done: list[Place] = []
        try:
            for file in self._changed():
                if file.after is not None:
                    with _named(file.place):
                        staged.append(self._folder.stage(file.place, file.after, file.like))
            for each in staged:
                with _named(each.place):
                    self._folder.commit(each)
                done.append(each.place)
            for place in self.deleted():
                with _named(place):
                    aside.append(self._folder.set_aside(place))
        except BaseException:
            self._undo(done, aside)
            for each in reversed(staged):
                self._folder.discard(each)
            raise
        for each in aside:
            self._folder.discard(each)

    def _changed(self) -> list[_File]:
        return [file for file in self._files.values() if file.after != file.before]

    def _file(self, place: Place) -> _File:
        if place not in self._files:
            before = self._content(place)
            self._files[place] = _File(place, before, before)
        return self._files[place]

    def _content(self, place: Place) -> bytes | None:
        try:
            with _named(place), self._folder.reading(place) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        if len(content) > MAX_FILE_BYTES:
            raise Refusal(f"{place.path} is larger than {MAX_FILE_BYTES} bytes; change it with shell")
        return content

    def _undo(self, done: Sequence[Place], aside: Sequence[Staged]) -> None:
        for each in aside:
            self._folder.commit(each)
        for place in done:
            before = self._files[place].before
            if before is None:
                self._folder.remove(place)
            else:
                self._folder.write(place, before)
