"""Downloading, against a small server that speaks the hub's protocol; the client is the real one."""

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from jsd.errors import InvalidInputError, JsdError, ModelFolderError
from jsd.models.fetch import FETCHABLE, choose_files, fetch_folder, fetch_if_asked
from jsd.models.folder import verify_folder

REPOSITORY = "rinna/japanese-stable-diffusion"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves `files`; `token` is needed where set; in the middle of `break_at` the connection drops."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.token: str | None = None
        self.break_at: str | None = None
        self.stays_down = False
        self.down = False
        self.downloaded: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, head: bool, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head:
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET(head=True)

    def do_GET(self, head: bool = False) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.server.token
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            message = "Access to this model is restricted."
            headers = {"X_Error_Code": "GatedRepo", "X_Error_Message": message}
            return self._answer(401, b"", head, **headers)
        if self.server.down:
            return self._answer(403, b"", head, X_Error_Message="quota exceeded")
        if path == f"/api/models/{REPOSITORY}/revision/main" or path.endswith(f"/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.server.files]
            model = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "tags": [], "gated": "auto"}
            return self._answer(200, json.dumps(model).encode(), head, Content_Type="application/json")
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in self.server.files.items()
            ]
            return self._answer(200, json.dumps(tree).encode(), head, Content_Type="application/json")
        prefix = f"/{REPOSITORY}/resolve/{COMMIT}/"
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in self.server.files:
            return self._answer(404, b"", head, X_Error_Code="EntryNotFound")
        return self._send_file(name, head)

    def _send_file(self, name: str, head: bool) -> None:
        body = self.server.files[name]
        headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X_Repo_Commit": COMMIT}
        if head:
            return self._answer(200, body, head, **headers)
        self.server.downloaded.append(name)
        if name == self.server.break_at:
            self.server.break_at = None
            self.server.down = self.server.stays_down
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return None
        return self._answer(200, body, head, **headers)


@pytest.fixture
def hub(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    files = {
        path.relative_to(toy_folder).as_posix(): path.read_bytes() for path in toy_folder.rglob("*") if path.is_file()
    }
    server = Hub(files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_arrives_whole(hub: Hub, tmp_path: Path) -> None:
    folder = fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)
    assert verify_folder(folder) == []
    assert [path.name for path in tmp_path.iterdir()] == ["rinna"], "nothing else may be left behind"
    assert not (folder / ".cache").exists()


def test_a_model_without_an_account_is_fetched_by_its_name(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not FETCHABLE["tohoku-sdxl"].needs_account and FETCHABLE["rinna"].needs_account
    monkeypatch.setattr("jsd.models.fetch.FETCHABLE", {"tohoku-sdxl": FETCHABLE["rinna"]})
    monkeypatch.setenv("JSD_FETCH", "accept-licence:tohoku-sdxl")
    monkeypatch.setenv("JSD_WEIGHTS", str(tmp_path / "weights"))
    assert fetch_if_asked(hub.url) == tmp_path / "weights" and verify_folder(tmp_path / "weights") == []
    monkeypatch.setenv("JSD_FETCH", "accept-licence:nobody")
    with pytest.raises(InvalidInputError, match="tohoku-sdxl"):
        fetch_if_asked(hub.url)


def test_without_the_licence_nothing_is_asked_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="--accept-licence"):
        fetch_folder(tmp_path / "rinna", accept_licence=False, endpoint="http://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_a_gated_model_names_the_licence_page_and_the_token(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_right"
    with pytest.raises(ModelFolderError, match=f"https://huggingface.co/{REPOSITORY} .*HF_TOKEN"):
        fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)


def test_the_token_comes_from_the_environment(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert verify_folder(fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)) == []


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError) as caught:
        fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint="http://127.0.0.1:9")
    assert caught.value.code == "fetch.unreachable"
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "\n" not in str(caught.value)


BROKEN = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def quiet_hub_client() -> Iterator[None]:
    logger = logging.getLogger("huggingface_hub.file_download")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def test_a_dropped_connection_is_survived(hub: Hub, tmp_path: Path, quiet_hub_client: None) -> None:
    hub.break_at = BROKEN
    folder = fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)
    assert verify_folder(folder) == []
    assert hub.downloaded.count(BROKEN) == 2, "the connection must have dropped, for this test to mean anything"


def test_a_failed_download_leaves_no_folder_and_the_next_run_keeps_what_arrived(
    hub: Hub, tmp_path: Path, quiet_hub_client: None
) -> None:
    hub.break_at, hub.stays_down = BROKEN, True
    with pytest.raises(JsdError) as caught:
        fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)
    assert "run the same command again" in str(caught.value), "the message must say how to go on"
    assert not (tmp_path / "rinna").exists(), "half a model must not look like a model"
    arrived = {
        path.relative_to(tmp_path / ".rinna.partial").as_posix()
        for path in (tmp_path / ".rinna.partial").rglob("*.*")
        if path.is_file() and ".cache" not in path.parts
    }
    assert arrived, "the failure must come after something arrived, for this test to mean anything"
    hub.down = False
    hub.downloaded.clear()
    assert verify_folder(fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)) == []
    assert set(hub.downloaded) == set(hub.files) - arrived


def test_a_model_that_arrives_incomplete_is_not_installed(hub: Hub, tmp_path: Path) -> None:
    del hub.files["vae/config.json"]
    with pytest.raises(ModelFolderError, match=r"vae/config\.json"):
        fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)
    assert not (tmp_path / "rinna").exists()


def test_what_a_link_leads_to_is_filled(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "disk" / "rinna").mkdir(parents=True)
    (tmp_path / "rinna").symlink_to(tmp_path / "disk" / "rinna")
    assert verify_folder(fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)) == []
    assert (tmp_path / "rinna").is_symlink() and [one.name for one in (tmp_path / "disk").iterdir()] == ["rinna"]


def test_a_folder_in_the_way_is_kept(hub: Hub, tmp_path: Path) -> None:
    kept = tmp_path / "rinna" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(InvalidInputError, match="rinna"):
        fetch_folder(tmp_path / "rinna", accept_licence=True, endpoint=hub.url)
    assert kept.read_text() == "mine"


def test_one_file_of_weights_a_component_is_chosen() -> None:
    names = [
        "README.md",
        "sd-v1.ckpt",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/pytorch_model.bin",
    ]
    assert choose_files(names) == [
        "README.md",
        "unet/config.json",
        "text_encoder/pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors",
    ]


def test_a_container_fetches_once_when_asked(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_FETCH", "accept-licence")
    monkeypatch.setenv("JSD_WEIGHTS", str(tmp_path / "volume" / "rinna"))
    folder = fetch_if_asked(hub.url)
    assert folder == tmp_path / "volume" / "rinna"
    assert verify_folder(folder) == []
    hub.downloaded.clear()
    assert fetch_if_asked(hub.url) == folder
    assert hub.downloaded == []


def test_a_container_that_does_not_ask_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSD_FETCH", raising=False)
    assert fetch_if_asked("http://127.0.0.1:9") is None


def test_asking_without_accepting_the_licence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_FETCH", "yes")
    with pytest.raises(InvalidInputError, match=r"JSD_FETCH .*accept-licence.*yes"):
        fetch_if_asked("http://127.0.0.1:9")
