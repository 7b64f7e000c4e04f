"""`jsd data` on a folder of somebody's own pictures, as they would run it."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from toy_folder import write_toy_folder
from toy_scorers import write_own
from training.corpora.test_records import animated, png, turned

from cli.conftest import Jsd
from jsd.training.corpora.readers import read_source
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import Shards, import_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six good pictures, two of them the same; and one of everything that may be wrong."""
    folder = tmp_path / "photos"
    folder.mkdir()
    files = {f"{number}.png": png((number // 2 * 40, 0, 0)) for number in range(4)}
    files |= {"4.png": png("green"), "5.png": png("blue", (100, 90))}
    odd = {"damaged.png": b"?", "tiny.png": png(size=(9, 9)), "animated.gif": animated(), "turned.jpg": turned()}
    odd |= {"deep.png": png(40_000, mode="I;16"), "cmyk.jpg": png((0, 9, 9, 0), mode="CMYK", format="JPEG")}
    for name, data in {**files, **odd, "empty.png": png("pink")}.items():
        (folder / name).write_bytes(data)
        said = {"empty.png": "", "5.png": "赤い猫"}.get(name, "富士山と𰻞")
        (folder / name).with_suffix(".txt").write_text(said)
    return folder


def test_odd_pictures_never_stop_an_import_and_each_is_told(jsd: Jsd, photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    said = jsd("data", "import", photos, "--output", mine)
    assert said.code == 0 and said.out[0].startswith("10 pictures")
    told = {line.split(",")[1].split(":")[0].strip(): line for line in said.out[1:-1]}
    expected = {"damaged": "damaged.png", "tiny": "tiny.png", "no caption": "empty.png", "animated": "animated.gif"}
    expected |= {"rotated": "turned.jpg", "16 bit": "deep.png", "CMYK": "cmyk.jpg"}
    assert all(f"{reason}: 1  {name}" in told[reason] for reason, name in expected.items()) and len(told) == 7
    left_out = [json.loads(line) for line in (mine / "left_out.jsonl").read_text().splitlines()]
    assert {(one["reason"], one["key"]) for one in left_out} == set(expected.items())
    assert jsd("data", "import", photos, "--output", mine).out == said.out, "again, nothing is left to do"


def test_damaged_lines_never_stop_an_import_and_each_is_told(jsd: Jsd, tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(png())
    lines = ['{"file_name": "a.png", "text": "猫"}', "{", '{"text": "犬"}', '{"file_name": "../b.png"}']
    (folder / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    said = jsd("data", "import", folder, "--output", mine)
    assert said.code == 0 and said.out[0].startswith("1 pictures")
    expected = {"damaged": 2, "no file_name": 3, "outside the folder": 4}
    for reason, number in expected.items():
        assert any(line.endswith(f"{reason}: 1  metadata.jsonl:{number}") for line in said.out), said.out
    left_out = [json.loads(line) for line in (mine / "left_out.jsonl").read_text("utf-8").splitlines()]
    assert {one["reason"]: one["key"] for one in left_out} == {
        reason: f"metadata.jsonl:{number}" for reason, number in expected.items()
    }


def test_pictures_without_any_caption_are_told_what_they_lack(jsd: Jsd, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png())
    said = jsd("data", "import", tmp_path / "photos", "--output", tmp_path / "mine")
    assert said.code == 0 and said.out[0].startswith("0 pictures") and ".txt" in said.err[-1]


@pytest.mark.parametrize("step", ["describe", "score", "filter", "latents"])
def test_a_corpus_without_a_picture_is_one_line(jsd: Jsd, tmp_path: Path, step: str) -> None:
    no_caption = [Record("a.png", png(), ())]
    for name, items in (("left out", no_caption), ("nothing", [])):
        import_pictures(items, {}, tmp_path / name, lambda read: None)
        assert jsd("data", step, tmp_path / name).refuses("left_out.jsonl", "import others")


@pytest.mark.parametrize("place", ["{mine}", "{mine}/kept", "{mine}/.."])
def test_what_is_filtered_is_never_written_over(jsd: Jsd, photos: Path, tmp_path: Path, place: str) -> None:
    mine = tmp_path / "holder" / "mine"
    jsd("data", "import", photos, "--output", mine)
    keys = [record.key for record in Shards.load(mine).records(0)]
    pyarrow.parquet.write_table(pyarrow.table({"key": keys, "similarity": [0.5] * len(keys)}), tmp_path / "scores")
    words = ["filter", mine, "--scores", tmp_path / "scores", "--threshold", "0", "--output", place.format(mine=mine)]
    assert jsd("data", words).refuses("name another")
    assert len(list(Shards.load(mine).records(0))) == 10
    assert jsd("data", "import", mine / "shards", "--output", mine).refuses("name another")
    assert len(list(Shards.load(mine).records(0))) == 10


def test_describe_counts_and_shows(jsd: Jsd, photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    jsd("data", "import", photos, "--output", mine)
    *rows, sheet = jsd("data", "describe", mine, "--weights", write_toy_folder(tmp_path / "toy")).out
    table = {line.split("  ")[0].strip(): line for line in rows}
    assert "10" in table["pictures"] and "64 to 90" in table["height, px"]
    assert "𰻞 (1)" in table["characters that the vocabulary lacks"]
    assert "0.png = 1.png; 2.png = 3.png" in table["pictures that are there twice"]
    page = Path(sheet).read_text()
    assert page.count("<img") == 10 and "富士山" in page
    assert len(list(Path(sheet).parent.glob("*.jpg"))) == 10


@pytest.mark.parametrize("embedded", ["corpus", "scenes"])
def test_the_embedded_models_pictures_are_a_source_like_any_other(
    jsd: Jsd, toy_corpus_folder: Path, toy_sprites: Path, tmp_path: Path, embedded: str
) -> None:
    source = {"corpus": toy_corpus_folder, "scenes": toy_sprites / "sprites.zip"}[embedded]
    words = ["data", "import", source, "--output", tmp_path / "mine", "--corpus", toy_corpus_folder, "--count", 5]
    assert jsd(*words).out[0].startswith({"corpus": "88", "scenes": "5"}[embedded] + " pictures")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["import", "absent"], "check the path"),
        (["import", "."], "metadata.jsonl"),
        (["describe", "absent"], "jsd data import"),
    ],
)
def test_a_wrong_folder_is_one_line(
    jsd: Jsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert jsd("data", *words).refuses(remedy)


def test_score_filter_and_latents_go_through_and_again(jsd: Jsd, photos: Path, tmp_path: Path) -> None:
    mine, kept, scores = tmp_path / "mine", tmp_path / "kept", tmp_path / "scores.parquet"
    jsd("data", "import", photos, "--output", mine)
    scorer, model = write_own(tmp_path / "scorer"), write_toy_folder(tmp_path / "toy")
    said = jsd("data", "score", mine, "--output", scores, "--scorer", scorer, "--device", "cpu")
    assert said.code == 0 and said.out[-1] == str(scores)
    assert pyarrow.parquet.read_table(scores).column_names[:2] == ["key", "similarity"]
    said = jsd("data", "filter", mine, "--scores", scores, "--output", kept, "--threshold", "-2")
    assert said.code == 0 and said.out[0].startswith("8 of 10 pictures"), said
    with Image.open(kept / "histogram.png") as histogram:
        assert histogram.size == (720, 360)
    left_out = [json.loads(line) for line in (kept / "left_out.jsonl").read_text().splitlines()]
    assert {one["key"]: one["detail"] for one in left_out} == {"1.png": "0.png", "3.png": "2.png"}
    assert jsd("data", "filter", mine, "--scores", scores, "--output", kept, "--keep-near-duplicates").code == 0
    assert jsd("data", "describe", kept, "--weights", model).code == 0
    words = ["evaluate", "--weights", model, "--corpus", kept, "--scorer", scorer, "--output", tmp_path / "report"]
    said = jsd(words, "--num-inference-steps", 2)
    assert said.code == 0 and [line.split(":")[0] for line in said.out[:2]] == ["drawings", "pictures"], said
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["captions"] == 2 and report["pictures"]["top5"] == 100
    made = [jsd("data", "latents", mine, "--weights", model, "--device", "cpu").out for _ in range(2)]
    assert made[0] == made[1] and made[0][0].startswith("10 pictures of 32 px")


def test_a_bad_shard_is_named_after_the_others_are_scored(jsd: Jsd, photos: Path, tmp_path: Path) -> None:
    mine, scores = tmp_path / "mine", tmp_path / "scores.parquet"
    import_pictures(read_source(photos), {}, mine, lambda read: None, records_a_shard=4)
    good = Shards.load(mine).path(1).read_bytes()
    Shards.load(mine).path(1).write_bytes(b"PAR1")
    words = ["data", "score", mine, "--output", scores, "--scorer", write_own(tmp_path / "scorer"), "--device", "cpu"]
    said = jsd(words)
    assert said.code == 2 and "00001.parquet" in said.err[-1] and not scores.exists()
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("scores.parquet.parts/*/*")}
    assert "00001.parquet" not in times and len(times) == len(Shards.load(mine).counts) - 1 > 1
    Shards.load(mine).path(1).write_bytes(good)
    assert jsd(words).code == 0
    now = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("scores.parquet.parts/*/*")}
    assert {name: now[name] for name in times} == times, "what is there is not made again"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["score", "{mine}", "--scorer", "{mine}"], "weights/clip_ja"),
        (["score", "{mine}", "--checker", "{mine}"], "jsd weights fetch"),
        (["score", "absent"], "jsd data import"),
        (["score", "{mine}", "--output", "{photos}"], "name one, as scores.parquet"),
        (["import", "{photos}", "--output", "{photos}/mine"], "lie apart"),
        (["score", "{mine}", "--workers", "2"], "--engine ray"),
        (["filter", "{mine}", "--scores", "absent"], "no such file; run: jsd data score"),
        (["filter", "{mine}", "--scores", "{scores}"], "threshold"),
        (["filter", "{mine}", "--scores", "{scores}", "--threshold", "nan"], "threshold"),
        (["filter", "{mine}", "--scores", "{scores}", "--threshold", "0", "--output", "{photos}"], "name another"),
        (["latents", "{mine}", "--weights", "{mine}", "--size", "32"], "vae"),
        (["latents", "{mine}", "--size", "0"], "size"),
    ],
)
def test_a_wrong_step_is_one_line(jsd: Jsd, photos: Path, tmp_path: Path, words: list[str], remedy: str) -> None:
    places = {"mine": tmp_path / "mine", "scores": tmp_path / "scores", "photos": photos}
    jsd("data", "import", photos, "--output", places["mine"])
    keys = [record.key for record in Shards.load(places["mine"]).records(0)]
    pyarrow.parquet.write_table(pyarrow.table({"key": keys, "similarity": [0.5] * len(keys)}), places["scores"])
    assert jsd("data", *(word.format(**places) for word in words)).refuses(remedy)
