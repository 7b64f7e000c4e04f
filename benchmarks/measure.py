"""One variant, measured in a process of its own: `python -m benchmarks.measure JSON`; benchmarks.run calls it."""

import json
import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

PROMPT = "サラリーマン 油絵"
SEED = 0
SCHEDULER = "DPMSolverMultistep"
GUIDANCE_SCALE = 7.5


@dataclass(frozen=True)
class Task:
    implementation: str  # "diffusers", "jsd" or "openvino": ours by that engine
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


# Draws the prompt once: (the picture, seconds by phase).
Draw = Callable[[], tuple[Any, dict[str, float]]]


def measure(task: Task) -> Measured:
    began = perf_counter()
    load = (_import_diffusers if task.implementation == "diffusers" else _import_jsd)()
    import_seconds = perf_counter() - began
    began = perf_counter()
    draw = load(task)
    load_seconds = perf_counter() - began
    draw()
    drawn = [draw() for _ in range(task.images)]
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

        def draw() -> tuple[Any, dict[str, float]]:
            (picture,) = pipeline.generate(options)
            return picture.image, picture.seconds

        return draw

    return load


def _import_diffusers() -> Callable[[Task], Draw]:
    """As a user of diffusers has it: its classes, its defaults. Token ids are ours: it has no tokenizer for them."""
    import torch
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    from jsd.devices import synchronize
    from jsd.models.configs import read_json
    from jsd.prompting.tokenizer import JapaneseTokenizer
    from jsd.sampling import initial_noise, noise_generators
    from jsd.schedulers import make_scheduler

    def load(task: Task) -> Draw:
        folder, dtype, device = Path(task.folder), getattr(torch, task.dtype), torch.device(task.device)
        tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=dtype),
            text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=dtype),
            tokenizer=None,
            unet=UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=dtype),
            scheduler=make_scheduler(SCHEDULER, read_json(folder / "scheduler" / "scheduler_config.json"), task.steps),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).to(device)
        pipeline.set_progress_bar_config(disable=True)
        vae, side = pipeline.vae, pipeline.unet.config.sample_size
        noise = initial_noise(noise_generators([SEED]), (vae.config.latent_channels, side, side))

        @torch.inference_mode()
        def draw() -> tuple[Any, dict[str, float]]:
            times = [perf_counter()]
            input_ids = torch.tensor([tokenizer.encode(PROMPT), tokenizer.encode("")], device=device)  # (2, L)
            prompt_embeds, negative_prompt_embeds = pipeline.text_encoder(input_ids).last_hidden_state[:, None]
            synchronize(device)
            times.append(perf_counter())
            latents = pipeline(
                prompt_embeds=prompt_embeds,
                negative_prompt_embeds=negative_prompt_embeds,
                latents=noise.to(device, dtype),
                num_inference_steps=task.steps,
                guidance_scale=GUIDANCE_SCALE,
                output_type="latent",
            ).images
            synchronize(device)
            times.append(perf_counter())
            decoded = vae.decode(latents / vae.config.scaling_factor).sample
            picture = pipeline.image_processor.postprocess(decoded)[0]
            times.append(perf_counter())
            return picture, {
                phase: end - start
                for phase, start, end in zip(("encode", "denoise", "decode"), times, times[1:], strict=False)
            }

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
