"""The pictures of `jsd web` in the docs, as on a desk and on a phone: the page in a real Chromium, after it has drawn.

    python -m runs.screenshot

Needs Debian's chromium and chromium-driver, and a font with Japanese letters (fonts-noto-cjk).
"""

import argparse
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

from runs.blocks import ROOT

IMAGES = ROOT / "docs" / "images"
PROMPT = "サラリーマン 油絵"
SIZE, PHONE = (1280, 1000), (390, 844)
START_SECONDS, SECONDS = 300, 90
MAX_BYTES = 300_000


def missing_browser() -> str | None:
    """What is not installed of the browser and its driver."""
    return next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], port: int, log: Path, **environment: str) -> Iterator[str]:
    """The address of the page that `command` serves, as soon as it answers."""
    url = f"http://127.0.0.1:{port}/"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}, cwd=ROOT
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urlopen(url, timeout=10).close()
                break
            except (URLError, TimeoutError):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8")
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def browser(folder: Path, *, language: str = "ja", size: tuple[int, int] = SIZE) -> Iterator[Any]:
    """A headless Chromium that reaches no host but this one, downloads into `folder`, and logs its requests."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root, in a container
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={size[0]},{size[1]}",
        # What one machine needs: --single-process where its processes get no time.
        *shlex.split(os.environ.get("JSD_CHROMIUM", "")),
    ):
        options.add_argument(argument)
    preferences = {"intl.accept_languages": language, "download.default_directory": str(folder)}
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # HOME: Chromium's wrapper writes there.
    service = ChromeService(str(shutil.which("chromedriver")), env={**os.environ, "HOME": str(folder)})
    driver = Chrome(options=options, service=service)
    try:
        show_at(driver, size)
        yield driver
    finally:
        driver.quit()


def show_at(driver: Any, size: tuple[int, int] = SIZE) -> None:
    """Narrower than a window may be, as a phone is."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def wait_for(condition: Any, seconds: float = SECONDS) -> Any:
    """What `condition` gives as soon as it is true; a page that is being redrawn is asked again."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    deadline = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (NoSuchElementException, StaleElementReferenceException):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def take(driver: Any, url: str, prompt: str, size: tuple[int, int]) -> bytes:
    """A visitor draws `prompt` -> a PNG of the page."""
    show_at(driver, size)
    driver.get(url)
    driver.execute_script("sessionStorage.clear(); localStorage.clear()")
    driver.get(url)
    wait_for(lambda: driver.find_element("css selector", "#reading .tokens"))
    field = driver.find_element("css selector", "#prompt textarea")
    field.clear()
    field.send_keys(prompt)
    driver.find_element("id", "draw").click()
    wait_for(lambda: driver.find_element("css selector", "#status .finished"))
    wait_for(lambda: driver.find_element("css selector", "#parameters table"))
    driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    time.sleep(2)
    picture: bytes = driver.get_screenshot_as_png()
    return picture


def write(picture: bytes, path: Path) -> None:
    """With all its colours, or as few as bring it under the limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (None, 256, 128):
        with Image.open(BytesIO(picture)) as image:
            flat = image.convert("RGB")
        (flat if colours is None else flat.quantize(colours)).save(path, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            return
    raise SystemExit(f"{path} must not exceed {MAX_BYTES:,} bytes, has {path.stat().st_size:,}")


def main() -> None:
    from tempfile import TemporaryDirectory

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    args = parser.parse_args()
    missing = missing_browser()
    if missing is not None:
        raise SystemExit(f"the program {missing} is not installed; run: apt-get install chromium chromium-driver")
    port = free_port()
    command = [sys.executable, "-m", "jsd", "web", "--port", str(port), "--weights", str(args.weights)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        with serving(command, port, folder / "log.txt") as url, browser(folder) as driver:
            for name, size in (("web.png", SIZE), ("web-phone.png", PHONE)):
                write(take(driver, url, PROMPT, size), IMAGES / name)
                print((IMAGES / name).relative_to(ROOT))


if __name__ == "__main__":
    main()
