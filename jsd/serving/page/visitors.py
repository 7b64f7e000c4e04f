"""Whom the page knows: the language, the pictures and the last word to each visitor, within bounds."""

import secrets
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from time import monotonic

from jsd.atomic import replacing_file
from jsd.serving.pictures import writable, write_picture

MAX_VISITORS = 100
MAX_PICTURES = 40  # of one visitor
MAX_BYTES = 2 * 2**30  # of all
IDLE_SECONDS = 86_400


@dataclass(frozen=True)
class Picture:
    path: Path
    caption: str
    size_bytes: int


@dataclass(eq=False)
class Visitor:
    """`token` is known to the visitor's browser tab alone; `pictures` are newest first."""

    token: str
    folder: Path
    language: str = "en"
    status: Callable[[], str] = field(default=lambda: "")  # in the language of the moment
    pictures: list[Picture] = field(default_factory=list)
    num_kept: int = 0
    seen: float = 0.0

    def picture(self, name: object) -> Picture | None:
        """The visitor's own of that path, if it is still kept."""
        return next((one for one in self.pictures if str(one.path) == name), None)

    @property
    def archive(self) -> Path:
        return self.folder / "jsd-pictures.zip"

    @property
    def size_bytes(self) -> int:
        archived = self.archive.stat().st_size if self.archive.is_file() else 0
        return archived + sum(one.size_bytes for one in self.pictures)

    def gallery(self) -> list[tuple[str, str]]:
        return [(str(one.path), one.caption) for one in self.pictures]

    def file(self, name: str) -> Path:
        """Where the next file of that name goes: each in a folder of its own, so that names may be equal."""
        self.num_kept += 1
        return self.folder / str(self.num_kept) / name


class Visitors:
    """Those who came last, who drew before who did not. Whoever is forgotten loses their pictures; of one visitor's the
    oldest leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)  # here alone: see `keep`
        self._known: OrderedDict[str, Visitor] = OrderedDict()  # the last one to come is last
        self._lock = RLock()

    def of(self, token: object) -> Visitor:
        """The visitor with that token; a new one where nobody has it."""
        with self._lock:
            visitor = self._known.get(token) if isinstance(token, str) else None
            if visitor is None:
                new = secrets.token_urlsafe(16)
                visitor = self._known[new] = Visitor(new, self.folder / secrets.token_hex(16))
            visitor.seen = monotonic()
            # Gradio deletes what is older than a day.
            visitor.pictures = [one for one in visitor.pictures if one.path.is_file()]
            self._known.move_to_end(visitor.token)
            self._forget()
            return visitor

    def keep(self, visitor: Visitor, name: str, data: bytes, caption: str, place: int = 0) -> Picture:
        """`data` as a file that the page may show, at `place` among the visitor's pictures. ServingError where
        none can be written, as when the server has ended and its folder is gone."""
        path = visitor.file(name)
        with writable():
            visitor.folder.mkdir(exist_ok=True)
        write_picture(path, data)
        picture = Picture(path, caption, len(data))
        with self._lock:
            self._known[visitor.token] = visitor  # who was forgotten while it was drawn is known again
            self._known.move_to_end(visitor.token)
            visitor.pictures.insert(place, picture)
            for old in visitor.pictures[MAX_PICTURES:]:
                self.delete(visitor, old)
            self._forget()
        return picture

    def archive(self, visitor: Visitor) -> Path:
        """All pictures of the visitor in one file, each under a name of its own, in the place of the one before."""
        with self._lock:
            with writable():
                visitor.folder.mkdir(exist_ok=True)
                with replacing_file(visitor.archive) as file, zipfile.ZipFile(file, "w") as archive:
                    for number, one in enumerate(visitor.pictures, 1):
                        name, is_taken = one.path.name, one.path.name in archive.namelist()
                        archive.write(one.path, f"{one.path.stem}-{number}{one.path.suffix}" if is_taken else name)
            self._forget()
        return visitor.archive

    def delete(self, visitor: Visitor, picture: Picture) -> None:
        """The archive goes too: the picture may be in it."""
        with self._lock:
            visitor.pictures.remove(picture)
            shutil.rmtree(picture.path.parent, ignore_errors=True)
            visitor.archive.unlink(missing_ok=True)

    def _forget(self) -> None:
        kept = sum(visitor.size_bytes for visitor in self._known.values())
        *others, _latest = self._known.values()
        for one in sorted(others, key=lambda one: len(one.pictures) > 0):  # of each kind the longest away first
            is_idle, is_too_much = monotonic() - one.seen > IDLE_SECONDS, kept > MAX_BYTES and one.size_bytes > 0
            if is_idle or is_too_much or len(self._known) > MAX_VISITORS:
                del self._known[one.token]
                kept -= one.size_bytes
                one.pictures = []  # it may be drawing, and come back
                shutil.rmtree(one.folder, ignore_errors=True)
