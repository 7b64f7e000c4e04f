"""Two machines, as far as a network goes: namespaces of this one with an address each, joined by a cable."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Machine:
    name: str
    address: str
    cable: str  # its end of it
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: object, environment: dict[str, str]) -> subprocess.Popen[str]:
        """Python with `words`, in this namespace."""
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, *map(str, words)],
            env={**os.environ, "PYTHONPATH": path, "JSD_LANG": "en", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Skips the test where no namespaces can be made; what runs in them ends with them."""
    if shutil.which("ip") is None:
        pytest.skip("two machines: there is no program ip to make network namespaces with")
    number = os.getpid()
    first, second = (Machine(f"jsd-{number}-{one}", f"10.77.0.{one}", f"jsd{number}v{one}") for one in (1, 2))
    try:
        for machine in (first, second):
            _ip("netns", "add", machine.name)
        cable = ("type", "veth", "peer", "name", second.cable, "netns", second.name)
        _ip("link", "add", first.cable, "netns", first.name, *cable)
        for machine in (first, second):
            within = ("-n", machine.name)
            _ip(*within, "addr", "add", f"{machine.address}/24", "dev", machine.cable)
            _ip(*within, "link", "set", "lo", "up")
            _ip(*within, "link", "set", machine.cable, "up")
            _ip(*within, "route", "add", "default", "dev", machine.cable)
        yield first, second
    finally:
        for machine in (first, second):
            inside = subprocess.run(["ip", "netns", "pids", machine.name], capture_output=True, text=True)
            for process in map(int, inside.stdout.split()):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for one in machine.started:
                with one:  # waits, and closes its pipe
                    pass
            subprocess.run(["ip", "netns", "del", machine.name], capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("two machines: this one lets nobody make network namespaces")
