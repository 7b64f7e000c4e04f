from typing import Any

import pytest
from PIL import Image

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
