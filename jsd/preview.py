"""Small pictures of latents while they are denoised: colours = W latents + b, one pixel a latent.

A VAE's latents are nearly a linear picture of its colours, so W (3, C) and b (3) are fitted by least squares to
pictures and what the VAE makes of them. `jsd weights preview` writes them into a model folder as preview.json.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from jsd.atomic import write_json
from jsd.devices import MODEL_FITS, out_of_memory
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.images import load_image
from jsd.images.tensors import image_to_tensor, tensor_to_images
from jsd.models.components import load_vae
from jsd.models.configs import read_json
from jsd.pipeline import Pipeline
from jsd.vae import decode_latents

PREVIEW_FILE = "preview.json"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES = 64
# Of the picture that stands in where a folder has no map: its side in latents, and its patches along a side.
SIDE, NUM_PATCHES = 32, 9


@dataclass(frozen=True, kw_only=True)
class PreviewMap:
    """`error` is the root mean square of what the map misses in the pictures it was fitted to, of colours in [0, 1]."""

    weight: Tensor  # (3, C) float32
    bias: Tensor  # (3,) float32
    error: float

    def draw(self, latents: Tensor) -> Image.Image:
        """latents (B, C, h, w) -> a picture of B w x h pixels, side by side."""
        latents = latents.float()
        weight, bias = self.weight.to(latents.device), self.bias.to(latents.device)
        colours = torch.einsum("kc,bchw->bkhw", weight, latents) + bias[:, None, None]  # (B, 3, h, w)
        (picture,) = tensor_to_images(torch.cat(list(colours.clamp(0, 1)), dim=-1)[None])
        return picture

    def save(self, folder: Path) -> Path:
        values = {"weight": self.weight.tolist(), "bias": self.bias.tolist(), "error": self.error}
        write_json(folder / PREVIEW_FILE, values)
        return folder / PREVIEW_FILE

    @classmethod
    def load(cls, folder: Path, latent_channels: int) -> "PreviewMap":
        path = folder / PREVIEW_FILE
        try:
            values = read_json(path)
            weight, bias = (torch.tensor(values[name], dtype=torch.float32) for name in ("weight", "bias"))
            if weight.shape != (3, latent_channels) or bias.shape != (3,):
                raise ValueError(weight.shape)
            return cls(weight=weight, bias=bias, error=float(values["error"]))
        except (ModelFolderError, ValueError, TypeError, KeyError) as error:
            raise ModelFolderError(
                "preview.damaged",
                "{path} must hold the numbers of a map from {channels} latent channels to colours, "
                "and does not; write it anew with jsd weights preview, or delete it",
                path=path,
                channels=latent_channels,
            ) from error


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
    x = torch.nn.functional.pad(torch.cat(rows).double(), (0, 1), value=1)  # (N, C + 1)
    y = torch.cat(colours).double()  # (N, 3)
    # gelsd: a VAE may have channels that say nothing about colours.
    solution = torch.linalg.lstsq(x, y, driver="gelsd").solution  # (C + 1, 3)
    error = float((x @ solution - y).square().mean().sqrt())
    return PreviewMap(weight=solution[:-1].T.float(), bias=solution[-1].float(), error=error)


@dataclass(frozen=True, kw_only=True)
class SmallDecoder:
    """A small VAE, as of TAESD: pictures of half the finished ones' sides, instead of one pixel a latent."""

    vae: Any

    @out_of_memory()
    def draw(self, latents: Tensor) -> Image.Image:
        """latents (B, C, h, w) -> a picture, side by side."""
        images = torch.nn.functional.avg_pool2d(decode_latents(self.vae, latents), 2)  # (B, 3, H / 2, W / 2)
        (picture,) = tensor_to_images(torch.cat(list(images), dim=-1)[None])
        return picture


Preview = PreviewMap | SmallDecoder


@out_of_memory(MODEL_FITS)
def load_preview(pipeline: Pipeline) -> Preview:
    """By the preview VAE, where there is one; else the map of the model folder; else one that is fitted to soft patches
    of random colours."""
    if "preview_vae" in pipeline.parts:
        return SmallDecoder(vae=load_vae(pipeline.parts["preview_vae"], pipeline.device, pipeline.dtype))
    if pipeline.folder is not None and (pipeline.folder / PREVIEW_FILE).exists():
        return PreviewMap.load(pipeline.folder, pipeline.latent_channels)
    patches = torch.rand((1, 3, NUM_PATCHES, NUM_PATCHES), generator=torch.Generator("cpu").manual_seed(0))
    size = SIDE * pipeline.size_limits.factor
    picture = torch.nn.functional.interpolate(patches, size=(size, size), mode="bicubic", align_corners=True)
    return fit_preview(pipeline.encode_image, tensor_to_images(picture.clamp(0, 1)))


def read_pictures(folder: Path, size: tuple[int, int]) -> Iterator[Image.Image]:
    """At most `MAX_PICTURES` of a folder of picture files, evenly spaced, at `size`, RGB."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InvalidInputError(
            "preview.no_pictures",
            "{field} must be a folder of pictures ({suffixes}), and {value} has none; name another",
            field="PICTURES",
            value=folder,
            suffixes=" ".join(SUFFIXES),
        )
    count = min(MAX_PICTURES, len(found))
    for number in range(count):
        yield ImageOps.fit(load_image(found[number * len(found) // count]), size)
