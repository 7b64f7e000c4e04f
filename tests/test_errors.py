"""An error's sentence is one that fits on a screen; nothing of what it is about is lost."""

import pickle

import pytest

from jsd.errors import InvalidInputError, MissingExtraError, Note, Sentence, UnsafeImagesError


def test_a_long_value_is_shortened_in_the_sentence_alone() -> None:
    for value, shown in ((10**4000, f"1{'0' * 199}…"), (513, "513")):
        error = InvalidInputError("options.whole", "{field}, got {value}; try", field="seed", value=value)
        assert str(error) == f"seed, got {shown}; try" and error.params["value"] == value


FLAGGED = Note("safety.withheld", "seed {seed}: {score}", seed=3, score=0.1)


@pytest.mark.parametrize(
    "error",
    [
        InvalidInputError("options.whole", "{field}, got {value}", field="seed", value=-1),
        MissingExtraError("sudachipy", "readings"),
        UnsafeImagesError([FLAGGED]),
        FLAGGED,
    ],
)
def test_an_error_comes_back_from_another_process(error: Sentence) -> None:
    """A pool of processes waits for ever for one that does not."""
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.code, str(back), back.params) == (type(error), error.code, str(error), error.params)
    assert list(map(str, getattr(back, "withheld", []))) == list(map(str, getattr(error, "withheld", [])))
