"""Everything there is to say of a GPU in one run: ours beside diffusers and diffusers compiled, without a network.

    python -m benchmarks.gpu [--models full sdxl] [--steps N] [--budget-seconds N] [--output FILE]
    python -m benchmarks.gpu --device cpu --size toy   # tries the way, in a minute

Random weights of the real shapes. Of each row: the seconds of a batch of one and of four, after one that warms up, and
compiles; the most memory that tensors held; the share that the UNet's arithmetic has of what a large matrix product
reaches here; how the first picture differs from ours in float32. Then the guard against numbers that are not finite.
The report is written after each row, and what fails or finds no time left is named. What a T4 would take is a
projection, and called so.
"""

import argparse
import gc
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

from benchmarks.measure import PROMPT, ROOT, Task, difference, hardware, importer
from jsd.atomic import write_json
from jsd.models.configs import read_json

MODELS = ("full", "sdxl")
BATCHES = (1, 4)
Row = dict[str, Any]
# What a T4 makes of float16: what its matrix products are known to sustain within its 70 W; and what 6.9 guided steps a
# second of Stable Diffusion v1, the best that was published of it with SDPA, come to.
T4_TFLOPS = {"at the rate of its matrix products, 24 TFLOP/s": 24.0, "at the published 6.9 steps a second": 11.1}
T4_BYTES_A_SECOND = 320e9  # it has 16 GB of memory
GUIDED = 2  # rows of the UNet a picture


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="real", choices=("real", "toy"))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--images", type=int, default=3, help="batches measured of each row, after one that warms up")
    parser.add_argument("--budget-seconds", type=float, default=780, help="no row is begun after them")
    parser.add_argument("--folder", type=Path, help="where the random weights are kept, or are; default: nowhere")
    parser.add_argument("--output", type=Path, default=Path("outputs") / "gpu.json")
    return parser


def model_folder(name: str, size: str, dtype: str, parent: Path) -> Path:
    """Written where it is not there yet."""
    folder = parent / f"{name}-{size}"
    if folder.is_dir():
        return folder
    print(f"random weights: {folder}", file=sys.stderr)
    if size == "real":
        from jsd.models.random import write_random_folder

        write_random_folder(folder, name, dtype)
        return folder
    sys.path.insert(0, str(ROOT / "tests"))
    writer = {"full": ("toy_folder", "write_toy_folder"), "sdxl": ("toy_sdxl", "write_toy_sdxl_folder")}[name]
    getattr(import_module(writer[0]), writer[1])(folder)
    return folder


def variants(device: str) -> list[tuple[str, str]]:
    """(implementation, dtype): first ours in float32, which the others are compared with."""
    import torch

    from jsd.devices import dtype_name, fast_dtype

    # On a CPU, where the way is tried, half precision is to be tried too.
    fast = "bfloat16" if device == "cpu" else dtype_name(fast_dtype(torch.device(device)))
    dtypes = [fast, *(["float16"] if device == "cuda" and fast != "float16" else [])]
    found = [("jsd", "float32")]
    found += [(implementation, dtype) for dtype in dtypes for implementation in ("diffusers", "jsd")]
    # Compiling takes minutes: in one format.
    return list(dict.fromkeys([*found, ("diffusers compiled", fast)]))


