"""The web page in a real Chromium, on the embedded model: what it does."""

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from visitor import Visitor

from jsd.i18n import CATALOGUE
from jsd.models.record import pixel_digest
from jsd.options import OPTIONS
from runs.blocks import ROOT
from runs.screenshot import browser, free_port, missing_browser, serving, wait_for

MISSING = missing_browser()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the program {MISSING} is not installed")

PROMPT = "富士山 絵文字"
HTML = "<img src=x onerror=\"document.title='taken'\">"


def test_the_first_screen_has_a_prompt_a_button_and_eight_examples_to_press(page: Visitor) -> None:
    assert page.value("prompt") and page.find("#draw").is_displayed()
    tiles = page.all("#catalogue button[data-kind=example]")
    assert len(tiles) == 8
    assert all(tile.find_element("css selector", "img").get_property("naturalWidth") for tile in tiles), "drawn ones"
    assert tiles[-1].rect["y"] + tiles[-1].rect["height"] <= page.driver.execute_script("return innerHeight")
    words = page.find("#model").text
    assert "mini" in words and "512" in words and "It draws" in words and "It cannot" in words
    tiles[1].click()
    wait_for(lambda: page.value("prompt") == tiles[1].text and page.value("seed") == "1")


def test_what_the_model_knows_is_searched_and_taken(page: Visitor) -> None:
    page.write("#catalogue input[type=search]", "水彩")
    (tile,) = wait_for(lambda: [one for one in page.all("#catalogue button[data-kind=style]") if one.is_displayed()])
    tile.click()
    wait_for(lambda: page.value("style") == "水彩画")
    page.write("#catalogue input[type=search]", "ネコ")  # as it is not written there
    (chip,) = wait_for(lambda: [one for one in page.all("#things button") if one.text.endswith(" 猫")])
    chip.click()
    wait_for(lambda: page.value("prompt") == "猫")


def test_a_prompt_becomes_a_picture_that_says_what_made_it(page: Visitor, tmp_path: Path) -> None:
    page.draw(PROMPT, steps=25, seed="7")
    assert re.match(r"1 picture\(s\) in .* seed 7", page.status("finished", "seed 7"))
    assert page.shows(7)
    file, image, path = page.newest(tmp_path)
    assert (image.format, image.size, path.name) == ("PNG", (512, 512), "jsd-7.png")
    wanted = {
        "prompt": PROMPT,
        "seed": 7,
        "width": 128,
        "height": 128,
        "upscale": 4,
        "num_inference_steps": 25,
        "model": "mini",
    }
    assert file.record is not None and wanted.items() <= file.record.items()
    assert file.record["pixels_sha256"] == pixel_digest(image), "the file must be ours, byte for byte"


def test_what_is_said_is_of_the_picture_that_is_shown(page: Visitor, downloads: Path) -> None:
    page.drawn("猫", 8)
    page.drawn("富士山", 9)
    page.all("#gallery .thumbnail-small")[1].click()
    assert page.shows(8)
    page.click("#reuse")
    wait_for(lambda: page.value("seed") == "8")
    page.drawn("桜", 10)
    page.click("#download")
    archive = wait_for(lambda: list(downloads.rglob("*.zip")))[0]
    assert sorted(zipfile.ZipFile(archive).namelist()) == ["jsd-10.png", "jsd-8.png", "jsd-9.png"]
    page.click("#delete")
    assert page.shows(9)
    page.click("#gallery [aria-label=Close], #gallery [title=Close]")
    wait_for(lambda: not page.find("#parameters").is_displayed())
    page.click("#gallery .thumbnail-lg")
    assert page.shows(9)


def test_a_reload_keeps_pictures_form_prompts_and_language(page: Visitor) -> None:
    page.drawn("猫", 11, width="64")
    page.click("#language input[value=ja]")
    wait_for(lambda: page.find("#draw").text == "生成")
    page.reload("ja")
    wait_for(lambda: page.all("#gallery img"))
    assert (page.value("prompt"), page.value("width"), page.value("seed")) == ("猫", "64", "11")
    assert page.find("#draw").text == "生成"
    page.write("#prompt textarea", "別の言葉")
    page.click("#prompts summary")
    page.click("#prompts button")
    wait_for(lambda: page.value("prompt") == "猫")


