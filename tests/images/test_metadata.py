import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from jsd.errors import ImageFileError
from jsd.images import save_image
from jsd.images.metadata import decode_comment, left_out, read_picture_file
from jsd.images.xmp import DIGITAL_SOURCE_TYPE, from_xmp, to_xmp

FORMATS = ("png", "jpg", "webp")
RECORD: dict[str, Any] = {
    "prompt": "サラリーマン 油絵",
    "negative_prompt": "写真、𠮷野家 <b>&",
    "width": 16,
    "height": 8,
    "num_outputs": 1,
    "num_inference_steps": 25,
    "guidance_scale": 7.5,
    "scheduler": "KarrasDPM",
    "seed": 0,
    "image": None,
    "mask": None,
    "prompt_strength": 0.8,
    "model": "mini",
    "model_sha256": "0123456789abcdef",
    "licence": "CreativeML OpenRAIL-M",
    "use_restrictions": "not to break laws",
}
FOREIGN = (
    "a cat, (masterpiece:1.2)\nsecond line\nNegative prompt: ugly\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768, "
    'Model hash: abcdef0123, Model: "a, b", Clip skip: 2'
)


def saved(folder: Path, suffix: str, record: dict[str, Any] | None = RECORD, name: str = "a") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 3), np.uint8)
    path = folder / f"{name}.{suffix}"
    save_image(Image.fromarray(pixels), path, metadata=record)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_gives_its_record_back_with_its_japanese(suffix: str, tmp_path: Path) -> None:
    file = read_picture_file(saved(tmp_path, suffix))
    assert file.record == RECORD
    assert file.size == (16, 8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_carries_the_text_that_other_tools_read(suffix: str, tmp_path: Path) -> None:
    text = read_picture_file(saved(tmp_path, suffix)).parameters
    assert text is not None
    assert text.splitlines() == [
        "サラリーマン 油絵",
        "Negative prompt: 写真、𠮷野家 <b>&",
        "Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 0, Size: 16x8, "
        "Model hash: 0123456789, Model: mini, Version: jsd 0.1.0",
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_says_that_a_model_drew_it(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, suffix)
    assert read_picture_file(path).digital_source_type == DIGITAL_SOURCE_TYPE
    with Image.open(path) as image:
        packet = image.info["xmp"].decode()
    for part in (">サラリーマン 油絵</Iptc4xmpExt:AIPromptInformation>", ">mini</", "OpenRAIL-M", "not to break laws"):
        assert part in packet, f"the XMP packet lacks {part}"


def test_a_png_keeps_its_texts_where_png_readers_look(tmp_path: Path) -> None:
    with Image.open(saved(tmp_path, "png")) as image:
        assert image.info["parameters"].startswith("サラリーマン")
        assert json.loads(image.info["jsd"]) == RECORD


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_the_exif_comment_is_utf_16_of_the_blocks_byte_order(suffix: str, tmp_path: Path) -> None:
    with Image.open(saved(tmp_path, suffix)) as image:
        exif = image.getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        assert image.info["exif"].removeprefix(b"Exif\0\0")[:2] == b"MM"
    assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be").startswith("サラリーマン")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_picture_and_record_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    first, second = (saved(tmp_path, suffix, name=name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_without_metadata_a_file_says_nothing(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, suffix, None)
    file = read_picture_file(path)
    assert (file.record, file.parameters, file.digital_source_type, file.values) == (None, None, None, {})
    assert b"xmp" not in path.read_bytes().lower()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "prompt",
    ["a\0b\x1b[31m\x7f", "half \ud800", "\ufffe\uffff", "]]></x><!--&amp;\r\n", "", "Steps: 1, Seed: 2, Size: 3x3"],
    ids=["control", "surrogate", "no characters", "markup", "empty", "settings"],
)
def test_any_prompt_comes_back_exactly(suffix: str, prompt: str, tmp_path: Path) -> None:
    record = RECORD | {"prompt": prompt}
    assert read_picture_file(saved(tmp_path, suffix, record)).record == record


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_prompt_of_a_megabyte_comes_back(suffix: str, tmp_path: Path) -> None:
    record = RECORD | {"prompt": "猫" * 350_000}
    assert read_picture_file(saved(tmp_path, suffix, record)).record == record


@pytest.mark.parametrize(
    ("length", "has_text", "has_record"),
    [(5_000, True, True), (15_000, True, False), (30_000, True, False), (40_000, False, False)],
)
def test_what_a_jpeg_cannot_hold_is_left_out_and_said(
    length: int, has_text: bool, has_record: bool, tmp_path: Path
) -> None:
    record = RECORD | {"prompt": "猫" * length}
    file = read_picture_file(saved(tmp_path, "jpg", record))
    assert (file.parameters is not None, file.record == record) == (has_text, has_record)
    assert file.digital_source_type == DIGITAL_SOURCE_TYPE
    note = left_out("jpg", record)
    assert (note is None) == has_record
    assert note is None or "png or webp" in str(note)
    assert left_out("png", record) is left_out("webp", record) is None


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        "Screenshot",
        "上野にて\nCamera: Sony A7, Lens: 50mm, ISO: 100",
        '{"nodes": [{"a": "1, 2", "b": "3: 4"}]}',
        "猫の写真\n撮影 2024",
        "",
        "Steps: 3, Seed: 4",
    ],
)
def test_what_another_program_noted_is_no_prompt(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + text.encode("utf-16-be")
    Image.new("RGB", (4, 4)).save(path, exif=exif)
    file = read_picture_file(path)
    assert (file.parameters, file.values) == (None, {})


@pytest.mark.parametrize(
    ("data", "prompt"),
    [
        ("𠮷野家の猫 油絵".encode(), "𠮷野家の猫 油絵"),
        ("café".encode(), "café"),
        ("café".encode("latin-1"), "café"),
        (b"cat", "cat"),
        (b'{"sui_image_params": {"prompt": "a cat"}}', None),
    ],
)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_plain_text_of_a_png_is_utf_8_where_it_can_be(
    data: bytes, prompt: str | None, is_compressed: bool, tmp_path: Path
) -> None:
    pnginfo = PngInfo()
    pnginfo.add_text("parameters", data.decode("latin-1"), zip=is_compressed)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=pnginfo)
    assert read_picture_file(tmp_path / "a.png").values.get("prompt") == prompt


