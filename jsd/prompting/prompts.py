"""What reaches the model of the texts of a request, and what to tell their author about it."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from jsd.errors import InvalidInputError, MissingExtraError, Note
from jsd.i18n import N_
from jsd.options import SamplingOptions
from jsd.prompting.concepts import KnownConcepts, normal
from jsd.prompting.emphasis import WeightedText, parse_emphasis
from jsd.prompting.kana import KanaSpelling, kana_spellings
from jsd.prompting.negative import split_negative
from jsd.prompting.styles import check_style, readable_styles, with_style
from jsd.prompting.tokenizer import JapaneseTokenizer, Piece, PromptReport, printable
from jsd.prompting.windows import cut_into_windows

# Hiragana, katakana and its extensions, ideographs with their extensions and compatibility forms, half-width katakana.
_JAPANESE = re.compile(
    "[々〆\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
MAX_SHOWN = 40  # characters of a text in a sentence
MAX_PAIRS = 10  # of words with their spellings in a sentence
MAX_METRIC = 500  # characters of a text in a metric


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of the text, read as a prompt of its own; the pieces' offsets are those of `PromptReading.read`."""

    text: str
    pieces: tuple[Piece, ...]
    input_ids: tuple[int, ...]  # (L,)
    weights: tuple[float, ...]  # (L,), 1 for </s> and padding

    def pieces_to_json(self) -> list[dict[str, object]]:
        weighted = zip(self.pieces, self.weights, strict=False)  # the weights go on over the padding
        return [asdict(piece) | {"weight": weight} for piece, weight in weighted]


