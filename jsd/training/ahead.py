"""Batches made before they are asked for, in worker processes: a GPU takes a step in less time than its texts take."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
PREFETCHED = 4  # of each worker
FAR = 1 << 40  # no run gets there


class _Made(Dataset[T]):
    def __init__(self, make: Callable[[int], T]) -> None:
        self.make = make

    def __getitem__(self, number: int) -> T:
        return self.make(number)


def _as_it_is(item: T) -> T:
    return item


class Ahead(Generic[T]):
    """`make(number)` for numbers that are asked for in order, each `stride` after the last; without workers, at once.

    Workers are forked: `make` must be a function of the number alone, and touch no GPU.
    """

    def __init__(self, make: Callable[[int], T], workers: int, stride: int = 1) -> None:
        self.make, self.workers, self.stride = make, workers, stride
        self._next: int | None = None
        self._items: Iterator[Any] = iter(())

    def __call__(self, number: int) -> T:
        if self.workers == 0:
            return self.make(number)
        if number != self._next:
            self.close()
            self._items = iter(
                DataLoader(
                    _Made(self.make),
                    batch_size=None,
                    collate_fn=_as_it_is,
                    sampler=range(number, FAR, self.stride),
                    num_workers=self.workers,
                    prefetch_factor=PREFETCHED,
                    multiprocessing_context="fork",
                )
            )
        self._next = number + self.stride
        item: T = next(self._items)
        return item

    def close(self) -> None:
        """End the workers. Those of an object that is merely forgotten wait, and later workers inherit it."""
        self._next, self._items = None, iter(())
