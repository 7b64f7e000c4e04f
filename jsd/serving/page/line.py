"""Whose turn it is: visitors draw one after the other, each told how many are before them and how long it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic

from jsd.errors import ServingError

MAX_WAITING = 16
CHECK_SECONDS = 1.0


@dataclass(eq=False)
class Place:
    """`work` is in any unit, the same for all; `done` of it, from 0 to 1."""

    work: float
    done: float = 0.0
    began: float | None = None


class Line:
    def __init__(self) -> None:
        self._places: list[Place] = []
        self._changed = Condition()
        self._seconds_of_work: float | None = None  # as the last drawing went
        self._closed = False

    @contextmanager
    def join(self, work: float) -> Iterator[Place]:
        """A place at the end, given up when the block ends; ServingError where too many wait."""
        place = Place(work)
        with self._changed:
            if self._closed or len(self._places) > MAX_WAITING:
                raise ServingError(
                    "page.full",
                    "at most {limit} may wait for their pictures, and {limit} do; try again in a few minutes",
                    limit=MAX_WAITING,
                )
            self._places.append(place)
        try:
            yield place
        finally:
            with self._changed:
                if place.began is not None and place.done > 0:
                    self._seconds_of_work = (monotonic() - place.began) / (place.done * place.work)
                self._places.remove(place)
                self._changed.notify_all()

    def ahead(self, place: Place) -> int:
        """How many are drawn before; 0 is the turn."""
        with self._changed:
            return self._places.index(place)

    def wait(self, place: Place) -> None:
        """Until somebody leaves, or for a moment: whoever waits must be able to say so, and to leave."""
        with self._changed:
            if self._places[0] is not place:
                self._changed.wait(CHECK_SECONDS)

    def begin(self, place: Place) -> None:
        place.began = monotonic()

    def seconds(self, place: Place) -> float | None:
        """Until the turn of `place`, as the work went so far; None before anything was drawn."""
        with self._changed:
            before = self._places[: self._places.index(place)]
            first = before[0] if before else place
            rate = self._seconds_of_work
            if first.began is not None and first.done > 0:
                rate = (monotonic() - first.began) / (first.done * first.work)
            return None if rate is None else rate * sum(one.work * (1 - one.done) for one in before)

    def close(self, seconds: float) -> None:
        """Let nobody in any more, and wait for those inside to leave."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._places, seconds)
