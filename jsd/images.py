"""Pictures: files and Pillow images of any kind -> tensors, and back to files.

A user's file is untrusted: only harmless formats are opened, and whatever a decoder trips over becomes one
`ImageFileError` that names the input.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from jsd.errors import ImageFileError, InvalidInputError
from jsd.files.metadata import save_arguments
from jsd.files.opening import Source, open_image
from jsd.files.writing import write_file

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def load_image(source: Source, field: str = "image") -> Image.Image:
    """Any picture -> RGB: upright as its EXIF says, over white where transparent, its first frame."""
    return _to_rgb(source, field, background=WHITE)


def load_mask(source: Source, field: str = "mask") -> Image.Image:
    """Any picture -> mode L, 255 where it is repainted (white), 0 where it is kept (black, transparent)."""
    mask = _to_rgb(source, field, background=BLACK).convert("L")
    return mask.point(lambda value: 255 if value >= 128 else 0)


def _to_rgb(source: Source, field: str, background: tuple[int, int, int]) -> Image.Image:
    if isinstance(source, Image.Image) and 0 in source.size:
        raise ImageFileError("image.empty", field=field, value=f"a {source.mode} image")
    with open_image(source, field) as image:
        return _flatten(image, background)


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16 bits a pixel: Pillow's own conversion would clip at 255.
        values = np.asarray(image).astype(np.float64).clip(0, 65535)
        return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")
    return image.convert("RGB")


def image_to_tensor(image: Image.Image) -> Tensor:
    """RGB -> pixel_values (1, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32))  # (H, W, 3)
    return (pixels / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def mask_to_tensor(mask: Image.Image) -> Tensor:
    """A mask of `load_mask` -> (1, 1, H, W), 1 where the picture is repainted."""
    return torch.from_numpy(np.array(mask, dtype=np.float32) / 255)[None, None]


def tensor_to_images(images: Tensor) -> list[Image.Image]:
    """images (B, 3, H, W) in [0, 1] -> RGB."""
    pixels = (images.float().cpu() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # (B, H, W, 3)
    return [Image.fromarray(array) for array in pixels.numpy()]


def save_image(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> None:
    """Write a .png, .jpg or .webp, whole or not at all."""
    data = encode_image(image, path, quality=quality, metadata=metadata)
    try:
        write_file(path, data)
    except OSError as error:
        raise InvalidInputError("image.unwritable", field="output", value=path, reason=error) from error


def encode_image(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> bytes:
    """The bytes of the file `path`, whose suffix names the format; nothing is written.

    `metadata` is `GeneratedImage.metadata`: see `jsd.files.metadata` for its place in each format.
    """
    suffix = path.suffix.lower()
    arguments = {} if metadata is None else save_arguments(suffix.removeprefix("."), metadata)
    file = BytesIO()
    try:
        if suffix not in Image.registered_extensions():
            raise ValueError(f"unknown file extension: {suffix}")
        # PNG has no quality, and ignores it.
        image.save(file, format=Image.registered_extensions()[suffix], quality=quality, **arguments)
    except (OSError, ValueError) as error:
        raise InvalidInputError("image.unwritable", field="output", value=path, reason=error) from error
    return file.getvalue()


def unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """`stem` in `folder`, or `stem-2`, `stem-3`, ... where that name is taken."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
