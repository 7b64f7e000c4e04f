"""Everything that jsd raises, or warns of, on purpose.

::

    JsdError                    exit code 2: what was asked for cannot be done
     ├── InvalidInputError      a field breaks a rule; also a ValueError
     │    └── ImageFileError    a picture that cannot be read, or not safely
     ├── ModelFolderError       a model folder that is missing, incomplete or damaged
     ├── MissingExtraError      an optional package that is not installed; names the command that installs it
     ├── CorpusError            sources or corpus files that are missing or fail their checksum
     ├── CheckpointError        a training run that cannot start or go on as asked
     ├── ServingError           a server that cannot start, or cannot write its pictures
     └── GenerationError        exit code 1: the model ran and gave no usable picture
          └── UnsafeImagesError the safety checker withheld every picture
    Note (a UserWarning)       what there is to know of a picture that was drawn

An error is a code, a sentence with the rule, the value and the remedy, and the values that belong in it: the code stays
the same in every language and version, the sentence is translated when it is shown (`jsd.i18n`).
"""

import copyreg
from collections.abc import Sequence

from jsd.i18n import _

MAX_SHOWN = 200  # characters of a value in its sentence; `params` has them all


class Sentence(Exception):
    """`sentence` is English, a format string; `params` are the values that it names, and others for programs."""

    def __init__(self, code: str, sentence: str, /, **params: object) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
        self.params = params

    def __reduce__(self) -> tuple[object, ...]:
        """For other processes, whatever arguments a class is made with."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        shown = dict(self.params)
        if len(str(shown.get("value", ""))) > MAX_SHOWN:
            shown["value"] = f"{str(shown['value'])[:MAX_SHOWN]}…"
        return _(self.sentence, **shown)


class Note(Sentence, UserWarning):
    """Of a picture or its request: words that are not read, what was cut off, scaled or withheld."""

    def record(self) -> dict[str, object]:
        """For a file or an answer: the code is the same in every language."""
        return {"code": self.code, "message": str(self), **self.params}


class JsdError(Sentence):
    exit_code = 2


class InvalidInputError(JsdError, ValueError):
    """`params["field"]` is the name of the offending input."""

    @property
    def field(self) -> str:
        return str(self.params["field"])


class ImageFileError(InvalidInputError):
    pass


class ModelFolderError(JsdError):
    pass


class MissingExtraError(JsdError, ImportError):
    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            "extra.missing",
            "this needs the package {package}, which is not installed; in the project's folder "
            "run: pip install -e '.[{extra}]'",
            package=package,
            extra=extra,
        )


class CorpusError(JsdError):
    pass


class CheckpointError(JsdError):
    pass


class ServingError(JsdError):
    pass


class GenerationError(JsdError):
    exit_code = 1


class UnsafeImagesError(GenerationError):
    """`withheld` has the seed and the score of each picture."""

    def __init__(self, withheld: Sequence[Note]) -> None:
        scores = ", ".join(f"{one.params['seed']}: {one.params['score']:g}" for one in withheld)
        super().__init__(
            "safety.all_withheld",
            "NSFW content detected: the safety checker withheld every picture (score of each "
            "seed: {scores}); try another seed or prompt",
            scores=scores,
        )
        self.withheld = tuple(withheld)


def first_line(error: Exception) -> str:
    """What another package's error says, in one line; the name of one without words."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