def test_another_visitor_sees_none_of_it_and_is_told_how_long_the_wait_is(page: Visitor) -> None:
    first = page.driver.current_window_handle
    page.drawn(PROMPT, 12)
    page.draw(PROMPT, steps=500, width="256", height="256")
    page.status("drawing", "Step")
    page.driver.switch_to.new_window("tab")
    page.reload()
    assert not page.all("#gallery img")
    page.draw(PROMPT)
    page.status("drawing", "Visitors before you: 1. Your turn comes in about")
    page.click("#cancel")
    page.status("finished", "Cancelled")
    page.driver.close()
    page.driver.switch_to.window(first)
    page.click("#cancel")
    page.status("finished", "Cancelled")
    assert page.shows(12), "cancelling keeps what was there, and adds nothing"


def test_a_closed_tab_stops_its_drawing_and_the_next_visitor_draws(page: Visitor, web: tuple[str, Path]) -> None:
    def num_steps() -> int:
        return (web[1] / "log.txt").read_text("utf-8").splitlines().count("step")

    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.open()
    before = num_steps()
    page.draw(PROMPT, steps=100, width="256", height="256")
    preview = wait_for(lambda: page.find("#status .drawing img").get_attribute("src"))
    assert preview.startswith("data:image/png;base64,")
    page.driver.close()
    page.driver.switch_to.window(first)
    drawn = num_steps() - before
    page.drawn(PROMPT, 19)
    after = num_steps() - before - drawn - 1
    assert after <= 20, f"{after} steps of 100 were drawn for nobody"


def test_the_page_changes_its_language_whole(page: Visitor) -> None:
    """Of all sentences with a Japanese one, none is left in English; and the code's names of fields never show."""
    with (CATALOGUE.parent / "ja.po").open(encoding="utf-8") as file:
        english = [json.loads(line.removeprefix("msgid ")) for line in file if line.startswith("msgid ")]
    sentences = [one for one in english if len(one) > 4 and "{" not in one and one != "Language"]
    names = [name for name in OPTIONS if "_" in name]
    page.write("#prompt textarea", "富士山、" * 200)
    wait_for(lambda: "«Text that is too long» to «is cut off»" in page.find("#reading .failed").text)
    page.draw("蒟蒻", width="101")
    page.status("failed", "«Width (px)» must be")
    page.drawn("蒟蒻", 13, width="64")
    for fold in page.all("#page summary"):
        fold.click()
    page.click("#start button")
    before = page.find("body").text
    assert not [name for name in names if name in before]
    page.click("#language input[value=ja]")
    wait_for(lambda: page.find("html").get_attribute("lang") == "ja" and "秒" in page.status("finished"))
    after = wait_for(lambda: (text := page.find("body").text) != before and text)
    assert not [one for one in sentences if one in after]
    assert not [name for name in names if name in after]


def test_a_japanese_browser_is_greeted_in_japanese(web: tuple[str, Path], tmp_path: Path) -> None:
    with browser(tmp_path, language="ja") as driver:
        Visitor(driver, web[0]).open("ja")
        assert driver.find_element("css selector", "#draw").text == "生成"
        wait_for(lambda: driver.find_element("css selector", "html").get_attribute("lang") == "ja")


def test_html_in_a_prompt_is_text_and_unread_words_have_their_kana_beside_them(page: Visitor) -> None:
    page.drawn(f"{HTML}蒟蒻", 14)
    assert "onerror" in page.find("#parameters table").text and "onerror" in page.find("#gallery").text
    assert not page.all("img[src=x]") and page.driver.title == "Japanese Stable Diffusion"
    page.write("#prompt textarea", "蒟蒻の絵")
    wait_for(lambda: page.find("#reading mark").text == "蒟蒻" and "こんにゃく" in page.find("#reading .kana").text)
    page.click("#kana")
    wait_for(lambda: page.value("prompt") == "こんにゃくの絵")


