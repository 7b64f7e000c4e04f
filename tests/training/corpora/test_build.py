"""`jsd data build` as a user runs it, from six small packages: no network, all the rest is real."""

import contextlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_sources import DRAWN, SELECTED, colour_of, package_path

from jsd.cli import main
from jsd.errors import CorpusError
from jsd.training.corpora import corpus as corpus_module
from jsd.training.corpora.concepts import read_list, select_concepts
from jsd.training.corpora.corpus import FILES, PICTURE_SETS, Corpus, is_unseen
from jsd.training.corpora.sources import SOURCES
from jsd.training.corpora.sprites import SPRITES_FILE
from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE

SALARYMAN = "1f9d1-200d-1f4bc"
# By their hashes the five concepts have unseen pairs in styles without backgrounds alone.
UNSEEN_ON_A_BACKGROUND = ("26e9", "flat")
CAPTION_PACKAGES = ("cldr-annotations-full", "cldr-annotations-derived-full")
BACKGROUNDS_A_CONCEPT = sum(style.takes_background for style in CORPUS_STYLES.values())


def build(folder: Path, sources: Path) -> int:
    return main(["data", "build", "--corpus", str(folder), "--sources", str(sources)])


@pytest.fixture(scope="module", autouse=True)
def one_more_pair_is_unseen() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        pairs = corpus_module.ALWAYS_UNSEEN | {UNSEEN_ON_A_BACKGROUND}
        patch.setattr(corpus_module, "ALWAYS_UNSEEN", pairs)
        yield


@pytest.fixture(scope="module")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The corpus' folder, and what the command printed."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed: it unpacks the font's package")
    pytest.importorskip("resvg_py", reason="resvg-py is not installed: it draws the flat set; run: make test")
    folder = tmp_path_factory.mktemp("corpora") / "built"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert build(folder, sources) == 0
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def corpus(built: tuple[Path, str]) -> Corpus:
    return Corpus.load(built[0])


def test_it_writes_its_three_files_and_nothing_beside_them(built: tuple[Path, str]) -> None:
    assert sorted(path.name for path in built[0].iterdir()) == sorted(FILES)
    assert list(built[0].parent.iterdir()) == [built[0]], "nothing temporary may be left"


def test_it_has_the_selected_concepts_that_all_picture_sets_draw(corpus: Corpus, sources: Path) -> None:
    """Not the one without a flat drawing, nor those without one glyph of their own in the font."""
    assert [concept.emoji for concept in select_concepts(sources)] == list(SELECTED)
    assert [concept.emoji for concept in corpus.concepts.values()] == list(DRAWN)


def test_each_concept_is_in_every_style_and_on_one_background_where_the_style_takes_one(corpus: Corpus) -> None:
    for code in corpus.concepts:
        of_concept = [(record.style, record.background) for record in corpus.records if record.code == code]
        assert [style for style, background in of_concept if background is None] == list(CORPUS_STYLES)
        coloured = [style for style, background in of_concept if background is not None]
        assert coloured == [style.name for style in CORPUS_STYLES.values() if style.takes_background]


def test_pictures_are_128_px_and_in_the_order_of_their_records(corpus: Corpus) -> None:
    count = len(DRAWN) * (len(CORPUS_STYLES) + BACKGROUNDS_A_CONCEPT)
    assert (corpus.pictures.shape, corpus.pictures.dtype) == ((count, 128, 128, 3), np.uint8)
    assert [record.index for record in corpus.records] == list(range(count))


@pytest.mark.parametrize("picture_set", PICTURE_SETS)
def test_a_picture_is_the_drawing_of_its_own_concept_and_package(corpus: Corpus, picture_set: str) -> None:
    for record in corpus.records:
        if record.style == picture_set:  # the set as it is, without a filter
            emoji = corpus.concepts[record.code].emoji
            corner = (255, 255, 255) if record.background is None else BACKGROUNDS[record.background][2]
            assert tuple(corpus.pictures[record.index, 64, 64]) == colour_of(emoji, picture_set), record
            assert tuple(corpus.pictures[record.index, 1, 1]) == corner, record


