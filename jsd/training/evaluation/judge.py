"""The judge: which corpus picture does a drawing look like? A plain image space, not the model's own latents.

A picture is a 12x12 thumbnail in CIELAB and an 8x8 grid of gradient orientations (HOG: Dalal & Triggs, CVPR
2005), each scaled to unit variance over the corpus; the nearest picture is the one at the smallest
Euclidean distance.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

THUMBNAIL_PX = 12
GRID = 8
NUM_ORIENTATIONS = 8


def lab_thumbnails(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, 12 * 12 * 3) CIELAB (D65), from sRGB averaged over each cell."""
    small = np.stack(
        [np.asarray(Image.fromarray(p).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)) for p in pictures]
    )
    rgb = small.astype(np.float32) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    # sRGB to XYZ (IEC 61966-2-1), divided by the D65 white point.
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32
    ) / np.array([[0.9505], [1.0], [1.089]], dtype=np.float32)
    xyz = linear @ to_xyz.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    flat: np.ndarray = lab.reshape(len(pictures), -1)
    return flat


def orientation_grids(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, 8 * 8 * 8): gradient magnitude by cell and unsigned orientation, square-rooted."""
    grey = np.stack(
        [np.asarray(Image.fromarray(p).convert("L").resize((64, 64), Image.Resampling.BOX)) for p in pictures]
    )
    dy, dx = np.gradient(grey.astype(np.float32), axis=(1, 2))
    magnitude = np.hypot(dx, dy)
    orientation = ((np.arctan2(dy, dx) % np.pi) / np.pi * NUM_ORIENTATIONS).astype(np.int64) % NUM_ORIENTATIONS
    cells = np.stack([np.where(orientation == k, magnitude, 0) for k in range(NUM_ORIENTATIONS)], axis=-1)
    side = 64 // GRID
    grid = cells.reshape(len(pictures), GRID, side, GRID, side, NUM_ORIENTATIONS).mean(axis=(2, 4))
    flat: np.ndarray = np.sqrt(grid).reshape(len(pictures), -1)
    return flat


@dataclass(frozen=True)
class Judge:
    """The gallery: the features of every corpus picture."""

    gallery: np.ndarray  # (G, D)
    scales: tuple[float, float]

    @classmethod
    def fit(cls, pictures: np.ndarray) -> "Judge":
        """`pictures` (G, H, W, 3) uint8."""
        lab, grid = lab_thumbnails(pictures), orientation_grids(pictures)
        scales = (
            float(lab.std(axis=0).mean() * lab.shape[1] ** 0.5),
            float(grid.std(axis=0).mean() * grid.shape[1] ** 0.5),
        )
        return cls(np.concatenate([lab / scales[0], grid / scales[1]], axis=1), scales)

    def distances(self, pictures: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 -> (N, G) distances to the gallery."""
        lab, grid = lab_thumbnails(pictures), orientation_grids(pictures)
        features = np.concatenate([lab / self.scales[0], grid / self.scales[1]], axis=1)  # (N, D)
        squared = (features**2).sum(1)[:, None] + (self.gallery**2).sum(1)[None] - 2 * features @ self.gallery.T
        distances: np.ndarray = np.sqrt(np.maximum(squared, 0))
        return distances
