"""What is said to a visitor of the page of a request, in the language of the moment."""

from collections.abc import Iterable

from jsd.errors import Sentence
from jsd.i18n import _
from jsd.serving.page import markup
from jsd.serving.page.drawing import Done, Step, Waiting
from jsd.serving.page.words import label, sentence


def tell(told: Waiting | Step | Done, scorer: str | None = None) -> str:
    """`scorer` is the name of what the pictures' order comes from."""
    if isinstance(told, Waiting):
        return _waiting(told)
    return _step(told) if isinstance(told, Step) else _done(told, scorer)


def complain(error: Sentence) -> str:
    return markup.failed(sentence(error))


def complain_of(names: Iterable[str]) -> str:
    """`names`: the options of a file that the page has no input for."""
    left_out = ", ".join(map(label, names))
    return markup.failed(_("Not taken over from the file, so another picture will be drawn: {names}.", names=left_out))


def cancelled() -> str:
    return markup.finished(_("Cancelled."), [])


def _waiting(told: Waiting) -> str:
    said = _("Visitors before you: {count}.", count=told.ahead)
    if told.seconds is not None:
        said += " " + _("Your turn comes in about {seconds} s.", seconds=max(1, round(told.seconds)))
    return markup.drawing(said, None, None)


def _step(told: Step) -> str:
    if told.number == 0:
        return markup.drawing(_("Starting"), None, None)
    said = _("Step {step} of {num_steps}", step=told.number, num_steps=told.num_steps)
    if told.seconds is not None and told.seconds >= 1:
        said += " · " + _("about {seconds} s left", seconds=round(told.seconds))
    return markup.drawing(said, told.number / told.num_steps, told.preview)


def _done(told: Done, scorer: str | None) -> str:
    """What was drawn; which pictures the safety checker withheld; what the prompt's author should know."""
    said = _(
        "{count} picture(s) in {seconds:.1f} s, seed {seeds}",
        count=len(told.seeds),
        seconds=told.seconds,
        seeds=", ".join(map(str, told.seeds)),
    )
    # Which kana can be read instead stands beside the prompt.
    notes = [sentence(note) for note in told.notes if note.code != "prompt.kana"]
    order = [] if scorer is None else [_("Best first, as {name} judges.", name=scorer)]
    return markup.finished(said, order + notes)