def test_a_filtered_style_is_drawn_from_the_3d_set(corpus: Corpus) -> None:
    """In oil its most frequent colour is that of the drawing, posterised and a little more vivid."""
    (salaryman,) = (record for record in corpus.records if (record.code, record.style) == (SALARYMAN, "oil"))
    middle = corpus.pictures[salaryman.index, 48:80, 48:80].reshape(-1, 3).mean(axis=0)
    away = {name: np.abs(middle - colour_of("🧑\u200d💼", name)).max() for name in PICTURE_SETS}
    assert min(away, key=lambda name: away[name]) == "3d", away


def test_every_picture_keeps_its_source_and_licence(corpus: Corpus) -> None:
    for record in corpus.records:
        package = SOURCES[PICTURE_SETS[CORPUS_STYLES[record.style].picture_set]]
        assert (record.source, record.licence) == (f"{package.name} {package.version}", package.licence)
    assert {record.licence for record in corpus.records} == {"MIT", "OFL-1.1"}


def test_every_caption_keeps_its_source_and_licence(corpus: Corpus) -> None:
    packages = {f"{SOURCES[name].name} {SOURCES[name].version}" for name in CAPTION_PACKAGES}
    kept = {(concept.source, concept.licence) for concept in corpus.concepts.values()}
    assert kept == {(package, "Unicode-3.0") for package in packages}
    assert corpus.concepts[SALARYMAN].source.startswith("cldr-annotations-derived-full "), "a composed emoji"


def test_the_japan_split_is_marked_on_concepts_and_records(corpus: Corpus) -> None:
    assert [c.emoji for c in corpus.concepts.values() if c.japan] == ["⛩", "♨"]
    listed = set(read_list("japan"))
    assert all(record.japan == (corpus.concepts[record.code].emoji in listed) for record in corpus.records)


def test_unseen_pairs_are_marked_on_their_records(corpus: Corpus) -> None:
    unseen = {(record.code, record.style) for record in corpus.records if record.unseen}
    assert unseen == {(code, style) for code in corpus.concepts for style in CORPUS_STYLES if is_unseen(code, style)}
    assert (SALARYMAN, "oil") in unseen
    assert DEFAULT_STYLE not in {style for _, style in unseen}


def test_an_unseen_pair_is_unseen_on_a_coloured_background_too(corpus: Corpus) -> None:
    """Else training would see the pair that it must compose."""
    backgrounds = {
        record.background for record in corpus.records if (record.code, record.style) == UNSEEN_ON_A_BACKGROUND
    }
    assert None in backgrounds and len(backgrounds) == 2
    for record in corpus.records:
        assert record.unseen == is_unseen(record.code, record.style), record


def test_names_keywords_and_sound_words_come_from_both_packages_of_annotations(corpus: Corpus) -> None:
    heart, salaryman = (corpus.concepts[code] for code in ("2763", SALARYMAN))
    assert (heart.name_ja, heart.name_en, heart.onomatopoeia) == ("ハート", "heart", ("ドキドキ",))
    assert (salaryman.name_ja, salaryman.keywords_ja, salaryman.name_en) == (
        "会社員",
        ("サラリーマン",),
        "office worker",
    )


def test_it_says_what_it_built(built: tuple[Path, str]) -> None:
    counted, japan, sounds, unseen, *prompts, by_3d, by_flat, by_noto = built[1].splitlines()
    assert counted == f"55 pictures of 5 concepts in {built[0]}"
    assert japan == "Japan split: 2 concepts"
    assert sounds == "sound words: 2 concepts"
    assert unseen.endswith("of 40 (concept, style) pairs")
    assert all(line.startswith("prompts of the test split, ") for line in prompts)
    assert [by_3d, by_flat, by_noto] == [
        "    35 pictures from @lobehub/fluent-emoji-3d 1.1.0, MIT",
        "    10 pictures from @lobehub/fluent-emoji-flat 1.1.0, MIT",
        "    10 pictures from fonts-noto-color-emoji 2.042-0+deb12u1, OFL-1.1",
    ]


