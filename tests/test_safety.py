"""The safety checker on toys: every decision is diffusers', every flagged picture is withheld alone."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy_checker import write_toy_checker

from jsd.errors import GenerationError, ModelFolderError, UnsafeImagesError
from jsd.models.components import expected_shapes, load_image_processor, load_safety_checker
from jsd.models.convert import convert_folder
from jsd.models.folder import open_model_folder, verify_folder
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.safety import SafetyChecker, blank_unsafe, safety_status

CPU = torch.device("cpu")
OPTIONS = SamplingOptions(prompt="サラリーマン 油絵", num_inference_steps=2, seed=0, num_outputs=4)
WEIGHTS = Path("safety_checker") / "model.safetensors"


def photo(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 32, 3), np.uint8))


@pytest.fixture(scope="module")
def checker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photo 0 is unsafe, photo 1 calls for special care."""
    return write_toy_checker(tmp_path_factory.mktemp("checker"), unsafe=[photo(0)], care=[photo(1)])


@pytest.fixture(scope="module")
def checker(checker_folder: Path) -> SafetyChecker:
    return SafetyChecker(checker_folder, CPU)


@pytest.fixture(scope="module")
def unchecked(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def guarded_folder(toy_folder: Path, unchecked: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model with a checker that flags the picture of seed 2."""
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("guarded") / "toy")
    return write_toy_checker(folder, unsafe=[unchecked.generate(OPTIONS)[2].image])


@pytest.fixture(scope="module")
def pipeline(guarded_folder: Path) -> Pipeline:
    return Pipeline.load(guarded_folder, device="cpu", dtype="float32")


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def decisions(folder: Path, pictures: list[Image.Image]) -> tuple[list[bool], list[bool], list[bool]]:
    """Of each picture: ours, diffusers', whether it called for special care."""
    model, processor = load_safety_checker(folder, CPU), load_image_processor(folder)
    checker = SafetyChecker(folder, CPU)
    verdicts = [checker.judge(picture) for picture in pictures]
    theirs = [
        model(images=[np.zeros((2, 2, 3))], clip_input=processor(picture, return_tensors="pt")["pixel_values"])[1][0]
        for picture in pictures
    ]
    return [verdict.score > 0 for verdict in verdicts], theirs, [verdict.special_care for verdict in verdicts]


@pytest.mark.parametrize("seed", range(4))
def test_every_decision_is_diffusers(checker_folder: Path, tmp_path: Path, seed: int) -> None:
    """Random concepts, with thresholds that part the pictures."""
    folder = shutil.copytree(checker_folder, tmp_path / "random")
    generator = torch.Generator().manual_seed(seed)

    def randomize(tensors: dict[str, torch.Tensor]) -> None:
        for name, low in (("concept_embeds", 0.45), ("special_care_embeds", 0.1)):
            tensors[name] = torch.randn(tensors[name].shape, generator=generator)
            tensors[f"{name}_weights"] = torch.rand(len(tensors[name]), generator=generator) * 0.2 + low

    change_weights(folder, randomize)
    ours, theirs, cared_for = decisions(folder, [photo(number) for number in range(24)])
    assert ours == theirs
    assert 0 < sum(ours) < 24 and 0 < sum(cared_for) < 24, "the checker must part the pictures"


@pytest.mark.parametrize(("care_distance", "care"), [(-1, False), (0.0004, False), (0.0006, True), (0.5, True)])
@pytest.mark.parametrize("distance", [-0.0106, -0.0104, -0.0096, -0.0094, -0.0006, 0.0, 0.0004, 0.0006, 0.0014])
def test_the_last_digit_decides_as_in_diffusers(
    checker_folder: Path, tmp_path: Path, distance: float, care_distance: float, care: bool
) -> None:
    folder = shutil.copytree(checker_folder, tmp_path / "close")

    def move(tensors: dict[str, torch.Tensor]) -> None:
        # Photo 0 is at a cosine of 1 with the first concept.
        tensors["concept_embeds_weights"][0] = 1 - distance
        tensors["special_care_embeds"][0] = tensors["concept_embeds"][0]
        tensors["special_care_embeds_weights"][0] = 1 - care_distance

    change_weights(folder, move)
    ours, theirs, cared_for = decisions(folder, [photo(0)])
    assert ours == theirs == [distance + 0.01 * care > 0.0005]
    assert cared_for == [care]


def test_the_score_and_its_concept_are_told(checker: SafetyChecker) -> None:
    unsafe, cared_for, other = (checker.judge(photo(number)) for number in range(3))
    assert (unsafe.score, unsafe.concept, unsafe.special_care) == (0.001, 0, False)
    assert cared_for.special_care and cared_for.score < 0
    assert not other.special_care and other.score < 0


def test_scores_that_are_no_numbers_are_an_error_not_a_pass(checker_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checker_folder, tmp_path / "broken")
    change_weights(folder, lambda tensors: tensors["visual_projection.weight"].fill_(torch.nan))
    with pytest.raises(GenerationError, match="finite"):
        SafetyChecker(folder, CPU).judge(photo(0))


def test_a_checker_of_2022_judges_the_same(checker_folder: Path, checker: SafetyChecker, tmp_path: Path) -> None:
    """A pickle, the vision model's prefix twice, a buffer that is no weight."""
    folder = shutil.copytree(checker_folder, tmp_path / "old")
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    old = {name.replace("vision_model.", "vision_model.vision_model."): value for name, value in tensors.items()}
    old["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    torch.save(old, folder / "safety_checker" / "pytorch_model.bin")
    assert SafetyChecker(folder, CPU).judge(photo(0)) == checker.judge(photo(0))
    assert SafetyChecker(folder, CPU).judge(photo(2)) == checker.judge(photo(2))


def test_one_of_four_is_withheld_and_three_are_returned(pipeline: Pipeline, unchecked: Pipeline) -> None:
    job = pipeline.prepare(OPTIONS)
    for _ in pipeline.denoise(job):
        pass
    returned = pipeline.finish(job)
    assert [made.seed for made in returned] == [0, 1, 3]
    (withheld,) = job.withheld
    assert [withheld.params[name] for name in ("seed", "concept", "threshold")] == [2, 0, 0.0] and withheld.params[
        "score"
    ] > 0
    expected = [made.image.tobytes() for made in unchecked.generate(OPTIONS)]
    assert [made.image.tobytes() for made in returned] == [expected[0], expected[1], expected[3]]
    assert [made.metadata["batch"] for made in returned] == [[0, 4], [1, 4], [3, 4]]


def test_a_withheld_picture_says_why_in_one_line(pipeline: Pipeline) -> None:
    with pytest.raises(UnsafeImagesError) as caught:
        pipeline.generate(replace(OPTIONS, seed=2, num_outputs=1))
    (withheld,) = caught.value.withheld
    assert "seed 2" in str(withheld) and f"{withheld.params['score']:g}" in str(withheld) and "\n" not in str(withheld)
    assert json.loads(json.dumps(withheld.record()))["message"] == str(withheld)


def test_where_all_are_withheld_it_fails_with_the_seeds_and_scores(pipeline: Pipeline) -> None:
    unsafe = pipeline.generate(replace(OPTIONS, seed=2, num_outputs=1, disable_safety_checker=True))[0].image
    with pytest.raises(UnsafeImagesError, match="NSFW content detected") as caught:
        # Nothing of it is white: four times the same picture.
        pipeline.generate(replace(OPTIONS, image=unsafe, mask=Image.new("L", unsafe.size)))
    assert caught.value.code == "safety.all_withheld" and isinstance(caught.value, GenerationError)
    assert [withheld.params["seed"] for withheld in caught.value.withheld] == [0, 1, 2, 3]


def test_a_job_finished_twice_withholds_the_same(pipeline: Pipeline) -> None:
    job = pipeline.prepare(OPTIONS)
    for _ in pipeline.denoise(job):
        pass
    first, second = ([made.seed for made in pipeline.finish(job)] for _ in range(2))
    assert first == second and len(job.withheld) == 1


def test_disabled_it_returns_all_and_the_files_say_so(pipeline: Pipeline) -> None:
    returned = pipeline.generate(replace(OPTIONS, disable_safety_checker=True))
    assert [made.seed for made in returned] == [0, 1, 2, 3]
    assert {(made.metadata["disable_safety_checker"], made.metadata["safety_checker"]) for made in returned} == {
        (True, "disabled")
    }


def test_disabled_it_is_not_even_loaded(guarded_folder: Path) -> None:
    pipeline = Pipeline.load(guarded_folder, device="cpu", dtype="float32")
    pipeline.generate(replace(OPTIONS, disable_safety_checker=True, num_outputs=1))
    assert "_model" not in vars(pipeline.safety_checker)


def test_a_higher_threshold_lets_it_pass_and_a_lower_one_withholds_more(pipeline: Pipeline) -> None:
    def withheld(threshold: float) -> set[int]:
        job = pipeline.prepare(replace(OPTIONS, safety_threshold=threshold))
        for _ in pipeline.denoise(job):
            pass
        with suppress(UnsafeImagesError):
            pipeline.finish(job)
        return {one.params["seed"] for one in job.withheld}

    assert withheld(0.001) == set(), "a score at the threshold passes"
    assert withheld(0.0) == {2} < withheld(-0.1)


def test_the_picture_that_is_judged_is_the_one_returned(pipeline: Pipeline) -> None:
    """With a mask the original stands around what was drawn."""
    judged: list[bytes] = []
    checker = SafetyChecker(pipeline.safety_checker.folder, CPU)  # type: ignore[union-attr]
    judge = checker.judge
    checker.judge = lambda picture: (judged.append(picture.tobytes()), judge(picture))[1]  # type: ignore[func-returns-value, method-assign]
    options = replace(OPTIONS, num_outputs=1, image=photo(3).resize((32, 32)), mask=Image.new("L", (32, 32)))
    (made,) = replace(pipeline, safety_checker=checker).generate(options)
    assert judged == [made.image.tobytes()]


def test_in_a_preview_only_the_unsafe_picture_is_black(checker: SafetyChecker) -> None:
    preview = Image.new("RGB", (96, 20))
    for number, shown in enumerate((2, 0, 3)):
        preview.paste(photo(shown), (32 * number, 0))
    options = [replace(OPTIONS, seed=number, num_outputs=1) for number in range(3)]
    shown = blank_unsafe(checker, preview, options)
    parts = [shown.crop((32 * number, 0, 32 * number + 32, 20)) for number in range(3)]
    assert [part.getextrema() == ((0, 0),) * 3 for part in parts] == [False, True, False]
    assert parts[0].tobytes() == photo(2).tobytes() and parts[2].tobytes() == photo(3).tobytes()
    assert blank_unsafe(None, preview, options).tobytes() == preview.tobytes()


def test_a_folder_without_a_checker_says_so_and_draws(unchecked: Pipeline) -> None:
    assert unchecked.safety_checker is None
    assert safety_status(unchecked.safety_checker, OPTIONS) == "none"
    assert {made.metadata["safety_checker"] for made in unchecked.generate(OPTIONS)} == {"none"}


def test_a_folder_with_a_checker_is_whole(guarded_folder: Path) -> None:
    assert [str(problem) for problem in verify_folder(guarded_folder)] == []


def name_checker(folder: Path, value: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "safety_checker": value}), "utf-8")


def test_a_checker_that_the_folder_names_and_does_not_have_is_an_error(toy_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(toy_folder, tmp_path / "toy")
    name_checker(folder, ["stable_diffusion", "StableDiffusionSafetyChecker"])
    with pytest.raises(ModelFolderError, match="null, null"):
        open_model_folder(folder)
    name_checker(folder, [None, None])
    assert verify_folder(folder) == [], "the remedy must work"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("safety_checker/config.json", "folder.file_missing"),
        ("safety_checker/model.safetensors", "folder.no_weights"),
        ("feature_extractor/preprocessor_config.json", "folder.file_missing"),
    ],
)
def test_a_part_of_the_checker_that_is_missing_is_named(
    guarded_folder: Path, tmp_path: Path, name: str, code: str
) -> None:
    folder = shutil.copytree(guarded_folder, tmp_path / "toy")
    (folder / name).unlink()
    assert [problem.code for problem in verify_folder(folder)] == [code]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda tensors: tensors.pop("concept_embeds_weights"), "folder.tensor_missing"),
        (lambda tensors: tensors.update(concept_embeds=torch.ones(3, 16)), "folder.tensor_misshapen"),
        (lambda tensors: tensors.update(more=torch.ones(1)), "folder.tensor_unexpected"),
    ],
)
def test_a_damaged_tensor_of_the_checker_is_named(
    guarded_folder: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object], code: str
) -> None:
    folder = shutil.copytree(guarded_folder, tmp_path / "toy")
    change_weights(folder, change)
    assert [problem.code for problem in verify_folder(folder)] == [code]


def test_a_config_of_2022_calls_for_the_released_checkers_size() -> None:
    """In that year's form, the sizes twice: CLIP ViT-L/14, its projection, 20 concepts and their thresholds."""
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
    config = {
        "architectures": ["StableDiffusionSafetyChecker"],
        "model_type": "clip",
        "projection_dim": 768,
        "torch_dtype": "float32",
        "vision_config": {"hidden_act": "quick_gelu", "image_size": 224, "model_type": "clip_vision_model", **sizes},
        "vision_config_dict": {"patch_size": 14, **sizes},
    }
    assert sum(map(prod, expected_shapes("safety_checker", config).values())) == 303_981_588


def test_a_converted_checker_keeps_its_precision(guarded_folder: Path, tmp_path: Path) -> None:
    convert_folder(guarded_folder, tmp_path / "half", "bfloat16")
    before, after = (load_file(folder / WEIGHTS) for folder in (guarded_folder, tmp_path / "half"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((tmp_path / "half/safety_checker/config.json").read_text("utf-8"))["dtype"] == "float32"