@dataclass(frozen=True, kw_only=True)
class PromptReading:
    """How one text of a request is read: `text` as typed, `source` without syntax, `windows` for the encoder."""

    field: str
    text: str
    source: WeightedText
    report: PromptReport
    windows: tuple[Window, ...]
    spellings: tuple[KanaSpelling, ...]  # what can be read instead of unread words
    replaced: bool  # the spellings are in `source`
    tail: str  # of the user's text, what does not reach the model
    empty: Window  # what pads to a number of windows
    things: tuple[str, ...] = ()  # names of what the model knows, as often as they stand in a prompt
    around: tuple[str, ...] = ()  # what stands before, between and behind their spellings
    near: tuple[str, ...] | None = None  # of a prompt in which nothing is known: known names that look alike
    is_a_name: bool = False  # all of it, of something known: UFO
    design: str = ""  # what is read behind it, as the seed chose: see jsd.prompting.designs
    windows_in_design: tuple[Window, ...] = ()

    @property
    def read(self) -> str:
        """The text that is tokenized."""
        return self.source.text

    @property
    def num_tokens(self) -> int:
        return sum(len(window.pieces) + 1 for window in self.windows)

    @property
    def num_tokens_available(self) -> int:
        return len(self.windows) * self.report.model_max_length

    @property
    def unread(self) -> list[str]:
        """The different characters that do not reach the model."""
        return list(dict.fromkeys(character.text for character in self.report.unread))

    @property
    def replacements(self) -> dict[str, str]:
        """word -> kana, of what was replaced."""
        return {one.text: one.kana for one in self.spellings} if self.replaced else {}

    def padded(self, num_windows: int) -> list[Window]:
        """The windows, in its design if it has one, and empty ones up to `num_windows`."""
        windows = self.windows_in_design or self.windows
        return [*windows, *[self.empty] * (num_windows - len(windows))]

    def notes(self) -> list[Note]:
        """What the author of the text should know, unread characters first."""
        unread, kana = self.report.notes(self.field), self._kana_notes()
        first = kana + unread if self.replaced else unread + kana
        return [*first, *self._known_notes(), *self._length_notes(), *self._language_notes()]

    def _known_notes(self) -> list[Note]:
        if self.near is None:
            return []
        if not self.near:
            return [
                Note(
                    "prompt.unknown",
                    "{field}: nothing in it is a thing that this model knows, so the picture will mean little; "
                    "«jsd concepts» lists what it knows",
                    field=self.field,
                )
            ]
        return [
            Note(
                "prompt.unknown_near",
                "{field}: nothing in it is a thing that this model knows, so the picture will mean little; it knows "
                "{near}, and more: «jsd concepts WORD» searches",
                field=self.field,
                near="、".join(self.near),
            )
        ]

    def _length_notes(self) -> list[Note]:
        notes = []
        if self.tail:
            notes.append(
                Note(
                    "prompt.cut",
                    "{field}: the prompt needs {needed} tokens and the model reads {available}: from character {start} "
                    "on it is ignored («{tail}»); shorten it",
                    field=self.field,
                    needed=self.report.num_tokens_needed,
                    available=self.report.model_max_length,
                    start=len(self.text) - len(self.tail) + 1,
                    tail=printable(_shortened(self.tail, MAX_SHOWN)),
                )
            )
        if len(self.windows) > 1:
            notes.append(
                Note(
                    "prompt.chunked",
                    "{field}: the prompt needs more tokens than the {available} that the model reads at once, so it is "
                    "read in {count} parts: {parts}",
                    field=self.field,
                    available=self.report.model_max_length,
                    count=len(self.windows),
                    parts=" / ".join(printable(_shortened(one.text.strip(), MAX_SHOWN)) for one in self.windows),
                )
            )
        return notes

    def _language_notes(self) -> list[Note]:
        if self.is_a_name or not any(character.isalpha() for character in self.read) or _JAPANESE.search(self.read):
            return []
        return [
            Note(
                "prompt.not_japanese",
                "{field}: the model learnt from Japanese captions and finds no Japanese here; write it in Japanese for "
                "a better picture",
                field=self.field,
            )
        ]

    def _kana_notes(self) -> list[Note]:
        pairs = list(dict.fromkeys(f"{printable(one.text)} → {one.kana}" for one in self.spellings))
        if not pairs:
            return []
        spellings = "、".join(pairs if len(pairs) <= MAX_PAIRS else [*pairs[:MAX_PAIRS], "…"])
        if self.replaced:
            words = N_("{field}: words that the vocabulary cannot read were replaced by their kana: {spellings}")
            return [Note("prompt.replaced", words, field=self.field, spellings=spellings)]
        suggestion = printable(self.suggestion())
        if suggestion == printable(self.text) or len(suggestion) > 2 * MAX_SHOWN:
            words = N_(
                "{field}: the model can read the kana spelling: {spellings}; write it so, or set unknown_words to "
                "replace"
            )
        else:
            words = N_(
                "{field}: the model can read the kana spelling: {spellings}; write «{suggestion}», or set "
                "unknown_words to replace"
            )
        return [Note("prompt.kana", words, field=self.field, spellings=spellings, suggestion=suggestion)]

    def suggestion(self) -> str:
        """The text as typed, syntax and all, with the kana spellings that the vocabulary can read."""
        text = self.text
        for one in reversed(() if self.replaced else self.spellings):
            start, end = self.source.origins[one.start], self.source.origins[one.end - 1] + 1
            if text[start:end] == one.text:  # else a bracket stands inside the word
                text = text[:start] + one.kana + text[end:]
        return text

    def to_json(self) -> dict[str, object]:
        """The report of `read`, and what was made of it."""
        windows = [{"text": one.text, "pieces": one.pieces_to_json()} for one in self.windows]
        return self.report.to_json() | {
            "text": self.text,
            "read": self.read,
            "num_tokens": self.num_tokens,
            "windows": windows,
            "kana": {one.text: one.kana for one in self.spellings},
            "replaced": self.replacements,
            "tail": self.tail,
            "warnings": list(map(str, self.notes())),
        }


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Both texts of a request."""

    prompt: PromptReading
    negative_prompt: PromptReading

    def notes(self) -> list[Note]:
        return [*self.prompt.notes(), *self.negative_prompt.notes()]

    @property
    def replacements(self) -> dict[str, str]:
        return self.negative_prompt.replacements | self.prompt.replacements

    def num_windows(self, *, guided: bool) -> int:
        """The prompt and, where it is used, the negative prompt are padded to the longer of the two."""
        used = (self.prompt, self.negative_prompt) if guided else (self.prompt,)
        return max(len(reading.windows) for reading in used)

    def provenance(self) -> dict[str, object]:
        """What the picture's file says of its texts beside the options."""
        said = {"replaced": self.replacements, "design": self.prompt.design}
        return {name: value for name, value in said.items() if value}

    def metrics(self) -> dict[str, object]:
        """For the service's clients, by the name of the metric."""
        return {
            "tokens.used": self.prompt.num_tokens,
            "tokens.available": self.prompt.num_tokens_available,
            "unread": self.prompt.unread,
            "replaced": self.replacements,
            "cut_off": _shortened(self.prompt.tail, MAX_METRIC),
            "warnings": list(map(str, self.notes())),
        }


