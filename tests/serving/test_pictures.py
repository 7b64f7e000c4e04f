"""Which files a request may name: those that Cog wrote for it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import cog
import pytest
from PIL import Image
from test_cog_server import data_uri, picture

from jsd.errors import InvalidInputError
from jsd.serving.pictures import received


def test_a_file_that_cog_wrote_is_received() -> None:
    path = cog.Path.validate(data_uri(picture())).convert()
    try:
        assert received(path, "image") == path
        with Image.open(path) as image:
            assert image.size == (32, 32)
    finally:
        path.unlink()


@pytest.mark.parametrize("kind", [str, cog.Path.validate])
@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "notauri",
        "tmpnotauri",
        "{temporary}/picture.png",
        "{temporary}/jsd-1a2b3c4d/output-0.png",
        "{temporary}/tmp1a2b3c4d/picture.png",
        "{temporary}/tmp1a2b3c4d/../../etc/passwd",
        "{temporary}/../tmpfile.png",
    ],
)
def test_any_other_path_is_refused_with_the_field_and_the_rule(
    kind: Callable[[str], Path | str], field: str, value: str
) -> None:
    """Cog's server hands over what is no address as it came, Cog's own Path makes a path of it."""
    path = kind(value.format(temporary=tempfile.gettempdir()))
    with pytest.raises(InvalidInputError, match="must be an https:// or http:// address or a data: URI") as error:
        received(path, field)
    assert (error.value.code, error.value.field) == ("image.address", field)
    assert str(error.value).startswith(field)


def test_a_path_of_this_machine_is_refused_though_a_picture_is_there(tmp_path: Path) -> None:
    path = tmp_path / f"{tempfile.gettempprefix()}.png"
    picture().save(path)
    with pytest.raises(InvalidInputError):
        received(path, "image")


def test_the_name_of_a_file_that_cog_wrote_is_refused_in_a_request() -> None:
    path = cog.Path.validate(data_uri(picture())).convert()
    try:
        with pytest.raises(InvalidInputError):
            received(str(path), "image")
    finally:
        path.unlink()
