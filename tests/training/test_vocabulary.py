"""A vocabulary trained on the toy corpus is read as the released one is."""

import shutil
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor

from jsd.errors import CheckpointError
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import import_pictures
from jsd.training.vocabulary import kept_vocabulary, train_caption_tokenizer, train_tokenizer
from runs.blocks import ROOT
from training.corpora.test_records import png


@pytest.fixture(scope="module")
def folder(toy_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer_ja"
    train_tokenizer(toy_corpus, "ja", 200, 16, folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> JapaneseTokenizer:
    return JapaneseTokenizer.load(folder)


def test_it_loads_with_its_own_window(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.model_max_length == 16
    assert len(tokenizer.encode("サラリーマン 油絵")) == 16


def test_control_ids_are_the_released_models(folder: Path, tokenizer: JapaneseTokenizer) -> None:
    processor = SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    assert [processor.id_to_piece(number) for number in range(4)] == ["<unk>", "<s>", "</s>", "[PAD]"]
    assert (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 2, 3)


def test_an_empty_prompt_is_end_and_padding(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.encode("") == [2] + [3] * 15


def test_the_particle_no_is_a_piece_of_its_own(folder: Path, tokenizer: JapaneseTokenizer) -> None:
    assert "の" in [piece.text for piece in tokenizer.describe("油絵の富士山").pieces]
    processor = SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    pieces = [processor.id_to_piece(number) for number in range(processor.vocab_size())]
    assert [piece for piece in pieces if "の" in piece] == ["の"]


def test_upper_and_lower_case_are_one(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.encode("3D") == tokenizer.encode("3d")
    assert not tokenizer.describe("3D").unread


def test_every_word_of_the_corpus_is_read(toy_corpus: Corpus, tokenizer: JapaneseTokenizer) -> None:
    words = [word for found in toy_corpus.words("ja").values() for word in (found.name, *found.keywords)]
    assert [word for word in words if tokenizer.describe(word).unread] == []


def test_a_vocabulary_of_captions_may_be_smaller_than_their_letters(tmp_path: Path) -> None:
    """Those that are most frequent are read."""
    letters = [chr(0x4E00 + number) for number in range(150)]
    texts = tuple("".join(letters[number : number + 10]) for number in range(0, 150, 10)) + ("".join(letters[:60]),) * 9
    shards, _ = import_pictures([Record("a.png", png((255, 0, 0)), texts)], {}, tmp_path / "mine", lambda read: None)
    train_caption_tokenizer(shards, 100, 32, tmp_path / "tokenizer")
    tokenizer = JapaneseTokenizer.load(tmp_path / "tokenizer")
    assert not tokenizer.describe("".join(letters[:60])).unread
    assert len(tokenizer.describe("".join(letters)).unread) == 150 - 80


def test_a_vocabulary_of_a_read_only_folder_can_be_replaced(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model" / "tokenizer")
    for path in (tmp_path / "model" / "tokenizer", *(tmp_path / "model" / "tokenizer").iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    own = tmp_path / "tokenizer_ja"
    kept_vocabulary(own, tmp_path / "model", "", lambda _: None, is_read=False)
    (tmp_path / "model" / "tokenizer").chmod(0o755)
    assert own.stat().st_mode & 0o200 and all(path.stat().st_mode & 0o200 for path in own.iterdir())


def test_the_same_corpus_gives_the_same_vocabulary(toy_corpus: Corpus, folder: Path, tmp_path: Path) -> None:
    train_tokenizer(toy_corpus, "ja", 200, 16, tmp_path)
    assert (tmp_path / "spiece.model").read_bytes() == (folder / "spiece.model").read_bytes()


def test_a_vocabulary_that_is_interrupted_is_not_there(
    toy_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("jsd.training.vocabulary.write_json", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_tokenizer(toy_corpus, "ja", 200, 16, tmp_path / "new")
    assert not (tmp_path / "new").exists(), "a stage would take it, with 77 tokens"
    train_tokenizer(toy_corpus, "ja", 200, 16, tmp_path / "new")
    assert JapaneseTokenizer.load(tmp_path / "new").model_max_length == 16


def test_an_english_vocabulary_cannot_read_japanese(toy_corpus: Corpus, tmp_path: Path) -> None:
    train_tokenizer(toy_corpus, "en", 200, 16, tmp_path)
    tokenizer = JapaneseTokenizer.load(tmp_path)
    assert not tokenizer.describe("office worker, oil painting").unread
    assert tokenizer.describe("富士山").unread


def test_a_vocabulary_is_kept_as_long_as_something_reads_by_it(folder: Path, tmp_path: Path) -> None:
    made: list[str] = []

    def kept(corpus: str, *, is_read: bool, start_from: Path | None = None) -> JapaneseTokenizer:
        def make(place: Path) -> None:
            made.append(corpus)
            shutil.copytree(folder, place)

        return kept_vocabulary(tmp_path / "tokenizer_ja", start_from, corpus, make, is_read=is_read)

    kept("a", is_read=False)
    kept("a", is_read=False)
    assert kept("b", is_read=True).model_max_length == 16
    assert made == ["a"], "the second stage may learn from other pictures"
    kept("b", is_read=False)
    assert made == ["a", "b"], "of a run that had not begun to train"
    assert kept("b", is_read=False, start_from=ROOT / "weights" / "mini").vocab_size == 8000
    assert kept("b", is_read=False).model_max_length == 16, "that of a run that was refused is not the next one's"
    assert made == ["a", "b", "b"]


def test_a_vocabulary_that_was_trained_with_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tokenizer_ja")
    mini = ROOT / "weights" / "mini"
    with pytest.raises(CheckpointError, match="another --output"):
        kept_vocabulary(tmp_path / "tokenizer_ja", mini, "a", unreachable, is_read=True)
    assert kept_vocabulary(tmp_path / "tokenizer_ja", mini, "a", unreachable, is_read=False).vocab_size == 8000
    assert kept_vocabulary(tmp_path / "tokenizer_ja", mini, "a", unreachable, is_read=True).vocab_size == 8000


def unreachable(folder: Path) -> None:
    raise AssertionError(folder)
