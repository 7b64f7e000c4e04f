"""An error's sentence is one that fits on a screen; nothing of what it is about is lost."""

from jsd.errors import InvalidInputError


def test_a_long_value_is_shortened_in_the_sentence_alone() -> None:
    for value, shown in ((10**4000, f"1{'0' * 199}…"), (513, "513")):
        error = InvalidInputError("options.whole", "{field}, got {value}; try", field="seed", value=value)
        assert str(error) == f"seed, got {shown}; try" and error.params["value"] == value
