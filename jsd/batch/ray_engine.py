"""The rows of a batch over a Ray cluster: Ray Data, one actor a device.

An actor draws a row and hands the bytes of its files to the driver, which alone writes them and the results file:
the machines need no disk in common. A row is a block of its own, so a worker that is killed costs the rows it had
begun and no others; its restarted actor draws them again, and the driver sees each once.
"""

import logging
import os
import pickle
import secrets
import socket
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from jsd.batch.drawing import Drawn, FileChoice, ModelChoice, draw_row
from jsd.batch.rows import Row
from jsd.devices import device_of_environment, named_dtype, unknown_device
from jsd.engines import VARIABLE as ENGINE
from jsd.errors import InvalidInputError, JsdError, MissingExtraError, first_line
from jsd.i18n import language
from jsd.pipeline import Pipeline
from jsd.rules import not_one_of
from jsd.strictness import REQUIRED

if TYPE_CHECKING:
    import pyarrow

DEVICES = ("cuda", "mps", "cpu")
# One row that is drawn, one that waits beside it.
TASKS_IN_FLIGHT = 2
# Of one row, or of a worker's start: what kills a worker this often will kill the next one too.
MAX_DEATHS = 3
CONNECT_SECONDS = 10
QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}


class Worker:
    """An actor: one device, the model loaded once."""

    def __init__(
        self, model: ModelChoice, files: FileChoice, digest: object, num_threads: int, settings: dict[str, str]
    ) -> None:
        os.environ.update(settings)
        torch.set_num_threads(num_threads)
        self.files = files
        self.pipeline: Pipeline | None = None
        self.refusal: dict[str, str] = {}
        try:
            pipeline = model.load()
            if pipeline.provenance["model_sha256"] != digest:
                raise JsdError(
                    "batch.worker_model",
                    "the model folder must be the same on every machine, and {folder} there holds other "
                    "files; copy it again",
                    folder=model.folder,
                )
            self.pipeline = pipeline
        except JsdError as error:  # raised here, it would reach the driver in a traceback
            self.refusal = {"host": socket.gethostname(), "reason": str(error)}

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        """Pickled rows -> each pickled `Drawn`, or why this worker draws none."""
        import pyarrow

        answers = [pickle.dumps(self._answer(pickle.loads(row))) for row in table["row"].to_pylist()]
        return pyarrow.table({"answer": pyarrow.array(answers, pyarrow.large_binary())})

    def _answer(self, row: Row) -> "Drawn | dict[str, str]":
        return self.refusal if self.pipeline is None else draw_row(self.pipeline, row, self.files)


def draw_on_cluster(
    rows: Sequence[Row],
    model: ModelChoice,
    files: FileChoice,
    *,
    digest: object,
    num_workers: int | None,
    address: str | None,
) -> Generator[Drawn, None, None]:
    """Each row as it is drawn, whichever is first; `digest` is the model's.

    `address` None: RAY_ADDRESS, else a cluster of this machine alone, for this call. `num_workers` None: as
    `plan_actors` finds.
    """
    if model.dtype is not None:
        named_dtype(model.dtype)
    model = replace(model, device=model.device or device_of_environment())
    # Rounding differs between numbers of threads: as many as the local engine would have here.
    # What is set here would not be there: a cluster that runs already has an environment of its own.
    settings = {name: os.environ[name] for name in (ENGINE, REQUIRED) if name in os.environ} | {"JSD_LANG": language()}
    arguments = (model, files, digest, torch.get_num_threads(), settings)
    items = [pickle.dumps(_with_absolute_paths(row)) for row in rows]
    with closing(map_on_cluster(items, Worker, arguments, model.device, num_workers, address)) as answers:
        for answer in answers:
            if not isinstance(answer, Drawn):
                raise JsdError("batch.worker", "a worker on {host} cannot draw: {reason}", **answer)
            yield answer


def map_on_cluster(
    items: Sequence[bytes],
    worker: type,
    arguments: tuple[object, ...],
    device: str | None,
    num_workers: int | None,
    address: str | None,
) -> Generator[Any, None, None]:
    """What actors of the class `worker`, made of `arguments`, answer to each item, whichever is first.

    An actor takes a table with the column `row`, one item, and gives one with the column `answer`, pickled.
    """
    # Before a cluster is started, which takes a while. Which GPU a worker has is Ray's choice.
    if device not in (None, *DEVICES):
        raise not_one_of("device", device, DEVICES)
    address = os.environ.get("RAY_ADDRESS") if address is None else address
    ray = _import_ray(is_alone=address is None)
    with _cluster(ray, address, num_workers, device):
        num_actors, num_gpus = plan_actors(ray.nodes(), device, num_workers)
        answers = _map_items(ray, items, worker, arguments, min(num_actors, len(items)), num_gpus)
        try:
            # Without prefetching: it would hold a finished row back until the next one is finished.
            for table in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from map(pickle.loads, table["answer"].to_pylist())
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):  # an error of ours: with its traceback
                raise
            raise JsdError(
                "batch.workers",
                "the workers must stay alive, and Ray gave up: {reason}; finished rows are kept, run "
                "the same command again",
                reason=first_line(error),
            ) from error


