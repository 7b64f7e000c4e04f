"""The web page in a real Chromium, on the embedded model. One server and one browser for all tests, in order."""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from json import loads
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image

from jsd.images.metadata import PictureFile, read_picture_file
from jsd.models.record import pixel_digest
from runs.blocks import ROOT
from runs.screenshot import browser, free_port, missing_browser, serving, wait_for

MISSING = missing_browser()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the program {MISSING} is not installed")

PROMPT = "富士山 絵文字"
BRUSH = (211, 63, 46)  # the first of the page's brushes
HTML = "<img src=x onerror=\"document.title='taken'\">"
# jsd web, which writes down whom it speaks to outside this machine, and each step that it draws.
LISTENING = """
import sys
def hear(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "localhost", "0.0.0.0", "::1", None, b"127.0.0.1"):
            print("outside:", event, address, flush=True)
sys.addaudithook(hear)
from torch.nn.modules.module import register_module_forward_hook
def count(module, inputs, output):
    if type(module).__name__ == "UNet2DConditionModel":
        print("step", flush=True)
register_module_forward_hook(count)
from jsd.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Visitor:
    """What somebody does at the page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self) -> None:
        self.driver.get(self.url)
        wait_for(lambda: self.find("#prompt textarea"))
        # The page asks the server for its language when it is there.
        wait_for(lambda: self.find("#language input:checked").get_attribute("value") == "en")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def click(self, selector: str) -> None:
        wait_for(lambda: self.find(selector).is_enabled())
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def write(self, selector: str, text: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def value(self, selector: str) -> str:
        return str(self.find(selector).get_attribute("value"))

    def draw(self, prompt: str, steps: int = 2, **settings: str) -> None:
        """Ask for a picture, without waiting for it."""
        self.write("#prompt textarea", prompt)
        self.write("#num_inference_steps input[type=number]", f"{steps}\t")
        for name, text in settings.items():
            self.write(f"#{name} textarea, #{name} input", text)
        self.click("#draw")

    def painted(self) -> object:
        """The colour in the middle of the image editor."""
        canvas = self.find("#drawing canvas")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
        image = Image.open(BytesIO(canvas.screenshot_as_png)).convert("RGB")
        return image.getpixel((image.width // 2, image.height // 2))

    def paint(self) -> None:
        """A stroke from the middle of the image editor, seen before it counts."""
        from selenium.webdriver import ActionChains

        self.click("#drawing [title*=rush], #drawing [aria-label*=rush]")
        moves = ActionChains(self.driver).move_to_element(self.find("#drawing canvas")).click_and_hold()
        moves.move_by_offset(20, 0).move_by_offset(0, 20).release().perform()
        wait_for(lambda: self.painted() == BRUSH)

    def status(self, kind: str, words: str = "") -> str:
        """What the status of that kind says, as soon as `words` are in it: its kind changes before its words do."""

        def said() -> str | None:
            text = str(self.find(f"#status .{kind}").text)
            return text if words in text else None

        return str(wait_for(said))

    def newest(self, folder: Path) -> tuple[PictureFile, Image.Image, str]:
        """What the gallery's first picture says of itself, the picture, and its name."""
        address = self.find("#gallery img").get_attribute("src")
        with urlopen(address, timeout=30) as answer:
            data = answer.read()
        path = folder / address.rpartition("/")[2]
        path.write_bytes(data)
        return read_picture_file(path), Image.open(BytesIO(data)), path.name


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the page, and a folder with its log and its temporary files."""
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    (folder / "temporary").mkdir()
    command = [sys.executable, "-c", LISTENING, "web", "--port", str(port), "--weights", str(ROOT / "weights" / "mini")]
    environment = {"JSD_LANG": "", "TMPDIR": str(folder / "temporary")}
    with serving(command, port, folder / "log.txt", **environment) as url:
        yield url, folder


@pytest.fixture(scope="module")
def driver(running: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("browser"), language="en") as driver:
        yield driver


@pytest.fixture
def page(driver: Any, running: tuple[str, Path]) -> Visitor:
    visitor = Visitor(driver, running[0])
    visitor.open()
    return visitor


def test_a_prompt_becomes_a_picture_that_says_what_made_it(page: Visitor, tmp_path: Path) -> None:
    page.draw(PROMPT, steps=25, seed="7")
    assert re.match(r"1 picture\(s\) in .* seed 7", page.status("finished", "seed 7"))
    file, image, name = page.newest(tmp_path)
    assert (image.format, image.size, name) == ("PNG", (128, 128), "jsd-7.png")
    wanted = {"prompt": PROMPT, "seed": 7, "width": 128, "height": 128, "num_inference_steps": 25, "model": "mini"}
    assert file.record is not None and wanted.items() <= file.record.items()
    assert file.record["pixels_sha256"] == pixel_digest(image), "the file must be ours, byte for byte"


def test_choosing_a_picture_shows_its_parameters(page: Visitor) -> None:
    page.draw(PROMPT, seed="8")
    page.status("finished")
    page.click("#gallery .thumbnail-item")
    assert re.search(r"seed\s+8\b", wait_for(lambda: page.find("#parameters table").text))


def test_another_visitor_sees_none_of_it(page: Visitor) -> None:
    page.draw(PROMPT)
    page.status("finished")
    assert page.all("#gallery img")
    page.driver.switch_to.new_window("tab")
    page.open()
    assert not page.all("#gallery img")


def test_previews_come_and_cancelling_keeps_nothing(page: Visitor, running: tuple[str, Path]) -> None:
    page.draw(PROMPT, steps=100)
    preview = wait_for(lambda: page.find("#status .drawing img").get_attribute("src"))
    assert preview.startswith("data:image/png;base64,")
    page.click("#cancel")
    page.status("finished", "Cancelled")
    assert not page.all("#gallery img")
    page.draw(PROMPT, steps=2)
    wait_for(lambda: page.all("#gallery img"))
    left = [path.name for path in (running[1] / "temporary").glob("jsd-*") if not path.name.startswith("jsd-web-")]
    assert not left, "pictures must leave no files but those that the page shows"


def test_a_closed_tab_stops_its_drawing_and_the_next_visitor_draws(
    page: Visitor, running: tuple[str, Path], tmp_path: Path
) -> None:
    def num_steps() -> int:
        return (running[1] / "log.txt").read_text("utf-8").splitlines().count("step")

    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.open()
    before = num_steps()
    page.draw(PROMPT, steps=100, width="256", height="256")
    wait_for(lambda: page.find("#status .drawing img"))
    page.driver.close()
    page.driver.switch_to.window(first)
    drawn = num_steps() - before
    page.draw(PROMPT, steps=2, seed="19")
    page.status("finished", "seed 19")
    _, image, name = page.newest(tmp_path)
    assert (image.size, name) == ((128, 128), "jsd-19.png")
    after = num_steps() - before - drawn - 2
    assert after <= 20, f"{after} steps of 100 were drawn for nobody"


def test_a_style_changes_what_is_drawn(page: Visitor, tmp_path: Path) -> None:
    page.click("#style input")
    wait_for(lambda: page.find("#style [role=option][aria-label=水彩画]")).click()
    page.draw("富士山", seed="23")
    page.status("finished", "seed 23")
    file, image, _ = page.newest(tmp_path)
    assert (file.values["prompt"], file.values["style"]) == ("富士山", "水彩画")
    page.open()
    page.draw("富士山", seed="23")
    page.status("finished", "seed 23")
    plain, other, _ = page.newest(tmp_path)
    assert plain.values["prompt"] == "富士山"
    assert other.tobytes() != image.tobytes(), "the words must reach the model"


def test_an_error_is_said_in_words(page: Visitor) -> None:
    page.draw(PROMPT, width="100")
    assert page.status("failed", "width").startswith("width must be a multiple of 8 px, got 100; try 96")
    page.draw(PROMPT, width="96")
    page.status("finished", "1 picture(s)")  # the next one is drawn


def test_html_in_a_prompt_is_text(page: Visitor) -> None:
    page.draw(HTML)
    page.status("finished")
    page.click("#gallery .thumbnail-item")
    wait_for(lambda: "onerror" in page.find("#parameters table").text)
    assert "onerror" in page.find("#gallery").text, "the caption is the prompt"
    assert not page.all("img[src=x]")
    assert page.driver.title == "Japanese Stable Diffusion"


def test_tokens_are_counted_and_unread_characters_named_while_typing(page: Visitor) -> None:
    page.write("#prompt textarea", "蒟蒻の絵")
    assert "蒟" in wait_for(lambda: page.find("#reading .unread").text)
    assert re.search(r"\d+ / 16 tokens", page.find("#reading").text)
    page.click("#kana")
    wait_for(lambda: page.value("#prompt textarea") == "こんにゃくの絵")


def test_the_last_seed_is_used_again_and_the_dice_forgets_it(page: Visitor) -> None:
    page.draw(PROMPT, seed="41")
    page.status("finished")
    page.write("#seed textarea, #seed input", "5")
    page.click("#reuse")
    wait_for(lambda: page.value("#seed textarea, #seed input") == "41")
    page.click("#dice")
    wait_for(lambda: page.value("#seed textarea, #seed input") == "")


def test_the_page_changes_its_language(page: Visitor) -> None:
    page.click("#language input[value=ja]")
    wait_for(lambda: page.find("#draw").text == "生成")
    page.draw(PROMPT, width="100")
    page.status("failed", "8 の倍数")
    wait_for(lambda: page.find("html").get_attribute("lang") == "ja")


def test_a_japanese_browser_is_greeted_in_japanese(running: tuple[str, Path], tmp_path: Path) -> None:
    with browser(tmp_path, language="ja") as driver:
        driver.get(running[0])
        wait_for(lambda: driver.find_element("css selector", "#draw").text == "生成")
        wait_for(lambda: driver.find_element("css selector", "#language input:checked").get_attribute("value") == "ja")
        wait_for(lambda: driver.find_element("css selector", "html").get_attribute("lang") == "ja")


def test_a_dropped_picture_fills_the_form(page: Visitor, tmp_path: Path) -> None:
    page.draw("桜", seed="12", height="64")
    page.status("finished")
    page.newest(tmp_path)
    page.open()
    page.find("#dropped input[type=file]").send_keys(str(tmp_path / "jsd-12.png"))
    page.click("#apply")
    wait_for(lambda: page.value("#prompt textarea") == "桜")
    assert page.value("#seed textarea, #seed input") == "12"
    assert page.value("#height textarea, #height input") == "64"


def test_a_dropped_picture_without_parameters_is_said_in_words(page: Visitor, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    page.find("#dropped input[type=file]").send_keys(str(tmp_path / "plain.png"))
    assert "plain.png says nothing" in wait_for(lambda: page.find("#parameters .failed").text)


def test_a_part_of_a_picture_is_repainted(page: Visitor, tmp_path: Path) -> None:
    Image.new("RGB", (128, 128), "navy").save(tmp_path / "navy.png")
    page.click("#start > button")
    wait_for(lambda: page.all("#drawing input[type=file]"))
    page.find("#drawing input[type=file]").send_keys(str(tmp_path / "navy.png"))
    wait_for(lambda: page.painted() == (0, 0, 128))
    page.paint()
    page.draw(PROMPT)
    page.status("finished")
    file, image, _ = page.newest(tmp_path)
    assert file.values["image"] == "in memory" and file.values["mask"] == "in memory"
    corner = image.convert("RGB").getpixel((0, 0))
    assert isinstance(corner, tuple) and corner[2] > corner[0] + 40, "what is not painted over stays"


def test_painting_over_no_picture_is_answered_in_words(page: Visitor) -> None:
    page.click("#start > button")
    page.paint()
    page.draw(PROMPT)
    page.status("failed", "mask needs a picture to repaint")


def test_no_other_host_is_asked_for_anything(driver: Any, running: tuple[str, Path]) -> None:
    """Last: by the page in all the tests above, and by the server."""
    entries = [loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in entries if one["method"] == "Network.requestWillBeSent"]
    assert len(urls) > 50
    elsewhere = {url for url in urls if not re.match(r"http://127\.0\.0\.1:\d+/|data:|blob:|chrome:|about:", url)}
    assert not elsewhere
    assert "outside:" not in (running[1] / "log.txt").read_text("utf-8")
