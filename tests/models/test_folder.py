"""Which model folder is chosen, and what is remembered of one until it changes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import jsd.models.folder
import jsd.models.known
import jsd.models.record
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.models.folder import ModelFolder, choose_folder, open_model_folder, weights_root
from jsd.models.record import folder_digest

FORCE = "force_zeros_for_empty_prompt"
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `weights/`, and no JSD_WEIGHTS."""
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)
    monkeypatch.setattr(jsd.models.folder, "weights_root", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_the_order_of_choice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setenv("JSD_WEIGHTS", "")  # as good as unset
    for name in ("mini", "rinna", "named", "given"):
        (root / name).mkdir()
        if name == "named":
            monkeypatch.setenv("JSD_WEIGHTS", str(root / name))
        chosen.append(choose_folder(root / name if name == "given" else None))
    assert [(one.path.name, one.reason) for one in chosen] == [
        ("mini", "the embedded model"),
        ("rinna", "found in weights/"),
        ("named", "JSD_WEIGHTS"),
        ("given", "--weights"),
    ]
    assert choose_folder(chosen[0]) is chosen[0]


def test_parts_are_added_to_a_folder_that_is_chosen(root: Path, tmp_path: Path) -> None:
    for name in ("mini", "own", "other"):
        (root / name).mkdir()
    chosen = choose_folder(root / "mini", {"vae": root / "own"})
    assert choose_folder(chosen, {"vae": None}).parts == chosen.parts == {"vae": root / "own"}
    assert choose_folder(chosen, {"vae": root / "other"}).parts == {"vae": root / "other"}
    with pytest.raises(InvalidInputError, match="vae"):
        choose_folder(chosen, {"va": root / "other"})


@pytest.mark.parametrize("value", ["", "nowhere", "file"])
def test_a_named_folder_that_is_not_there_is_refused(root: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "mini").mkdir()
    (root / "file").touch()
    path = "" if value == "" else root / value
    with pytest.raises(InvalidInputError) as caught:
        choose_folder(path)
    assert (caught.value.field, caught.value.params["value"]) == ("weights", path)
    monkeypatch.setenv("JSD_WEIGHTS", str(root / "nowhere"))
    with pytest.raises(InvalidInputError, match="JSD_WEIGHTS"):
        choose_folder()


def test_the_hubs_cache_of_a_model_is_what_it_last_fetched(root: Path, toy_folder: Path) -> None:
    cache = root / "models--rinna--japanese-stable-diffusion"
    for name in ("older", "newer"):
        (cache / "snapshots" / name).mkdir(parents=True)
    assert choose_folder(cache).path == cache, "nobody says which"
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("newer\n", "utf-8")
    assert choose_folder(cache).path == cache / "snapshots" / "newer"
    (cache / "refs" / "main").write_text("gone", "utf-8")
    (cache / "snapshots" / "newer").rmdir()
    assert choose_folder(cache).path == cache / "snapshots" / "older"
    assert choose_folder(toy_folder).path == toy_folder


@pytest.mark.parametrize(
    ("index", "zeroes"), [({}, True), ({FORCE: False}, False), ({FORCE: True}, True), (None, True)]
)
def test_sdxl_without_a_negative_prompt_is_told_zeros_unless_its_folder_says_no(
    index: dict[str, bool] | None, zeroes: bool, tmp_path: Path
) -> None:
    (tmp_path / "text_encoder_2").mkdir()
    if index is not None:
        (tmp_path / "model_index.json").write_text(json.dumps(index), "utf-8")
    assert ModelFolder(tmp_path).zero_empty_negative is zeroes
    (tmp_path / "text_encoder_2").rmdir()
    assert ModelFolder(tmp_path).zero_empty_negative is (index == {FORCE: True})


def test_no_model_at_all_says_how_to_name_one(root: Path) -> None:
    with pytest.raises(ModelFolderError, match="--weights or JSD_WEIGHTS"):
        choose_folder()


def test_the_embedded_model_is_beside_the_package_not_in_the_cwd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights_root() == Path(__file__).resolve().parents[2] / "weights"


@pytest.fixture
def verified(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A folder that lay there for a while and was opened; and what is done to it from then on."""
    folder = shutil.copytree(toy_folder, tmp_path / "model")
    monkeypatch.setattr(jsd.models.known, "SETTLED_SECONDS", -60)
    open_model_folder(folder)
    folder_digest(folder)
    done: list[str] = []
    verify, hash_file = jsd.models.folder.verify_folder, jsd.models.record.file_digest
    monkeypatch.setattr(jsd.models.folder, "verify_folder", lambda path: [done.append("verified"), verify(path)][1])
    monkeypatch.setattr(jsd.models.record, "file_digest", lambda path: [done.append("read"), hash_file(path)][1])
    return folder, done


def test_a_folder_that_was_whole_is_not_verified_again(verified: tuple[Path, list[str]]) -> None:
    folder, done = verified
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & 0o555)
    open_model_folder(folder)  # its times of change are others now
    done.clear()
    assert open_model_folder(ModelFolder(folder, "why")).reason == "why"
    digest = folder_digest(folder)
    assert done == ["read"] * done.count("read")
    done.clear()
    assert folder_digest(folder) == digest and open_model_folder(folder).path == folder and done == []


def touch_back(folder: Path) -> None:
    """Other bytes of the same length, at the same time."""
    before = (folder / UNET).stat()
    data = (folder / UNET).read_bytes()
    (folder / UNET).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(folder / UNET, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        touch_back,
        lambda folder: (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-1]),
        lambda folder: (folder / UNET).unlink(),
        lambda folder: (folder / "generation_config.json").write_text("{}"),
        lambda folder: shutil.rmtree(folder / "vae"),
    ],
    ids=["same size and time", "shorter", "gone", "more", "a part gone"],
)
def test_any_change_is_verified_anew(verified: tuple[Path, list[str]], change: Callable[[Path], object]) -> None:
    folder, done = verified
    before = folder_digest(folder)
    change(folder)
    try:
        open_model_folder(folder)
    except ModelFolderError:
        pass
    else:
        assert "generation" in str(list(folder.iterdir())) or folder_digest(folder) != before
    assert done[0] == "verified"


def test_a_folder_that_has_just_changed_is_not_remembered(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = shutil.copytree(toy_folder, tmp_path / "model")
    open_model_folder(folder)
    assert not (tmp_path / "cache").exists(), "another change within the same tick would not be seen"


@pytest.mark.parametrize("record", [b"", b"[]", b'{"files": {}}', b"\xff"])
def test_a_damaged_record_is_as_good_as_none(verified: tuple[Path, list[str]], record: bytes) -> None:
    folder, done = verified
    for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json"):
        path.write_bytes(record)
    assert open_model_folder(folder).path == folder and done == ["verified"]


def test_where_nothing_can_be_remembered_it_is_verified_each_time(
    verified: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = verified
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_model_folder(open_model_folder(folder)).path == folder and done == ["verified"] * 2