def count_flops(configs: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Of one picture's guided step, and of its decoding; from shapes alone."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from jsd.models.components import build

    unet, vae = build("unet", configs["unet"]), build("vae", configs["vae"])
    meta: dict[str, Any] = {"device": "meta"}
    side, length = unet.config.sample_size, configs["text_encoder"]["max_position_embeddings"]
    latents = torch.empty(GUIDED, unet.config.in_channels, side, side, **meta)
    text = torch.empty(GUIDED, length, unet.config.cross_attention_dim, **meta)
    told: dict[str, Any] = {}
    if unet.config.addition_embed_type == "text_time":
        pooled = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        told["added_cond_kwargs"] = {
            "text_embeds": torch.empty(GUIDED, pooled, **meta),
            "time_ids": torch.empty(GUIDED, 6, **meta),
        }
    counts = {}
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            unet(latents, torch.empty((), **meta), text, **told)
        counts["step"] = float(counter.get_total_flops())
        with FlopCounterMode(display=False) as counter:
            vae.decode(latents[:1])
        counts["decode"] = float(counter.get_total_flops())
    weights = sum(one.numel() for one in unet.parameters())
    return {**counts, "unet_parameters": float(weights)}


def peak_flops(device: str, dtype: str, size: str) -> float:
    """FLOP a second of the best of ten large matrix products."""
    import torch

    from jsd.devices import synchronize

    side = 8192 if device == "cuda" else 1024 if size == "real" else 256
    a = torch.randn(side, side, device=device, dtype=getattr(torch, dtype))
    seconds = []
    for _ in range(10):
        synchronize(a.device)
        began = perf_counter()
        for _ in range(4):
            a @ a
        synchronize(a.device)
        seconds.append((perf_counter() - began) / 4)
    return 2.0 * side**3 / min(seconds)


def measure_rows(args: argparse.Namespace, folder: Path, variant: tuple[str, str]) -> Iterator[tuple[Row, Any]]:
    """(a row for each batch, its first picture)."""
    import torch

    implementation, dtype = variant
    values = {"implementation": implementation, "dtype": dtype, "device": args.device, "folder": str(folder)}
    task = Task(**values, steps=args.steps, images=args.images, picture="")
    draw = importer(implementation)()(task)
    for batch in BATCHES:
        torch.compiler.reset()  # else the second size would be compiled for any
        if args.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = perf_counter()
        draw(batch)
        first = perf_counter() - began
        drawn = [draw(batch) for _ in range(args.images)]
        seconds = [sum(phases.values()) for _, phases in drawn]
        yield (
            {
                "implementation": implementation,
                "dtype": dtype,
                "batch": batch,
                "first_seconds": first,
                "least_seconds": min(seconds),
                "median_seconds": median(seconds),
                "most_seconds": max(seconds),
                "denoise_seconds": median(phases["denoise"] for _, phases in drawn),
                "peak_bytes": torch.cuda.max_memory_allocated() if args.device == "cuda" else None,
            },
            drawn[-1][0],
        )


def forget() -> None:
    import torch

    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def guard(folder: Path, device: str, dtype: str) -> Row:
    """A VAE that overflows in float16 is asked again in float32; a UNet that gives no numbers is said, not drawn."""
    import torch

    from jsd import Pipeline, SamplingOptions
    from jsd.errors import GenerationError
    from jsd.models.components import load_vae
    from jsd.vae import decode_latents

    vae = load_vae(folder, torch.device(device), torch.float16)
    side = 16
    latents = torch.randn(1, vae.config.latent_channels, side, side, device=device)
    with torch.no_grad():
        for parameter in vae.decoder.conv_in.parameters():
            parameter.fill_(torch.finfo(torch.float16).max)
        half = vae.decode(latents.half(), return_dict=False)[0]
    overflowed = not bool(torch.isfinite(half).all())
    redone = bool(torch.isfinite(decode_latents(vae, latents)).all())
    pipeline = Pipeline.load(folder, device, dtype)
    with torch.no_grad():
        pipeline.unet.conv_out.bias.fill_(torch.nan)
    try:
        pipeline.generate(SamplingOptions(prompt=PROMPT, num_inference_steps=1, disable_safety_checker=True))
        answer = "nothing"
    except GenerationError as error:
        answer = error.code
    return {"vae_overflows_in_float16": overflowed, "and_is_finite_in_float32": redone, "unet_of_nan": answer}


def projections(name: str, rows: Sequence[Row], steps: int) -> list[Row]:
    """Of one picture of the real size on a T4, in float16; none of it was run there."""
    from jsd.models.random import model_configs

    flops = count_flops(model_configs(name))
    total = flops["step"] * steps + flops["decode"]
    reading = 2 * flops["unet_parameters"] * steps / T4_BYTES_A_SECOND
    peaks = [row["peak_bytes"] for row in rows if (row["implementation"], row["dtype"]) == ("jsd", "float16")]
    common = {"projection": True, "card": "T4", "model": name, "dtype": "float16", "steps": steps}
    common["peak_bytes_measured_here"] = peaks[0] if peaks else None
    return [{**common, "how": how, "seconds": max(total / rate / 1e12, reading)} for how, rate in T4_TFLOPS.items()]


def as_table(report: Row) -> str:
    lines = []
    for name, model in report["models"].items():
        lines.append(f"\n{name}: a guided step {model['flops']['step'] / 1e12:.3f} TFLOP, {report['steps']} steps\n")
        names = ("", "batch", "s, least", "median", "most", "times diffusers", "the first, s", "peak, GB")
        lines.append(f"| {' | '.join((*names, 'share of peak', 'differs from float32, mean (most)'))} |")
        lines.append("|" + " --- |" * (len(names) + 2))
        for row in model["rows"]:
            least, middle, most = (f"{row[f'{key}_seconds']:.3f}" for key in ("least", "median", "most"))
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.2f}"
            mean, largest = row["difference"] or (float("nan"), float("nan"))
            cells = [f"{row['implementation']} {row['dtype']}", str(row["batch"]), least, middle, most, ratio]
            cells += [f"{row['first_seconds']:.1f}", peak, f"{row['share_of_peak']:.0%}", f"{mean:.2f} ({largest:.0f})"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"\nguard: {model.get('guard', 'not run')}")
    lines.append("")
    for one in report["projections"]:
        held = one["peak_bytes_measured_here"]
        memory = "its memory was not measured" if held is None else f"{held / 1e9:.1f} of its 16 GB, measured here"
        what = f"{one['card']}, {one['model']}, float16, {one['steps']} steps, one picture"
        lines.append(f"PROJECTION, not run: {what}: {one['seconds']:.1f} s {one['how']}; {memory}")
    lines += [f"not run: {one}" for one in report["not_run"]]
    peaks = ", ".join(f"{dtype} {flops / 1e12:.1f}" for dtype, flops in report["peak_flops"].items())
    versions = ", ".join(f"{name} {one}" for name, one in report["versions"].items())
    return "\n".join([*lines, f"\n{report['hardware']}; matrix products, TFLOP/s: {peaks}; {versions}"])


