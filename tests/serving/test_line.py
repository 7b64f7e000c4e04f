"""Whose turn it is at the page, and what is kept of each visitor."""

import errno
import os
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from jsd.errors import ServingError
from jsd.serving.limits import make_room
from jsd.serving.page import visitors as visitors_module
from jsd.serving.page.line import MAX_WAITING, Line
from jsd.serving.page.visitors import Visitors


def test_visitors_draw_one_after_the_other_and_know_how_many_are_before_them() -> None:
    line = Line()
    with line.join(1) as first:
        with line.join(1) as second, line.join(1) as third:
            assert [line.ahead(one) for one in (first, second, third)] == [0, 1, 2]
        with line.join(1) as fourth:
            assert line.ahead(fourth) == 1, "who leaves gives the place up"


def test_the_wait_is_told_by_the_work_before_it() -> None:
    line = Line()
    with line.join(100) as first, line.join(50) as second, line.join(1) as third:
        assert line.seconds(second) is None, "nothing was drawn yet"
        line.begin(first)
        sleep(0.05)
        first.done = 0.5
        wait = line.seconds(second), line.seconds(third)
        assert wait[0] is not None and wait[1] is not None
        assert 0.04 < wait[0] < 1 and wait[1] == pytest.approx(2 * wait[0], rel=0.2)


def test_who_waits_is_woken_when_the_one_before_leaves() -> None:
    line, order = Line(), []

    def draw() -> None:
        with line.join(1) as place:
            while line.ahead(place):
                line.wait(place)
            order.append("second")

    with line.join(1):
        thread = Thread(target=draw)
        thread.start()
        sleep(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_full_and_a_closed_line_let_nobody_in() -> None:
    line = Line()
    places = [line.join(1) for _ in range(MAX_WAITING + 1)]
    for place in places:
        place.__enter__()
    with pytest.raises(ServingError, match="16"), line.join(1):
        pass
    for place in places:
        place.__exit__(None, None, None)
    line.close(0)
    with pytest.raises(ServingError), line.join(1):
        pass


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_visitor_keeps_the_newest_pictures_and_sees_only_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors_module, "MAX_PICTURES", 2)
    visitors = Visitors(tmp_path)
    one, other = visitors.of(None), visitors.of("a token that nobody has")
    assert visitors.of(one.token) is one and other is not one
    kept = [visitors.keep(one, f"{number}.png", b"x", "") for number in range(3)]
    assert [picture.path.name for picture in one.pictures] == files(tmp_path)[::-1] == ["2.png", "1.png"]
    assert one.picture(str(kept[2].path)) is kept[2]
    assert other.picture(str(kept[2].path)) is None and one.picture(str(kept[0].path)) is None
    visitors.delete(one, kept[2])
    assert files(tmp_path) == ["1.png"]


@pytest.mark.parametrize(("name", "value"), [("MAX_VISITORS", 2), ("MAX_BYTES", 2)])
def test_the_visitor_who_was_longest_away_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    visitors = Visitors(tmp_path)
    known = [visitors.of(None) for _ in range(3)]
    kept = [visitors.keep(visitor, "kept.png", b"x", "") for visitor in known]
    passing = visitors.of(None)
    monkeypatch.setattr(visitors_module, name, value)
    assert visitors.of(known[0].token) is known[0], "who comes is the last to be forgotten"
    assert visitors.of(known[1].token) is not known[1]
    assert known[0].pictures == kept[:1] and kept[0].path.is_file() and not kept[1].path.exists()
    if name == "MAX_VISITORS":
        assert visitors.of(passing.token) is not passing, "who has nothing to lose goes first"
    visitors.keep(known[1], "late.png", b"x", "")
    assert visitors.of(known[1].token) is known[1], "a picture that comes when its visitor was forgotten is found"
    assert [one.path.name for one in known[1].pictures] == ["late.png"], "and the others are gone"


def test_a_picture_whose_file_is_gone_is_no_longer_shown(tmp_path: Path) -> None:
    """Gradio deletes what is older than a day."""
    visitors = Visitors(tmp_path)
    visitor = visitors.of(None)
    old, new = (visitors.keep(visitor, name, b"x", "") for name in ("old.png", "new.png"))
    old.path.unlink()
    assert visitors.of(visitor.token).pictures == [new]
    assert visitors.archive(visitor).is_file()


def test_the_archive_has_every_picture_under_a_name_of_its_own(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path)
    visitor = visitors.of(None)
    for name, data in (("jsd-1.png", b"first"), ("jsd-1.png", b"second"), ("jsd-2.png", b"third")):
        visitors.keep(visitor, name, data, "")
    with zipfile.ZipFile(visitors.archive(visitor)) as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == [b"first", b"second", b"third"]
        assert len(set(archive.namelist())) == 3


def test_the_archive_is_written_to_the_disk_and_never_held_in_memory(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path)
    visitor = visitors.of(None)
    visitors.keep(visitor, "jsd-1.png", bytes(2**23), "")
    tracemalloc.start()
    try:
        size_bytes = visitors.archive(visitor).stat().st_size
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes > 2**23 and peak_bytes < 2**21


def test_an_archive_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    visitors = Visitors(tmp_path)
    visitor = visitors.of(None)
    visitors.keep(visitor, "jsd-1.png", b"x", "")
    before = visitors.archive(visitor).read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with pytest.raises(ServingError, match="No space left on device"):
        visitors.archive(visitor)
    assert visitor.archive.read_bytes() == before and files(tmp_path) == ["jsd-1.png", "jsd-pictures.zip"]


def test_a_picture_that_is_deleted_stays_in_no_archive(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path)
    visitor = visitors.of(None)
    picture = visitors.keep(visitor, "jsd-1.png", b"x", "")
    visitors.archive(visitor)
    visitors.delete(visitor, picture)
    assert files(tmp_path) == []


def test_archives_count_among_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors_module, "MAX_BYTES", 2500)
    visitors = Visitors(tmp_path)
    first, second = visitors.of(None), visitors.of(None)
    for visitor in (first, second):
        visitors.keep(visitor, "jsd-1.png", bytes(1000), "")
    assert visitors.of(first.token) is first and visitors.of(second.token) is second
    visitors.archive(second)
    assert visitors.of(first.token) is not first and files(tmp_path) == ["jsd-1.png", "jsd-pictures.zip"]


def test_what_comes_after_the_servers_end_is_written_nowhere(tmp_path: Path) -> None:
    """A drawing may go on for longer than the end waits for it."""
    visitors = Visitors(tmp_path / "web" / "pictures")
    visitor = visitors.of(None)
    visitors.keep(visitor, "jsd-1.png", b"x", "")
    shutil.rmtree(tmp_path / "web")
    with pytest.raises(ServingError):
        visitors.keep(visitor, "late.png", b"x", "")
    with pytest.raises(ServingError):
        visitors.archive(visitor)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_uploads_make_room_and_pictures_stay(tmp_path: Path) -> None:
    kept = tmp_path / "pictures" / "visitor" / "1" / "kept"
    paths = [tmp_path / str(number) / "upload" for number in range(3)]
    for age, path in enumerate([kept, *paths]):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1234")
        os.utime(path, (age, age))
    make_room(tmp_path, 9)
    assert [path.exists() for path in (kept, *paths)] == [True, False, True, True]
