"""An error's sentence is one that fits on a screen; nothing of what it is about is lost."""

from jsd.errors import InvalidInputError


def test_a_long_value_is_shortened_in_the_sentence_alone() -> None:
    seed = 10**4000
    error = InvalidInputError("options.whole", "{field}, got {value}", field="seed", low=0, high=1, value=seed)
    assert len(str(error)) < 220 and f"{'1':0<200}…" in str(error)
    assert error.params["value"] == seed


def test_a_short_value_is_shown_whole() -> None:
    assert "got 513;" in str(
        InvalidInputError("size.multiple", "{field}, got {value}; try", field="width", value=513, factor=8, near=512)
    )