def test_a_second_build_has_the_same_bytes(built: tuple[Path, str], sources: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(built[0], tmp_path / "corpus")
    (folder / "records.jsonl").write_text("", "utf-8")  # what is there is replaced, not completed
    assert build(folder, sources) == 0
    assert {name: (folder / name).read_bytes() for name in FILES} == {
        name: (built[0] / name).read_bytes() for name in FILES
    }


@pytest.mark.parametrize("name", SOURCES)
def test_a_corrupted_package_is_one_line_and_nothing_is_written(
    name: str, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(sources, tmp_path / "sources")
    package = package_path(copied, name)
    content = package.read_bytes()
    package.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert build(tmp_path / "corpus", copied) == CorpusError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: ") and f"{name} {SOURCES[name].version}" in line, line
    assert [path.name for path in tmp_path.iterdir()] == ["sources"], "neither a corpus nor a part of one"
    assert not package.exists(), "the next run must fetch it again"


def test_a_corrupted_package_leaves_the_corpus_that_was_there(
    built: tuple[Path, str], sources: Path, tmp_path: Path
) -> None:
    folder, copied = shutil.copytree(built[0], tmp_path / "corpus"), shutil.copytree(sources, tmp_path / "sources")
    package_path(copied, "fonts-noto-color-emoji").write_bytes(b"another font")
    assert build(folder, copied) == CorpusError.exit_code
    assert all((folder / name).read_bytes() == (built[0] / name).read_bytes() for name in FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "sources"]


@pytest.fixture(scope="module")
def sprites(built: tuple[Path, str], sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sprites")
    options = ["--corpus", str(built[0]), "--sources", str(sources), "--output", str(folder)]
    assert main(["data", "sprites", *options]) == 0
    return folder


def test_sprites_alone_make_the_same_corpus_of_slightly_other_pictures(
    corpus: Corpus, sprites: Path, tmp_path: Path
) -> None:
    """Their Noto set is of vectors, and WebP loses a little; no package is there, and none can be fetched."""
    options = ["--sources", str(tmp_path / "none"), "--from-sprites", str(sprites)]
    assert main(["data", "build", "--corpus", str(tmp_path / "painted"), *options]) == 0
    painted = Corpus.load(tmp_path / "painted")
    assert painted.concepts == corpus.concepts, "names, keywords, sources and licences"
    assert [replace(one, source="", licence="") for one in painted.records] == [
        replace(one, source="", licence="") for one in corpus.records
    ]
    origins = {(one.style, one.source, one.licence) for one in painted.records if one.style in PICTURE_SETS}
    assert ("noto", "@iconify-json/noto 1.2.9", "Apache-2.0") in origins and len(origins) == len(PICTURE_SETS)
    for one in painted.records:
        if one.style != "noto":
            away = np.abs(painted.pictures[one.index].astype(int) - corpus.pictures[one.index]).mean()
            assert away < 6, (one.code, one.style)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("lacking", ["concepts.json", "flat/"])
def test_sprites_that_cannot_make_a_corpus_are_one_line(
    lacking: str, sprites: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as were packed before they held concepts, or without a design that the corpus is of."""
    with zipfile.ZipFile(sprites / SPRITES_FILE) as whole, zipfile.ZipFile(tmp_path / SPRITES_FILE, "w") as part:
        for name in whole.namelist():
            if not name.startswith(lacking):
                part.writestr(name, whole.read(name))
    options = ["--from-sprites", str(tmp_path), "--corpus", str(tmp_path / "painted")]
    assert main(["data", "build", *options]) == CorpusError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "jsd data sprites" in line and "3d, flat, noto" in line
    assert not (tmp_path / "painted").exists()
