import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from jsd.models.record import OPENRAIL, ZERO_EMPTY, folder_digest, folder_licence, pixel_digest


@pytest.fixture
def folder(toy_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(toy_folder, tmp_path / "other name")


def test_the_digest_is_of_the_contents_not_of_the_place(toy_folder: Path, folder: Path) -> None:
    (folder / "README.md").write_text("words change no picture")
    assert folder_digest(folder) == folder_digest(toy_folder)


@pytest.mark.parametrize(
    "name",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "vae/config.json",
        "tokenizer/spiece.model",
        "scheduler/scheduler_config.json",
    ],
)
def test_one_bit_anywhere_changes_the_digest(name: str, toy_folder: Path, folder: Path) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    assert folder_digest(folder) != folder_digest(toy_folder)


def test_what_sdxl_is_told_without_a_negative_prompt_is_in_its_digest(toy_folder: Path, tmp_path: Path) -> None:
    digests = set()
    for number, says in enumerate(({}, {ZERO_EMPTY: True}, {ZERO_EMPTY: False})):
        folder = shutil.copytree(toy_folder, tmp_path / str(number))
        shutil.copytree(folder / "text_encoder", folder / "text_encoder_2")
        (folder / "model_index.json").write_text(json.dumps(says), "utf-8")
        digests.add(folder_digest(folder))
    assert len(digests) == 2


def test_rinnas_class_names_rinnas_licence_and_its_restrictions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    english = folder_licence(folder)
    assert english["licence"] == OPENRAIL and "exploit or harm minors" in str(english["use_restrictions"])
    monkeypatch.setenv("JSD_LANG", "ja")
    assert folder_licence(folder) == english, "the same request must give the same file in every language"


def test_a_folder_that_names_no_licence_has_none(folder: Path) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (folder / "README.md").write_text("# A model\n\nlicense: mit is not said here\n")
    assert folder_licence(folder) == {}


@pytest.mark.parametrize(
    ("front", "licence", "url"),
    [
        ("license: mit", "MIT", None),
        ("license: creativeml-openrail-m", OPENRAIL, "https://huggingface.co/spaces/CompVis/stable-diffusion-license"),
        ("license: other\nlicense_name: 'MIT; OFL 1.1'\nlicense_link: https://a.b/c", "MIT; OFL 1.1", "https://a.b/c"),
        ("license: gpl-3.0\ntags:\n- x", "gpl-3.0", None),
    ],
)
def test_the_model_cards_front_matter_comes_first(front: str, licence: str, url: str | None, folder: Path) -> None:
    (folder / "README.md").write_text(f"---\nlanguage: ja\n{front}\n---\n# Card\n", "utf-8")
    record = folder_licence(folder)
    assert (record["licence"], record.get("licence_url")) == (licence, url)


def test_pixels_have_one_digest_whatever_their_shape_has_in_common() -> None:
    wide, tall = Image.new("RGB", (4, 2)), Image.new("RGB", (2, 4))
    assert pixel_digest(wide) == pixel_digest(wide.copy()) != pixel_digest(tall)
