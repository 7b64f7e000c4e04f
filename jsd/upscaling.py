"""Pictures larger than the model draws them: by the upscaler that its folder brings, else by Lanczos' filter."""

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from jsd.devices import out_of_memory
from jsd.errors import Note
from jsd.images.tensors import image_to_tensor, tensor_to_images
from jsd.models.weights import FACTOR

TILE_PX = 256
FILTER_PX = 2  # what shrinking sees beyond a pixel, of the small picture


@out_of_memory()
def enlarge_image(upscaler: Any, image: Image.Image, factor: int) -> Image.Image:
    """`upscaler`: `jsd.models.upscaler.Upscaler`, or None."""
    if factor == 1:
        return image
    if upscaler is None:
        return image.resize((factor * image.width, factor * image.height), Image.Resampling.LANCZOS)
    (enlarged,) = tensor_to_images(enlarge(upscaler, image_to_tensor(image) / 2 + 0.5, factor))
    return enlarged


@torch.inference_mode()
def enlarge(upscaler: Any, images: Tensor, factor: int) -> Tensor:
    """images (B, 3, H, W) in [0, 1] -> (B, 3, factor H, factor W), `factor` 2 to 4: the network's picture, shrunk.

    In tiles, so that memory does not grow with the picture; they overlap by what the network sees, and so give the same
    as the whole.
    """
    height, width = images.shape[-2:]
    margin = upscaler.margin + FILTER_PX
    enlarged = torch.empty((*images.shape[:2], factor * height, factor * width))
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            tile = images[:, :, first_row : top + TILE_PX + margin, first_column : left + TILE_PX + margin]
            large = upscaler(tile.to(upscaler.device, upscaler.dtype)).float().cpu()
            if factor != FACTOR:
                size = (factor * tile.shape[-2], factor * tile.shape[-1])
                large = F.interpolate(large, size, mode="bicubic", antialias=True)
            rows, columns = factor * min(TILE_PX, height - top), factor * min(TILE_PX, width - left)
            y, x = factor * (top - first_row), factor * (left - first_column)
            into = enlarged[:, :, factor * top :, factor * left :][:, :, :rows, :columns]
            into.copy_(large[:, :, y : y + rows, x : x + columns])
    return enlarged.clamp(0, 1)


def notes(factor: int) -> list[Note]:
    """Of a model that brings no upscaler."""
    if factor == 1:
        return []
    return [
        Note(
            "upscale.filter",
            "{field}: this model brings no upscaler, so the picture is enlarged {factor} times by a filter (Lanczos), "
            "which adds no detail",
            field="upscale",
            factor=factor,
        )
    ]
