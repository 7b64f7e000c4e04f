"""RGB images and masks <-> tensors."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def image_to_tensor(image: Image.Image) -> Tensor:
    """RGB -> pixel_values (1, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32))  # (H, W, 3)
    return (pixels / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def mask_to_latents(mask: Image.Image, factor: int) -> Tensor:
    """A mask of `load_mask` (H, W) -> (1, 1, h, w), 1 where a latent, `factor` px wide, is repainted: where any of its
    pixels is."""
    pixels = torch.from_numpy(np.array(mask, dtype=np.float32) / 255)[None, None]
    return torch.nn.functional.max_pool2d(pixels, factor)


def tensor_to_images(images: Tensor) -> list[Image.Image]:
    """images (B, 3, H, W) in [0, 1] -> RGB."""
    pixels = (images.float().cpu() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # (B, H, W, 3)
    return [Image.fromarray(array) for array in pixels.numpy()]
