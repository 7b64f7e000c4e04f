"""`jsd web` over HTTP, as somebody with a script of their own reaches it."""

import json
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from listening import LISTENING
from PIL import Image

from jsd.images.metadata import read_picture_file
from runs.blocks import DOCS
from runs.screenshot import free_port, serving

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the extra web is not installed")

SECRET = f"secret-{uuid4().hex}"


@dataclass
class Server:
    url: str
    folder: Path  # with its log.txt, and temporary, which is its TMPDIR

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        """The status and the text of the answer; `body` is sent as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"content-type": "application/json", **headers})
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")

    def call(self, function: int, values: list[Any], event: object = None) -> str:
        """All that the page's function says to `values`, until it is done."""
        session = uuid4().hex
        asked = {"fn_index": function, "data": values, "event_data": event, "session_hash": session, "trigger_id": None}
        status, said = self.ask("gradio_api/queue/join", asked)
        if status != 200:
            return said
        return said + self.ask(f"gradio_api/queue/data?session_hash={session}")[1]

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def server(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    (folder / "temporary").mkdir()
    command = [sys.executable, "-c", LISTENING, "web", "--port", str(port), "--weights", str(toy_folder)]
    environment = {"JSD_LANG": "en", "TMPDIR": str(folder / "temporary"), "PLANTED": SECRET}
    with serving(command, port, folder / "log.txt", **environment) as url:
        yield Server(url, folder)


def poisoned(kind: str, value: Any, path: str, *, every: bool) -> Any:
    """What a component of that kind would be sent, naming the file `path` where a file can be named."""
    file = {"path": path, "url": None, "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
    if kind == "gallery":
        return [{"image": file, "caption": None}]
    if kind == "imageeditor":
        return {"background": file, "layers": [file], "composite": file, "id": None}
    return file if kind in ("file", "image", "uploadbutton") or every else value


def test_no_file_of_the_machine_is_served(server: Server, tmp_path: Path) -> None:
    """Each function of the page is asked for a secret, in each of its inputs and in what it is told of the event; nor
    is anything fetched from elsewhere."""
    inside, outside = server.temporary / "planted.txt", tmp_path / "planted.txt"
    for path in (inside, outside):
        path.write_text(SECRET)
    relative = os.path.relpath(outside, Path.cwd())
    names = [
        str(inside),
        str(outside),
        quote(str(outside), safe=""),
        relative,
        f"file://{outside}",
        "/proc/self/environ",
    ]
    config = json.loads(server.ask("config")[1])
    parts = {one["id"]: one for one in config["components"]}

    def steal(function: dict[str, Any], path: str, every: bool) -> str:
        inputs = [parts[one] for one in function["inputs"]]
        values = [poisoned(one["type"], one["props"].get("value"), path, every=every) for one in inputs]
        file = poisoned("file", None, path, every=True)
        return server.call(function["id"], values, {"index": 0, "value": {"image": file}, "selected": True})

    assert len(config["dependencies"]) > 8
    tries = [(one, path, every) for one in config["dependencies"] for path in names for every in (False, True)]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda one: steal(*one), tries))
    said += [server.ask(f"gradio_api/file={quote(path)}")[1] for path in names]
    said += [server.ask(f"gradio_api/file={path}")[1] for path in names]
    assert not [answer for answer in said if SECRET in answer]
    copies = [path for path in server.temporary.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert copies == [inside], "a copy in Gradio's folder is what it serves"
    assert "outside:" not in server.log


@pytest.mark.parametrize("body", [None, {}])
@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/process_recording",
        "gradio_api/deep_link?session_hash=x",
        "gradio_api/proxy=https://elsewhere.example",
        "gradio_api/vibe-code",
        "gradio_api/stream/x",
        "monitoring/summary",
        "runs",
    ],
)
def test_what_gradio_has_beside_the_page_is_not_there(server: Server, path: str, body: object) -> None:
    """It writes files, runs programs, asks other servers."""
    assert server.ask(path, body)[0] == 404


