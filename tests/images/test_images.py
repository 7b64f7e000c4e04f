import json
import os
import random
import struct
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.Image import Transpose

from jsd.errors import ImageFileError, InvalidInputError
from jsd.images import encode_image, load_image, load_mask, save_image
from jsd.images.metadata import read_picture_file
from jsd.images.saving import save_unused
from jsd.images.tensors import image_to_tensor, mask_to_latents, tensor_to_images


def picture(width: int = 24, height: int = 16) -> Image.Image:
    """Red on the left, a green gradient downwards: no two of its turned or mirrored forms are equal."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF"])
def test_a_lossless_file_comes_back_exactly(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    assert np.array_equal(load_image(encoded(picture(), format, **options)), picture())


def exif(orientation: int, after: bytes = b"") -> bytes:
    """A block with nothing but an orientation; what comes after its four bytes may not be what it should."""
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0]) + after


# How a picture is stored that an orientation of 2, 3, ... 8 shows upright.
STORED = [Transpose[name] for name in ["FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE"]]
STORED += [Transpose.ROTATE_90, Transpose.TRANSVERSE, Transpose.ROTATE_270]


@pytest.mark.parametrize("load", [load_image, lambda file: load_image(load_image(file))], ids=["once", "twice"])
def test_a_photo_is_shown_as_its_exif_says(load: Any) -> None:
    turned = [
        load(encoded(picture().transpose(stored), "PNG", exif=exif(number))) for number, stored in enumerate(STORED, 2)
    ]
    assert all(np.array_equal(image, picture()) for image in turned)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize(
    "block",
    [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(99), b"MM\0*", exif(1, b"\xff" * 40)],
    ids=repr,
)
def test_damaged_exif_says_nothing(block: bytes, tmp_path: Path) -> None:
    """By path, as bytes, and as an opened picture, as the API hands it on."""
    (tmp_path / "a.jpg").write_bytes(encoded(picture(), "JPEG", exif=block))
    with Image.open(tmp_path / "a.jpg") as opened:
        for source in (tmp_path / "a.jpg", (tmp_path / "a.jpg").read_bytes(), opened, opened.convert("RGB")):
            assert np.array_equal(load_image(source), opened.convert("RGB"))
    assert read_picture_file(tmp_path / "a.jpg").values == {}


TRANSPARENT = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
PALETTE = Image.frombytes("P", (4, 4), bytes([1] * 16))
PALETTE.putpalette([255, 0, 0, 0, 0, 255])
FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
CMYK = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, all magenta and yellow


@pytest.mark.parametrize(
    ("source", "colour"),
    [
        (encoded(TRANSPARENT, "PNG"), (255, 255, 255)),
        (encoded(TRANSPARENT.convert("LA"), "PNG"), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 128)), (127, 127, 127)),
        (encoded(PALETTE, "PNG", transparency=1), (255, 255, 255)),
        (encoded(PALETTE, "PNG"), (0, 0, 255)),
        (encoded(CMYK, "TIFF"), (255, 0, 0)),
        *((encoded(FRAMES[0], form, save_all=True, append_images=FRAMES[1:]), (255, 0, 0)) for form in ("GIF", "PNG")),
        (encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True), (255, 0, 0)),
        *((Image.new(mode, (3, 2)), (0, 0, 0)) for mode in ("1", "L", "P", "RGB", "I;16", "I", "HSV")),
    ],
)
def test_a_pixel_is_the_colour_that_is_seen(source: Any, colour: tuple[int, int, int]) -> None:
    assert load_image(source).mode == "RGB"
    assert load_image(source).getpixel((0, 0)) == colour


def profile(space: bytes, gamma: float, *primaries: tuple[float, float, float]) -> bytes:
    """An ICC profile: one curve, and for RGB the three primaries in XYZ (D50)."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": (0.9642, 1.0, 0.8249)} | dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=False))
    data = {name: b"XYZ " + bytes(4) + b"".join(map(number, value)) for name, value in tags.items()}
    data |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC") if primaries else (b"kTRC",), curve)
    offset, table, body = 128 + 4 + 12 * len(data), b"", b""
    for name, value in data.items():
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value
    white = b"".join(map(number, tags[b"wtpt"]))
    header = (
        struct.pack(">I4xI4s4s4s12x4s28x", offset + len(body), 0x02400000, b"mntr", space, b"XYZ ", b"acsp") + white
    )
    return header.ljust(128, b"\0") + struct.pack(">I", len(data)) + table + body


