"""Japanese Stable Diffusion: Japanese prompts become pictures.

>>> from jsd import Pipeline
>>> pipeline = Pipeline.load()
>>> pipeline.generate("サラリーマン 油絵", seed=0)[0].save("salaryman.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsd.errors import JsdError as JsdError
    from jsd.errors import Note as Note
    from jsd.job import GeneratedImage as GeneratedImage
    from jsd.options import SamplingOptions as SamplingOptions
    from jsd.pipeline import Pipeline as Pipeline

__version__ = "0.1.0"

# Imported on first use, so that `import jsd` does not import torch.
_HOMES = {
    "GeneratedImage": "jsd.job",
    "JsdError": "jsd.errors",
    "Note": "jsd.errors",
    "Pipeline": "jsd.pipeline",
    "SamplingOptions": "jsd.options",
}
__all__ = ["GeneratedImage", "JsdError", "Note", "Pipeline", "SamplingOptions", "__version__"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jsd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