def add_ratios(rows: list[Row]) -> None:
    """How many times as fast as diffusers in the same format and batch."""
    by = {(row["implementation"], row["dtype"], row["batch"]): row["median_seconds"] for row in rows}
    for row in rows:
        theirs = by.get(("diffusers", row["dtype"], row["batch"]))
        row["ratio"] = None if theirs is None else theirs / row["median_seconds"]


def run(args: argparse.Namespace, parent: Path) -> Row:
    began = monotonic()
    wanted = variants(args.device)
    report: Row = {
        "device": args.device,
        "hardware": hardware(args.device),
        "versions": {name: version(name) for name in ("torch", "diffusers", "jsd")}
        | {"python": platform.python_version()},
        "size": args.size,
        "steps": args.steps,
        "peak_flops": {
            dtype: peak_flops(args.device, dtype, args.size) for dtype in dict.fromkeys(d for _, d in wanted)
        },
        "models": {},
        "projections": [],
        "not_run": [],
    }
    for name in args.models:
        folder = model_folder(name, args.size, "float16", parent)
        configs = {part: read_json(folder / part / "config.json") for part in ("unet", "vae", "text_encoder")}
        model: Row = {"flops": count_flops(configs), "rows": []}
        report["models"][name] = model
        reference = None
        for variant in wanted:
            if monotonic() - began > args.budget_seconds:
                report["not_run"].append(f"{name}, {' '.join(variant)}: no time was left")
                continue
            print(f"{monotonic() - began:.0f} s: {name}, {' '.join(variant)}", file=sys.stderr)
            try:
                for row, picture in measure_rows(args, folder, variant):
                    reference = picture if reference is None and variant == wanted[0] else reference
                    row["difference"] = None if reference is None else difference(picture, reference)
                    flops = model["flops"]["step"] * args.steps * row["batch"] / row["denoise_seconds"]
                    row["share_of_peak"] = flops / report["peak_flops"][row["dtype"]]
                    model["rows"].append(row)
            except Exception as error:  # of a row, out of memory say, the others know nothing
                report["not_run"].append(f"{name}, {' '.join(variant)}: {said(error)}")
            forget()
            add_ratios(model["rows"])
            write_json(args.output, report)
        try:
            model["guard"] = guard(folder, args.device, wanted[1][1])
        except Exception as error:
            report["not_run"].append(f"{name}, the guard: {said(error)}")
        forget()
        report["projections"] += projections(name, model["rows"], args.steps)
        write_json(args.output, report)
    return report


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    if args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("torch finds no GPU here; --device cpu --size toy tries the way")
    with TemporaryDirectory() as scratch:
        report = run(args, Path(scratch) if args.folder is None else args.folder)
    print(as_table(report))
    print(f"\n{args.output}")


if __name__ == "__main__":
    main()
