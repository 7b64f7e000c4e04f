import json
import os
import random
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image

from jsd.errors import ImageFileError, InvalidInputError
from jsd.images import encode_image, load_image, load_mask, save_image
from jsd.images.saving import unused_path
from jsd.images.tensors import image_to_tensor, mask_to_tensor, tensor_to_images


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


def test_a_photo_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: turn 90 degrees clockwise to show
    shown = load_image(encoded(picture(), "PNG", exif=exif))
    assert np.array_equal(shown, picture().transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    assert load_image(encoded(image, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_a_palette_with_a_transparent_colour_becomes_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    file = encoded(image, "PNG", transparency=1)
    assert load_image(file).getpixel((0, 0)) == (255, 255, 255)
    assert load_image(encoded(image, "PNG")).getpixel((0, 0)) == (0, 0, 255)


def test_half_transparent_is_half_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert load_image(image).getpixel((0, 0)) == (127, 127, 127)


def test_cmyk_becomes_the_colour_it_shows() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, all magenta and yellow: red
    red, green, blue = load_image(encoded(image, "JPEG")).getpixel((4, 4))  # type: ignore[misc]
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    loaded = load_image(encoded(Image.fromarray(values), format))
    assert [loaded.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 128, 255]  # type: ignore[index]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    file = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert load_image(file).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr", "HSV", "I;16", "I"])
def test_every_mode_in_memory_becomes_rgb(mode: str) -> None:
    assert load_image(Image.new(mode, (3, 2))).mode == "RGB"


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


def test_white_is_repainted_and_black_or_transparent_kept() -> None:
    mask = Image.new("RGBA", (4, 1))
    for x, colour in enumerate([(255, 255, 255, 255), (0, 0, 0, 255), (255, 255, 255, 0), (120, 120, 120, 255)]):
        mask.putpixel((x, 0), colour)
    assert mask_to_tensor(load_mask(mask)).flatten().tolist() == [1, 0, 0, 0]


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


@pytest.mark.parametrize("name", ["a.unknown", "no/such/folder.png", "a"])
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


def test_a_taken_name_is_not_used_again(tmp_path: Path) -> None:
    for name in ("7.png", "7-2.png"):
        (tmp_path / name).touch()
    assert unused_path(tmp_path, "7", ".png").name == "7-3.png"
    assert unused_path(tmp_path, "8", ".png").name == "8.png"


def test_tensors_keep_batch_order() -> None:
    images = tensor_to_images(torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)]))
    assert [image.getpixel((0, 0)) for image in images] == [(0, 0, 0), (255, 255, 255)]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageFileError, match="there is none at"):
        load_image(tmp_path / "pipe", "image")
