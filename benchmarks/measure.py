"""One variant, measured in a process of its own: `python -m benchmarks.measure JSON`; benchmarks.run calls it."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "サラリーマン 油絵"
SEED = 0
SCHEDULER = "DPMSolverMultistep"
GUIDANCE_SCALE = 7.5
PHASES = ("encode", "denoise", "decode")


@dataclass(frozen=True)
class Task:
    implementation: str  # "diffusers", "diffusers compiled", "jsd" or "openvino": ours by that engine
    dtype: str
    device: str
    folder: str
    steps: int
    images: int  # measured, after one that warms up
    picture: str  # where the last picture is written, as PNG


@dataclass(frozen=True)
class Measured:
    import_seconds: float
    load_seconds: float
    phases: list[dict[str, float]]  # of each measured image: encode, denoise, decode
    peak_bytes: int
    hardware: str
    versions: dict[str, str]


# Draws a batch of the prompt: (the first picture, seconds by phase, of all of them).
Draw = Callable[[int], tuple[Any, dict[str, float]]]


def measure_apart(task: dict[str, Any], **environment: str) -> dict[str, Any]:
    """What a process of its own says of a `Task`."""
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(task)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{task} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def difference(picture: Any, other: Any) -> tuple[float, int]:
    """How two pictures differ, of 255: on average, and at most. Faster is worth nothing if it draws something else."""
    import numpy as np

    first, second = (np.asarray(one.convert("RGB"), dtype=np.float64) for one in (picture, other))
    differences = np.abs(first - second)
    return float(differences.mean()), int(differences.max())


def measure(task: Task) -> Measured:
    began = perf_counter()
    load = importer(task.implementation)()
    import_seconds = perf_counter() - began
    began = perf_counter()
    draw = load(task)
    load_seconds = perf_counter() - began
    draw(1)
    drawn = [draw(1) for _ in range(task.images)]
    drawn[-1][0].save(task.picture)
    return Measured(
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        phases=[phases for _, phases in drawn],
        peak_bytes=_peak_bytes(task.device),
        hardware=hardware(task.device),
        versions={name: version(name) for name in ("torch", "diffusers", "transformers", "jsd")}
        | {"python": platform.python_version()},
    )


def importer(implementation: str) -> Callable[[], Callable[[Task], Draw]]:
    return _import_peer if implementation.startswith("diffusers") else _import_jsd


def _import_peer() -> Callable[[Task], Draw]:
    from benchmarks.peer import load_peer

    return load_peer


def _import_jsd() -> Callable[[Task], Draw]:
    from jsd import Pipeline, SamplingOptions

    def load(task: Task) -> Draw:
        engine = "openvino" if task.implementation == "openvino" else "torch"
        pipeline = Pipeline.load(task.folder, device=task.device, dtype=task.dtype, engine=engine)
        options = SamplingOptions(
            prompt=PROMPT,
            upscale=1,  # nor has it an upscaler
            seed=SEED,
            num_inference_steps=task.steps,
            guidance_scale=GUIDANCE_SCALE,
            scheduler=SCHEDULER,
            disable_safety_checker=True,  # diffusers' pipeline is loaded without one
        )

        def draw(batch: int) -> tuple[Any, dict[str, float]]:
            pictures = pipeline.generate(replace(options, num_outputs=batch))
            return pictures[0].image, {phase: sum(one.seconds[phase] for one in pictures) for phase in PHASES}

        return draw

    return load


def _peak_bytes(device: str) -> int:
    """Of the GPU's memory what tensors held at most; on a CPU the process with all its libraries."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    # ru_maxrss counts KiB, on macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hardware(device: str) -> str:
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text("utf-8").splitlines() if cpu.is_file() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Task(**json.loads(sys.argv[1]))))))