def test_a_picture_dragged_anywhere_is_read_and_fills_the_form(page: Visitor, tmp_path: Path) -> None:
    page.drawn("桜", 15, height="64")
    file = page.newest(tmp_path)[2]
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    page.open()
    drop(page, plain)
    wait_for(lambda: "plain.png does not say" in page.find("#parameters").text)
    assert not page.find("#apply").is_displayed() if page.all("#apply") else True
    drop(page, file)
    assert page.shows(15)
    page.click("#apply")
    wait_for(lambda: (page.value("prompt"), page.value("seed"), page.value("height")) == ("桜", "15", "64"))
    (tmp_path / "words.png").write_text("no picture")
    drop(page, tmp_path / "words.png")
    page.status("failed", "words.png")


def drop(page: Visitor, path: Path) -> None:
    """Let the file go over the title, as a hand does: the browser has it from an input of our own."""
    page.driver.execute_script(
        "document.querySelector('#carrier')?.remove(); const one = document.createElement('input');"
        "one.type = 'file'; one.id = 'carrier'; document.body.append(one);"
    )
    page.find("#carrier").send_keys(str(path))
    page.driver.execute_script("""
        const carried = new DataTransfer();
        carried.items.add(document.querySelector('#carrier').files[0]);
        for (const type of ['dragover', 'drop'])
            document.querySelector('#title').dispatchEvent(
                new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: carried}));
    """)


def test_a_picture_is_sent_on_and_a_part_of_it_repainted(page: Visitor, tmp_path: Path) -> None:
    page.drawn("虹", 16)
    before = page.newest(tmp_path)[1].convert("RGB")
    page.click("#to_mask")
    wait_for(lambda: page.all("#drawing canvas") and page.painted() not in ((255, 255, 255), (0, 0, 0)))
    page.paint()
    page.drawn(PROMPT, 17)
    file, image, _ = page.newest(tmp_path)
    assert (file.values["image"], file.values["mask"]) == ("in memory", "in memory")
    assert image.convert("RGB").crop((0, 0, 512, 64)).tobytes() == before.crop((0, 0, 512, 64)).tobytes()
    page.click("#to_image")
    page.drawn(PROMPT, 18)
    file, _, _ = page.newest(tmp_path)
    assert (file.values["image"], file.values["mask"]) == ("in memory", None)


def test_painting_over_no_picture_is_answered_in_words(page: Visitor) -> None:
    page.click("#start > button")
    page.click("#drawing [title*=rush], #drawing [aria-label*=rush]")
    page.paint()
    page.draw(PROMPT)
    page.status("failed", "needs a picture to repaint")


def test_a_photograph_is_made_small_enough_to_paint_on(page: Visitor, tmp_path: Path) -> None:
    Image.new("RGB", (4096, 2048), "teal").save(tmp_path / "photograph.png")
    page.click("#start > button")
    (tmp_path / "words.png").write_text("no picture")
    wait_for(lambda: page.all("#drawing input[type=file]"))[0].send_keys(str(tmp_path / "words.png"))
    page.status("failed", "words.png")
    page.find("#drawing input[type=file]").send_keys(str(tmp_path / "photograph.png"))
    wait_for(lambda: page.painted() == (0, 128, 128))
    (percent,) = re.findall(r"(\d+)%", page.find("#drawing").text)
    assert int(percent) > 50, "of 4096 px an eighth would be seen"


def test_a_server_that_was_started_anew_draws_and_keeps(driver: Any, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "jsd", "web", "--port", str(port), "--weights", str(ROOT / "weights" / "mini")]
    page = Visitor(driver, f"http://127.0.0.1:{port}/")
    for start in range(2):
        with serving(command, port, tmp_path / "log.txt", JSD_LANG="en"):
            if start == 0:
                page.open()
            page.drawn(PROMPT, 22 + start)
            page.reload()
            assert page.shows(22 + start) and len(page.all("#gallery .thumbnail-small")) == 1
            driver.get_log("browser")  # that the connection is lost is an error there
