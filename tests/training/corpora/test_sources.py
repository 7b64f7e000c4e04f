"""Packages: pinned, checked, and fetched with clients that may be missing."""

import base64
import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from jsd.errors import CorpusError
from jsd.training.corpora.sources import SOURCES, Source, fetch_source, read_font, read_members

CONTENT = b"a package"
TOY = Source("@toys/bricks", "npm", "1.0.0", base64.b64encode(hashlib.sha512(CONTENT).digest()).decode(), "MIT", "toys")


@pytest.fixture
def no_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without npm, apt and dpkg."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def failing_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a network, whose npm says why it fails in its last line."""
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\necho first >&2\necho no route to host >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")


def test_a_package_that_is_there_needs_no_client(tmp_path: Path, no_clients: None) -> None:
    path = tmp_path / "toys-bricks-1.0.0.tgz"
    path.write_bytes(CONTENT)
    assert fetch_source(TOY, tmp_path) == path


def test_a_package_with_another_checksum_is_refused_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "toys-bricks-1.0.0.tgz"
    path.write_bytes(b"another package")
    with pytest.raises(CorpusError) as caught:
        fetch_source(TOY, tmp_path)
    assert caught.value.code == "corpus.checksum"
    assert caught.value.params["package"] == TOY.name
    assert not path.exists(), "a wrong package left there would be refused at every run"


@pytest.mark.parametrize(("client", "program"), [("npm", "npm"), ("apt", "apt-get")])
def test_a_missing_client_is_one_line_that_names_it(
    tmp_path: Path, no_clients: None, client: str, program: str
) -> None:
    with pytest.raises(CorpusError) as caught:
        fetch_source(replace(TOY, client=client), tmp_path / "sources")
    sentence = str(caught.value)
    assert f"the program {program}, which is not installed" in sentence
    assert "\n" not in sentence
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_failed_download_is_one_line_with_the_clients_reason(tmp_path: Path, failing_npm: None) -> None:
    with pytest.raises(CorpusError) as caught:
        fetch_source(TOY, tmp_path / "sources")
    assert "could not be fetched: no route to host;" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_font_needs_dpkg(tmp_path: Path, no_clients: None) -> None:
    with pytest.raises(CorpusError) as caught:
        read_font(tmp_path / "fonts.deb")
    assert "dpkg-deb" in str(caught.value)


def test_members_are_chosen_by_the_end_of_their_names(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        for name in ("package/a.svg", "package/a.json", "package/b.svg"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    found = dict(read_members(tmp_path / "package.tgz", (".svg",)))
    assert found == {"package/a.svg": b"package/a.svg", "package/b.svg": b"package/b.svg"}


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_every_source_is_pinned_by_version_and_checksum(source: Source) -> None:
    assert source.version[0].isdigit()
    assert len(base64.b64decode(source.sha512, validate=True)) == 64
    assert source.licence
