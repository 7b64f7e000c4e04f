"""Ranks on a gallery of five pictures, chance, and the whole report of a toy model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_sprites import disc

from jsd.models.record import folder_digest
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.safety import Verdict
from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus, Record
from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
from jsd.training.corpora.words import read_colours
from jsd.training.evaluation.colours import has_colour
from jsd.training.evaluation.drawings import Drawing
from jsd.training.evaluation.evaluate import (
    FIRST_SEED,
    accuracy,
    by_style,
    contact_sheet,
    draw,
    evaluate,
    mismatched,
    ranks,
)
from jsd.training.evaluation.gallery import in_colour, on_white, painted, with_designs
from jsd.training.evaluation.judge import Judge
from jsd.training.evaluation.prompt_sets import GROUPS, Prompt, make_prompts

PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)
ONE_STEP = SamplingOptions(prompt="", num_inference_steps=1, guidance_scale=1.0)


class HandMade:
    """A judge whose every answer is: cat in 3D, cat in oil, dog in 3D, dog in oil, bus in 3D, in this order."""

    def distances(self, pictures: np.ndarray) -> np.ndarray:
        return np.tile([0.1, 0.2, 0.3, 0.4, 0.5], (len(pictures), 1))


@pytest.fixture
def gallery() -> Corpus:
    shown = [("cat", "3d"), ("cat", "oil"), ("dog", "3d"), ("dog", "oil"), ("bus", "3d")]
    records = [Record(n, code, style, None, False, False, "toys 1", "MIT") for n, (code, style) in enumerate(shown)]
    concepts = {code: Concept(code, "Toys", code, code, (), (), False, ()) for code in ("cat", "dog", "bus")}
    return Corpus(np.zeros((5, 8, 8, 3), dtype=np.uint8), records, concepts)


def rank(gallery: Corpus, *right: str, style: str | None = None) -> int:
    drawing = Drawing(Prompt("general", "", frozenset(right), style), 0, PICTURE)
    (found,) = ranks(gallery, HandMade(), [drawing])  # type: ignore[arg-type]
    return int(found)


def test_a_concept_counts_once_however_many_pictures_it_has(gallery: Corpus) -> None:
    assert [rank(gallery, code) for code in ("cat", "dog", "bus")] == [0, 1, 2]


def test_the_nearest_of_several_right_answers_counts(gallery: Corpus) -> None:
    assert rank(gallery, "bus", "dog") == 1


def test_a_style_that_is_asked_for_must_be_right_too(gallery: Corpus) -> None:
    assert rank(gallery, "cat", style="3d") == 0
    assert rank(gallery, "bus", style="3d") == 2
    last = len(gallery.concepts)
    assert rank(gallery, "cat", style="oil") == last, "the nearest cat is in 3D: the style is wrong"
    assert rank(gallery, "dog", style="oil") == last


def test_what_a_safety_checker_would_flag_is_measured_too(toy_folder: Path) -> None:
    class FlagsAll:
        def judge(self, picture: Image.Image) -> Verdict:
            return Verdict(score=1.0, concept=0, special_care=False)

    pipeline = replace(Pipeline.load(toy_folder), safety_checker=FlagsAll())  # type: ignore[arg-type]
    prompts = [Prompt("general", text, frozenset(["cat"])) for text in ("猫", "犬")]
    assert len(draw(pipeline, prompts, seeds=1, options=ONE_STEP)) == 2


def drawing(group: str, code: str, seed: int = 0) -> Drawing:
    return Drawing(Prompt(group, code, frozenset([code])), seed, PICTURE)


def test_accuracy_is_by_group_in_percent() -> None:
    drawings = [drawing("general", "cat")] * 4 + [drawing("japan", "dog")]
    table = accuracy(drawings, np.array([0, 4, 5, 60, 0]))
    assert table == {
        "general": {"top1": 25.0, "top5": 50.0, "drawings": 4},
        "japan": {"top1": 100.0, "top5": 100.0, "drawings": 1},
    }


def test_what_names_a_style_is_told_by_style_too() -> None:
    prompts = [("unseen", "noto"), ("unseen", "flat"), ("styles", "noto"), ("general", None)]
    drawings = [Drawing(Prompt(group, "", frozenset("a"), style), 0, PICTURE) for group, style in prompts]
    assert by_style(drawings, np.array([9, 0, 3, 0])) == {
        "noto": {"top1": 0.0, "top5": 50.0, "drawings": 2},
        "flat": {"top1": 100.0, "top5": 100.0, "drawings": 1},
    }


def test_chance_asks_another_prompt_of_the_same_group() -> None:
    drawings = [drawing(group, code, seed) for group in ("general", "japan") for code in "abc" for seed in (0, 1)]
    shuffled = mismatched(drawings)
    assert len(shuffled) == len(drawings)
    owner = {(d.prompt.group, d.prompt.text, d.seed): d for d in drawings}
    for changed, original in zip(shuffled, drawings, strict=True):
        assert changed.prompt != original.prompt
        assert changed.prompt.group == original.prompt.group
        assert owner[original.prompt.group, original.prompt.text, changed.seed].picture is changed.picture


def test_chance_never_asks_a_drawings_own_prompt() -> None:
    assert mismatched([drawing("general", "cat", seed) for seed in range(3)]) == []


@pytest.fixture(scope="module")
def pipeline(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, device="cpu", dtype="float32")


def test_every_prompt_is_drawn_with_seeds_of_its_own(pipeline: Pipeline) -> None:
    prompts = [Prompt("general", text, frozenset([text])) for text in ("猫", "鳥居")]
    drawings = draw(pipeline, prompts, seeds=2, options=ONE_STEP)
    assert [(d.prompt.text, d.seed - FIRST_SEED) for d in drawings] == [("猫", 0), ("猫", 1), ("鳥居", 2), ("鳥居", 3)]
    assert drawings[0].picture.shape == (32, 32, 3)


@pytest.fixture(scope="module")
def report(toy_corpus: Corpus, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    output = tmp_path_factory.mktemp("evaluation") / "report"
    returned = evaluate(
        pipeline,
        toy_corpus,
        make_prompts(toy_corpus, "ja", "test"),
        of={"language": "ja", "split": "test"},
        seeds=1,
        options=SamplingOptions(prompt="", num_inference_steps=1, guidance_scale=2.0, guidance_start=0.5),
        output=output,
    )
    return output, returned


def test_the_report_has_what_is_needed_to_repeat_it(report: tuple[Path, Any], toy_folder: Path) -> None:
    written = json.loads((report[0] / "report.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(report[1]))
    assert not Path(written["model"]).is_absolute(), "a report must not name the machine's folders"
    assert Path(written["model"]).resolve() == toy_folder.resolve()
    assert (written["language"], written["split"], written["seeds"]) == ("ja", "test", 1)
    assert (written["num_inference_steps"], written["guidance_scale"]) == (1, 2.0)
    assert (written["guidance_start"], written["guidance_end"]) == (0.5, 1.0)
    assert written["gallery"] == {"pictures": 88, "concepts": 8}


def test_the_report_names_the_weights_that_drew(report: tuple[Path, Any], toy_folder: Path) -> None:
    """The folder's name stays when it is trained on; its digest does not."""
    written = json.loads((report[0] / "report.json").read_text("utf-8"))
    assert written["model_sha256"] == folder_digest(toy_folder)


