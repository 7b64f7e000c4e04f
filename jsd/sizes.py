"""Which picture sizes a model folder allows, and which size fits an input picture."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from jsd.errors import InvalidInputError

# On canvases much larger than those it was trained on, a model repeats its subject; much smaller ones have
# too few latents to hold a picture.
MAX_AREA_RATIO = 4
MIN_SIDE_RATIO = 1 / 4
OF_STABLE_DIFFUSION = 64


def vae_factor(vae_config: Mapping[str, Any]) -> int:
    """Of an AutoencoderKL, or of TAESD's class."""
    names = ("block_out_channels", "encoder_block_out_channels")
    blocks = next(vae_config[name] for name in names if name in vae_config)
    return 1 << (len(blocks) - 1)


def sample_size(unet_config: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of the latents that a UNet was trained on.

    Configs that were converted before diffusers 0.9 say 32 of Stable Diffusion v1's 64; diffusers' pipelines mend them.
    """
    size = unet_config.get("sample_size") or OF_STABLE_DIFFUSION
    version = re.match(r"0\.(\d+)\.", str(unet_config.get("_diffusers_version", "")))
    if isinstance(size, int) and version is not None and int(version[1]) < 9:
        size = max(size, OF_STABLE_DIFFUSION)
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


@dataclass(frozen=True, kw_only=True)
class SizeLimits:
    """All in px; `factor` is the VAE's: the side of one latent."""

    factor: int
    default: tuple[int, int]  # width, height that the model was trained on

    @classmethod
    def of(cls, unet_config: Mapping[str, Any], vae_config: Mapping[str, Any]) -> "SizeLimits":
        """What the configs of a model folder say."""
        factor = vae_factor(vae_config)
        height, width = sample_size(unet_config)
        return cls(factor=factor, default=(width * factor, height * factor))

    @property
    def trained_area(self) -> int:
        return self.default[0] * self.default[1]

    @property
    def max_area(self) -> int:
        return MAX_AREA_RATIO * self.trained_area

    @property
    def min_side(self) -> int:
        return max(self.factor, int(min(self.default) * MIN_SIDE_RATIO) // self.factor * self.factor)

    def check(self, width: int, height: int) -> None:
        sides = (("width", width, height, self.default[0]), ("height", height, width, self.default[1]))
        for field, value, other, default in sides:
            if value % self.factor != 0:
                near = self._near(value, other, default)
                raise InvalidInputError(
                    "size.multiple",
                    "{field} must be a multiple of {factor} px, got {value}; try {near}",
                    field=field,
                    factor=self.factor,
                    value=value,
                    near=near,
                )
            if value < self.min_side:
                raise InvalidInputError(
                    "size.small",
                    "{field} must be at least {low} px, got {value}; choose {low} or more",
                    field=field,
                    low=self.min_side,
                    value=value,
                )
        if width * height > self.max_area:
            raise InvalidInputError(
                "size.area",
                "width x height, before upscale, must be at most {limit} px, got {width}x{height}; choose a smaller "
                "size, for example {default}",
                field="width" if width >= height else "height",
                limit=self.max_area,
                width=width,
                height=height,
                default="x".join(map(str, self.default)),
            )

    def fit(
        self, picture: tuple[int, int] | None, width: int | None, height: int | None, upscale: int = 1
    ) -> tuple[int, int]:
        """The (width, height) asked for; what is unset follows the picture's shape, else the model's size. A picture
        that is enlarged afterwards is shrunk by as much, but not below the pixels that the model was trained on."""
        if picture is None:
            size = (self.default[0] if width is None else width, self.default[1] if height is None else height)
        elif width is not None and height is not None:
            size = (width, height)
        elif width is not None:
            size = (width, self._floor(picture[1] * width / picture[0]))
        elif height is not None:
            size = (self._floor(picture[0] * height / picture[1]), height)
        else:
            area = picture[0] * picture[1]
            shrink = min(1.0, sqrt(self.max_area / area), max(1 / upscale, sqrt(self.trained_area / area)))
            scale = max(shrink, self.min_side / min(picture))
            size = (self._floor(picture[0] * scale), self._floor(picture[1] * scale))
        self.check(*size)
        return size

    def nearest(self, width: int, height: int, max_area: int | None = None) -> tuple[int, int]:
        """A size that is allowed, in the shape of one that need not be.

        One of more pixels than `max_area` (unset: than are allowed) gets as many as the model was trained on: what it
        draws best.
        """
        max_area = self.max_area if max_area is None else max_area
        scale = sqrt(self.trained_area / (width * height)) if width * height > max_area else 1.0
        scale = max(scale, self.min_side / min(width, height))
        longest = self._floor(max_area / self.min_side)

        def allowed(side: float) -> int:
            return min(max(self._floor(side), self.min_side), longest)

        rounded = allowed(width * scale + self.factor / 2), allowed(height * scale + self.factor / 2)
        if rounded[0] * rounded[1] <= max_area:
            return rounded
        return allowed(width * scale), allowed(height * scale)

    def _near(self, value: int, other: int, default: int) -> int:
        """A side near `value` that is allowed beside `other`; the model's own where none is."""
        largest = self._floor(self.max_area / max(self.min_side, self._floor(other)))
        return default if largest < self.min_side else min(max(self.min_side, self._floor(value)), largest)

    def _floor(self, side: float) -> int:
        # The product of a division and its inverse may fall a hair short of a whole number.
        return int(side + 1e-6) // self.factor * self.factor
