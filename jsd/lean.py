"""`Pipeline.load` for programs that do nothing but draw: they import less, and begin earlier."""

import gc
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsd.models.folder import ModelFolder
    from jsd.pipeline import Pipeline

# torch's compiler, which nothing needs but decorators of functions for it; and packages that import every model they
# have, or search them all, when one of their modules is asked for.
COMPILER = "torch._dynamo"
HOLLOW = (
    COMPILER,
    "transformers.models",
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
)


def load_alone(
    folder: "ModelFolder | Path | str | None", device: str | None = None, dtype: Any = None, engine: str | None = None
) -> "Pipeline":
    """As `Pipeline.load`, in a process that is ours."""
    from jsd.pipeline import Pipeline

    with lean_imports():
        return Pipeline.load(folder, device, dtype, engine)


@contextmanager
def lean_imports() -> Iterator[None]:
    """What is imported within comes without the compiler, distributed tensors, and sympy, which both bring along.

    Nor does diffusers look up which package comes from which distribution. The compiler, and all models of diffusers
    and transformers, can be imported afterwards. Transformers' sharding over processes cannot: to it, torch is one that
    was built without.
    """
    import torch

    available, distributions = torch.distributed.is_available, importlib.metadata.packages_distributions
    hollow = {name: _hollow(name) for name in HOLLOW if name not in sys.modules}
    sys.modules.update(hollow)
    torch.distributed.is_available = lambda: False
    importlib.metadata.packages_distributions = dict  # it reads the list of files of every package
    collects = gc.isenabled()
    gc.disable()  # what is imported stays
    try:
        yield
    finally:
        if collects:
            gc.enable()
        torch.distributed.is_available = available
        importlib.metadata.packages_distributions = distributions
        for name in hollow:
            sys.modules.pop(name, None)


def _hollow(name: str) -> ModuleType:
    """A package that has its modules and nothing in itself; the compiler's decorators leave a function as it is."""
    top, _, rest = name.partition(".")
    spec = importlib.util.find_spec(top)
    package = ModuleType(name)
    places = [] if spec is None else spec.submodule_search_locations or []
    package.__path__ = [str(Path(place, *rest.split("."))) for place in places]

    def unchanged(function: Any = None, *_: object, **__: object) -> Any:
        return (lambda one: one) if function is None else function

    def decorator(attribute: str) -> Any:
        if name != COMPILER or attribute.startswith("_"):
            raise AttributeError(attribute)
        return unchanged

    package.__getattr__ = decorator  # type: ignore[method-assign]
    return package
