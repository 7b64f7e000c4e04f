"""Random model folders: the shapes on the meta device, the files at the embedded model's size."""

from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jsd.errors import InvalidInputError
from jsd.models.components import expected_shapes
from jsd.models.folder import verify_folder
from jsd.models.random import model_configs, write_random_folder
from jsd.prompting.tokenizer import JapaneseTokenizer

# Counted on the released model; the text encoder's is inferred from its file size.
RELEASED = {"text_encoder": 109_691_136, "unet": 859_520_964, "vae": 83_653_863}


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "mini"
    write_random_folder(folder, "mini", "bfloat16")
    return folder


@pytest.mark.parametrize("component", RELEASED)
def test_full_has_the_released_models_shape(component: str) -> None:
    shapes = expected_shapes(component, model_configs("full")[component])
    assert sum(map(prod, shapes.values())) == RELEASED[component]


def test_a_random_folder_is_whole(random_folder: Path) -> None:
    assert [str(problem) for problem in verify_folder(random_folder)] == []


def test_a_random_folder_loads_in_diffusers_with_finite_outputs(random_folder: Path) -> None:
    from diffusers.models import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(random_folder / "vae", torch_dtype=torch.bfloat16)
    latents = torch.randn((1, vae.config.latent_channels, 2, 2), dtype=torch.bfloat16)
    with torch.inference_mode():
        image = vae.decode(latents).sample
    assert torch.isfinite(image).all()
    assert image.std() > 0


def test_weights_are_in_the_dtype_asked_for(random_folder: Path) -> None:
    tensors = load_file(random_folder / "text_encoder/model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_the_same_seed_gives_the_same_weights(random_folder: Path, tmp_path: Path) -> None:
    write_random_folder(tmp_path / "again", "mini", "bfloat16", seed=0)
    write_random_folder(tmp_path / "other", "mini", "bfloat16", seed=1)
    first, again, other = (
        (folder / "vae/diffusion_pytorch_model.safetensors").read_bytes()
        for folder in (random_folder, tmp_path / "again", tmp_path / "other")
    )
    assert first == again != other


def test_its_vocabulary_reads_japanese_by_characters(random_folder: Path) -> None:
    tokenizer = JapaneseTokenizer.load(random_folder / "tokenizer")
    report = tokenizer.describe("赤い猫 abc")
    assert [piece.text for piece in report.pieces] == list("▁赤い猫▁abc")
    assert report.unread == ()


def test_the_model_card_says_that_it_is_random(random_folder: Path) -> None:
    assert "random" in (random_folder / "README.md").read_text()


def test_an_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="mini, full"):
        write_random_folder(tmp_path / "new", "huge")
    assert list(tmp_path.iterdir()) == []
