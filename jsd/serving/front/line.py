"""Who is drawn next: requests wait for Cog's one slot, first come, first served."""

import asyncio
from math import ceil
from time import monotonic

# How much the last turn counts in the guess at how long one takes.
WEIGHT = 0.3


class Refused(Exception):
    """No place in the line ("full"), or no turn in time ("late"); when to come again."""

    def __init__(self, reason: str, retry_seconds: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_seconds = retry_seconds


class Line:
    def __init__(self, *, length: int, wait_seconds: float) -> None:
        self.length = length
        self.wait_seconds = wait_seconds
        self.num_waiting = 0
        self._turn_seconds = 1.0
        self._began = 0.0
        self._slot = asyncio.Lock()  # fair: who waits longest gets it

    @property
    def is_idle(self) -> bool:
        return not self._slot.locked()

    async def enter(self) -> None:
        """Wait for the turn; `leave` ends it."""
        if not self.is_idle and self.num_waiting >= self.length:
            raise self.refusal("full")
        self.num_waiting += 1
        try:
            async with asyncio.timeout(self.wait_seconds):
                await self._slot.acquire()
        except TimeoutError as error:
            raise self.refusal("late") from error
        finally:
            self.num_waiting -= 1
        self._began = monotonic()

    def leave(self) -> None:
        self._turn_seconds += WEIGHT * (monotonic() - self._began - self._turn_seconds)
        self._slot.release()

    def refusal(self, reason: str) -> Refused:
        return Refused(reason, max(1, ceil(self._turn_seconds)))
