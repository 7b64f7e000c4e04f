"""Grounds of composed scenes, painted by rule: (128, 128, 3), each another with every generator."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
SIDE = 128
_Y, _X = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE  # in [0, 1)
Colour = tuple[int, int, int]


def paint(place: str, rng: np.random.Generator) -> Picture:
    """One of GROUNDS, or "plain": white."""
    canvas = np.full((SIDE, SIDE, 3), 255, dtype=np.float32)
    if place != "plain":
        canvas = GROUNDS[place](rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _fade(top: Colour, bottom: Colour) -> NDArray[np.float32]:
    share = _Y[..., None]
    faded: NDArray[np.float32] = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return faded


def _below(canvas: NDArray[np.float32], height: NDArray[np.float32] | float, top: Colour, bottom: Colour) -> None:
    """Fill what lies lower than `height` (0 is the upper edge)."""
    mask = height <= _Y
    canvas[mask] = _fade(top, bottom)[mask]


def _waves(rng: np.random.Generator, size: float, lines: float) -> NDArray[np.float32]:
    """(128,) a rolling line around 0."""
    phase = rng.uniform(0, 2 * math.pi, 3)
    x = _X[0]
    rolled = sum(np.sin(2 * math.pi * x * lines * (k + 1) / 2 + phase[k]) / (k + 1) for k in range(3))
    return np.asarray(size * rolled, dtype=np.float32)


def _discs(
    canvas: NDArray[np.float32],
    rng: np.random.Generator,
    count: int,
    radius: tuple[float, float],
    colour: Colour,
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    share: float = 1.0,
) -> None:
    for _ in range(count):
        x, y, r = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3]), rng.uniform(*radius)
        mask = (_X - x) ** 2 + (_Y - y) ** 2 < r * r
        canvas[mask] = canvas[mask] * (1 - share) + np.array(colour, np.float32) * share


def _clouds(canvas: NDArray[np.float32], rng: np.random.Generator, count: int) -> None:
    for _ in range(count):
        x, y = rng.uniform(0.05, 0.95), rng.uniform(0.06, 0.9)
        for dx in (-0.09, -0.03, 0.04, 0.1):
            _discs(canvas, rng, 1, (0.04, 0.075), (255, 255, 255), (x + dx, y, x + dx + 0.01, y + 0.02), 0.85)


def sky(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((90, 170, 240), (196, 228, 250))
    _clouds(canvas, rng, int(rng.integers(2, 5)))
    return canvas


def sea(rng: np.random.Generator) -> NDArray[np.float32]:
    horizon = rng.uniform(0.25, 0.42)
    canvas = _fade((150, 210, 246), (214, 236, 250))
    _below(canvas, horizon, (40, 130, 200), (20, 80, 160))
    for height in np.arange(horizon + 0.06, 1, 0.11):
        line = height + _waves(rng, 0.012, 5)
        canvas[(line <= _Y) & (line + 0.016 > _Y)] = (120, 190, 230)
    return canvas


def beach(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((140, 206, 246), (206, 236, 250))
    _below(canvas, rng.uniform(0.26, 0.36), (56, 150, 210), (90, 190, 220))
    shore = rng.uniform(0.5, 0.62) + _waves(rng, 0.02, 2)
    _below(canvas, shore - 0.03, (246, 250, 250), (246, 250, 250))
    _below(canvas, shore, (244, 222, 170), (228, 198, 140))
    return canvas


def grass(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((150, 210, 250), (220, 240, 252))
    _below(canvas, rng.uniform(0.4, 0.55) + _waves(rng, 0.02, 1.5), (130, 200, 90), (70, 150, 60))
    for _ in range(int(rng.integers(6, 14))):
        _discs(
            canvas,
            rng,
            1,
            (0.008, 0.016),
            [(250, 220, 90), (250, 250, 250), (240, 140, 170)][rng.integers(3)],
            (0.0, 0.62, 1.0, 1.0),
        )
    return canvas


def forest(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((170, 214, 180), (120, 176, 120))
    _below(canvas, 0.72, (96, 130, 70), (70, 100, 50))
    for x in np.sort(rng.uniform(0, 1, int(rng.integers(6, 9)))):
        width, tall = rng.uniform(0.02, 0.035), rng.uniform(0.05, 0.3)
        canvas[(np.abs(_X - x) < width) & (tall + 0.1 < _Y) & (_Y < 0.8)] = (104, 74, 48)
        green = (40 + int(rng.integers(30)), 110 + int(rng.integers(30)), 60)
        for dy in (0.0, 0.1, 0.2):
            mask = (np.abs(_X - x) < (_Y - (tall - 0.12 + dy)) * 0.75) & (tall + 0.08 + dy > _Y)
            canvas[mask] = green
    return canvas


def night(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((12, 16, 50), (40, 50, 104))
    _discs(canvas, rng, int(rng.integers(25, 45)), (0.004, 0.011), (255, 250, 214))
    if rng.random() < 0.5:
        _discs(canvas, rng, 1, (0.07, 0.09), (250, 240, 180), (0.1, 0.08, 0.9, 0.22))
    return canvas


def snow(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((168, 196, 224), (206, 222, 238))
    _below(canvas, rng.uniform(0.55, 0.7) + _waves(rng, 0.03, 1.5), (244, 248, 252), (222, 232, 244))
    _discs(canvas, rng, int(rng.integers(30, 50)), (0.008, 0.017), (255, 255, 255))
    return canvas


def room(rng: np.random.Generator) -> NDArray[np.float32]:
    wall = [(246, 232, 206), (224, 236, 226), (238, 224, 232), (222, 232, 244)][rng.integers(4)]
    canvas = _fade(wall, wall)
    floor = rng.uniform(0.62, 0.72)
    _below(canvas, floor, (196, 150, 100), (168, 122, 78))
    canvas[(floor - 0.025 < _Y) & (floor > _Y)] = (250, 246, 240)
    for height in np.arange(floor + 0.08, 1, 0.09):
        canvas[(height < _Y) & (height + 0.009 > _Y)] = (146, 104, 66)
    x, y = rng.uniform(0.08, 0.66), rng.uniform(0.08, 0.16)
    canvas[(x < _X) & (x + 0.27 > _X) & (y < _Y) & (y + 0.3 > _Y)] = (250, 250, 246)
    canvas[(x + 0.02 < _X) & (x + 0.25 > _X) & (y + 0.02 < _Y) & (y + 0.28 > _Y)] = (168, 214, 244)
    return canvas


def town(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((170, 212, 244), (226, 238, 248))
    ground, x = 0.74, 0.0
    while x < 1:
        width, tall = rng.uniform(0.12, 0.2), rng.uniform(0.16, 0.5)
        house = [(206, 170, 150), (176, 186, 200), (214, 200, 170), (190, 150, 150), (160, 176, 176)][rng.integers(5)]
        canvas[(x <= _X) & (x + width > _X) & (tall < _Y) & (ground > _Y)] = house
        windows = (x + 0.02 <= _X) & (x + width - 0.02 > _X) & (tall + 0.03 < _Y) & (ground - 0.04 > _Y)
        canvas[windows & ((_X * 24 % 1) < 0.5) & ((_Y * 14 % 1) < 0.5)] = (250, 236, 170)
        x += width
    _below(canvas, ground, (120, 122, 128), (100, 102, 108))
    canvas[(np.abs(_Y - 0.88) < 0.012) & ((_X * 5 % 1) < 0.6)] = (240, 240, 236)
    return canvas


def sunset(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((110, 70, 140), (252, 150, 70))
    horizon = rng.uniform(0.66, 0.76)
    _discs(canvas, rng, 1, (0.1, 0.14), (255, 220, 120), (0.2, horizon - 0.1, 0.8, horizon))
    _below(canvas, horizon + _waves(rng, 0.012, 2), (70, 46, 70), (40, 28, 50))
    return canvas


def rain(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((120, 130, 146), (170, 180, 192))
    _below(canvas, 0.8, (110, 120, 130), (90, 100, 112))
    for _ in range(70):
        x, y = rng.uniform(0, 1.1), rng.uniform(0, 1)
        canvas[(np.abs(_X - x + (_Y - y) * 0.3) < 0.006) & (y < _Y) & (y + 0.09 > _Y)] = (206, 220, 236)
    return canvas


def desert(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((130, 196, 240), (244, 226, 190))
    for height, colour in ((0.5, (226, 180, 110)), (0.62, (236, 196, 126)), (0.76, (214, 166, 96))):
        _below(canvas, height + _waves(rng, 0.03, 1.2), colour, tuple(int(c * 0.92) for c in colour))  # type: ignore[arg-type]
    return canvas


def space(rng: np.random.Generator) -> NDArray[np.float32]:
    canvas = _fade((6, 6, 20), (22, 12, 46))
    for _ in range(3):
        _discs(canvas, rng, 1, (0.15, 0.3), [(60, 30, 90), (30, 40, 100), (80, 30, 70)][rng.integers(3)], share=0.25)
    _discs(canvas, rng, int(rng.integers(40, 70)), (0.003, 0.009), (255, 255, 250))
    planet = [(214, 150, 90), (110, 160, 214), (180, 110, 160)][rng.integers(3)]
    _discs(canvas, rng, 1, (0.07, 0.12), planet, (0.08, 0.06, 0.92, 0.24))
    return canvas


GROUNDS: dict[str, Callable[[np.random.Generator], NDArray[np.float32]]] = {
    "sky": sky,
    "sea": sea,
    "beach": beach,
    "grass": grass,
    "forest": forest,
    "night": night,
    "snow": snow,
    "room": room,
    "town": town,
    "sunset": sunset,
    "rain": rain,
    "desert": desert,
    "space": space,
}
