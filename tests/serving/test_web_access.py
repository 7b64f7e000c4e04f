"""Who reaches the page and how: by the keyboard, on a phone, with a reader of screens; and whom it reaches."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from visitor import Visitor

from runs.blocks import ROOT
from runs.screenshot import PHONE, missing_browser, show_at, wait_for

MISSING = missing_browser()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the program {MISSING} is not installed")

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PROMPT = "富士山 絵文字"
# What axe finds in Gradio's own markup (6.31), by rule.
OF_GRADIO = {"label-content-name-mismatch": "the caption of a picture in the gallery is no part of its button's name"}


def test_on_a_phone_the_picture_comes_beside_the_button(page: Visitor) -> None:
    show_at(page.driver, PHONE)
    try:
        page.open()
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
        page.drawn(PROMPT, 20)
        page.click("#settings > button")  # folded again, as it came
        image, button = page.find("#gallery img").rect, page.find("#draw").rect
        assert 0 < image["y"] - button["y"] < 300
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    finally:
        show_at(page.driver)


def test_the_keyboard_alone_draws_and_every_stop_is_named_and_seen(page: Visitor) -> None:
    from selenium.webdriver import ActionChains, Keys

    page.driver.execute_script(
        "document.head.append(document.createRange().createContextualFragment(arguments[0]))", STILL
    )
    page.driver.execute_script("document.body.tabIndex = -1; document.body.focus()")
    stops = []
    for _ in range(50):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        stops.append(page.driver.execute_script(STOP))
    places = [part for part, _html, _name, _seen in stops]
    order = [places.index(part) for part in ("language", "prompt", "style", "draw", "settings", "catalogue")]
    assert order == sorted(order), "as they are read"
    assert not [html for _part, html, name, _seen in stops if not name], "each has a name"
    assert not [html for _part, html, _name, seen in stops if not seen], "each is seen when it is reached"
    page.write("#num_inference_steps input[type=number]", "1\t")
    page.write("#prompt textarea", "猫")
    page.find("#prompt textarea").send_keys(Keys.CONTROL, Keys.ENTER)
    page.status("finished")
    page.find("#draw").send_keys(Keys.ENTER)
    page.status("drawing")
    page.status("finished")
    page.find("#catalogue button").send_keys(Keys.ENTER)
    wait_for(lambda: page.value("seed") == "1")


STILL = "<style>* { transition: none !important; }</style>"
# Of what has the focus: the part of the page, its HTML, its name, and whether its look, or that around it, tells.
STOP = """
const one = document.activeElement;
if (one === document.body) return ['', '', 'the page', true];
const around = [one, one.parentElement, one.closest('.wrap'), one.closest('label'), one.closest('.block')];
const look = () => around.filter(Boolean).map((each) => {
    const style = getComputedStyle(each);
    return [style.outline, style.boxShadow, style.borderColor, style.background, style.filter].join();
}).join();
const reached = look();
one.blur();
const left = look();
one.focus();
const named = document.getElementById(one.getAttribute('aria-labelledby'));
const name = one.ariaLabel || one.labels?.[0]?.textContent || named?.textContent || one.textContent || one.title;
const part = one.closest('#language, #prompt, #style, #draw, #catalogue, #settings');
return [part?.id, one.outerHTML.slice(0, 200), name?.trim(), reached !== left];
"""


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm install --no-save axe-core@4.14.1")
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["desktop", "phone"])
def test_an_accessibility_checker_finds_no_serious_fault_in_what_is_ours(
    page: Visitor, language: str, size: tuple[int, int] | None
) -> None:
    show_at(page.driver, *([size] if size else []))
    try:
        if language == "ja":
            page.click("#language input[value=ja]")
            wait_for(lambda: page.find("#draw").text == "生成")
        page.draw("蒟蒻", seed="21")
        wait_for(lambda: page.all("#gallery img"))
        for fold in page.all("#page summary"):
            page.driver.execute_script("arguments[0].parentElement.open = true", fold)
        page.driver.execute_script(AXE.read_text("utf-8"))
        found = page.driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical") and one["id"] not in OF_GRADIO]
        assert not [(one["id"], one["help"], [node["html"] for node in one["nodes"]]) for one in serious]
    finally:
        show_at(page.driver)


def test_no_other_host_is_asked_for_anything_and_nothing_failed(driver: Any, web: tuple[str, Path]) -> None:
    """Last: by the page in all the tests above, and by the server; and no error stands in the console."""
    entries = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in entries if one["method"] == "Network.requestWillBeSent"]
    assert len(urls) > 50
    elsewhere = {url for url in urls if not re.match(r"http://127\.0\.0\.1:\d+/|data:|blob:|chrome:|about:", url)}
    assert not elsewhere
    log = (web[1] / "log.txt").read_text("utf-8")
    assert "outside:" not in log and "Traceback" not in log, log.replace("step\n", "")[-3000:]
    errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    left = ("AbortError", "Connection errored out")  # Gradio's, of a request on its way when the page was left
    assert not [message for message in errors if not any(words in message for words in left)]
