"""A source is what lies in its folder: what leads out of it, by its name or by a link, is left out and never read."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from jsd.images.opening import open_image
from jsd.training.corpora import records
from jsd.training.corpora.readers import read_source
from jsd.training.corpora.records import Noted, pictures
from training.corpora.test_records import CAPTIONS, folder, imagefolder, parquet, png, webdataset

SECRET = "秘密"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Pictures and captions that are nobody's business, in every form."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "c.png").write_bytes(png())
    (place / "c.txt").write_text(SECRET, "utf-8")
    (place / "metadata.jsonl").write_text(json.dumps({"file_name": "c.png", "text": SECRET}), "utf-8")
    rows = [{"image": {"bytes": png(), "path": ""}, "text": SECRET}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), place / "c.parquet")
    webdataset(place)
    return place


def linked(make: Callable[[Path], Path], name: str, to: str) -> Callable[[Path, Path], None]:
    """A source with a link besides, and a caption for it."""

    def made(place: Path, outside: Path) -> None:
        make(place)
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).with_suffix(".txt").write_text("猫", "utf-8")
        (place / name).symlink_to(outside / to)

    return made


def with_text_linked(place: Path, outside: Path) -> None:
    folder(place)
    (place / "c.png").write_bytes(png())
    (place / "c.txt").symlink_to(outside / "c.txt")


def named(name: str, link: str = "c.png", to: str = "c.png") -> Callable[[Path, Path], None]:
    """An imagefolder with one line more."""

    def made(place: Path, outside: Path) -> None:
        with (imagefolder(place) / "metadata.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"file_name": name, "text": "猫"}))
        (place / link).symlink_to(outside / to)

    return made


def column(value: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """A parquet file that names its pictures; that of the third, which is also a link."""

    def made(place: Path, outside: Path) -> None:
        for name in CAPTIONS:
            (place / name).write_bytes(png())
        (place / "c.png").symlink_to(outside / "c.png")
        rows = [{"image": str(name), "text": text} for name, text in CAPTIONS.items()]
        third = value(outside)
        if isinstance(third, dict):
            rows = [{**row, "image": {"bytes": None, "path": row["image"]}} for row in rows]  # type: ignore[dict-item]
        rows.append({"image": third, "text": SECRET})  # type: ignore[dict-item]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), place / "part.parquet")

    return made


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (linked(folder, "c.png", "c.png"), ["c.png"]),
        (linked(folder, "10_猫/c.png", "c.png"), ["10_猫/c.png"]),
        (linked(folder, "c.png", "absent.png"), ["c.png"]),
        (linked(folder, "10_more", ""), ["10_more"]),
        (with_text_linked, ["c.png"]),
        (named("c.png"), ["metadata.jsonl:3"]),
        (named("more/c.png", "more", ""), ["more", "metadata.jsonl:3"]),
        (linked(imagefolder, "train/metadata.jsonl", "metadata.jsonl"), ["train/metadata.jsonl"]),
        (column(lambda outside: str(outside / "c.png")), ["part.parquet/2"]),
        (column(lambda outside: "../outside/c.png"), ["part.parquet/2"]),
        (column(lambda outside: "c.png"), ["part.parquet/2"]),
        (column(lambda outside: {"bytes": None, "path": "../outside/c.png"}), ["part.parquet/2"]),
        (linked(parquet, "z.parquet", "c.parquet"), ["z.parquet"]),
        (linked(webdataset, "z.tar", "00000.tar"), ["z.tar"]),
    ],
)
def test_what_leads_out_is_left_out_and_the_others_are_read(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, Path], None], keys: list[str]
) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    make(place, outside)
    opened: list[object] = []
    monkeypatch.setattr(records, "open_image", lambda file, field: [opened.append(file), open_image(file, field)][1])
    noted: list[Noted] = []
    captions = [one.record.captions for one in pictures(read_source(place), noted)]
    assert captions == [(text,) for text in CAPTIONS.values()]
    assert [(one.key, one.reason) for one in noted] == [(key, "outside the folder") for key in keys]
    assert not [one for one in opened if isinstance(one, Path) and outside in one.resolve().parents]


def test_a_source_of_links_alone_says_where_they_lead(tmp_path: Path, outside: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "00000.tar").symlink_to(outside / "00000.tar")
    (note,) = read_source(place)
    assert note == Noted("00000.tar", "outside the folder", str(outside / "00000.tar"))


@pytest.mark.parametrize("make", [folder, imagefolder, webdataset, parquet])
def test_a_link_to_a_source_is_that_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    place = tmp_path / "real"
    place.mkdir()
    make(place)
    (tmp_path / "mine").symlink_to(place)
    monkeypatch.chdir(tmp_path)
    for source in (tmp_path / "mine", Path("mine")):
        noted: list[Noted] = []
        assert len(list(pictures(read_source(source), noted))) == 2 and noted == []


def test_links_and_whole_paths_that_stay_within_the_source_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.png").symlink_to("a.png")
    lines = [{"file_name": name, "text": "猫"} for name in (str(tmp_path / "a.png"), "b.png")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert [one.record.key for one in pictures(read_source(tmp_path), [])] == ["a.png", "b.png"]


def test_the_name_of_a_tar_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a URL, the first would end at its #, the second be run, the third be two files."""
    place = tmp_path / "mine"
    place.mkdir()
    shard = (webdataset(place) / "00000.tar").read_bytes()
    (place / "00000.tar").unlink()
    names = ["#1.tar", "pipe:touch ran;.tar", "{1,2}.tar"]
    for name in names:
        (place / name).write_bytes(shard)
    monkeypatch.chdir(place)
    noted: list[Noted] = []
    found = [one.record.key for one in pictures(read_source(Path()), noted)]
    assert found == [f"{name}/{file}" for name in names for file in CAPTIONS] and noted == []
    assert {path.name for path in place.iterdir()} == set(names)
