"""`jsd web` over HTTP, as somebody with a script of their own reaches it."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

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


@pytest.fixture(scope="module")
def server(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    (folder / "temporary").mkdir()
    command = [sys.executable, "-m", "jsd", "web", "--port", str(port), "--weights", str(toy_folder)]
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
    """Each function of the page is asked for a secret, in each of its inputs and in what it is told of the event."""
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
