from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from jsd.errors import InvalidInputError
from jsd.inputs import load_inputs
from jsd.options import SamplingOptions
from jsd.sizes import SizeLimits

LIMITS = SizeLimits(factor=4, default=(32, 32))
PICTURE = Image.new("RGB", (32, 32), "red")


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"image": PICTURE.resize((33, 32))}, ["image.scaled"]),
        ({"image": PICTURE.resize((900, 900))}, ["image.scaled"]),
        ({"width": 16}, ["image.scaled"]),
        ({"mask": Image.new("L", (32, 32), 255)}, []),
        ({"mask": Image.new("L", (32, 32), 0)}, ["image.mask_black"]),
        ({"mask": Image.new("RGBA", (32, 32))}, ["image.mask_black"]),
        ({"prompt_strength": 0.03}, ["image.no_step"]),
        ({"prompt_strength": 0}, []),
    ],
)
def test_what_happens_to_a_picture_is_said(changes: dict[str, Any], codes: list[str]) -> None:
    inputs = load_inputs(SamplingOptions(**{"prompt": "", "image": PICTURE, **changes}), LIMITS)
    assert inputs.image is not None and inputs.image.size == inputs.size
    assert [note.code for note in inputs.notes] == codes


def test_a_strength_without_a_picture_is_said() -> None:
    (note,) = load_inputs(SamplingOptions(prompt="", prompt_strength=0.5), LIMITS).notes
    assert note.code == "image.no_image" and "got 0.5" in str(note)
    assert load_inputs(SamplingOptions(prompt=""), LIMITS).notes == ()


def test_a_stroke_thinner_than_a_pixel_that_is_drawn_is_drawn_anew_and_nothing_beside_it() -> None:
    mask = Image.new("L", (128, 128), 0)
    mask.paste(255, (0, 0, 64, 128))
    mask.paste(255, (101, 0, 102, 128))
    inputs = load_inputs(SamplingOptions(prompt="", image=PICTURE.resize((128, 128)), mask=mask), LIMITS, 4)
    assert inputs.mask is not None and inputs.mask.size == (32, 32)
    row = [inputs.mask.getpixel((x, 7)) for x in range(32)]
    assert row == [255 if x < 16 or x == 25 else 0 for x in range(32)] and inputs.notes == ()


def test_what_is_drawn_through_a_thin_stroke_is_not_written_over() -> None:
    mask = Image.new("L", (256, 256), 0)
    mask.paste(255, (100, 0, 101, 256))
    options = SamplingOptions(prompt="", image=PICTURE.resize((256, 256)), mask=mask)
    restored = load_inputs(options, LIMITS, 2).restore(Image.new("RGB", (128, 128), "blue"))
    assert [x for x in range(128) if restored.getpixel((x, 9)) == (0, 0, 255)] == [50]


@pytest.mark.parametrize("image", [None, PICTURE])
def test_a_webp_that_would_be_too_large_is_refused_before_it_is_drawn(image: Image.Image | None) -> None:
    limits = SizeLimits(factor=8, default=(2048, 2048))
    options = SamplingOptions(prompt="", image=image, width=4104, height=512, output_format="webp")
    with pytest.raises(InvalidInputError, match="png or jpg for a picture with a side of 16416 px"):
        load_inputs(options, limits, 4)
    for allowed in (replace(options, output_format="png"), replace(options, width=4088)):
        assert load_inputs(allowed, limits, 4).size[1] == 512


def test_what_is_not_repainted_stays_as_it_came_of_a_picture_a_little_smaller_than_the_result() -> None:
    mask = Image.new("L", (96, 96), 0)
    mask.paste(255, (0, 0, 24, 24))
    picture = Image.effect_noise((96, 96), 90).convert("RGB")
    inputs = load_inputs(SamplingOptions(prompt="", image=picture, mask=mask), LIMITS, 4)
    restored = inputs.restore(Image.new("RGB", (4 * inputs.size[0], 4 * inputs.size[1]), "blue"))
    kept = picture.resize(restored.size, Image.Resampling.LANCZOS)
    assert restored.getpixel((0, 0)) == (0, 0, 255)
    assert restored.getpixel((100, 100)) == kept.getpixel((100, 100))