def test_the_report_counts_every_drawing(report: tuple[Path, Any], toy_corpus: Corpus) -> None:
    prompts = make_prompts(toy_corpus, "ja", "test")
    drawn = report[1]["drawings"]
    assert [one["prompt"] for one in drawn] == [prompt.text for prompt in prompts]
    assert sum(cell["drawings"] for cell in report[1]["accuracy"].values()) == len(prompts)
    assert all({"group", "prompt", "seed", "rank"} <= one.keys() for one in drawn)


def test_the_report_has_chance_and_ceiling_beside_accuracy(report: tuple[Path, Any]) -> None:
    assert {cell["drawings"] for cell in report[1]["ceiling"].values()} == {
        cell["drawings"] for cell in report[1]["accuracy"].values()
    }
    for row in ("accuracy", "chance"):
        assert set(report[1][row]) <= set(GROUPS)
        assert all({"top1", "top5", "drawings"} == cell.keys() for cell in report[1][row].values())
    assert report[1]["chance"], "a toy split has groups of two prompts and more"


def test_the_contact_sheet_is_a_picture(report: tuple[Path, Any]) -> None:
    with Image.open(report[0] / "contact_sheet.png") as sheet:
        assert sheet.width == 8 * 32
        assert sheet.height % 32 == 0


def test_the_contact_sheet_frames_right_in_green_and_wrong_in_red(gallery: Corpus) -> None:
    picture = np.full((32, 32, 3), 255, dtype=np.uint8)
    drawings = [replace(drawing("general", code), picture=picture) for code in ("cat", "dog")]
    sheet = contact_sheet(gallery, drawings, np.array([4, 5]))
    assert sheet.getpixel((31, 31)) == (0, 128, 0)
    assert sheet.getpixel((63, 31)) == (255, 0, 0)


