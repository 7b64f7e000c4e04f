import json
import os
import resource
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jsd.batch.results import Results
from jsd.errors import InvalidInputError


def lines(folder: Path) -> list[bytes]:
    return (folder / "results.jsonl").read_bytes().splitlines()


def a_record(key: str, name: str, **more: Any) -> dict[str, Any]:
    return {"row": 1, "key": key, "files": [name], "seeds": [0], "options": {"prompt": "猫 \ud800"}, **more}


def test_a_row_is_finished_where_its_line_and_its_pictures_are_there(tmp_path: Path) -> None:
    record = a_record("k", "a.png")
    with closing(Results(tmp_path)) as results:
        results.append(record, {"a.png": b"a picture"})
        results.append(a_record("l", "gone.png"), {})
        results.append({"row": 3, "key": "m", "error": {"code": "x"}}, {})
        with pytest.raises(InvalidInputError, match=r"b\.png.*make room"):
            results.append(a_record("n", "b.png"), {"gone/b.png": b"another"})
        assert results.finished() == {"k": record}
    assert (tmp_path / "a.png").read_bytes() == b"a picture"
    assert len(lines(tmp_path)) == 3, "a line names a picture that is not there"
    with closing(Results(tmp_path)) as results:
        assert results.finished() == {"k": record}
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "a.png", "results.jsonl"}


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_cut_short_by_a_kill_is_taken_out(cut: int, tmp_path: Path) -> None:
    whole = json.dumps({"key": "1", "error": 1}).encode() + b"\n"
    (tmp_path / "results.jsonl").write_bytes(whole + whole[: cut % len(whole)])
    with closing(Results(tmp_path)) as results:
        assert len(results.records) == 1
        results.append({"key": "2"}, {})
    assert [json.loads(line)["key"] for line in lines(tmp_path)] == ["1", "2"]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b"[" * 100_000,
        b'{"key": ' + b"9" * 5_000 + b"}",
        json.dumps({"key": "k"}).encode(),
        json.dumps({"key": 1, "error": {}}).encode(),
        json.dumps(a_record("k", "../a.png")).encode(),
        json.dumps(a_record("k", "a.png", options={})).encode(),
        json.dumps(a_record("k", "a.png", options=None)).encode(),
        json.dumps(a_record("k", "a.png", seeds=[])).encode(),
        json.dumps(a_record("k", "a.png", files=[], seeds=[])).encode(),
    ],
)
def test_a_line_damaged_otherwise_is_named(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b'{"key": "1", "error": {}}\n' + line + b"\n")
    with pytest.raises(InvalidInputError, match="line 2"):
        Results(tmp_path)


def test_a_line_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(Results(tmp_path)) as results:
        results.append({"key": "1", "error": {}}, {})
        before = (tmp_path / "results.jsonl").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
        try:
            with pytest.raises(InvalidInputError, match="make room"):
                results.append({"key": "2", "error": {}}, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "results.jsonl").read_bytes() == before, "a part of the line stayed"
        results.append({"key": "3", "error": {}}, {})
    assert [json.loads(line)["key"] for line in lines(tmp_path)] == ["1", "3"]


def test_a_folder_has_one_run_and_the_pictures_of_one_model(tmp_path: Path) -> None:
    with closing(Results(tmp_path)) as results:
        with pytest.raises(InvalidInputError, match="another run"):
            Results(tmp_path)
        results.append({"key": "k", "error": {}}, {})
        results.append(a_record("k", "a.png", model_sha256="aaaa"), {})
        results.check_model("aaaa")
        with pytest.raises(InvalidInputError, match="aaaa"):
            results.check_model("bbbb")
    Results(tmp_path).close()


def test_what_cannot_be_a_results_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    makers = {"folder": Path.mkdir, "pipe": os.mkfifo, "endless": lambda path: path.symlink_to("/dev/zero")}
    for name, make in makers.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name / "results.jsonl")
    for name in ("file", *makers):
        folder = tmp_path / name
        with pytest.raises(InvalidInputError, match="output_dir"):
            Results(folder)
