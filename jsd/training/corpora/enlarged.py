"""What an upscaler learns from: drawings at full size, and the same as the VAE gives them back at an eighth of that.

Vector sets at 512 px; Fluent 3D at 256 px, the size that it is published in.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from jsd.atomic import replacing_folder
from jsd.training.batches import pixel_values
from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES, fetch_source
from jsd.training.corpora.sprites import DESIGNS, icon_names, read_drawings
from jsd.training.latents import encode_pictures
from jsd.training.objectives import LATENT_NOISE

SMALL_PX = 128
# design -> its side here, px, and how many of its drawings are taken at most
SIDES = {"3d": (256, 700), "flat": (512, 400), "noto": (512, 400), "blob": (512, 200), "twemoji": (512, 300)}
PLAIN = 0.7  # of the grounds are white, the others of any colour
SMALLEST = 0.4  # of the picture's side
CROP_PX = 40  # of the small picture


class EnlargedPictures:
    """`small` (N, 128, 128, 3) of every drawing, `large` by their side: (n, S, S, 3); mapped, not read."""

    def __init__(self, folder: Path) -> None:
        self.sides = sorted({side for side, _count in SIDES.values()})
        self.small = {side: np.load(folder / f"{side}_small.npy", mmap_mode="r") for side in self.sides}
        self.large = {side: np.load(folder / f"{side}.npy", mmap_mode="r") for side in self.sides}

    def batch(self, batch_size: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """small (B, 3, 40, 40), large (B, 3, 40 S/128, 40 S/128) in [0, 1]: crops; one step in three of 3D."""
        rng = np.random.default_rng((seed, step))
        side = self.sides[0] if step % 3 == 0 else self.sides[-1]
        factor = side // SMALL_PX
        numbers = rng.integers(len(self.small[side]), size=batch_size)
        corners = rng.integers(0, SMALL_PX - CROP_PX + 1, size=(batch_size, 2))
        small, large = [], []
        for number, (y, x) in zip(numbers, corners, strict=True):
            small.append(self.small[side][number, y : y + CROP_PX, x : x + CROP_PX])
            rows, columns = (slice(factor * one, factor * (one + CROP_PX)) for one in (y, x))
            large.append(self.large[side][number, rows, columns])
        return tuple(pixel_values(np.stack(some)) / 2 + 0.5 for some in (small, large))  # type: ignore[return-value]


def build_enlarged(codes: list[str], sources: Path, vae: Any, folder: Path, seed: int) -> None:
    """Fill `folder`, from the packages in `sources`, fetching what is missing."""
    rng = random.Random(seed)
    with replacing_folder(folder) as partial:
        for side in sorted({side for side, _count in SIDES.values()}):
            designs = [design for design, (px, _count) in SIDES.items() if px == side]
            large = [picture for design in designs for picture in _pictures(design, codes, sources, rng)]
            np.save(partial / f"{side}.npy", np.stack(large))
            small = [shrink(picture, vae, rng.randrange(2**31)) for picture in tqdm(large, desc=f"{side} px")]
            np.save(partial / f"{side}_small.npy", np.stack(small))


def _pictures(design: str, codes: list[str], sources: Path, rng: random.Random) -> Iterator[NDArray[np.uint8]]:
    side, count = SIDES[design]
    package = fetch_source({**SOURCES, **SPRITE_SOURCES}[DESIGNS[design]], sources)
    chosen = set(rng.sample(codes, min(count, len(codes))))
    for _code, drawing in read_drawings(package, chosen, icon_names(sources), side):
        yield lay_out(drawing, side, rng)


def lay_out(drawing: Image.Image, side: int, rng: random.Random) -> NDArray[np.uint8]:
    """Somewhere on a ground, at some scale: (side, side, 3)."""
    drawing = drawing.convert("RGBA")
    drawing = drawing.crop(drawing.getchannel("A").getbbox())
    scale = min(1, side * rng.uniform(SMALLEST, 0.98) / max(drawing.size))
    width, height = (max(1, round(one * scale)) for one in drawing.size)
    ground = (255, 255, 255) if rng.random() < PLAIN else tuple(rng.randrange(256) for _channel in range(3))
    picture = Image.new("RGB", (side, side), ground)
    drawing = drawing.resize((width, height), Image.Resampling.LANCZOS)
    picture.paste(drawing, (rng.randint(0, side - width), rng.randint(0, side - height)), drawing)
    return np.asarray(picture)


@torch.no_grad()
def shrink(picture: NDArray[np.uint8], vae: Any, seed: int) -> NDArray[np.uint8]:
    """As the VAE's decoder gives it back, from latents that are a little off, as a UNet's are."""
    shrunk = np.array(Image.fromarray(picture).resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))
    latents = encode_pictures(shrunk[None], vae, SMALL_PX)
    noise = torch.randn(latents.shape, generator=torch.Generator("cpu").manual_seed(seed))
    latents = latents + LATENT_NOISE * noise / float(vae.config.scaling_factor)
    with torch.autocast(vae.device.type, enabled=False):
        decoded = vae.decode(latents.to(vae.device)).sample.float().cpu()
    pixels = ((decoded[0].clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.asarray(pixels.permute(1, 2, 0))
