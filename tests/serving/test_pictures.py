"""Which pictures a request may name, and what is left behind; the server's own are in test_cog_server.py."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_cog_server import data_uri, picture, serving

from jsd.errors import InvalidInputError
from jsd.images import load_image
from jsd.serving import fetching, pictures
from jsd.serving.fetching import check_host, fetch_picture
from jsd.serving.pictures import picture_folder, read_picture, sweep
from jsd.serving.settings import ALLOW_PRIVATE


@pytest.fixture
def own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW_PRIVATE, "1")


def test_a_data_uri_is_decoded() -> None:
    sent = picture()
    assert load_image(read_picture(data_uri(sent), "image"), "image").tobytes() == sent.tobytes()


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize(
    "value", ["/etc/passwd", "file:///etc/passwd", "notauri", "tmpnotauri", "../x.png", "data:nonsense"]
)
def test_a_file_of_this_machine_is_refused_with_the_field_and_the_rule(field: str, value: str) -> None:
    with pytest.raises(InvalidInputError, match="must be an https:// or http:// address or a data: URI") as error:
        read_picture(value, field)
    assert (error.value.code, error.value.field) == ("image.address", field)


def test_a_picture_in_bare_base64_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidInputError, match="send the picture itself as a data: URI") as error:
        read_picture("iVBORw0KGgo" * 100_000, "image")
    assert len(str(error.value)) < 250


@pytest.mark.usefixtures("own_network")
def test_what_stands_at_an_address_is_fetched_and_what_does_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    with serving(tmp_path) as url:
        assert fetch_picture(f"{url}/a.png", "image") == b"content"
        with pytest.raises(InvalidInputError, match=r"image cannot be fetched from http://.*: 404 ") as error:
            fetch_picture(f"{url}/b.png", "image")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("own_network")
def test_every_address_of_a_host_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may be an IPv6 one, of a machine that reaches none; here it is one that nobody listens at."""
    (tmp_path / "a.png").write_bytes(b"content")
    look_up = socket.getaddrinfo

    def several(host: str, *rest: Any, **more: Any) -> Any:
        found = look_up("127.0.0.1" if host == "draw.example" else host, *rest, **more)
        dead = [(*one[:4], ("127.0.0.2", *one[4][1:])) for one in found]
        return dead + found if host == "draw.example" else found

    monkeypatch.setattr(socket, "getaddrinfo", several)
    with serving(tmp_path) as url:
        named = url.replace("127.0.0.1", "draw.example")
        assert named != url and fetch_picture(f"{named}/a.png", "image") == b"content"
    with pytest.raises(InvalidInputError, match="cannot be fetched"):
        fetch_picture(f"{named}/a.png", "image")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_an_address_of_an_own_network_is_not_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW_PRIVATE, raising=False)
    with pytest.raises(InvalidInputError, match="network of its own"):
        fetch_picture(f"http://{host}:9/a.png", "image")
    for url in (f"http://{host}:9/a", f"http://{host}\\@192.0.2.1/a", f"http:///{host}/a"):
        with pytest.raises(OSError):
            check_host(url)


def test_the_address_that_was_checked_is_the_one_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a public address first, and to this machine when it is looked up again."""
    looked_up: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1" if len(looked_up) == 1 else "127.0.0.1", 0))]

    monkeypatch.setattr(fetching, "_is_public", lambda address: address == "192.0.2.1")
    monkeypatch.setattr(fetching, "DEADLINE_SECONDS", 0.5)
    monkeypatch.setattr(fetching.socket, "getaddrinfo", look_up)
    with serving(tmp_path) as url, pytest.raises(InvalidInputError):
        fetch_picture(url.replace("127.0.0.1", "evil.example") + "/a.png", "image")
    assert looked_up[0] == "evil.example" and "evil.example" not in looked_up[1:]


@contextmanager
def dribbling(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of a server that takes its time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    while not ended.wait(0.05):
                        answer(connection)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)  # nobody may have come
        thread.join()


@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("sent", [b"", b"H", b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 999\r\n\r\nx"])
def test_an_answer_that_dribbles_in_ends_at_the_deadline(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 * fetching.DEADLINE_SECONDS <= 30, "image and mask"
    monkeypatch.setattr(fetching, "DEADLINE_SECONDS", 0.5)
    began = time.monotonic()
    with dribbling(lambda connection: connection.sendall(sent)) as url:
        with pytest.raises(InvalidInputError, match=r"more than 0\.5 seconds"):
            fetch_picture(url, "image")
        assert time.monotonic() - began < 2


@pytest.mark.usefixtures("own_network")
def test_an_answer_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 2**20)
    (tmp_path / "a.png").write_bytes(bytes(2**20 + 1))
    with serving(tmp_path) as url, pytest.raises(InvalidInputError, match="more than 1 MiB"):
        fetch_picture(f"{url}/a.png", "image")


class Leading(BaseHTTPRequestHandler):
    """/to-b leads to /b with a body that never ends, /round to itself."""

    def do_GET(self) -> None:
        leads = {"/to-b": "/b", "/round": "/round"}.get(self.path)
        self.send_response(200 if leads is None else 302)
        if leads is not None:
            self.send_header("location", leads)
        if self.path == "/packed":
            self.send_header("content-encoding", "gzip, gzip")
        self.end_headers()
        with suppress(OSError):
            while self.path == "/to-b":
                self.wfile.write(bytes(2**16))
            self.wfile.write(b"content")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def leading() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Leading)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("own_network")
def test_nothing_is_read_but_what_the_address_leads_to_as_it_is(leading: str) -> None:
    assert fetch_picture(f"{leading}/to-b", "image") == fetch_picture(f"{leading}/b", "image") == b"content"
    for place, said in (("round", "more than 5 times"), ("packed", "compressed")):
        with pytest.raises(InvalidInputError, match=said):
            fetch_picture(f"{leading}/{place}", "image")


def test_what_others_have_left_for_an_hour_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pictures, "COG_FOLDERS", tmp_path / "predictions")
    own = picture_folder()
    dead, others = tmp_path / "jsd-4194305-left", tmp_path / "jsd-notes"
    cogs = tmp_path / "predictions" / "pred_1" / "inputs"
    for folder in (dead, others, cogs):
        folder.mkdir(parents=True)
    sweep()
    assert dead.is_dir() and cogs.is_dir(), "they may still be wanted"
    for path in (dead, others, cogs.parent, Path(own.name)):
        os.utime(path, (0, 0))
    sweep()
    assert [dead.is_dir(), cogs.is_dir(), others.is_dir(), Path(own.name).is_dir()] == [False, False, True, True]
    own.cleanup()
