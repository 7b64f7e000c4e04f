"""Grey pictures of more than 8 bits a pixel, as scanners and microscopes write them."""

import struct
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from jsd.images.opening import load_image, load_mask


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bits_are_rounded_to_8(format: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    loaded = np.asarray(load_image(encoded(Image.fromarray(values), format)))[..., 0]
    assert np.array_equal(loaded, np.round(values / 257))


def test_the_transparent_grey_of_16_bits_is_white() -> None:
    values = np.array([[0, 1000, 65535]], np.uint16)
    file = encoded(Image.fromarray(values), "PNG", transparency=1000)
    assert np.asarray(load_image(file))[0, :, 0].tolist() == [0, 255, 255]
    assert np.asarray(load_mask(file))[0].tolist() == [0, 0, 255], "what is transparent is kept"


def entry(tag: int, value: int) -> bytes:
    """Of a little-endian TIFF's directory: one SHORT."""
    return struct.pack("<HHIHH", tag, 3, 1, value, 0)


def test_a_tiff_whose_white_is_zero_is_no_negative() -> None:
    file = encoded(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF").replace(entry(262, 1), entry(262, 0))
    assert np.asarray(load_image(file))[0, :, 0].tolist() == [255, 0]


def test_12_bits_of_a_tiff_are_rounded_to_8() -> None:
    placeholder = np.array([[1, 2, 3, 4]], np.uint16)
    packed = int("000" + "800" + "fff" + "400", 16).to_bytes(6, "big")
    file = encoded(Image.fromarray(placeholder), "TIFF").replace(entry(258, 16), entry(258, 12))
    file = file.replace(placeholder.tobytes(), packed + bytes(2))
    assert np.asarray(load_image(file))[0, :, 0].tolist() == [0, 128, 255, 64]


def test_16_bits_take_little_memory() -> None:
    file = encoded(Image.fromarray(np.zeros((3000, 3000), np.uint16)), "PNG")
    tracemalloc.start()
    load_image(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 3000 * 3000, "what numpy takes; as floating-point numbers it was 17 bytes a pixel"
