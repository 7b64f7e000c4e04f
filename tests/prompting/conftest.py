import pytest
from vocabularies import VOCABULARIES, Vocabulary

from jsd.prompting.tokenizer import JapaneseTokenizer


@pytest.fixture(scope="session", params=VOCABULARIES)
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return VOCABULARIES[request.param]


@pytest.fixture(scope="session")
def tokenizer(vocabulary: Vocabulary) -> JapaneseTokenizer:
    return vocabulary.load()


@pytest.fixture(scope="session")
def short(vocabulary: Vocabulary) -> JapaneseTokenizer:
    """The vocabulary in the embedded model's window of 16 tokens."""
    tokenizer = vocabulary.load()
    tokenizer.model_max_length = 16
    return tokenizer


@pytest.fixture(scope="session")
def rinna() -> JapaneseTokenizer:
    return VOCABULARIES["rinna"].load()
