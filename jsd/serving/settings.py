"""What reaches the predictor through Cog's server: settings by the environment, words of the front by Cog's context."""

import os
from contextlib import suppress

from jsd.errors import InvalidInputError

# "1": a request may name pictures in networks that are not public.
ALLOW_PRIVATE = "JSD_ALLOW_PRIVATE_ADDRESSES"
# The most that one request may cost: steps x pictures x pixels, in millions. Unset or empty: no bound.
MAX_COST = "JSD_MAX_MEGAPIXEL_STEPS"
# A key of the context of a prediction: what its author should know, a JSON list of sentences.
NOTES = "jsd_notes"


def max_cost() -> float | None:
    """As the environment says; None: no bound."""
    value = os.environ.get(MAX_COST, "")
    return None if value == "" else check_cost(value, MAX_COST)


def check_cost(value: float | str, field: str) -> float:
    with suppress(ValueError):
        if 0 < float(value) < float("inf"):
            return float(value)
    raise InvalidInputError(
        "serve.bound",
        "{field} must be a number above 0, got {value}; 25 steps of one picture of 512x512 px are 6.6",
        field=field,
        value=repr(value),
    )
