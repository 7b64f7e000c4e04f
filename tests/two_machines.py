"""Two machines, as far as a network goes: namespaces of this one with an address each, joined by a cable."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
END_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """What runs on a machine. What it says goes into a file: nobody has to read for it to go on."""

    what: str
    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def wait(self, limit_seconds: float, until: str | None = None) -> int | None:
        """Its exit code; None as soon as it said `until`. Neither in time, or its end before that, fails the test."""
        ends = time.monotonic() + limit_seconds
        while time.monotonic() < ends:
            code = self.process.poll()
            if until is not None and until in self.said():
                return None
            if code is not None:
                assert until is None, f"{self.what} ended before it said {until!r}: {self.said()[-3000:]}"
                return code
            time.sleep(0.1)
        waited = "its end" if until is None else repr(until)
        raise AssertionError(f"{self.what}: {waited} did not come in {limit_seconds} s: {self.said()[-3000:]}")


@dataclass(frozen=True)
class Machine:
    name: str
    address: str
    cable: str  # its end of it
    folder: Path
    started: list[Program] = field(default_factory=list)

    def start(self, what: str, *words: object, environment: dict[str, str]) -> Program:
        """Python with `words`, in this namespace."""
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        output = self.folder / f"{self.name}-{len(self.started)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, *map(str, words)],
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "JSD_LANG": "en", **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.started.append(Program(f"{what} on {self.address}", process, output))
        return self.started[-1]

    def end(self) -> None:
        """Everything that runs here, and what it starts meanwhile."""
        for one in self.started:
            one.process.kill()
            one.process.wait(END_SECONDS)
        ends = time.monotonic() + END_SECONDS
        while processes := self._processes():
            assert time.monotonic() < ends, f"processes {processes} of {self.name} do not end"
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        return [int(one) for one in found.stdout.split()]


@contextmanager
def two_machines(folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """Skips the test where no namespaces can be made; what runs in them ends with them. `folder` gets what it says."""
    if shutil.which("ip") is None:
        pytest.skip("two machines: there is no program ip to make network namespaces with")
    number = os.getpid()
    first, second = (Machine(f"jsd-{number}-{one}", f"10.77.0.{one}", f"jsd{number}v{one}", folder) for one in (1, 2))
    try:
        for machine in (first, second):
            _ip("netns", "add", machine.name)
        cable = ("type", "veth", "peer", "name", second.cable, "netns", second.name)
        _ip("link", "add", first.cable, "netns", first.name, *cable)
        # No route but the cable's: with one, each look-up of a name would wait for a name server that nobody reaches.
        for machine in (first, second):
            within = ("-n", machine.name)
            _ip(*within, "addr", "add", f"{machine.address}/24", "dev", machine.cable)
            _ip(*within, "link", "set", "lo", "up")
            _ip(*within, "link", "set", machine.cable, "up")
        yield first, second
    finally:
        for machine in (first, second):
            try:
                machine.end()
            finally:
                subprocess.run(["ip", "netns", "del", machine.name], capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("two machines: this one lets nobody make network namespaces")