def read_prompts(tokenizer: JapaneseTokenizer, options: SamplingOptions) -> Prompts:
    """The texts of a request; the prompt may hold negative ones (`jsd.prompting.negative`)."""
    check_style(readable_styles(tokenizer), options.style)
    prompt, negative = split_negative(with_style(options.prompt, options.style))
    negatives = [text for text in (options.negative_prompt, negative) if text]
    unknown_words, long_prompt = options.unknown_words, options.long_prompt
    read = read_prompt(tokenizer, prompt, "prompt", unknown_words, long_prompt)
    if options.loras:  # whose trigger words the model's own list does not have
        read = replace(read, near=None)
    return Prompts(
        prompt=read,
        negative_prompt=read_prompt(tokenizer, "、".join(negatives), "negative_prompt", unknown_words, long_prompt),
    )


def shared_num_windows(prompts: Sequence[Prompts], *, guided: bool) -> int:
    """Of a batch: the same for all, as padding a request to another's length would change its picture."""
    different = sorted({one.num_windows(guided=guided) for one in prompts})
    if len(different) > 1:
        raise InvalidInputError(
            "batch.windows",
            "the prompts of one batch must need the same number of windows, and these need "
            "{value}; draw them one after the other",
            field="prompt",
            value=", ".join(map(str, different)),
        )
    return different[0]


def read_prompt(
    tokenizer: JapaneseTokenizer,
    text: str,
    field: str = "prompt",
    unknown_words: str = "warn",
    long_prompt: str = "chunk",
) -> PromptReading:
    """One text; `field` is the input to name where it cannot be read. For the choices see `SamplingOptions`."""
    source = parse_emphasis(text, field)
    report = tokenizer.describe(source.text, field=field)
    spellings: list[KanaSpelling] = []
    if report.unread:
        try:
            spellings = kana_spellings(tokenizer, source.text, report.unread)
        except MissingExtraError:
            if unknown_words == "replace":
                raise
    known = tokenizer.known
    if known is not None:
        spellings = [one for one in spellings if normal(one.kana) in known.by_spelling]
    replaced = unknown_words == "replace" and len(spellings) > 0
    if replaced:
        source = source.replace([(one.start, one.end, one.kana) for one in spellings])
        report = tokenizer.describe(source.text, field=field)
    tail = ""
    if report.tail_start is None or long_prompt == "truncate":
        windows = [_window(tokenizer, source, report, 0)]
        if report.tail_start is not None:
            tail = text[source.origins[report.tail_start] :]
    else:
        windows = [
            _window(tokenizer, source, tokenizer.describe(source.text[start:end], field=field), start)
            for start, end in cut_into_windows(tokenizer, source.text, field)
        ]
    return PromptReading(
        field=field,
        text=text,
        source=source,
        report=report,
        windows=tuple(windows),
        spellings=tuple(spellings),
        replaced=replaced,
        tail=tail,
        empty=_window(tokenizer, source, tokenizer.describe(""), 0),
        is_a_name=known is not None and normal(source.text) in known.by_spelling,
        **(_known(known, source, text, windows) if field == "prompt" else {}),
    )


def _known(known: KnownConcepts | None, source: WeightedText, typed: str, windows: Sequence[Window]) -> dict[str, Any]:
    """`things`, `around` and `near` of a `PromptReading`. Brackets part words, too: 猫（黒）."""
    if known is None or not source.text.strip():
        return {}
    ends = [end for window in windows for piece in window.pieces for end in (piece.start, piece.end)]
    places = (*source.origins, len(typed))
    text, found = source.text, known.find(source.text, ends)
    if not found:
        text, found = typed, known.find(typed, [places[end] for end in ends])
    if not found:
        return {"near": tuple(known.near(source.text))}
    starts, stops = [0, *(one.end for one in found)], [*(one.start for one in found), len(text)]
    around = tuple(text[start:stop] for start, stop in zip(starts, stops, strict=True))
    return {"things": tuple(one.concept.name for one in found), "around": around}


def _window(tokenizer: JapaneseTokenizer, source: WeightedText, report: PromptReport, start: int) -> Window:
    """The part of `source` that `report` is about, which begins at `start`."""
    pieces = tuple(
        Piece(text=piece.text, id=piece.id, start=start + piece.start, end=start + piece.end) for piece in report.pieces
    )
    padding = report.model_max_length - len(pieces) - 1
    return Window(
        text=report.text,
        pieces=pieces,
        input_ids=(*(piece.id for piece in pieces), tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding),
        weights=(*(source.weight(piece.start, piece.end) for piece in pieces), *[1.0] * (padding + 1)),
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"
