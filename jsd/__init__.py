"""Japanese Stable Diffusion: Japanese prompts become pictures.

>>> from jsd import Pipeline, SamplingOptions
>>> pipeline = Pipeline.load()
>>> pipeline.generate(SamplingOptions(prompt="サラリーマン 油絵", seed=0))[0].image.save("salaryman.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsd.errors import JsdError as JsdError
    from jsd.options import SamplingOptions as SamplingOptions
    from jsd.pipeline import Pipeline as Pipeline

__version__ = "0.1.0"
__all__ = ["JsdError", "Pipeline", "SamplingOptions", "__version__"]

# Imported on first use, so that `import jsd` does not import torch.
_HOMES = {"JsdError": "jsd.errors", "Pipeline": "jsd.pipeline", "SamplingOptions": "jsd.options"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jsd' has no attribute {name!r}")
