"""The network that a model folder may bring beside the VAE: what that gives back, four times as large."""

import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from jsd.models.weights import FACTOR


class Upscaler(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Residual convolutions at the small size, then each pixel's channels become 4 x 4 pixels (sub-pixel convolution,
    Shi et al., arXiv 1609.05158); what they add to is the picture enlarged by straight lines."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, channels: int = 64, num_blocks: int = 6) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(num_blocks)
        )
        self.tail = nn.Conv2d(channels, 3 * FACTOR**2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, 3, H, W) -> (B, 3, 4H, 4W), in the same range."""
        x = self.head(images)  # (B, channels, H, W)
        for block in self.blocks:
            x = x + block(x)
        added = F.pixel_shuffle(self.tail(x), FACTOR)  # (B, 3, 4H, 4W)
        return added + F.interpolate(images, scale_factor=FACTOR, mode="bilinear")

    @property
    def margin(self) -> int:
        """How far the convolutions see beyond a pixel, px of the small picture."""
        return 2 * len(self.blocks) + 2