def foreign(folder: Path, suffix: str, comment: bytes) -> Path:
    image, path = Image.new("RGB", (4, 4)), folder / f"foreign.{suffix}"
    if suffix == "png":
        pnginfo = PngInfo()
        pnginfo.add_text("parameters", FOREIGN.replace("\n", "\r\n"))
        image.save(path, pnginfo=pnginfo)
    else:
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        image.save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + FOREIGN.encode("utf-16-be"),
        b"UNICODE\0" + FOREIGN.encode("utf-16-le"),
        b"UNICODE\0" + FOREIGN.encode("utf-16"),
        b"ASCII\0\0\0" + FOREIGN.encode(),
        bytes(8) + FOREIGN.encode(),
        FOREIGN.encode(),
    ],
    ids=["big", "little", "marked", "ascii", "undefined", "bare"],
)
def test_another_tools_file_is_read_as_far_as_it_goes(suffix: str, comment: bytes, tmp_path: Path) -> None:
    file = read_picture_file(foreign(tmp_path, suffix, comment))
    assert file.record is None
    assert file.values == {
        "prompt": "a cat, (masterpiece:1.2)\nsecond line",
        "negative_prompt": "ugly",
        "num_inference_steps": 20,
        "scheduler": "K_EULER_ANCESTRAL",
        "guidance_scale": 7.0,
        "seed": 42,
        "width": 512,
        "height": 768,
        "model_hash": "abcdef0123",
        "model": "a, b",
        "Clip skip": "2",
    }


def test_japanese_is_recognised_in_every_encoding() -> None:
    text = "富士山と桜\nSteps: 1, Seed: 2, Size: 3x3"
    for encoding in ("utf-16-be", "utf-16-le", "utf-16"):
        assert decode_comment(b"UNICODE\0" + text.encode(encoding)) == text, encoding
    assert decode_comment(b"JIS\0\0\0\0\0" + text.encode("iso2022_jp")) == text


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no picture", None])
def test_what_is_no_whole_picture_is_refused_in_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageFileError) as caught:
        read_picture_file(path)
    assert "a.png" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cut_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ImageFileError):
        read_picture_file(path)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "NaN"])
def test_a_record_that_is_not_ours_is_passed_over(text: str, tmp_path: Path) -> None:
    pnginfo = PngInfo()
    pnginfo.add_itxt("jsd", text)
    file = BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=pnginfo)
    (tmp_path / "a.png").write_bytes(file.getvalue())
    assert read_picture_file(tmp_path / "a.png").values == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be"])
@pytest.mark.parametrize("before", ["", "<?x <rdf:RDF ?>"])
def test_entities_are_not_expanded(before: str, encoding: str) -> None:
    packet = "\ufeff" + to_xmp({"prompt": "&amp;e;"}, "0", with_record=False).decode()
    assert from_xmp(packet.encode(encoding)) != {}
    packet = packet.replace("&amp;amp;e;", "&e;")
    packet = packet.replace("<x:xmpmeta", f'{before}<!DOCTYPE a [<!ENTITY e "x">]><x:xmpmeta', 1)
    assert from_xmp(packet.encode(encoding)) == {}


def test_the_source_type_may_be_an_attribute_or_a_resource() -> None:
    start = '<x xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    for body in ('<y i:DigitalSourceType="u"/>', '<y><i:DigitalSourceType r:resource="u"/></y>'):
        assert from_xmp(f"{start}{body}</x>".encode()) == {"digital_source_type": "u"}
