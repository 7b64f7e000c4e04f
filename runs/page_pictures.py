"""What the page tells of the embedded model: what it knows, and examples and styles with pictures that it drew.

    python -m runs.page_pictures [--weights FOLDER]

Writes page.json and page/ into the model folder. Run it again whenever the model has changed.
"""

import argparse
import shutil
from pathlib import Path

from runs.blocks import ROOT

ABOUT = {
    "en": {
        "knows": "It draws one thing, or two side by side, in the manner of emoji, and in a colour that is asked for: "
        "animals, food, tools, vehicles, buildings, plants, people at work, and much of Japan.",
        "cannot": "It cannot do places and whole scenes, writing, or the faces of real people.",
    },
    "ja": {
        "knows": "絵文字のような絵で、一つのもの、または並んだ二つのものを、指定した色でも描きます。"
        "動物、食べ物、道具、乗り物、建物、植物、働く人、そして日本のもの。",
        "cannot": "場所や情景、文字、実在の人の顔は描けません。",
    },
}
# (prompt, seed); the first stands in the form of a new visitor.
EXAMPLES = (
    ("サラリーマン 油絵", 1),
    ("富士山 水彩画", 1),
    ("犬と猫", 1),
    ("桜 ドット絵", 1),
    ("ペンギン 油絵", 1),
    ("赤い車", 1),
    ("ハンバーガー ドット絵", 1),
    ("虹 水彩画", 1),
)
STYLE_PROMPT, STYLE_SEED = "猫", 1
UPSCALE = 2  # the page shows them small
QUALITY = 80


def write(folder: Path) -> None:
    from jsd import Pipeline, SamplingOptions
    from jsd.atomic import write_json
    from jsd.images import save_image
    from jsd.prompting.styles import readable_styles
    from jsd.serving.page.known import PAGE_FILE, PICTURES

    pipeline = Pipeline.load(folder)
    shutil.rmtree(folder / PICTURES, ignore_errors=True)
    (folder / PICTURES).mkdir()

    def draw(name: str, prompt: str, style: str, seed: int) -> str:
        (drawn,) = pipeline.generate(SamplingOptions(prompt=prompt, style=style, seed=seed, upscale=UPSCALE))
        save_image(drawn.image, folder / PICTURES / f"{name}.webp", quality=QUALITY, metadata=drawn.metadata)
        return f"{name}.webp"

    examples = [
        {"prompt": prompt, "seed": seed, "picture": draw(f"example-{number}", prompt, "", seed)}
        for number, (prompt, seed) in enumerate(EXAMPLES, 1)
    ]
    styles = {
        name: draw(f"style-{number}", STYLE_PROMPT, name, STYLE_SEED)
        for number, name in enumerate(readable_styles(pipeline.tokenizer), 1)
    }
    write_json(folder / PAGE_FILE, {"about": ABOUT, "examples": examples, "styles": styles})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    write(parser.parse_args().weights)


if __name__ == "__main__":
    main()
