"""Pictures: opened from anybody's files, saved with what made them."""

from jsd.images.opening import load_image, load_mask
from jsd.images.saving import encode_image, save_image

__all__ = ["encode_image", "load_image", "load_mask", "save_image"]
