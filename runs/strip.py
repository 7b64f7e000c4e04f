"""The picture strip of both READMEs: fixed prompts, one fixed seed, the embedded model.

python -m runs.strip
"""

import argparse
import json
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runs.blocks import README, README_JA, ROOT, write_block

STRIP = ROOT / "docs" / "strip.png"
PROMPTS = (
    "サラリーマン 油絵",
    "富士山",
    "桜 水彩画",
    "すし ドット絵",
    "新幹線",
    "ネコの顔、青い背景",
    "キラキラ",
    "鳥居 線画",
)
SEED = 0  # of every picture: none is chosen among several
UPSCALE = 2  # eight in a row are shown small


def draw(weights: Path | None, path: Path) -> None:
    from jsd import Pipeline, SamplingOptions

    pipeline = Pipeline.load(weights)
    pictures = pipeline.generate([SamplingOptions(prompt=prompt, seed=SEED, upscale=UPSCALE) for prompt in PROMPTS])
    width, height = pictures[0].image.size
    strip = Image.new("RGB", (len(pictures) * width, height))
    for number, picture in enumerate(pictures):
        strip.paste(picture.image, (number * width, 0))
    info = PngInfo()
    info.add_itxt("jsd", json.dumps({"pictures": [picture.metadata for picture in pictures]}, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    strip.save(path, pnginfo=info)


def strip_block(path: Path = STRIP) -> str:
    """The README's lines on the strip, from what the file says of itself."""
    if not path.is_file():
        return "*`python -m runs.strip` draws the picture strip here once the embedded model is trained.*\n"
    with Image.open(path) as image:
        pictures = json.loads(image.info["jsd"])["pictures"]
    prompts = "".join(f"「{picture['prompt']}」" for picture in pictures)
    model, seed, steps = (pictures[0][name] for name in ("model", "seed", "num_inference_steps"))
    caption = f"{prompts}: model {model}, seed {seed} for each, {steps} steps, drawn by `python -m runs.strip`."
    return f"![{prompts}](docs/{path.name})\n\n{caption}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    draw(parser.parse_args().weights, STRIP)
    for path in (README, README_JA):
        write_block(path, "strip", strip_block())
    print(STRIP.relative_to(ROOT))


if __name__ == "__main__":
    main()