def plan_actors(nodes: Iterable[Mapping[str, Any]], device: str | None, num_workers: int | None) -> tuple[int, int]:
    """Of the machines that `ray.nodes` lists -> how many actors, and how many GPUs each takes.

    An actor a GPU where the cluster has any and `device` lets it, else an actor a machine; `num_workers` overrides.
    """
    machines = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    num_gpus = sum(int(resources.get("GPU", 0)) for resources in machines)
    if device == "cuda" and num_gpus == 0:
        raise unknown_device(device, "cpu")
    on_gpu = num_gpus > 0 and device in (None, "cuda")
    num_devices = num_gpus if on_gpu else max(1, len(machines))
    return num_devices if num_workers is None else num_workers, int(on_gpu)


def _map_items(
    ray: Any, items: Sequence[bytes], worker: type, arguments: tuple[object, ...], num_actors: int, num_gpus: int
) -> Any:
    """A lazy dataset: each item a block."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a row may take as long as it takes
    context.max_consecutive_actor_init_deaths = MAX_DEATHS
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"row": item} for item in items]
    with warnings.catch_warnings():
        # Ray 2.64 will have another place for max_task_retries; without it, a row that kills its worker is tried
        # for ever.
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=1,  # what a block holds; on GPUs Ray Data insists on a number
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=num_actors, max_tasks_in_flight_per_actor=TASKS_IN_FLIGHT),
            num_cpus=1,
            num_gpus=num_gpus,
            max_task_retries=MAX_DEATHS,
        )


def _with_absolute_paths(row: Row) -> Row:
    """A worker's working folder is another."""
    paths = {name: getattr(row.options, name) for name in ("image", "mask")}
    absolute = {name: path.absolute() for name, path in paths.items() if path is not None}
    loras = tuple(str(Path(one).absolute()) for one in row.options.loras)
    return replace(row, options=replace(row.options, **absolute, loras=loras))


def _import_ray(*, is_alone: bool) -> Any:
    # Read when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if is_alone:
        # Off Linux by default: then all of its processes listen on 127.0.0.1, else on every network.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # of its workers, as in jsd.cli
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None, num_workers: int | None, device: str | None) -> Iterator[None]:
    """Connected to a cluster; one that was started here ends here."""
    # A socket's path has at most 107 bytes, and Ray's names take most of them: not below TMPDIR.
    with TemporaryDirectory(prefix="jsd-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            if address is None:
                # Ray opens its own folder to all users; the one around it stays ours.
                _start(ray, f"{folder}/r", num_workers, has_gpus=device in (None, "cuda"))
            else:
                _connect(ray, address)
            yield
        finally:
            ray.shutdown()


def _start(ray: Any, folder: str, num_workers: int | None, *, has_gpus: bool) -> None:
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        # Ray would put a token into the home folder. The same for all clusters of a process: Ray keeps it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    resources = {"num_cpus": num_workers, "num_gpus": None if has_gpus else 0}
    try:
        ray.init("local", include_dashboard=False, _temp_dir=folder, **resources, **QUIET)
    except Exception as error:  # Ray's own choice where a process of its does not come up in time
        raise JsdError(
            "batch.ray_start",
            "Ray must be able to start on this machine, and did not: {reason}; run the command "
            "again, or with --engine local",
            reason=first_line(error),
        ) from error


def _connect(ray: Any, address: str) -> None:
    host, _colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdecimal():
            # Ray itself tries for minutes to reach a HOST:PORT where nobody listens.
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        # The cluster has an environment of its own, and this is read when torch is loaded.
        waiting = {"OMP_WAIT_POLICY": os.environ["OMP_WAIT_POLICY"]}
        ray.init(address, runtime_env={"env_vars": waiting}, **QUIET)
    except Exception as error:  # of many kinds, for what an address may be
        raise InvalidInputError(
            "batch.ray_address",
            "{field} must be HOST:PORT of a running Ray cluster that this machine belongs to, "
            "and {value} is not: {reason}; start one with ray start, or leave {field} out",
            field="ray_address",
            value=address,
            reason=first_line(error),
        ) from error