def test_a_model_that_draws_the_right_pictures_gets_full_marks(toy_corpus: Corpus) -> None:
    prompts = make_prompts(toy_corpus, "ja", "test") + make_prompts(toy_corpus, "ja", "dev")
    drawings = []
    for prompt in prompts:
        right = next(r for r in toy_corpus.records if r.code in prompt.right and prompt.style in (None, r.style))
        drawings.append(Drawing(prompt, 0, np.asarray(toy_corpus.pictures[right.index])))
    found = ranks(toy_corpus, Judge.fit(np.asarray(toy_corpus.pictures)), drawings)
    assert {group: cell["top1"] for group, cell in accuracy(drawings, found).items()} == dict.fromkeys(GROUPS, 100.0)


def test_two_things_are_found_each_in_its_half_in_any_order(toy_corpus: Corpus) -> None:
    judge = Judge.fit(np.asarray(toy_corpus.pictures))
    by_code = {record.code: np.asarray(toy_corpus.pictures[record.index]) for record in toy_corpus.records}
    one, other, third = list(by_code)[:3]
    canvas = np.full((128, 128, 3), 255, dtype=np.uint8)
    for code, corner in ((one, 0), (other, 66)):
        small = Image.fromarray(by_code[code]).resize((60, 60))
        canvas[34:94, corner : corner + 60] = np.asarray(small)
    for picture in (canvas, canvas.transpose(1, 0, 2)):
        if picture is not canvas:  # one over the other, each upright
            picture = np.full((128, 128, 3), 255, dtype=np.uint8)
            picture[:60, 30:90], picture[66:126, 30:90] = canvas[34:94, :60], canvas[34:94, 66:126]
        picture[:2, -2:] = 200  # a speck of the VAE's is no part of a thing
        asked = [(one, other), (other, one), (one, third)]
        drawings = [Drawing(Prompt("two", "", frozenset([a]), second=frozenset([b])), 0, picture) for a, b in asked]
        assert [bool(rank == 0) for rank in ranks(toy_corpus, judge, drawings)] == [True, True, False]


def test_a_thing_in_a_colour_is_judged_among_all_things_in_that_colour(gallery: Corpus) -> None:
    blue = read_colours()["青"]
    sizes = [(120, 90), (120, 90), (40, 120), (40, 120), (120, 80)]
    *pictures, bus = [on_white(np.asarray(disc(number, size)), 64) for number, size in enumerate(sizes)]
    blue_cat, blue_bus = painted(pictures[0], blue), painted(bus, blue)
    assert blue_cat is not None and blue_bus is not None and has_colour(blue_cat, "青")
    assert painted(np.zeros_like(blue_cat), blue) is None
    corpus = replace(gallery, pictures=np.stack([*pictures, blue_bus]))
    judge = Judge.fit(corpus.pictures)
    both, judge_of_both = in_colour(corpus, judge, blue)
    assert [(record.code, record.style) for record in both.records[5:]] == [("cat", "3d"), ("dog", "3d"), ("bus", "3d")]
    prompts = [Prompt("colours", "", frozenset([code]), colour="青") for code in ("cat", "bus")]
    drawings = [Drawing(prompt, 0, blue_cat) for prompt in prompts]
    assert ranks(corpus, judge, drawings).tolist() == [1, 0], "it is blue as the bus is"
    assert ranks(corpus, judge, drawings, {"青": (both, judge_of_both)}).tolist() == [0, 1]


def test_a_colour_is_counted_beside_the_subject() -> None:
    red = np.full((32, 32, 3), 255, dtype=np.uint8)
    red[8:24, 8:24] = (220, 30, 30)
    drawings = [Drawing(Prompt("colours", "", frozenset("a"), colour=name), 0, red) for name in ("赤", "青")]
    assert accuracy(drawings, np.array([0, 0]))["colours"] == {
        "top1": 100.0,
        "top5": 100.0,
        "drawings": 2,
        "colour": 50.0,
    }


def test_other_designs_are_right_too(toy_corpus: Corpus, toy_sprites: Path) -> None:
    sprites = Sprites.load(toy_sprites / SPRITES_FILE)
    gallery = with_designs(toy_corpus, sprites)
    code = next(iter(toy_corpus.concepts))
    picture = on_white(sprites.get("twemoji", code), 64)
    assert picture.shape == (64, 64, 3) and (picture[0, 0] == 255).all()
    drawings = [Drawing(Prompt("nouns", "", frozenset([code])), 0, picture)]
    (found,) = (ranks(one, Judge.fit(np.asarray(one.pictures)), drawings) for one in (gallery,))
    assert found == 0 and len(gallery.records) == len(gallery.pictures)
    added = [record.style for record in gallery.records[len(toy_corpus.records) :]]
    assert added.count("twemoji") == 8 and added.count("blob") == 7 and set(added) == {"twemoji", "blob"}