def test_gradios_client_draws_as_the_documents_say(server: Server) -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "page.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    said: dict[str, Any] = {}
    exec(text.replace("http://127.0.0.1:7860", server.url).replace('seed="7"', 'seed="7", width="32"'), said)
    ((picture,),) = [part for part in said["answer"] if isinstance(part, list)]
    values = read_picture_file(Path(picture["image"])).values
    assert Path(picture["image"]).name == "jsd-7.png"
    assert (values["prompt"], values["seed"], values["width"]) == ("富士山 水彩画", 7, 32)


def test_who_waits_is_told_the_place_and_the_seconds(server: Server) -> None:
    from gradio_client import Client

    first, second = Client(server.url, verbose=False), Client(server.url, verbose=False)
    long = first.submit(prompt="猫", num_inference_steps=200, num_outputs=4, api_name="/draw")
    while "Step" not in str(long.outputs()[-1:]):
        assert not long.done()
    short = second.submit(prompt="犬", num_inference_steps=1, api_name="/draw")
    said = str([short.result(), short.outputs()])
    assert "Visitors before you: 1." in said and "Your turn comes in about" in said
    assert "1 picture(s)" in said


@pytest.mark.parametrize(
    ("path", "num_bytes", "headers", "status"),
    [
        ("gradio_api/upload", 51 * 2**20, {}, 413),
        ("gradio_api/queue/join", 5 * 2**20, {}, 413),
        ("gradio_api/queue/join", 10, {"Transfer-Encoding": "chunked"}, 411),
        ("gradio_api/queue/join", 10, {"Origin": "https://elsewhere.example"}, 403),
        ("gradio_api/queue/join", 10, {"Host": "elsewhere.example"}, 403),
    ],
)
def test_what_is_too_large_or_comes_from_elsewhere_is_refused_before_it_is_read(
    server: Server, path: str, num_bytes: int, headers: dict[str, str], status: int
) -> None:
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    connection.putrequest("POST", f"/{path}", skip_host="Host" in headers)
    for name, value in {**headers, "Content-Length": str(num_bytes)}.items():
        connection.putheader(name, value)
    connection.endheaders()  # and not a byte of the body
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    connection.close()


def test_sigterm_leaves_nothing_behind(toy_folder: Path, tmp_path: Path) -> None:
    """While a picture is being drawn, with others kept."""
    from gradio_client import Client

    temporary, port = tmp_path / "temporary", free_port()
    temporary.mkdir()
    command = [sys.executable, "-m", "jsd", "web", "--port", str(port), "--weights", str(toy_folder)]
    with serving(command, port, tmp_path / "log.txt", TMPDIR=str(temporary), JSD_LANG="en") as url:
        client = Client(url, verbose=False)
        client.predict(prompt="猫", num_inference_steps=1, api_name="/draw")
        assert list(temporary.rglob("jsd-*.png"))
        client.submit(prompt="猫", num_inference_steps=500, num_outputs=4, api_name="/draw")
    assert not list(temporary.iterdir())


def test_a_drawing_of_too_many_layers_or_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    import gradio as gr
    from gradio.components.image_editor import EditorData
    from gradio.data_classes import FileData

    from jsd.serving.page.layout import MAX_LAYERS, _bound

    for name, side in (("small", 40), ("large", 4200)):
        Image.new("1", (side, side)).save(tmp_path / f"{name}.png")
    small, large = (FileData(path=str(tmp_path / f"{name}.png")) for name in ("small", "large"))
    drawing = gr.ImageEditor(type="pil")
    _bound(drawing)
    read = drawing.preprocess(EditorData(background=small, layers=[small] * MAX_LAYERS, composite=small))
    assert read is not None and len(read["layers"]) == MAX_LAYERS
    with pytest.raises(gr.Error, match="at most 8 layers"):
        drawing.preprocess(EditorData(layers=[small] * (MAX_LAYERS + 1)))
    with pytest.raises(gr.Error, match="at most 16,000,000 pixels"):
        drawing.preprocess(EditorData(background=large))
