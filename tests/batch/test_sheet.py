from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

import jsd.batch.sheet
from jsd.batch.sheet import write_grid, write_page


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def record(name: str, prompt: str = "猫") -> dict[str, object]:
    return {"row": 1, "files": [name], "seeds": [7], "options": {"prompt": prompt}}


@pytest.mark.parametrize(("count", "size"), [(1, (256, 256)), (2, (512, 256)), (5, (768, 512))])
def test_the_grid_holds_every_picture(count: int, size: tuple[int, int], tmp_path: Path) -> None:
    for number in range(count):
        Image.new("RGB", (300, 300), (number * 50, 0, 255)).save(tmp_path / f"{number}.png")
    with Image.open(write_grid(tmp_path, [f"{number}.png" for number in range(count)])) as grid:
        assert grid.size == size
        columns = size[0] // 256
        for number in range(count):
            centre = (number % columns * 256 + 128, number // columns * 256 + 128)
            assert grid.getpixel(centre) == (number * 50, 0, 255), f"picture {number} is not in its place"


def test_a_large_grid_stays_openable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsd.batch.sheet, "MAX_GRID_PX", 100)
    Image.new("RGB", (80, 80)).save(tmp_path / "a.png")
    with Image.open(write_grid(tmp_path, ["a.png"] * 17)) as grid:
        assert grid.size == (100, 80)


def test_a_damaged_picture_leaves_its_place_white(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with Image.open(write_grid(tmp_path, ["a.png"])) as grid:
        assert grid.getpixel((128, 128)) == (255, 255, 255)


def test_markup_in_a_prompt_is_shown_not_obeyed(tmp_path: Path) -> None:
    prompt = "<script>alert(1)</script>\"' onerror=x & 猫 {title}"
    reader = Reader()
    reader.feed(write_page(tmp_path, "<b>.csv", [record("a.png", prompt)], [(3, "<i>why</i>")]).read_text("utf-8"))
    assert {"script", "b", "i"}.isdisjoint(tag for tag, _ in reader.tags)
    (image,) = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert image["alt"] == prompt and set(image) == {"src", "alt", "loading"}
    assert prompt in reader.text and "<i>why</i>" in reader.text and "row 3" in reader.text


def test_the_page_asks_nothing_of_any_host(tmp_path: Path) -> None:
    page = write_page(tmp_path, "a.csv", [record("1 #?.png")], []).read_text("utf-8")
    reader = Reader()
    reader.feed(page)
    links = [value for _, attributes in reader.tags for name, value in attributes.items() if name in ("src", "href")]
    assert [unquote(str(link)) for link in links] == ["1 #?.png"] * 2
    assert "default-src 'none'" in page and "http:" not in page and "https:" not in page


def test_a_text_that_is_no_unicode_does_not_stop_the_page(tmp_path: Path) -> None:
    assert "row 2" in write_page(tmp_path, "a", [], [(2, "half \ud800")]).read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
