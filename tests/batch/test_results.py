import json
import os
import resource
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jsd.batch.results import Results
from jsd.errors import InvalidInputError


def lines(folder: Path) -> list[bytes]:
    return (folder / "results.jsonl").read_bytes().splitlines()


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    record = {"row": 1, "key": "k", "files": ["a.png"], "prompt": "猫 \ud800"}
    with closing(Results(tmp_path)) as results:
        results.append(record, {})
        assert results.finished() == {"k": record}
    with closing(Results(tmp_path)) as results:
        assert results.finished() == {"k": record}


def test_a_row_without_its_pictures_is_not_finished(tmp_path: Path) -> None:
    with closing(Results(tmp_path)) as results:
        results.append({"row": 1, "key": "k", "files": ["gone.png"]}, {})
        results.append({"row": 2, "key": "l", "error": {"code": "x"}}, {})
        assert results.finished() == {}


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_cut_short_by_a_kill_is_taken_out(cut: int, tmp_path: Path) -> None:
    whole = json.dumps({"key": 1}).encode() + b"\n"
    (tmp_path / "results.jsonl").write_bytes(whole + whole[: cut % len(whole)])
    with closing(Results(tmp_path)) as results:
        assert len(results.records) == 1
        results.append({"key": 2}, {})
    assert [json.loads(line)["key"] for line in lines(tmp_path)] == [1, 2]


def test_a_line_damaged_otherwise_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b'{"key": 1}\nnonsense\n{"key": 3}\n')
    with pytest.raises(InvalidInputError, match="line 2"):
        Results(tmp_path)
    for line in (b"[]\n", b"[" * 100_000 + b"\n", b'{"row": ' + b"9" * 5000 + b"}\n"):
        (tmp_path / "results.jsonl").write_bytes(line)
        with pytest.raises(InvalidInputError, match="line 1"):
            Results(tmp_path)


SHOWN = {"row": 1, "key": "k", "files": ["a.png"], "seeds": [1], "options": {"prompt": "猫"}}


@pytest.mark.parametrize("change", [{"options": None}, {"options": {}}, {"seeds": None}, {"seeds": []}, {"files": "a"}])
def test_a_line_without_what_its_pictures_are_shown_by_is_named(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(f"{json.dumps(SHOWN)}\n{json.dumps(SHOWN | change)}\n")
    with closing(Results(tmp_path)) as results, pytest.raises(InvalidInputError, match="line 2"):
        results.check_records()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "endless"])
def test_what_is_no_file_is_not_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "results.jsonl")
    with pytest.raises(InvalidInputError, match="not a file"):
        Results(tmp_path)


def test_a_line_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(Results(tmp_path)) as results:
        results.append({"key": 1}, {})
        before = (tmp_path / "results.jsonl").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
        try:
            with pytest.raises(InvalidInputError, match="make room"):
                results.append({"key": 2}, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "results.jsonl").read_bytes() == before, "a part of the line stayed"
        results.append({"key": 3}, {})
    assert [json.loads(line)["key"] for line in lines(tmp_path)] == [1, 3]


def test_a_rows_pictures_are_there_before_its_line(tmp_path: Path) -> None:
    with closing(Results(tmp_path)) as results:
        results.append({"key": "k", "files": ["a.png"]}, {"a.png": b"a picture"})
        with pytest.raises(InvalidInputError, match=r"b\.png.*make room"):
            results.append({"key": "l", "files": ["b.png"]}, {"gone/b.png": b"another"})
        assert set(results.finished()) == {"k"}
    assert (tmp_path / "a.png").read_bytes() == b"a picture"
    assert len(lines(tmp_path)) == 1, "a line names a picture that is not there"


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with closing(Results(tmp_path)), pytest.raises(InvalidInputError, match="another run"):
        Results(tmp_path)
    Results(tmp_path).close()


def test_a_folder_holds_the_pictures_of_one_model(tmp_path: Path) -> None:
    with closing(Results(tmp_path)) as results:
        results.append({"key": "k", "error": {}}, {})
        results.append({"key": "k", "model_sha256": "aaaa"}, {})
        results.check_model("aaaa")
        with pytest.raises(InvalidInputError, match="aaaa"):
            results.check_model("bbbb")
