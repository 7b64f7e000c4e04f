from pathlib import Path

import pytest

from jsd.tokenizer import JapaneseTokenizer

RINNA = Path(__file__).parents[2].parent / "shared" / "data" / "rinna-tokenizer"


@pytest.fixture(scope="session")
def rinna() -> JapaneseTokenizer:
    if not (RINNA / "spiece.model").is_file():
        pytest.skip(f"rinna's vocabulary is not at {RINNA}")
    return JapaneseTokenizer.load(RINNA)


@pytest.fixture(scope="session")
def short() -> JapaneseTokenizer:
    """rinna's vocabulary in the embedded model's window of 16 tokens."""
    if not (RINNA / "spiece.model").is_file():
        pytest.skip(f"rinna's vocabulary is not at {RINNA}")
    tokenizer = JapaneseTokenizer.load(RINNA)
    tokenizer.model_max_length = 16
    return tokenizer
