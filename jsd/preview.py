"""Small pictures of latents while they are denoised: colours = W latents + b, one pixel a latent.

A VAE's latents are nearly a linear picture of its colours, so W (3, C) and b (3) are fitted by least squares to
pictures and what the VAE makes of them. `jsd weights preview` writes them into a model folder as preview.json.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from jsd.atomic import write_text
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.images import load_image
from jsd.images.tensors import image_to_tensor, tensor_to_images
from jsd.pipeline import Pipeline

PREVIEW_FILE = "preview.json"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
NUM_SYNTHETIC = 16
# Of a synthetic picture, in latents: enough for the VAE to see an inside, little to encode.
SYNTHETIC_SIDE = 16


@dataclass(frozen=True, kw_only=True)
class PreviewMap:
    """`error` is the root mean square of what the map misses in the pictures it was fitted to, of colours in [0, 1]."""

    weight: Tensor  # (3, C) float32
    bias: Tensor  # (3,) float32
    error: float
    num_pictures: int

    def draw(self, latents: Tensor) -> Image.Image:
        """latents (B, C, h, w) -> a picture of B w x h pixels, side by side."""
        latents = latents.float()
        weight, bias = self.weight.to(latents.device), self.bias.to(latents.device)
        colours = torch.einsum("kc,bchw->bkhw", weight, latents) + bias[:, None, None]  # (B, 3, h, w)
        (picture,) = tensor_to_images(torch.cat(list(colours.clamp(0, 1)), dim=-1)[None])
        return picture

    def save(self, folder: Path) -> Path:
        values = {
            "weight": self.weight.tolist(),
            "bias": self.bias.tolist(),
            "error": self.error,
            "num_pictures": self.num_pictures,
        }
        write_text(folder / PREVIEW_FILE, json.dumps(values, indent=1) + "\n")
        return folder / PREVIEW_FILE

    @classmethod
    def load(cls, folder: Path, latent_channels: int) -> "PreviewMap":
        path = folder / PREVIEW_FILE
        try:
            if not path.is_file():  # a pipe would be waited for
                raise FileNotFoundError(path)
            values = json.loads(path.read_text("utf-8"))
            read = cls(
                weight=torch.tensor(values["weight"], dtype=torch.float32),
                bias=torch.tensor(values["bias"], dtype=torch.float32),
                error=float(values["error"]),
                num_pictures=int(values["num_pictures"]),
            )
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelFolderError(
                "preview.damaged",
                "{path} must hold the numbers of a map from {channels} latent channels to colours, "
                "and does not; write it anew with jsd weights preview, or delete it",
                path=path,
                channels=latent_channels,
            ) from error
        if read.weight.shape != (3, latent_channels) or read.bias.shape != (3,):
            raise ModelFolderError(
                "preview.damaged",
                "{path} must hold the numbers of a map from {channels} latent channels to colours, "
                "and does not; write it anew with jsd weights preview, or delete it",
                path=path,
                channels=latent_channels,
            )
        return read


def fit_preview(encode: Callable[[Tensor], Tensor], pictures: Iterable[Image.Image]) -> PreviewMap:
    """The best map for `pictures` (RGB), whose latents `encode` gives: (1, 3, H, W) in [-1, 1] -> (1, C, h, w)."""
    rows, colours = [], []
    for picture in pictures:
        pixel_values = image_to_tensor(picture)  # (1, 3, H, W)
        latents = encode(pixel_values).float().cpu()  # (1, C, h, w)
        height, width = latents.shape[-2:]
        mean_colours = torch.nn.functional.adaptive_avg_pool2d((pixel_values + 1) / 2, (height, width))
        rows.append(latents[0].flatten(1).T)  # (h w, C)
        colours.append(mean_colours[0].flatten(1).T)  # (h w, 3)
    x = torch.cat(rows).double()
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)  # (N, C + 1)
    y = torch.cat(colours).double()  # (N, 3)
    # gelsd: a VAE may have channels that say nothing about colours.
    solution = torch.linalg.lstsq(x, y, driver="gelsd").solution  # (C + 1, 3)
    return PreviewMap(
        weight=solution[:-1].T.float(),
        bias=solution[-1].float(),
        error=float((x @ solution - y).square().mean().sqrt()),
        num_pictures=len(rows),
    )


def synthetic_pictures(factor: int, side: int = SYNTHETIC_SIDE) -> list[Image.Image]:
    """Soft patches of random colours, for a folder without preview.json; `factor` is the side of a latent, px."""
    generator = torch.Generator("cpu").manual_seed(0)
    pictures = []
    for number in range(NUM_SYNTHETIC):
        cells = 2 + number % 6  # patches along a side
        colours = torch.rand((1, 3, cells, cells), generator=generator)
        size = (side * factor, side * factor)
        pictures.append(torch.nn.functional.interpolate(colours, size=size, mode="bicubic", align_corners=True))
    return tensor_to_images(torch.cat(pictures).clamp(0, 1))


def load_preview(pipeline: Pipeline) -> PreviewMap:
    """The map of the model folder, or where it has none one fitted to synthetic pictures."""
    if pipeline.folder is not None and (pipeline.folder / PREVIEW_FILE).is_file():
        return PreviewMap.load(pipeline.folder, pipeline.latent_channels)
    return fit_preview(pipeline.encode_image, synthetic_pictures(pipeline.vae_factor))


def read_pictures(folder: Path, size: tuple[int, int], limit: int = 64) -> Iterator[Image.Image]:
    """At most `limit` pictures of a folder of picture files, evenly spaced, at `size`, RGB."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InvalidInputError(
            "preview.no_pictures",
            "{field} must be a folder of pictures ({suffixes}), and {value} has none; name another",
            field="PICTURES",
            value=folder,
            suffixes=" ".join(SUFFIXES),
        )
    count = min(limit, len(found))
    for number in range(count):
        yield ImageOps.fit(load_image(found[number * len(found) // count]), size)
