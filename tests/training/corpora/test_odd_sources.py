"""What real folders hold besides: nothing of it stops an import, is misread, or is lost without a word."""

import io
import json
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.describing import describe
from jsd.training.corpora.readers import read_source
from jsd.training.corpora.records import DAMAGED, DEEP, DUPLICATE, NO_CAPTION, NOT_READ, Noted, Picture, Record, usable
from jsd.training.corpora.shards import Shards, import_pictures
from runs.blocks import ROOT
from training.corpora.test_records import folder, imagefolder, paths, png, webdataset


def imported(source: Path, output: Path) -> tuple[list[Record], list[Noted]]:
    shards, noted = import_pictures(read_source(source), {}, output, lambda read: None)
    return [record for index in shards.filled for record in shards.records(index)], noted


def tar(place: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(place / "0.tar", "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def two_samples(place: Path, said: bytes) -> None:
    """The first with that JSON, the second a blue one."""
    tar(place, {"a.png": png(), "a.json": said, "b.png": png("blue"), "b.txt": "青".encode()})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "source"
    place.mkdir()
    return place


def test_notepads_unicode_is_read_and_what_is_no_text_leaves_its_picture_out(source: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (source / f"{name}.png").write_bytes(png())
    (source / "a.txt").write_bytes("富士山と猫\r\n".encode("utf-16"))
    (source / "b.txt").write_bytes(b"\x81 \xff")
    (source / "c.txt").write_bytes("猫".encode("utf-16")[:-1])
    records, noted = imported(source, tmp_path / "mine")
    assert [one.captions for one in records] == [("富士山と猫",)]
    assert [(one.key, one.reason) for one in noted] == [("b.png", "damaged"), ("c.png", "damaged")]
    assert "b.txt" in noted[0].detail


def test_what_phones_and_windows_save_is_read_or_named(source: Path, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (80, 80)).save(picture, "JPEG")
    (source / "IMG_1.JPG").write_bytes(picture.getvalue())
    (source / "IMG_1.TXT").write_text("猫", "utf-8")
    (source / "web.jfif").write_bytes(picture.getvalue())
    (source / "web.txt").write_text("犬", "utf-8")
    (source / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    records, noted = imported(source, tmp_path / "mine")
    assert [(one.key, one.captions) for one in records] == [("IMG_1.JPG", ("猫",)), ("web.jfif", ("犬",))]
    assert [(one.key, one.reason) for one in noted] == [("IMG_2.HEIC", "a format that is not read")]


@pytest.mark.parametrize(("name", "repeats"), [("20240615_京都", 1), ("2024_旅行", 1), ("100_太郎", 100)])
def test_a_date_is_no_number_of_repeats(source: Path, name: str, repeats: int) -> None:
    (source / name).mkdir()
    (source / name / "a.png").write_bytes(png())
    (source / name / "a.txt").write_text("寺", "utf-8")
    (record,) = read_source(source)
    assert isinstance(record, Record) and record.repeats == repeats and record.captions == ("寺",)


@pytest.mark.parametrize("form", [imagefolder, webdataset, paths])
def test_pictures_that_the_captions_do_not_name_are_told(
    form: Callable[[Path], Path], source: Path, tmp_path: Path
) -> None:
    form(source)
    (source / "other").mkdir()
    (source / "other" / "z.png").write_bytes(png())
    (source / "other" / "z.txt").write_text("猫", "utf-8")
    records, noted = imported(source, tmp_path / "mine")
    assert len(records) == 2
    assert ("other/z.png", "not among the captions") in [(one.key, one.reason) for one in noted]


def test_a_name_that_is_no_text_is_spelt_out(source: Path, tmp_path: Path) -> None:
    """As a ZIP of Windows leaves it on Linux."""
    folder(source)
    for text in ("寺", ""):
        path = source / os.fsdecode(b"\x8e\x9b" + str(len(text)).encode() + b".png")
        path.write_bytes(png())
        path.with_suffix(".txt").write_text(text, "utf-8")
    records, noted = imported(source, tmp_path / "mine")
    assert records[-1].key == r"\udc8e\udc9b1.png" and records[-1].captions == ("寺",)
    assert [(one.key, one.reason) for one in noted] == [(r"\udc8e\udc9b0.png", "no caption")]
    assert imported(source, tmp_path / "mine")[0] == records, "the same command goes on"


@pytest.mark.parametrize(
    ("said", "captions"),
    [
        ({"caption": "猫\ud83d"}, (r"猫\ud83d", "青")),
        ({"caption": "猫", "from": "\ud83d"}, ("猫", "青")),
        ({"caption": "猫", "\ud83d": 1}, ("猫", "青")),
        ({"caption": "猫", "weights": [10**400]}, ("青",)),
        ({"caption": "猫", "exif": {}}, ("猫", "青")),
        ({"caption": "猫", "exif": [{"a": {}}]}, ("猫", "青")),
        *(({"caption": "猫", "weights": weights}, ("青",)) for weights in (["x"], [None], [0], [-1], [1e999])),
    ],
)
def test_whatever_a_shard_says_of_a_picture_the_next_is_read(
    said: object, captions: tuple[str, ...], source: Path, tmp_path: Path
) -> None:
    two_samples(source, json.dumps(said).encode())
    records, noted = imported(source, tmp_path / "mine")
    assert tuple(one.captions[0] for one in records) == captions
    assert [one.reason for one in noted] == ["damaged"] * (2 - len(captions))


def test_weights_that_are_none_are_told_by_a_parquet_file_too(source: Path, tmp_path: Path) -> None:
    rows = [{"image": png(), "text": text, "weights": [weight]} for text, weight in (("猫", 0.0), ("犬", 2.0))]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source / "a.parquet")
    records, noted = imported(source, tmp_path / "mine")
    assert [one.captions for one in records] == [("犬",)] and [one.reason for one in noted] == ["damaged"]


def test_a_shard_of_which_nothing_is_left_stops_nothing(tmp_path: Path) -> None:
    items = [*(Record(f"{number}.png", png(), ()) for number in range(3)), Record("z.png", png(), ("猫",))]
    shards, _noted = import_pictures(items, {}, tmp_path / "mine", lambda read: None, 3)
    assert shards.counts == (0, 1) and shards.filled == [1]
    said = dict(describe(Shards.load(tmp_path / "mine"), JapaneseTokenizer.load(ROOT / "weights/mini/tokenizer")))
    assert "1" in said.values()


def test_an_output_folder_that_is_a_link_is_emptied_for_another_source(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "disk")
    for text in ("猫", "犬"):
        items = [Record("a.png", png(), (text,))]
        shards, _noted = import_pictures(items, {"text": text}, tmp_path / "mine", lambda read: None)
        assert [one.captions for one in shards.records(0)] == [(text,)]
    assert (tmp_path / "mine").is_symlink()


def test_a_parquet_file_of_something_else_stops_nothing(source: Path, tmp_path: Path) -> None:
    images = pyarrow.array([{"bytes": png(), "path": "a"}] * 2)
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "text": ["猫", "犬"]}), source / "0.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"url": ["a"]}), source / "1.parquet")
    text = pyarrow.StringArray.from_buffers(
        1, pyarrow.array([0, 2], pyarrow.int32()).buffers()[1], pyarrow.py_buffer(b"\xff\xfe")
    )
    pyarrow.parquet.write_table(pyarrow.table({"image": images[:1], "text": text}), source / "2.parquet")
    records, noted = imported(source, tmp_path / "mine")
    assert [one.captions for one in records] == [("猫",), ("犬",)]
    assert [(one.key, one.reason) for one in noted] == [("1.parquet", NOT_READ), ("2.parquet/0", DAMAGED)]


def test_what_is_no_text_is_no_caption_and_no_name(source: Path, tmp_path: Path) -> None:
    rows = [
        {"image": png(), "path": None, "captions": ["猫".encode(), None]},
        {"image": png("blue"), "path": None, "captions": ["犬".encode()]},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source / "0.parquet")
    records, noted = imported(source, tmp_path / "mine")
    assert [(one.key, one.captions) for one in records] == [("0.parquet/0", ("猫",)), ("0.parquet/1", ("犬",))]
    assert noted == []


def test_an_empty_caption_takes_no_other_ones_weight(tmp_path: Path) -> None:
    record = Record("a.png", png(), ("猫", " ", "犬"), (8.0, 1.0, 1.0))
    ((taken,),) = usable([record])
    assert isinstance(taken, Picture)
    assert (taken.record.captions, taken.record.weights) == (("猫", "犬"), (8.0, 1.0))


def test_a_dot_in_the_name_of_a_shards_picture_is_told(source: Path, tmp_path: Path) -> None:
    tar(source, {"photo.1.png": png(), "photo.1.txt": "猫".encode(), "b.png": png(), "b.txt": b"b"})
    records, noted = imported(source, tmp_path / "mine")
    assert [one.key for one in records] == ["0.tar/b.png"]
    assert [(one.key, one.reason) for one in noted] == [("0.tar/photo.1.png", NOT_READ)]


def test_of_a_parquet_file_only_the_row_that_is_no_text_is_left_out(source: Path, tmp_path: Path) -> None:
    ends = pyarrow.array([0, 3, 5, 8], pyarrow.int32()).buffers()[1]
    text = pyarrow.StringArray.from_buffers(3, ends, pyarrow.py_buffer("猫".encode() + b"\xff\xfe" + "犬".encode()))
    pyarrow.parquet.write_table(pyarrow.table({"image": [png()] * 3, "text": text}), source / "0.parquet")
    records, noted = imported(source, tmp_path / "mine")
    assert [(one.key, one.captions) for one in records] == [("0.parquet/0", ("猫",)), ("0.parquet/2", ("犬",))]
    assert [(one.key, one.reason) for one in noted] == [("0.parquet/1", DAMAGED)]


def test_of_an_imagefolders_parquet_only_the_row_that_is_no_text_is_left_out(source: Path, tmp_path: Path) -> None:
    ends = pyarrow.array([0, 3, 5, 8], pyarrow.int32()).buffers()[1]
    text = pyarrow.StringArray.from_buffers(3, ends, pyarrow.py_buffer("猫".encode() + b"\xff\xfe" + "犬".encode()))
    names = [f"{number}.png" for number in range(3)]
    for name in names:
        (source / name).write_bytes(png())
    pyarrow.parquet.write_table(pyarrow.table({"file_name": names, "text": text}), source / "metadata.parquet")
    records, noted = imported(source, tmp_path / "mine")
    assert [(one.key, one.captions) for one in records] == [("0.png", ("猫",)), ("2.png", ("犬",))]
    assert any(one.key.startswith("metadata.parquet") for one in noted)


def test_of_a_sample_with_two_pictures_the_second_is_told(source: Path, tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (80, 80)).save(jpeg, "JPEG")
    tar(source, {"a.png": png(), "a.jpg": jpeg.getvalue(), "a.txt": "猫".encode()})
    records, noted = imported(source, tmp_path / "mine")
    assert [one.key for one in records] == ["0.tar/a.png"]
    assert [(one.key, one.reason) for one in noted] == [("0.tar/a.jpg", DUPLICATE)]


def test_a_folder_whose_own_name_is_no_text_is_imported_and_gone_on_with(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"\x8e\x9b")
    imagefolder(place)
    with (place / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"file_name": "gone.png", "text": "猫"}\n')
    output = tmp_path / "mine"
    for _ in range(2):
        shards, noted = import_pictures(read_source(place), {"source": str(place)}, output, lambda read: None)
        assert len(shards) == 2 and [one.key for one in noted] == ["gone.png"]


@pytest.mark.parametrize(("mode", "raw"), [(2, 3), (6, 4)], ids=["RGB", "RGBA"])
def test_sixteen_bits_a_channel_are_made_eight_and_told(mode: int, raw: int, source: Path, tmp_path: Path) -> None:
    """Pillow reads such PNG files and writes none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 64, 64, 16, mode, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x80\x01" * raw * 64) * 64)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (source / "a.png").write_bytes(file)
    (source / "a.txt").write_text("灰色", "utf-8")
    (record,), noted = imported(source, tmp_path / "mine")
    assert [(one.key, one.reason, one.taken) for one in noted] == [("a.png", DEEP, True)]
    assert isinstance(record.image, bytes) and record.image[24] == 8, "bits of a channel"


def test_json_without_end_is_no_caption(source: Path, tmp_path: Path) -> None:
    two_samples(source, b"[" * 100_000)
    records, noted = imported(source, tmp_path / "mine")
    assert [one.captions for one in records] == [("青",)] and [one.reason for one in noted] == [NO_CAPTION]


def test_a_name_as_long_as_the_disk_takes_is_read(tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 251}.png").write_bytes(png())  # beside it no .caption could be
    (record,) = read_source(tmp_path)
    assert isinstance(record, Record) and record.captions == ()
