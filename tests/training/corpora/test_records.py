"""Anybody's pictures: every form of a source gives the same records, and nothing in it stops the reading."""

import io
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from jsd.errors import CorpusError, MissingExtraError
from jsd.images.opening import open_image
from jsd.training.corpora import records
from jsd.training.corpora.readers import read_source
from jsd.training.corpora.records import Noted, Picture, Record, pictures, usable

CAPTIONS = {"a.png": "赤い丸", "b.png": "青い丸"}


def png(colour: object = "red", size: tuple[int, int] = (80, 64), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, **{"format": "PNG", **options})  # type: ignore[arg-type]
    return file.getvalue()


def folder(place: Path) -> Path:
    for name, text in CAPTIONS.items():
        (place / name).write_bytes(png())
        (place / name).with_suffix(".txt").write_text(text)
    return place


def imagefolder(place: Path, suffix: str = "jsonl") -> Path:
    place.mkdir(exist_ok=True)
    for name in CAPTIONS:
        (place / name).write_bytes(png())
    rows = [{"file_name": name, "text": text} for name, text in CAPTIONS.items()]
    lines = [json.dumps(row) for row in rows]
    if suffix == "csv":
        lines = ["file_name,text", *(",".join(row.values()) for row in rows)]
    (place / f"metadata.{suffix}").write_text("\n".join(lines))
    return place


def webdataset(place: Path, names: tuple[str, ...] = tuple(CAPTIONS)) -> Path:
    """As img2dataset writes it: the caption in .txt and in .json."""
    with tarfile.open(place / "00000.tar", "w") as archive:
        for name in names:
            text = CAPTIONS[name]
            files = {".png": png(), ".txt": text.encode(), ".json": json.dumps({"caption": text, "n": 1}).encode()}
            for suffix, data in files.items():
                member = tarfile.TarInfo(Path(name).stem + suffix)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return place


def parquet(place: Path, image: Callable[[str], object] = lambda name: {"bytes": png(), "path": name}) -> Path:
    rows = [{"image": image(name), "text": text} for name, text in CAPTIONS.items()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), place / "part.parquet")
    return place


def downloaded(place: Path, make: Callable[[Path], Path]) -> Path:
    """As img2dataset leaves it: with a parquet file of what it tried beside the pictures."""
    pyarrow.parquet.write_table(pyarrow.table({"url": ["a"], "caption": ["b"]}), place / "00000.parquet")
    return make(place)


def paths(place: Path) -> Path:
    for name in CAPTIONS:
        (place / name).write_bytes(png())
    return parquet(place, image=str)


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (folder, ["a.png", "b.png"]),
        (imagefolder, ["a.png", "b.png"]),
        (lambda place: imagefolder(place, "csv"), ["a.png", "b.png"]),
        (lambda place: imagefolder(place / "train").parent, ["train/a.png", "train/b.png"]),
        (webdataset, ["00000.tar/a.png", "00000.tar/b.png"]),
        (parquet, ["part.parquet/0", "part.parquet/1"]),
        (paths, ["part.parquet/0", "part.parquet/1"]),
        (lambda place: downloaded(place, folder), ["a.png", "b.png"]),
        (lambda place: downloaded(place, webdataset), ["00000.tar/a.png", "00000.tar/b.png"]),
        (lambda place: webdataset(place) / "00000.tar", ["00000.tar/a.png", "00000.tar/b.png"]),
    ],
)
def test_every_form_gives_keys_pictures_and_captions(
    tmp_path: Path, make: Callable[[Path], Path], keys: list[str]
) -> None:
    noted: list[Noted] = []
    found = list(pictures(read_source(make(tmp_path)), noted))
    assert [one.record.key for one in found] == keys and noted == []
    assert [one.record.captions for one in found] == [(text,) for text in CAPTIONS.values()]
    assert {one.image.size for one in found} == {(80, 64)}
    assert {one.record.image for one in found} == {png()}, "a plain picture stays byte for byte"


def test_kohya_folders_repeat_and_name_what_no_text_names(tmp_path: Path) -> None:
    place = tmp_path / "10_太郎 猫"
    place.mkdir()
    (place / "a.png").write_bytes(png())
    (place / "b.png").write_bytes(png())
    (place / "b.txt").write_text("太郎\n庭の太郎\n")
    one, two = pictures(read_source(tmp_path), [])
    assert (one.record.key, one.record.captions, one.record.repeats) == ("10_太郎 猫/a.png", ("太郎 猫",), 10)
    assert two.record.captions == ("太郎", "庭の太郎"), "each line is a caption"