ADOBE = profile(b"RGB ", 2.2, (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
P3 = profile(b"RGB ", 2.2, (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
GREY = profile(b"GRAY", 1.0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SKIN = (200, 120, 100)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("icc", "mode", "expected"),
    [
        (ADOBE, "RGB", (224, 121, 99)),
        (ADOBE, "RGBA", (224, 121, 99)),
        (P3, "RGB", (214, 116, 95)),
        (GREY, "L", (188, 188, 188)),
        (SRGB, "RGB", SKIN),
        (GREY, "RGB", SKIN),
        (ADOBE[:200], "RGB", SKIN),
        (b"nothing", "RGB", SKIN),
    ],
    ids=["Adobe RGB", "with alpha", "Display P3", "linear grey", "sRGB", "of other colours", "cut", "none"],
)
def test_colours_are_taken_to_srgb(icc: bytes, mode: str, expected: tuple[int, int, int], format: str) -> None:
    if (mode, format) in (("RGBA", "JPEG"), ("L", "WEBP"), ("L", "AVIF")):
        return  # a file that there is not
    image = Image.new(mode, (16, 16), {"L": 128, "RGB": SKIN, "RGBA": (*SKIN, 255)}[mode])
    file = encoded(image, format, icc_profile=icc, **({"quality": 100} if format in ("JPEG", "AVIF") else {}))
    once = load_image(file)
    assert np.abs(np.subtract(once.getpixel((8, 8)), expected)).max() <= 4, once.getpixel((8, 8))
    assert load_image(once) is once, "a second time would move the colours again"
    assert load_image(Image.open(BytesIO(file))).getpixel((8, 8)) == once.getpixel((8, 8))
    assert set(load_mask(encoded(Image.new("L", (4, 4), 128), "PNG", icc_profile=GREY)).tobytes()) == {255}, "no colour"


def test_the_callers_picture_is_left_alone() -> None:
    image = Image.new("RGBA", (4, 4), (1, 2, 3, 4))
    load_image(image)
    assert image.mode == "RGBA" and image.getpixel((0, 0)) == (1, 2, 3, 4)


def bomb() -> bytes:
    """A PNG whose header claims 60,000 x 60,000 pixels."""
    file = bytearray(encoded(picture(), "PNG"))
    file[16:24] = (60000).to_bytes(4, "big") * 2
    file[29:33] = crc32(file[12:29]).to_bytes(4, "big")
    return bytes(file)


def large() -> bytes:
    return encoded(Image.new("1", (9500, 9500)), "PNG")


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        (bomb(), "pixels"),
        (large(), "pixels"),
        (encoded(picture(200, 200), "JPEG")[:-40], "truncated"),
        (encoded(picture(), "PNG")[:-30], "truncated"),
        (b"", "PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PNG, JPEG"),
        (encoded(picture(), "PPM"), "PNG, JPEG"),
    ],
    ids=["bomb", "large", "cut jpeg", "cut png", "empty file", "svg", "eps", "not a listed format"],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_input(file: bytes, words: str, field: str) -> None:
    load = {"image": load_image, "mask": load_mask}[field]
    with pytest.raises(ImageFileError) as caught:
        load(file)
    assert caught.value.field == field
    assert words in str(caught.value) and field in str(caught.value) and "\n" not in str(caught.value)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize("source", ["nowhere.png", Path("/"), "a\0b.png", "x" * 5000])
def test_a_path_that_is_no_file_is_refused_by_name(source: str | Path) -> None:
    with pytest.raises(ImageFileError) as caught:
        load_image(source)
    assert caught.value.field == "image" and len(str(caught.value)) < 700


@pytest.mark.parametrize("image", [Image.new("RGB", (0, 5)), Image.new("F", (2, 2))], ids=["empty", "float"])
def test_a_picture_without_usable_pixels_is_refused(image: Image.Image) -> None:
    with pytest.raises(ImageFileError):
        load_image(image)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_damaged_bytes_give_a_picture_or_an_error_never_a_crash(format: str) -> None:
    whole, chance = encoded(picture(), format), random.Random(0)
    refused = 0
    for _ in range(150):
        file = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        for _ in range(chance.randrange(1, 6)):
            file[chance.randrange(len(file))] = chance.randrange(256)
        try:
            assert load_image(bytes(file)).mode == "RGB"
        except ImageFileError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    ("colours", "repainted"),
    [
        ([(255, 255, 255, 255), (0, 0, 0, 255), (255, 255, 255, 0), (120, 120, 120, 255)], [1, 0, 0, 0]),
        ([(0, 0, 0, 255)] * 2, [0, 0]),
        ([(0, 0, 0, 0)] * 2, [0, 0]),
        ([(255, 0, 0, 255), (0, 0, 0, 0)], None),
        ([(1, 1, 1, 255), (0, 0, 0, 255)], None),
        ([(127, 127, 127, 255)] * 2, None),
        ([(255, 255, 255, 100), (255, 255, 255, 0)], None),
    ],
    ids=["white", "black", "transparent", "red", "labels", "grey", "faint"],
)
def test_white_is_repainted_and_what_was_meant_to_be_is_refused(colours: Any, repainted: list[int] | None) -> None:
    mask = Image.new("RGBA", (len(colours), 1))
    mask.putdata(colours)
    if repainted is None:
        with pytest.raises(InvalidInputError, match="paint that part white") as caught:
            load_mask(mask)
        assert caught.value.field == "mask"
    else:
        loaded = load_mask(mask)
        assert mask_to_latents(loaded, 1).flatten().tolist() == repainted
        assert load_mask(loaded) is loaded


def test_pixels_survive_the_way_through_a_tensor() -> None:
    tensor = image_to_tensor(picture())
    assert tensor.shape == (1, 3, 16, 24) and tensor.min() == -1 and tensor.max() == 1
    assert np.array_equal(tensor_to_images((tensor + 1) / 2)[0], picture())


def test_a_png_carries_what_made_it(tmp_path: Path) -> None:
    save_image(picture(), tmp_path / "a.png", metadata={"prompt": "猫"})
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["jsd"]) == {"prompt": "猫"}


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_a_saved_picture_opens_and_leaves_nothing_else(name: str, tmp_path: Path) -> None:
    save_image(picture(), tmp_path / name)
    assert load_image(tmp_path / name).size == (24, 16)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.unknown", "no/such/folder.png", "a", "a.gif", "a.tiff", "a.pdf"])
def test_a_picture_that_cannot_be_written_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=name):
        save_image(picture(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_a_higher_quality_is_a_larger_file_nearer_to_the_picture(name: str) -> None:
    y, x = np.mgrid[:64, :64]
    pixels = np.stack([x * 4, y * 4, 128 + 60 * np.sin(x / 5)], axis=-1)
    pixels += np.random.default_rng(0).normal(0, 8, pixels.shape)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    files = [encode_image(image, Path(name), quality=quality) for quality in (0, 30, 80, 100)]
    errors = [np.abs(np.subtract(load_image(file), image, dtype=float)).mean() for file in files]
    assert [len(file) for file in files] == sorted({len(file) for file in files})
    assert errors == sorted(set(errors), reverse=True)


def test_a_png_keeps_every_pixel_whatever_the_quality() -> None:
    files = {encode_image(picture(), Path("a.png"), quality=quality) for quality in (0, 80, 100)}
    assert np.array_equal(load_image(files.pop()), picture()) and files == set()


def test_a_name_that_is_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InvalidInputError):
        save_image(picture(), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"], "a temporary file was left behind"


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "meanwhile"])
@pytest.mark.parametrize("has_links", [True, False])
def test_a_taken_name_is_not_used_again(
    has_links: bool, is_late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another process takes it between the look at the folder and the writing."""
    if not has_links:
        monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError("no links here")))
    if is_late:
        monkeypatch.setattr("jsd.images.saving.lexists", lambda path: False)
    (tmp_path / "7.png").write_bytes(b"first")
    (tmp_path / "7-2.png").symlink_to("nowhere")
    assert save_unused(b"second", tmp_path, "7", ".png").name == "7-3.png"
    assert save_unused(b"third", tmp_path, "8", ".png").name == "8.png"
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.is_symlink()}
    assert found == {"7.png": b"first", "7-3.png": b"second", "8.png": b"third"}


def test_tensors_keep_batch_order() -> None:
    images = tensor_to_images(torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)]))
    assert [image.getpixel((0, 0)) for image in images] == [(0, 0, 0), (255, 255, 255)]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageFileError, match="there is none at"):
        load_image(tmp_path / "pipe", "image")
