"""runs/: what the scripts call exists, tables hold what the reports say, exports are whole or do not happen."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jsd.cli import build_parser
from jsd.training.evaluation.prompt_sets import GROUPS
from runs import results_table, strip
from runs.blocks import ROOT, clear, read_block, write_block
from runs.export_mini import export
from runs.results_table import (
    COLUMNS,
    NATURAL,
    NATURAL_ROWS,
    ROWS,
    SCORED,
    keep,
    load_reports,
    natural_block,
    results_block,
    scored_block,
)


def report(top5: float = 81.5, **changes: Any) -> dict[str, Any]:
    found = {"top1": 40.0, "top5": top5, "drawings": 16}
    return {
        "model": "toy",
        "split": "test",
        "seeds": 1,
        "num_inference_steps": 25,
        "guidance_scale": 7.5,
        "gallery": {"pictures": 6974, "concepts": 634},
        "accuracy": {group: found for group in GROUPS},
        "chance": {group: {"top1": 0.1, "top5": 0.9, "drawings": 16} for group in GROUPS},
        "drawings": [{"prompt": "猫", "rank": 0}],
        **changes,
    }


def calls_of(script: str, tmp_path: Path, *arguments: str) -> list[list[str]]:
    """The commands that a script runs, with `jsd` and `python` replaced by a program that writes them down."""
    recorder, log = tmp_path / "recorder", tmp_path / "calls"
    recorder.write_text('#!/usr/bin/env bash\nprintf "%s\\0" "$@" >> "$CALLS"\nprintf "\\n" >> "$CALLS"\n', "utf-8")
    recorder.chmod(0o755)
    # A copy: the scripts write beside themselves.
    shutil.copytree(ROOT / "runs", tmp_path / "runs", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "JSD": str(recorder), "PYTHON": str(recorder), "CALLS": str(log)}
    subprocess.run([tmp_path / "runs" / script, *arguments], env=environment, check=True)
    return [line.split("\0")[:-1] for line in log.read_text("utf-8").splitlines()]


def test_training_runs_every_stage_in_the_recipes_order(tmp_path: Path) -> None:
    from jsd.training.recipes import RECIPES

    data, sprites, *stages = [
        build_parser().parse_args(call) for call in calls_of("train_mini.sh", tmp_path, "--seed", "3")
    ]
    assert (data.command, data.action, sprites.action) == ("data", "build", "sprites")
    assert [args.stage for args in stages] == list(RECIPES["mini"].stages)
    assert {args.seed for args in stages} == {3}, "arguments must reach every stage"


def test_evaluation_fills_every_row(tmp_path: Path) -> None:
    *evaluations, describe, table = calls_of("evaluate_mini.sh", tmp_path, "--seeds", "3")
    parsed = [build_parser().parse_args(call) for call in evaluations]
    natural = [args for args in parsed if args.prompts is not None and args.scorer is None]
    (scored,) = [args for args in parsed if args.scorer is not None]
    split = [args for args in parsed if args.prompts is None]
    assert [args.output.name for args in split] == list(ROWS)
    assert [args.output.name for args in natural] == list(NATURAL_ROWS)
    assert [args.language for args in split] == ["en"] + ["ja"] * 7
    assert [args.guidance_scale for args in split] == [7.5] * 5 + [3, 3, None], "the editions are at their own"
    assert [args.guidance_scale for args in natural] == [3, 3, None]
    assert {(args.seeds, args.split) for args in (*split, *natural)} == {(3, "test")}
    assert {str(args.prompts) for args in natural} == {NATURAL} and (ROOT / NATURAL).is_file()
    assert (scored.output.name, scored.seeds) == (SCORED, 3) and (ROOT / scored.prompts).is_file()
    assert describe == ["data", "describe"]
    assert table[:2] == ["-m", "runs.results_table"]
    assert table[2:] == [f"{args.output.name}={args.output}/report.json" for args in parsed]


def test_the_columns_are_the_groups_of_prompts() -> None:
    assert list(COLUMNS) == list(GROUPS)


def test_a_report_is_kept_without_its_drawings(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report()), "utf-8")
    keep("stage2", tmp_path / "report.json", tmp_path / "results")
    assert load_reports(tmp_path / "results") == {"stage2": {k: v for k, v in report().items() if k != "drawings"}}


def test_a_cell_is_top_1_and_top_5_with_chance_in_brackets() -> None:
    table = results_block({"stage2": report(top5=81.5)})
    assert "| after stage 2 | 7.5 |" + " 40.0 / 81.5 (0.1 / 0.9) |" * 4 in table
    assert "| after stage 1 | – | – | – | – | – |" in table


def test_the_table_is_written_into_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [tmp_path / f"{name}.md" for name in ("readme", "readme_ja", "card")]
    for page in pages:
        blocks = [
            f"<!-- {block}: by x -->\nold\n<!-- /{block} -->\n" for block in ("results", "natural", "scored", "corpus")
        ]
        page.write_text("".join(blocks), "utf-8")
    monkeypatch.setattr(results_table, "PAGES", pages)
    monkeypatch.setattr(results_table, "SCORED_PAGES", pages)
    monkeypatch.setattr(results_table, "MODEL_CARD", pages[-1])
    monkeypatch.setattr("sys.argv", ["results_table"])
    results_table.main()
    for page in tmp_path.iterdir():
        assert read_block(page.read_text("utf-8"), "results") == results_block(load_reports()), page.name
        natural = natural_block(load_reports(rows=NATURAL_ROWS))
        assert read_block(page.read_text("utf-8"), "natural") == natural, page.name
        assert read_block(page.read_text("utf-8"), "scored") == scored_block(), page.name


def test_rows_that_were_measured_differently_are_refused() -> None:
    with pytest.raises(SystemExit, match="base_en and stage2 differ in seeds"):
        results_block({"base_en": report(), "stage2": report(seeds=2)})


def test_reports_name_no_folder_of_one_machine() -> None:
    absolute = [name for name, one in load_reports().items() if Path(one["model"]).is_absolute()]
    assert not absolute, "evaluate with --weights and a relative folder"


def test_only_the_block_of_that_name_changes(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- one: by x -->\nold\n<!-- /one -->\nb\n<!-- two: by y -->\nkept\n<!-- /two -->\n", "utf-8")
    write_block(path, "one", "new \\1\n")
    text = path.read_text("utf-8")
    assert read_block(text, "one") == "new \\1\n"
    assert read_block(text, "two") == "kept\n"
    assert text.startswith("a\n<!-- one: by x -->\n")


def test_a_page_without_the_markers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("nothing here", "utf-8")
    with pytest.raises(SystemExit, match="'one' are missing"):
        write_block(path, "one", "new\n")


@pytest.fixture
def trained(toy_folder: Path, tmp_path: Path) -> Path:
    """checkpoints/mini as `jsd train` leaves it: the last stage's model, what it ran with, and an upscaler."""
    from jsd.models.upscaler import Upscaler

    stage = tmp_path / "checkpoints" / "stage2"
    shutil.copytree(toy_folder, stage / "model")
    run = {"recipe": "mini", "options": {"seed": 0, "corpus": "/somewhere"}, "seconds": 1.5}
    (stage / "run.json").write_text(json.dumps(run), "utf-8")
    Upscaler(channels=4, num_blocks=1).save_pretrained(stage.parent / "upscaler" / "model" / "upscaler")
    return stage / "model"