def test_a_caption_file_that_may_not_be_read_is_told_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path)
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    noted: list[Noted] = []
    assert [one.record.key for one in pictures(read_source(tmp_path), noted)] == ["b.png"]
    assert [(one.key, one.reason) for one in noted] == [("a.png", "damaged")] and "a.txt" in noted[0].detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_texts_are_read_as_japanese_machines_write_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "a.txt").write_bytes("富士山と猫".encode(encoding))
    (record,) = read_source(tmp_path)
    assert isinstance(record, Record) and record.captions == ("富士山と猫",)


@pytest.mark.parametrize(
    ("make", "package"), [(imagefolder, "datasets"), (webdataset, "webdataset"), (parquet, "pyarrow")]
)
def test_a_package_that_is_not_installed_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], package: str
) -> None:
    source = make(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install -e '\.\[train\]'"):
        list(read_source(source))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return png(format="JPEG", exif=exif)


def animated() -> bytes:
    return png(format="GIF", save_all=True, append_images=[Image.new("RGB", (80, 64), "blue")])


def test_a_camera_s_picture_with_a_preview_behind_it_is_kept_as_it_is() -> None:
    data = png(format="MPO", save_all=True, append_images=[Image.new("RGB", (40, 32), "blue")])
    noted: list[Noted] = []
    (kept,) = pictures([Record("a", data, ("猫",))], noted)
    assert kept.record.image == data and noted == []


@pytest.mark.parametrize(
    ("data", "reason", "size"),
    [
        (b"no picture", "damaged", None),
        (png(size=(300, 300))[:200], "damaged", None),
        (b"", "damaged", None),
        (png(size=(63, 200)), "tiny", None),
        (Path("absent.png"), "missing", None),
        (png(1, (9500, 9500), "1"), "too many pixels", None),
        (animated(), "animated", (80, 64)),
        (png((0, 99, 99, 0), mode="CMYK", format="JPEG"), "CMYK", (80, 64)),
        (png(40_000, mode="I;16"), "16 bit", (80, 64)),
        (turned(), "rotated", (64, 80)),
    ],
)
def test_odd_pictures_are_made_plain_or_left_out(data: bytes | Path, reason: str, size: tuple[int, int] | None) -> None:
    (found,) = usable([Record("it.png", data, ("猫",))])
    (note,) = [one for one in found if isinstance(one, Noted)]
    assert (note.key, note.reason, note.taken) == ("it.png", reason, size is not None)
    sizes = [Image.open(io.BytesIO(one.record.image)).size for one in found if isinstance(one, Picture)]
    assert sizes == ([] if size is None else [size])


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([Record("a.png", png(), ("猫",)), Record("a.png", png("blue"), ("犬",))], "duplicate name"),
        ([Record("b.png", png(), ("猫",)), Record("a.png", png(), (" \n",))], "no caption"),
        ([Record("b.png", png(), ("猫",)), Record("a.png", png(), ())], "no caption"),
    ],
)
def test_without_a_caption_or_a_name_of_its_own_a_picture_is_left_out(records: list[Record], reason: str) -> None:
    noted: list[Noted] = []
    assert len(list(pictures(records, noted))) == 1
    assert [(one.key, one.reason, one.taken) for one in noted] == [("a.png", reason, False)]


@pytest.mark.parametrize("keep", [3000, 600, 1])
def test_a_cut_tar_is_named_and_what_stands_before_the_cut_is_read(tmp_path: Path, keep: int) -> None:
    shard = webdataset(tmp_path) / "00000.tar"
    shard.write_bytes(shard.read_bytes()[:keep])
    noted: list[Noted] = []
    found = list(pictures(read_source(tmp_path), noted))
    assert len(found) == (1 if keep == 3000 else 0)
    assert ("00000.tar", "damaged") in [(one.key, one.reason) for one in noted]


def test_a_name_twice_in_a_tar_is_left_out(tmp_path: Path) -> None:
    noted: list[Noted] = []
    assert len(list(pictures(read_source(webdataset(tmp_path, ("a.png", "a.png"))), noted))) == 1
    assert [(one.key, one.reason) for one in noted] == [("00000.tar/a.png", "duplicate name")]


def test_a_damaged_parquet_file_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    (parquet(tmp_path) / "bad.parquet").write_bytes(b"PAR1 no more")
    noted: list[Noted] = []
    assert len(list(pictures(read_source(tmp_path), noted))) == 2
    assert [(one.key, one.reason) for one in noted] == [("bad.parquet", "damaged")]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (None, "check the path"),
        ({}, "metadata.jsonl"),
        ({"letter.txt": b"x"}, "metadata.jsonl"),
        ({"metadata.jsonl": b'{"file_name": "a.png"', "a.png": png()}, "metadata.jsonl:1: it is no JSON"),
        ({"metadata.jsonl": b"\n", "a.png": png()}, "it is empty"),
        ({"metadata.csv": b"name,text\na.png,cat\n", "a.png": png()}, "no file_name"),
        ({"metadata.parquet": b"PAR1 no more", "a.png": png()}, "metadata.parquet:1"),
    ],
)
def test_a_wrong_source_is_one_line_with_a_remedy(tmp_path: Path, files: dict[str, bytes] | None, word: str) -> None:
    for name, data in (files or {}).items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        list(read_source(tmp_path if files is not None else tmp_path / "none"))
    assert word in str(caught.value) and "\n" not in str(caught.value)


