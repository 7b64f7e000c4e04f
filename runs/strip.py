"""The embedded model's pictures of fixed prompts with one fixed seed: the strip of both READMEs, and the contact sheet
of the natural prompts in both pages on training.

python -m runs.strip
"""

import argparse
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from runs.blocks import DOCS, README, README_JA, ROOT, TRAINING, write_block

STRIP = DOCS / "strip.png"
SHEET = DOCS / "images" / "natural.webp"
NATURAL = ROOT / "jsd" / "training" / "evaluation" / "sets" / "natural.txt"
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
COLUMNS, NUMBER_PX, QUALITY = 10, 18, 80  # of the sheet: pictures in a row, the height of what numbers them


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
    with Image.open(path) as image:
        pictures = json.loads(image.info["jsd"])["pictures"]
    prompts = "".join(f"「{picture['prompt']}」" for picture in pictures)
    model, seed, steps = (pictures[0][name] for name in ("model", "seed", "num_inference_steps"))
    caption = f"{prompts}: model {model}, seed {seed} for each, {steps} steps, drawn by `python -m runs.strip`."
    return f"![{prompts}](docs/{path.name})\n\n{caption}\n"


def natural_prompts() -> list[str]:
    """All of them, as the file has them."""
    lines = NATURAL.read_text("utf-8").splitlines()
    return [line.partition(": ")[2].partition(" = ")[0] for line in lines if line and not line.startswith("#")]


def draw_sheet(weights: Path | None, path: Path, prompts: list[str]) -> None:
    """Every prompt's picture as the model draws it, without upscaling, in rows, with its number below."""
    from jsd import Pipeline, SamplingOptions
    from jsd.images import save_image

    requests = [SamplingOptions(prompt=prompt, seed=SEED, upscale=1) for prompt in prompts]
    pictures = Pipeline.load(weights).generate(requests)
    width, height = pictures[0].image.size
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * (height + NUMBER_PX)), "white")
    write, font = ImageDraw.Draw(sheet), ImageFont.load_default(NUMBER_PX - 4)
    for number, picture in enumerate(pictures):
        left, top = number % COLUMNS * width, number // COLUMNS * (height + NUMBER_PX)
        sheet.paste(picture.image, (left, top))
        write.text((left + width // 2, top + height), str(number + 1), "black", font, anchor="ma")
    shared = {name: pictures[0].metadata[name] for name in ("model", "model_sha256", "seed", "num_inference_steps")}
    save_image(sheet, path, quality=QUALITY, metadata={**shared, "prompts": prompts})


def sheet_block(path: Path = SHEET) -> str:
    """The lines of the pages on training, a row's prompts a line: few machines have a font to write them into it."""
    from jsd.images.metadata import read_picture_file

    said = read_picture_file(path).values
    numbered = [f"{number}「{prompt}」" for number, prompt in enumerate(said["prompts"], 1)]
    rows = [f"* {' '.join(numbered[first : first + COLUMNS])}" for first in range(0, len(numbered), COLUMNS)]
    caption = (
        f"All {len(numbered)} prompts of `{NATURAL.relative_to(ROOT)}`: model {said['model']}, seed {said['seed']} for "
        f"each, {said['num_inference_steps']} steps, none chosen, drawn by `python -m runs.strip`."
    )
    return "\n".join([f"![{len(numbered)} prompts](images/{path.name})", "", caption, "", *rows, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    weights = parser.parse_args().weights
    draw(weights, STRIP)
    draw_sheet(weights, SHEET, natural_prompts())
    for pages, name, block in (((README, README_JA), "strip", strip_block()), (TRAINING, "sheet", sheet_block())):
        for path in pages:
            write_block(path, name, block)
    print(STRIP.relative_to(ROOT), SHEET.relative_to(ROOT))


if __name__ == "__main__":
    main()