def test_the_export_is_a_whole_folder_in_bfloat16(trained: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    from jsd.models.folder import verify_folder

    destination = tmp_path / "weights" / "mini"
    destination.mkdir(parents=True)
    (destination / "README.md").write_text("the card", "utf-8")
    (destination / "training.json").write_text('{"vae": {"seconds": 1}, "stage2": {"seconds": 1}}', "utf-8")
    size_bytes = export(trained, destination)
    assert verify_folder(destination) == []
    with safe_open(destination / "unet/diffusion_pytorch_model.safetensors", framework="numpy") as tensors:
        assert tensors.get_slice("conv_in.weight").get_dtype() == "BF16"
    assert (destination / "README.md").read_text("utf-8") == "the card", "the model card must stay"
    assert (destination / "model_index.json").is_file() and (destination / "tokenizer" / "tokenizer.json").is_file()
    files = [path for path in destination.rglob("*") if path.is_file()]
    assert destination / "upscaler" / "diffusion_pytorch_model.safetensors" in files
    assert size_bytes == sum(path.stat().st_size for path in files if path.parent.name != "upscaler")
    training = json.loads((destination / "training.json").read_text("utf-8"))
    assert training["stage2"] == {"recipe": "mini", "options": {"seed": 0}, "seconds": 1.5}
    assert training["vae"] == {"seconds": 1}, "a stage that was run elsewhere stays known"
    configs = [json.loads(path.read_text("utf-8")) for path in destination.rglob("config.json")]
    assert not [config for config in configs if "_name_or_path" in config], "folders of the machine that trained"
    assert [path.name for path in destination.parent.iterdir()] == ["mini"], "nothing temporary may stay"


def test_an_export_without_an_upscaler_keeps_the_one_that_is_there(trained: Path, tmp_path: Path) -> None:
    destination = tmp_path / "weights" / "mini"
    destination.mkdir(parents=True)
    export(trained, destination)
    shutil.rmtree(trained.parents[1] / "upscaler")
    export(trained, destination)
    assert (destination / "upscaler" / "diffusion_pytorch_model.safetensors").is_file()


def test_an_export_that_is_too_large_changes_nothing(trained: Path, tmp_path: Path) -> None:
    destination = tmp_path / "weights" / "mini"
    destination.mkdir(parents=True)
    (destination / "README.md").write_text("the card", "utf-8")
    with pytest.raises(SystemExit, match="must not exceed 1,000 bytes"):
        export(trained, destination, max_bytes=1000)
    assert [path.name for path in destination.parent.rglob("*")] == ["mini", "README.md"]


def test_the_strip_says_what_drew_it(toy_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "docs" / "strip.png"
    strip.draw(toy_folder, path)
    with Image.open(path) as image:
        assert image.size == (len(strip.PROMPTS) * 64, 64)
    block = strip.strip_block(path)
    assert block.startswith("![") and "(docs/strip.png)" in block
    assert all(f"「{prompt}」" in block for prompt in strip.PROMPTS)


def test_the_sheet_has_every_prompt_and_its_number(toy_folder: Path, tmp_path: Path) -> None:
    path, prompts = tmp_path / "sheet.webp", [f"絵{number}" for number in range(strip.COLUMNS + 1)]
    strip.draw_sheet(toy_folder, path, prompts)
    with Image.open(path) as image:
        assert image.size == (strip.COLUMNS * 32, 2 * (32 + strip.NUMBER_PX)), "as the model draws them"
        assert image.crop((0, 32, 32, 32 + strip.NUMBER_PX)).convert("L").getextrema()[0] < 100, "no number below"
    rows = [line for line in strip.sheet_block(path).splitlines() if line.startswith("* ")]
    assert rows[0].startswith("* 1「絵0」 2「絵1」") and rows[1] == f"* {strip.COLUMNS + 1}「絵{strip.COLUMNS}」"


def test_a_script_makes_its_own_folder_anew_and_no_other(tmp_path: Path) -> None:
    clear(tmp_path / "new")
    (tmp_path / "new" / "left").touch()
    clear(tmp_path / "new")
    assert not (tmp_path / "new" / "left").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").touch()
    for place in (tmp_path / "mine", tmp_path / "mine" / "photo.png"):
        with pytest.raises(SystemExit, match="name another"):
            clear(place)
    assert (tmp_path / "mine" / "photo.png").is_file()
