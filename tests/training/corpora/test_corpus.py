"""The corpus' files, and which pairs are never shown."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_corpus import CONCEPTS, make_toy_corpus

from jsd.errors import CorpusError, InvalidInputError
from jsd.training.corpora.concepts import read_list
from jsd.training.corpora.corpus import Corpus, build_corpus, is_unseen
from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
from jsd.training.corpora.styles import CORPUS_STYLES, DEFAULT_STYLE
from jsd.training.corpora.words import read_vocabulary

SALARYMAN = "1f9d1-200d-1f4bc"


def test_a_corpus_comes_back_as_it_was_saved(toy_corpus: Corpus) -> None:
    made = make_toy_corpus()
    assert toy_corpus.records == made.records
    assert toy_corpus.concepts == made.concepts
    assert np.array_equal(toy_corpus.pictures, made.pictures)


def test_what_holds_much_is_shown_in_a_line(toy_corpus: Corpus, toy_sprites: Path) -> None:
    for one in (toy_corpus, Sprites.load(toy_sprites / SPRITES_FILE), read_vocabulary()):
        assert len(repr(one)) < 1000, type(one)


def test_pictures_stay_on_disk_until_they_are_used(toy_corpus: Corpus) -> None:
    assert isinstance(toy_corpus.pictures, np.memmap)


@pytest.mark.parametrize("missing", ["pictures.npy", "records.jsonl", "concepts.json"])
def test_a_corpus_without_one_of_its_files_is_absent(toy_corpus_folder: Path, tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(toy_corpus_folder, tmp_path / "corpus")
    (folder / missing).unlink()
    with pytest.raises(CorpusError) as caught:
        Corpus.load(folder)
    assert f"jsd data build --corpus {folder}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_saving_replaces_an_older_corpus(tmp_path: Path) -> None:
    corpus = make_toy_corpus()
    corpus.save(tmp_path / "corpus")
    replace(corpus, records=corpus.records[:5], pictures=corpus.pictures[:5]).save(tmp_path / "corpus")
    assert len(Corpus.load(tmp_path / "corpus").records) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"], "nothing temporary may be left"


def test_building_never_deletes_a_folder_that_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("kept")
    with pytest.raises(InvalidInputError) as caught:
        build_corpus(tmp_path, tmp_path / "sources")
    assert caught.value.field == "corpus"
    assert (tmp_path / "letters.txt").read_text() == "kept"


def test_a_save_that_fails_keeps_the_older_corpus(tmp_path: Path) -> None:
    corpus = make_toy_corpus()
    corpus.save(tmp_path / "corpus")
    with pytest.raises(TypeError):
        replace(corpus, records=[object()]).save(tmp_path / "corpus")  # type: ignore[list-item]
    assert Corpus.load(tmp_path / "corpus").records == corpus.records
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_words_keep_sound_words_and_drop_vague_keywords(toy_corpus: Corpus) -> None:
    vague = tuple(replace(concept, keywords_ja=(*concept.keywords_ja, "もの")) for concept in CONCEPTS)
    corpus = replace(toy_corpus, concepts={concept.code: concept for concept in vague})
    words = corpus.words("ja")[SALARYMAN]
    assert words.name == "会社員"
    assert words.keywords == ("サラリーマン", "仕事"), "「もの」 fits eight concepts and tells none apart"


def test_unseen_pairs_are_fixed() -> None:
    # Golden: a pair that changes sides would have been shown to the models trained so far.
    codes = (SALARYMAN, "1f408", "1f415", "1f68c", "26e9", "1f5fb", "1f363", "1f38f", "1f338", "1f34e")
    assert [(code, style) for code in codes for style in CORPUS_STYLES if is_unseen(code, style)] == [
        (SALARYMAN, "oil"),
        ("1f408", "noto"),
        ("1f408", "pixel"),
        ("1f415", "noto"),
        ("1f68c", "pixel"),
        ("1f363", "mono"),
        ("1f338", "noto"),
        ("1f34e", "mono"),
    ]


def test_salaryman_in_oil_is_unseen() -> None:
    assert is_unseen(SALARYMAN, "oil")


def test_about_one_pair_in_ten_is_unseen() -> None:
    codes = [f"{code:x}" for code in range(0x1F300, 0x1F300 + 1000)]
    styles = [style for style in CORPUS_STYLES if style != DEFAULT_STYLE]
    share = sum(is_unseen(code, style) for code in codes for style in styles) / (len(codes) * len(styles))
    assert 0.09 < share < 0.115


def test_the_default_style_is_never_unseen() -> None:
    codes = [f"{code:x}" for code in range(0x1F300, 0x1F300 + 1000)]
    assert not any(is_unseen(code, DEFAULT_STYLE) for code in codes)


def test_the_japan_split_has_sixty_concepts() -> None:
    assert len(read_list("japan")) >= 60


@pytest.mark.parametrize("name", ["japan", "left_out", "onomatopoeia", "japanglish"])
def test_a_list_names_nothing_twice(name: str) -> None:
    words = read_list(name)
    assert len(words) == len(set(words)), sorted(word for word in set(words) if words.count(word) > 1)


def test_a_word_is_onomatopoeia_or_japanglish_not_both() -> None:
    assert not set(read_list("onomatopoeia")) & set(read_list("japanglish"))


@pytest.mark.parametrize("emoji", ["⛩", "🗻", "🍣", "👘", "🚄", "🎏"])
def test_the_japan_split_has_what_japan_is_known_for(emoji: str) -> None:
    assert emoji in read_list("japan")
