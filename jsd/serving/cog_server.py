"""Cog's own server on `predict.py`, the program that also runs inside every built image, kept running as a child."""

import asyncio
import ctypes
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from jsd.beside import ROOT
from jsd.errors import ServingError
from jsd.i18n import _

PREDICTOR = ROOT / "predict.py"
# What `cog build` would write into the image; `make schema` writes it when predict.py changes.
SCHEMA = Path(__file__).with_name("openapi_schema.json")
# Where Cog's server looks for it, from the folder that it runs in.
SCHEMA_PLACE = Path(".cog") / "openapi_schema.json"
# What Cog logs of a prediction: the predictor's own words, which may quote the prompt.
QUIET_LOG = (
    "coglet=info,coglet::prediction=warn,coglet_worker=info,coglet_worker::schema=off,coglet_worker::protocol=off"
)
POLL_SECONDS, STARTING_SECONDS, HEALTH_SECONDS = 2.0, 0.1, 30.0
# A server that ran for so long is started anew at once; one that did not, after ever longer pauses.
STABLE_SECONDS = 60.0
# The worker ends within a second (jsd.serving.prediction), unless it hangs.
END_SECONDS = 5.0
# Nothing of ours is drawn, and still the slot is taken: after an answer it is free within 20 ms, after a prediction
# that was cut off within a step.
STUCK_SECONDS, STUCK_AFTER_CUT_SECONDS = 5.0, 120.0
BROKEN = ("UNHEALTHY", "DEFUNCT")

logger = logging.getLogger("jsd.serve")


def server_environment(port: int, weights: Path) -> dict[str, str]:
    """What `cog build` sets in an image, and what its absence needs here."""
    root = PREDICTOR.parent
    return {
        "LOG_FORMAT": "console",  # lines to read, not JSON; a value that is set wins
        "OMP_WAIT_POLICY": "passive",
        **os.environ,
        "COG_PREDICT_TYPE_STUB": f"{PREDICTOR}:Predictor",
        "JSD_WEIGHTS": str(weights),
        "PORT": str(port),
        "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
        # The server starts its worker as the first `python` on PATH, which must be this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


class CogServer:
    """One child at a time; another where it ended, its worker died, or its slot is not given back.

    It listens where no page in a browser of this machine can guess: at a random address of the loopback network.
    """

    def __init__(self, weights: Path, *, log_predictions: bool = False) -> None:
        self.weights = weights
        self.log_predictions = log_predictions
        self.host = _random_loopback()
        self.port = _free_port(self.host)
        limits = httpx.Limits(max_connections=None)  # who reads slowly shall keep nobody's from Cog's server
        self.client = httpx.AsyncClient(
            base_url=f"http://{self.host}:{self.port}", trust_env=False, timeout=None, limits=limits
        )
        self.num_restarts = 0
        self._faults: asyncio.Queue[str] = asyncio.Queue()
        self._is_up = asyncio.Event()  # set up, or not able to be
        self._was_up = False

    async def keep_running(self, is_idle: Callable[[], bool]) -> None:
        """Until cancelled. `is_idle`: whether nothing is drawn, so that its health can be asked for."""
        pause = 0.5
        with TemporaryDirectory(prefix="jsd-serve-") as folder:
            place = Path(folder) / SCHEMA_PLACE
            place.parent.mkdir()
            shutil.copyfile(SCHEMA, place)
            while True:
                self._faults, began = asyncio.Queue(), monotonic()
                async with self._process(folder) as process:
                    reason = await self._fault(process, is_idle)
                    self._is_up.clear()
                if not self._was_up:
                    raise ServingError("serve.ended", "Cog's server ended as it was started; its last lines say why")
                self.num_restarts += 1
                logger.warning(_("Cog's server is started anew: {reason}", reason=reason))
                pause = 0.5 if monotonic() - began > STABLE_SECONDS else min(2 * pause, 30.0)
                await asyncio.sleep(pause)

    def restart(self, reason: str) -> None:
        """The child has a fault that only a new one has not."""
        self._is_up.clear()
        self._faults.put_nowait(reason)

    async def health(self) -> str:
        """Cog's word for it; "STARTING" where it cannot be asked yet."""
        try:
            return str((await self.client.get("/health-check", timeout=HEALTH_SECONDS)).json()["status"])
        except httpx.HTTPError:
            return "STARTING"

    async def wait_until_free(self, *, was_cut: bool) -> None:
        """Until Cog takes a prediction, or says why it never will. `was_cut`: the last one may still be in a step."""
        patience, pause = (STUCK_AFTER_CUT_SECONDS if was_cut else STUCK_SECONDS), 0.002
        since = monotonic()
        while True:
            if not self._is_up.is_set():
                await self._is_up.wait()
                since = monotonic()
            status = await self.health()
            if status in ("READY", "SETUP_FAILED"):
                return
            if status in BROKEN:
                self.restart(_("its worker is gone, or its device no longer computes"))
            elif status == "BUSY" and monotonic() - since > patience:
                self.restart(_("its slot is not given back"))
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.25)

    @asynccontextmanager
    async def _process(self, folder: str) -> AsyncIterator[Process]:
        environment = server_environment(self.port, self.weights)
        if not self.log_predictions:
            environment.setdefault("RUST_LOG", QUIET_LOG)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cog.server.http", "--host", self.host),
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its worker too
            await process.wait()

    async def _fault(self, process: Process, is_idle: Callable[[], bool]) -> str:
        """Why another must be started."""
        exit_code, fault = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._faults.get())
        try:
            while True:
                wait_seconds = POLL_SECONDS if self._is_up.is_set() else STARTING_SECONDS
                await asyncio.wait({exit_code, fault}, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED)
                if fault.done():
                    return fault.result()
                if exit_code.done():
                    return _("it ended with code {code}", code=exit_code.result())
                if self._is_up.is_set() and not is_idle():
                    continue
                status = await self.health()
                if status == "SETUP_FAILED":  # and would again
                    raise ServingError("serve.setup", "the model cannot be made ready; the lines above say why")
                if status not in ("STARTING", "UNKNOWN"):
                    self._is_up.set()
                    self._was_up = True
                if status in BROKEN and is_idle():
                    return _("its worker is gone, or its device no longer computes")
        finally:
            exit_code.cancel()
            fault.cancel()


def _random_loopback() -> str:
    if sys.platform != "linux":  # elsewhere only 127.0.0.1 is there
        return "127.0.0.1"
    return f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(254) + 1}.{secrets.randbelow(254) + 1}"


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """In the child: a front that is killed leaves no server behind (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
