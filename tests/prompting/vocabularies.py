"""The vocabularies that prompts are read with: one made here, the embedded model's, the released one where it is."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from toy_folder import train_vocabulary

from jsd.prompting.styles import STYLES
from jsd.prompting.tokenizer import JapaneseTokenizer
from tests.conftest import RELEASED

ROOT = Path(__file__).parents[2]
# Nothing in it is unread; far more than 16 tokens.
LONG = "夏の海と青い空の下で、赤い帽子をかぶった女の子が大きな犬と歩いている、富士山と桜の水彩画、油絵"
UNREAD, KANA = "簪", "かんざし"  # a word that none reads, and its spelling, which all read
WORDS = "サラリーマン 油絵 水彩画 富士山 ラーメン ガンダム ケーキ レモン オウム いちご ふくろう 猫 cat"
LETTERS = "".join(map(chr, [*range(ord("ぁ"), ord("ん") + 1), *range(ord("ァ"), ord("ー") + 1), *range(33, 127)]))
KANJI = "犬絵森飯株"


def made_here() -> JapaneseTokenizer:
    """In the released one's manner: its control pieces, [PAD] not declared as such, no settings beside it."""
    with TemporaryDirectory() as folder:
        train_vocabulary(
            Path(folder),
            [LONG, *STYLES.values(), *WORDS.split() * 20, *LETTERS.lower(), *KANJI],
            model_type="bpe",
            vocab_size=450,
            character_coverage=1.0,
            pad_id=-1,
            control_symbols=["[PAD]", "[CLS]", "[SEP]", "[MASK]"],
        )
        return JapaneseTokenizer.load(Path(folder))


def embedded() -> JapaneseTokenizer:
    """Its vocabulary alone: what comes of the things that the model knows is for test_concepts.py."""
    tokenizer = JapaneseTokenizer.load(ROOT / "weights" / "mini" / "tokenizer")
    tokenizer.known = None
    return tokenizer


VOCABULARIES: dict[str, Callable[[], JapaneseTokenizer]] = {"made here": made_here, "embedded": embedded}
for _folder in RELEASED:
    if (_folder / "spiece.model").is_file():
        VOCABULARIES["released"] = lambda folder=_folder: JapaneseTokenizer.load(folder)
