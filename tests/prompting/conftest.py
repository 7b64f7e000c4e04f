import pytest
from vocabularies import VOCABULARIES

from jsd.prompting.tokenizer import JapaneseTokenizer


@pytest.fixture(scope="session", params=VOCABULARIES)
def tokenizer(request: pytest.FixtureRequest) -> JapaneseTokenizer:
    return VOCABULARIES[request.param]()


@pytest.fixture(scope="session", params=[name for name in VOCABULARIES if name != "embedded"])
def full(request: pytest.FixtureRequest) -> JapaneseTokenizer:
    """Of 77 tokens, and what it reads is known here."""
    return VOCABULARIES[request.param]()


@pytest.fixture(scope="session", params=VOCABULARIES)
def short(request: pytest.FixtureRequest) -> JapaneseTokenizer:
    """In a window of 16 tokens."""
    tokenizer = VOCABULARIES[request.param]()
    tokenizer.model_max_length = 16
    return tokenizer