BAD_LINES = {
    '{"file_name": "a.png"': "damaged",
    "[]": "damaged",
    '{"file_name": "a.png", "text": "\\ud800"}': "damaged",
    '{"file_name": "a.png", "text": "猫", "weights": ["x"]}': "damaged",
    '{"text": "猫"}': "no file_name",
    '{"file_name": 5, "text": "猫"}': "no file_name",
    '{"file_name": "../secret.png", "text": "猫"}': "outside the folder",
    '{"file_name": "sub/..\\\\..\\\\secret.png", "text": "猫"}': "outside the folder",
    '{"file_name": "SECRET", "text": "猫"}': "outside the folder",
    '{"file_name": "a.png"}': "no caption",
    '{"file_name": "absent.png", "text": "猫"}': "missing",
}


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_damaged_line_of_metadata_is_told_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    place, secret = tmp_path / "mine", tmp_path / "secret.png"
    secret.write_bytes(png())
    path = imagefolder(place) / "metadata.jsonl"
    _first, second = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(["", bad.replace("SECRET", str(secret)), second, ""]), "utf-8")
    opened: list[object] = []
    monkeypatch.setattr(records, "open_image", lambda file, field: [opened.append(file), open_image(file, field)][1])
    noted: list[Noted] = []
    (found,) = pictures(read_source(place), noted)
    assert (found.record.key, found.record.columns["split"]) == ("b.png", "train")
    note, *others = noted
    unnamed = [] if note.key == "a.png" else [("a.png", "not among the captions")]
    assert [(one.key, one.reason) for one in others] == unnamed
    assert note.reason == BAD_LINES[bad] and "metadata.jsonl:2" in f"{note.key} {note.detail}"
    assert secret.resolve() not in [Path(str(one)).resolve() for one in opened], "nothing outside is opened"


def test_damaged_lines_of_csv_are_told_and_numbers_stay_numbers(tmp_path: Path) -> None:
    path = imagefolder(tmp_path, "csv") / "metadata.csv"
    lines = [
        "file_name,text,n,code",
        'a.png,"赤い\n丸",1.50,007',
        "b.png,青い丸,2,8,too many",
        ",猫,3,",
        "../c.png,猫,4,x",
    ]
    path.write_bytes("\n".join([*lines, ""]).encode() + "b.png,猫,5,".encode("cp932") + b'\nb.png,2024,,\nc.png,"cat,')
    noted: list[Noted] = []
    one, two = pictures(read_source(tmp_path), noted)
    assert (one.record.captions, one.record.columns["n"], one.record.columns["code"]) == (("赤い 丸",), 1.5, "007")
    assert (two.record.captions, two.record.columns["n"]) == (("2024",), None)
    assert [(note.key, note.reason) for note in noted] == [
        ("metadata.csv:4", "damaged"),
        ("metadata.csv:5", "no file_name"),
        ("metadata.csv:6", "outside the folder"),
        ("metadata.csv:7", "damaged"),
        ("metadata.csv:9", "damaged"),
    ]


def test_a_parquet_file_of_metadata_is_read_row_by_row(tmp_path: Path) -> None:
    (imagefolder(tmp_path) / "metadata.jsonl").unlink()
    rows = [{"file_name": name, "text": "猫"} for name in ("a.png", "/b.png")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "metadata.parquet")
    noted: list[Noted] = []
    assert [one.record.key for one in pictures(read_source(tmp_path), noted)] == ["a.png"]
    assert [(one.key, one.reason) for one in noted] == [
        ("metadata.parquet:2", "outside the folder"),
        ("b.png", "not among the captions"),
    ]


@pytest.mark.parametrize("name", ["photos", "photos [2024] {a,b} #1"])
def test_the_split_is_that_of_the_picture(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for folder in ("train", "test"):
        imagefolder(tmp_path / name / folder)
    splits = {one.key: one.columns["split"] for one in read_source(tmp_path / name) if isinstance(one, Record)}
    assert splits == {f"{name}/{file}": name for name in ("train", "test") for file in CAPTIONS}


def test_a_parquet_file_without_pictures_names_the_flag(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"photo": [png()], "text": ["猫"]}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="--image-column"):
        list(read_source(tmp_path))
    (record,) = read_source(tmp_path, image="photo")
    assert isinstance(record, Record) and record.captions == ("猫",)
