"""Imported pictures: shards that hold what the source held, made once however often the import is killed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jsd.errors import CorpusError, InvalidInputError
from jsd.training.corpora.records import Noted, Record
from jsd.training.corpora.shards import Shards, fingerprint, import_pictures
from training.corpora.test_records import png

ABOUT = {"source": "toys"}


def source(count: int = 10) -> Iterator[Record | Noted]:
    """Every fifth has no caption; columns come and go, and one is now a number, now a text."""
    for number in range(count):
        columns = {"n": number if number % 2 else str(number), **({"late": {"a": 1}} if number > 6 else {})}
        captions = () if number % 5 == 4 else (f"猫{number}", "犬")
        yield Record(f"{number}.png", png((number, 0, 0)), captions, (3.0, 1.0), columns)


def run(folder: Path, items: Iterator[Record | Noted] | None = None, about: dict[str, str] = ABOUT) -> Shards:
    return import_pictures(source() if items is None else items, about, folder, lambda read: None, 3)[0]


def test_records_come_back_shard_by_shard_with_their_columns(tmp_path: Path) -> None:
    shards = run(tmp_path / "mine")
    assert shards.counts == (3, 3, 2)
    records = [record for index in range(3) for record in shards.records(index)]
    assert [one.key for one in records] == [f"{n}.png" for n in (0, 1, 2, 3, 5, 6, 7, 8)]
    assert (records[0].captions, records[0].weights, records[0].image) == (("猫0", "犬"), (3.0, 1.0), png((0, 0, 0)))
    assert [json.loads(one.columns["n"]) for one in records[:2]] == ["0", 1]
    assert records[-1].columns["late"] == {"a": 1} and records[-1].columns["width"] == 80
    left_out = [json.loads(line) for line in (tmp_path / "mine" / "left_out.jsonl").read_text().splitlines()]
    assert [(one["key"], one["reason"], one["taken"]) for one in left_out] == [
        ("4.png", "no caption", False),
        ("9.png", "no caption", False),
    ]


@pytest.mark.parametrize("after", range(0, 10, 2))
def test_a_killed_import_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    read = []

    def dying() -> Iterator[Record | Noted]:
        for number, item in enumerate(source()):
            if number == after:
                raise KeyboardInterrupt
            yield item

    def watched() -> Iterator[Record | Noted]:
        for item in source():
            yield item
            read.append(item)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", dying())
    with pytest.raises(CorpusError, match="jsd data import"):
        Shards.load(tmp_path / "killed")
    whole, again = run(tmp_path / "whole"), run(tmp_path / "killed", watched())
    assert again.counts == whole.counts and again.digest == whole.digest
    left_out = [(tmp_path / name / "left_out.jsonl").read_text() for name in ("whole", "killed")]
    assert left_out[0] == left_out[1]
    times = [(tmp_path / "killed" / "shards" / f"0000{n}.parquet").stat().st_mtime_ns for n in range(3)]
    assert run(tmp_path / "killed").digest == whole.digest
    assert times == [(tmp_path / "killed" / "shards" / f"0000{n}.parquet").stat().st_mtime_ns for n in range(3)]


def test_another_source_takes_the_place_of_the_first_and_a_strange_folder_stays(tmp_path: Path) -> None:
    run(tmp_path / "mine")
    (tmp_path / "mine" / ".DS_Store").touch()  # of somebody who looked with Finder
    assert run(tmp_path / "mine", source(2), {"source": "others"}).counts == (2,)
    for name, about in (("letter.txt", ABOUT), ("letter.txt", None), ("corpus.json", None)):
        place = tmp_path / f"{name}-{about is None}"
        if about is not None:
            run(place)
        place.mkdir(exist_ok=True)
        (place / name).write_text("{}")
        with pytest.raises(InvalidInputError, match="name another"):
            run(place, source(2), {"source": "others"})
        assert (place / name).read_text() == "{}"


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    shards = run(tmp_path / "mine")
    shards.path(1).write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match=r"00001\.parquet"):
        list(shards.records(1))


def test_a_picture_that_is_damaged_in_its_shard_is_named_with_it(tmp_path: Path) -> None:
    shards = run(tmp_path / "mine", iter([Record("a.png", png(), ("猫",)), Record("b.png", png("blue"), ("犬",))]))
    with pytest.raises(CorpusError, match=r"00000\.parquet.*b\.png"):
        shards.image(0, "b.png", png()[:60])


@pytest.mark.parametrize("left", [".sheet-ab12", ".corpus.json.123.tmp.json", ".left_out.jsonl.9.tmp.jsonl"])
def test_what_a_killed_command_was_writing_is_no_other_ones(tmp_path: Path, left: str) -> None:
    for about in (ABOUT, {"source": "others"}):
        run(tmp_path / "mine")
        place = tmp_path / "mine" / left
        place.mkdir() if left == ".sheet-ab12" else place.touch()
        assert run(tmp_path / "mine", source(2), about).counts
        assert not place.exists()


def test_of_a_folder_that_another_source_takes_what_says_whose_it_is_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "mine")
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "mine", source(2), {"source": "others"})
    assert run(tmp_path / "mine", source(2), {"source": "others"}).counts == (2,)


def test_what_a_desktop_leaves_is_no_other_source(tmp_path: Path) -> None:
    (tmp_path / "10_cat").mkdir()
    (tmp_path / "10_cat" / "a.png").write_bytes(png())
    before = fingerprint(tmp_path)
    os.utime(tmp_path / "10_cat", (0, 0))
    (tmp_path / "10_cat" / ".DS_Store").write_bytes(b"looked at")
    assert fingerprint(tmp_path) == before
    (tmp_path / "10_cat" / "b.png").write_bytes(png())
    assert fingerprint(tmp_path) != before
