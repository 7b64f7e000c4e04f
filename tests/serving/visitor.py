"""What somebody does at the page of `jsd web`, in a real browser."""

from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from PIL import Image

from jsd.images.metadata import PictureFile, read_picture_file
from runs.screenshot import wait_for

BRUSH = (211, 63, 46)  # the first of the page's brushes


class Visitor:
    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, language: str = "en") -> None:
        """As somebody new."""
        self.driver.get(self.url)
        self.driver.execute_script("sessionStorage.clear(); localStorage.clear()")
        self.reload(language)

    def reload(self, language: str = "en") -> None:
        self.driver.get(self.url)
        # The page asks the server for its language and for what it had when it is there.
        wait_for(lambda: self.find("#language input:checked").get_attribute("value") == language)
        wait_for(lambda: self.all("#reading .tokens, #reading .failed"))

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

    def value(self, name: str) -> str:
        """Of an input, by the name of its option."""
        return str(self.find(f"#{name} textarea, #{name} input").get_attribute("value"))

    def draw(self, prompt: str, steps: int = 1, **settings: str) -> None:
        """Ask for a picture, without waiting for it."""
        self.write("#prompt textarea", prompt)
        if not self.find("#num_inference_steps").is_displayed():
            self.click("#settings > button")
        self.write("#num_inference_steps input[type=number]", f"{steps}\t")
        for name, text in settings.items():
            self.write(f"#{name} textarea, #{name} input", text)
        wait_for(lambda: not self.find("#cancel").is_enabled())  # the one before is done
        self.click("#draw")

    def drawn(self, prompt: str, seed: int, **settings: str) -> None:
        """Ask for a picture and wait for it."""
        self.draw(prompt, seed=str(seed), **settings)
        self.status("finished", f"seed {seed}")
        self.shows(seed)

    def shows(self, seed: int) -> bool:
        """The picture with that seed is the large one, and what is said of a picture is said of it."""

        def agrees() -> bool:
            address = self.find("#gallery img").get_attribute("src")
            return f"jsd-{seed}." in address and f"\nSeed {seed}\n" in self.find("#parameters table").text

        return bool(wait_for(agrees))

    def painted(self) -> object:
        """The colour in the middle of the image editor."""
        canvas = self.find("#drawing canvas")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
        image = Image.open(BytesIO(canvas.screenshot_as_png)).convert("RGB")
        return image.getpixel((image.width // 2, image.height // 2))

    def paint(self) -> None:
        """A stroke from the middle of the image editor, seen before it counts."""
        from selenium.webdriver import ActionChains

        moves = ActionChains(self.driver).move_to_element(self.find("#drawing canvas")).click_and_hold()
        moves.move_by_offset(20, 0).move_by_offset(0, 20).release().perform()
        wait_for(lambda: self.painted() == BRUSH)

    def status(self, kind: str, words: str = "") -> str:
        """What the status of that kind says, as soon as `words` are in it: its kind changes before its words do."""

        def said() -> str | None:
            text = str(self.find(f"#status .{kind}").text)
            return text if words in text else None

        return str(wait_for(said))

    def newest(self, folder: Path) -> tuple[PictureFile, Image.Image, Path]:
        """What the large picture's file says of itself, the picture, and the file."""
        address = self.find("#gallery img").get_attribute("src")
        with urlopen(address, timeout=30) as answer:
            data = answer.read()
        path = folder / address.rpartition("/")[2]
        path.write_bytes(data)
        return read_picture_file(path), Image.open(BytesIO(data)), path
