"""What `cog build` refuses in a cog.yaml: ten rules of Cog 0.22, most of which its JSON schema does not hold.

Each is as in Cog's source, pkg/config: validate.go, env.go, config.go and the tables beside them.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Config = dict[str, Any]

KEYS = {"build", "image", "model", "run", "predict", "train", "concurrency", "environment", "weights"}
BUILD_KEYS = {
    *("cuda", "cudnn", "gpu", "python_version", "python_packages", "python_requirements", "pre_install"),
    *("system_packages", "sdk_version", "run", "cog_runtime"),
}
RESERVED = re.compile(
    "PATH|LD_LIBRARY_PATH|PYTHONPATH|VIRTUAL_ENV|PYTHONUNBUFFERED|LIBRARY_PATH|HF_ENDPOINT|HF_HUB_ENABLE_HF_TRANSFER"
    "|(R8_|REPLICATE_|CUDA_|NVIDIA_|NV_|PGET_|KUBERNETES_).*"
)
CUDA = {*(f"11.{n}" for n in range(9)), *(f"12.{n}" for n in (0, 1, 2, 3, 4, 5, 6, 8, 9)), "13.0", "13.1", "13.2"}
LAST_TORCH = (2, 11, 0)


def problems(config: Config, root: Path) -> list[int]:
    """The numbers of the rules that `config`, the cog.yaml of the folder `root`, breaks."""
    return [number for number, holds in enumerate(RULES, start=1) if not holds(config, root)]


def keys(config: Config, _: Path) -> bool:
    build = config.get("build", {})
    once = not ("run" in config and "predict" in config)
    return set(config) <= KEYS and set(build) <= BUILD_KEYS and once and bool(build.get("python_version"))


def environment(config: Config, _: Path) -> bool:
    lines = config.get("environment", [])
    names = [line.partition("=")[0] for line in lines]
    # Values stand unquoted in one ENV line of the Dockerfile.
    written = all(re.fullmatch(r"\w+=[^\s$]*", line) for line in lines)
    return written and len(set(names)) == len(names) and not any(RESERVED.fullmatch(name) for name in names)


def reference(config: Config, _: Path) -> bool:
    return all(config[key].count(".py:") == 1 for key in ("run", "predict", "train") if key in config)


def versions(config: Config, _: Path) -> bool:
    build = config["build"]
    python = re.match(r"(\d+)\.(\d+)", str(build.get("python_version")))
    right = python is not None and (int(python[1]), int(python[2])) >= (3, 10)
    return right and ("cuda" not in build or ".".join(str(build["cuda"]).split(".")[:2]) in CUDA)


def requirements(config: Config, root: Path) -> bool:
    build = config["build"]
    named = build.get("python_requirements")
    return not (named and build.get("python_packages")) and (named is None or (root / named).is_file())


def torch(config: Config, root: Path) -> bool:
    build = config["build"]
    if not build.get("gpu") or "cuda" in build:
        return True
    pinned = re.search(r"^torch==(\d+)\.(\d+)\.(\d+)", (root / build["python_requirements"]).read_text("utf-8"), re.M)
    return pinned is None or tuple(map(int, pinned.groups())) <= LAST_TORCH


def concurrency(config: Config, root: Path) -> bool:
    if config.get("concurrency", {}).get("max", 1) == 1:
        return True
    return any(isinstance(method, ast.AsyncFunctionDef) for method in _methods(config, root))


def weights(config: Config, _: Path) -> bool:
    return not config.get("weights") or "model" in config


def steps(config: Config, _: Path) -> bool:
    build = config["build"]
    sdk = tuple(map(int, re.findall(r"\d+", build.get("sdk_version", "0.16.0"))[:3]))
    lines = [step if isinstance(step, str) else step["command"] for step in build.get("run", [])]
    return sdk >= (0, 16, 0) and not any("\n" in line for line in lines)


def predictor(config: Config, root: Path) -> bool:
    """One method, and what has it stands in the file itself."""
    return len(list(_methods(config, root))) == 1


def _methods(config: Config, root: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    file, _, name = str(config.get("run", config.get("predict"))).rpartition(":")
    if not (root / file).is_file():
        return
    for node in ast.parse((root / file).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name in ("run", "predict"):
                    yield member


RULES: tuple[Callable[[Config, Path], bool], ...] = (
    keys,
    environment,
    reference,
    versions,
    requirements,
    torch,
    concurrency,
    weights,
    steps,
    predictor,
)
