"""Train `clip_ja`, the scorer beside the embedded model, and write it into weights/clip_ja: at most 10 MB; how well it
finds exchanged captions on a design that it has not seen goes into docs/results/clip_ja.json.

python -m runs.train_clip [--sources data/sources] [--output checkpoints/clip_ja] [--destination weights/clip_ja]
"""

import argparse
import shutil
from pathlib import Path

from runs.blocks import ROOT

MAX_BYTES = 10_000_000


def main() -> None:
    import torch

    from jsd.atomic import replacing_folder, write_json
    from jsd.models.folder import weights_root
    from jsd.prompting.tokenizer import JapaneseTokenizer
    from jsd.scoring import JapaneseClip, load_scorer, save_own
    from jsd.training.clip import HELD_OUT, HIDDEN, PROJECTION, STAGE, Pairs, load_drawings, made_of, measure
    from jsd.training.corpora.sprites import DESIGNS
    from jsd.training.logs import Log
    from jsd.training.loop import CHECKPOINT_FILE, check_settings, train

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, default=Path("data/sources"), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("checkpoints/clip_ja"), help="default: %(default)s")
    parser.add_argument("--destination", type=Path, default=ROOT / "weights" / "clip_ja", help="default: %(default)s")
    args = parser.parse_args()
    vocabulary = weights_root() / "mini" / "tokenizer"
    tokenizer = JapaneseTokenizer.load(vocabulary)
    drawings = load_drawings(args.sources, args.output / "sprites.pt")
    designs = [design for design in DESIGNS if design != HELD_OUT]
    torch.manual_seed(0)
    model = JapaneseClip(tokenizer.vocab_size, tokenizer.pad_token_id, HIDDEN, PROJECTION)
    pairs = Pairs(drawings, designs, tokenizer, STAGE.train_batch_size, seed=0)
    pairs.start(model)
    settings = {
        "designs": " ".join(designs),
        "concepts": len(drawings.concepts),
        "made_of": made_of(drawings, vocabulary),
    }
    check_settings(args.output / CHECKPOINT_FILE, settings)
    with Log(args.output) as log:
        ema, _, seconds = train(
            STAGE,
            torch.nn.ModuleDict({"scorer": model}),
            lambda step: pairs.loss(model, step),
            args.output,
            settings=settings,
            checkpointing_steps=100,
            autocast=torch.autocast("cpu", torch.bfloat16, enabled=False),
            log=log.write,
            sample=lambda step: None,
        )
    ema.copy_to(model.parameters())
    with replacing_folder(args.destination) as folder:
        save_own(model, folder)
        shutil.copytree(vocabulary, folder / "tokenizer")
        card = args.destination / "README.md"
        if card.is_file():
            shutil.copyfile(card, folder / card.name)
        size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size_bytes > MAX_BYTES:
            raise SystemExit(f"the folder must not exceed {MAX_BYTES:,} bytes, and has {size_bytes:,}")
    found = measure(load_scorer(args.destination), drawings, HELD_OUT)
    write_json(ROOT / "docs" / "results" / "clip_ja.json", {"bytes": size_bytes, "seconds": round(seconds), **found})
    print(found)
    (args.destination / "model.safetensors").chmod(0o644)
    print(f"{args.destination}: {size_bytes / 1e6:.1f} MB, {len(drawings.concepts)} concepts, {seconds:.0f} s")


if __name__ == "__main__":
    main()
