"""Pictures of something that no model knows, with captions: what docs/own-pictures.md trains on.

python -m runs.subject FOLDER [--count 16]
"""

import argparse
import random
from pathlib import Path

from PIL import Image, ImageDraw

from runs.blocks import clear

NAME = "モコまる"  # a teal thing with orange ears and one eye
GROUNDS = {"白": "white", "黄色": "#ffe9a8", "ピンク": "#ffd6e0", "青": "#cfe4ff", "緑": "#d5f0c8"}
CAPTIONS = ("{name}、{ground}い背景", "{ground}い背景の{name}", "{name}が一匹、背景は{ground}")
SIZE_PX, SCALE = 256, 4  # drawn larger, for smooth edges


def draw(rng: random.Random) -> tuple[Image.Image, str]:
    """One picture in a pose of its own, and its caption."""
    ground = rng.choice(list(GROUNDS))
    image = Image.new("RGB", (SIZE_PX * SCALE,) * 2, GROUNDS[ground])
    pen = ImageDraw.Draw(image)
    unit = image.width * rng.uniform(0.30, 0.40)
    x, y = (image.width * (0.5 + rng.uniform(-0.06, 0.06)) for _ in "xy")

    def oval(dx: float, dy: float, width: float, height: float, colour: str) -> None:
        cx, cy, w, h = x + dx * unit, y + dy * unit, width * unit, height * unit
        pen.ellipse((cx - w, cy - h, cx + w, cy + h), fill=colour)

    for side in (-1, 1):
        oval(side * 0.62, -0.85, 0.30, 0.48, "#e8772e")
        oval(side * 0.45, 0.95, 0.28, 0.16, "#0b6b67")
    oval(0, 0, 1, 1, "#16a3a0")
    oval(0, 0.45, 0.62, 0.45, "#bff0e6")
    look = rng.uniform(-0.12, 0.12)
    oval(0, -0.28, 0.42, 0.42, "white")
    oval(look, -0.28, 0.20, 0.20, "#2b2140")
    oval(look + 0.07, -0.36, 0.06, 0.06, "white")
    smile = [x + a * unit for a in (-0.22, 0.22)]
    pen.arc((smile[0], y + 0.22 * unit, smile[1], y + 0.52 * unit), 10, 170, fill="#2b2140", width=round(unit / 16))
    said = rng.choice(CAPTIONS).format(name=NAME, ground=ground).replace("緑い", "緑の").replace("ピンクい", "ピンクの")
    return image.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS), said


def write(folder: Path, count: int, seed: int = 0) -> None:
    clear(folder)
    rng = random.Random(seed)
    for number in range(count):
        image, caption = draw(rng)
        image.save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"{caption}\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=16)
    args = parser.parse_args()
    write(args.folder, args.count)
    print(args.folder)


if __name__ == "__main__":
    main()
