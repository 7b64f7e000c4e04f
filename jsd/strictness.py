"""Whether the operator lets requests loosen the safety checker; without torch, for those who only pass requests on."""

import os

from jsd.errors import InvalidInputError
from jsd.options import SamplingOptions

REQUIRED = "JSD_REQUIRE_SAFETY_CHECKER"  # of the environment; "1": no picture leaves unjudged


def is_required() -> bool:
    return os.environ.get(REQUIRED, "") not in ("", "0")


def check_strict(options: SamplingOptions) -> None:
    for field in ("disable_safety_checker", "safety_threshold"):
        if is_required() and getattr(options, field) > 0:
            raise InvalidInputError(
                "safety.must_check",
                "{field} must not loosen the safety checker here, got {value}; leave it out",
                field=field,
                value=getattr(options, field),
            )
