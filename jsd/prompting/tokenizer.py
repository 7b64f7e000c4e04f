"""Japanese text -> input_ids, exactly as the released model reads it; and a report of what it could not read.

The reference is the slow T5 tokenizer of transformers 4 with `do_lower_case=True`: lower-case first, then
SentencePiece (which normalises with `nmt_nfkc`), cut, `</s>`, padding. No beginning token.
"""

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from jsd.errors import InvalidInputError, ModelFolderError, Note
from jsd.prompting.concepts import KnownConcepts

VOCABULARY_FILE = "spiece.model"
DEFAULT_MAX_LENGTH = 77
# Around the names of control pieces in what transformers reads (see `jsd.models.tokenizer_json`): nobody types them.
PRIVATE_MARKS = "\ue000\ue001"
# Hugging Face writes int(1e30) into tokenizer_config.json for a length that nobody set.
UNSET_LENGTH = 10**9
# Ids that steer the text encoder; a prompt that spells one of these names must not produce its id.
CONTROL_PIECES = ("<s>", "</s>", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
MAX_CHARACTERS_NAMED = 10
ZERO_WIDTH_JOINER = "\u200d"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One token; `start` and `end` are the characters of the user's text that it covers."""

    text: str
    id: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class UnreadCharacter:
    """A character as the user typed it, with its joiners and accents, that becomes `<unk>`."""

    text: str
    start: int


@dataclass(frozen=True, kw_only=True)
class PromptReport:
    """How a prompt is read: the `pieces` that reach the model; `</s>` counts as a token, padding does not."""

    text: str
    pieces: tuple[Piece, ...]
    num_tokens: int
    num_tokens_needed: int
    model_max_length: int
    unread: tuple[UnreadCharacter, ...]
    tail_start: int | None

    @property
    def tail(self) -> str:
        """The end of the user's text that does not reach the model."""
        return "" if self.tail_start is None else self.text[self.tail_start :]

    def notes(self, field: str = "prompt") -> list[Note]:
        """Of the unread characters, where there are any; what falls off is for `jsd.prompting.prompts` to say."""
        if not self.unread:
            return []
        names = list(dict.fromkeys(printable(character.text) for character in self.unread))
        shown = names if len(names) <= MAX_CHARACTERS_NAMED else [*names[:MAX_CHARACTERS_NAMED], "…"]
        return [
            Note(
                "prompt.unread",
                "{field}: the vocabulary cannot read {count} character(s): {characters}; try another spelling, or "
                "another word",
                field=field,
                count=len(names),
                characters=" ".join(shown),
            )
        ]

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "tail": self.tail, "warnings": list(map(str, self.notes()))}


class JapaneseTokenizer:
    """A SentencePiece vocabulary with the fixed-length window of its text encoder."""

    def __init__(
        self,
        processor: SentencePieceProcessor,
        model_max_length: int,
        do_lower_case: bool,
        pad_token: str | None = None,
    ) -> None:
        self._processor = processor
        self.known: KnownConcepts | None = None  # what the model of this vocabulary draws, where its folder says so
        self.model_max_length = model_max_length
        self.do_lower_case = do_lower_case
        self.vocab_size: int = processor.vocab_size()
        self.unk_token_id: int = processor.unk_id()
        self.eos_token_id: int = processor.eos_id()
        # rinna's vocabulary does not declare its padding piece: it is found by name.
        declared: int = processor.pad_id()
        self.pad_token_id: int = declared if declared >= 0 else processor.piece_to_id("[PAD]")
        named = self.unk_token_id if pad_token is None else processor.piece_to_id(pad_token)
        if named != self.unk_token_id:
            self.pad_token_id = named

    @classmethod
    def load(cls, folder: Path) -> "JapaneseTokenizer":
        """Read `spiece.model` and, where present, `tokenizer_config.json` from a model's tokenizer folder."""
        path = Path(folder) / VOCABULARY_FILE
        processor = SentencePieceProcessor()
        try:
            if not path.is_file():  # a pipe would be waited for
                raise FileNotFoundError(path)
            processor.LoadFromSerializedProto(path.read_bytes())
        except OSError as error:
            raise ModelFolderError(
                "tokenizer.missing",
                "a tokenizer folder must hold a SentencePiece vocabulary and {path} cannot be read; "
                "fetch the model again, or name another folder",
                path=path,
            ) from error
        except RuntimeError as error:
            raise ModelFolderError(
                "tokenizer.damaged",
                "{path} must be a SentencePiece vocabulary and cannot be read as one; fetch or copy it again",
                path=path,
            ) from error
        tokenizer = cls(processor, **_read_config(Path(folder) / "tokenizer_config.json"))
        tokenizer.known = KnownConcepts.load(Path(folder).parent)
        tokenizer._check_control_pieces(path)
        return tokenizer

    def _check_control_pieces(self, path: Path) -> None:
        # A control piece is never produced from text; a "user defined" piece of the same name is.
        known = [name for name in CONTROL_PIECES if self._processor.piece_to_id(name) != self.unk_token_id]
        typed = [name for name in known if not self._processor.is_control(self._processor.piece_to_id(name))]
        if self.eos_token_id < 0 or self.pad_token_id == self.unk_token_id:
            typed = ["</s>", "[PAD]"]
        elif not typed and not self._processor.is_control(self.pad_token_id):
            typed = ["[PAD]"]
        if typed:
            raise ModelFolderError(
                "tokenizer.no_control",
                "in {path} these must be control pieces, so that no prompt can type them: {pieces}; "
                "train the vocabulary with control_symbols, not user_defined_symbols",
                path=path,
                pieces=", ".join(typed),
            )

    def encode(self, text: str, *, field: str = "prompt") -> list[int]:
        """text -> input_ids (model_max_length,); `field` is the input named where the text cannot be read."""
        input_ids: list[int] = self._processor.encode(self._lower(text, field))
        input_ids = [*input_ids[: self.model_max_length - 1], self.eos_token_id]
        return input_ids + [self.pad_token_id] * (self.model_max_length - len(input_ids))

    def describe(self, text: str, *, field: str = "prompt") -> PromptReport:
        """How `text` is read: its pieces, what the vocabulary cannot read, what falls off the end."""
        lowered = self._lower(text, field)
        # lowered offset -> offset in the user's text: İ is the one character that lower-cases into two.
        origins = [i for i, character in enumerate(text) for _same in character.lower()]
        origins = [*(origins if self.do_lower_case else range(len(text))), len(text)]
        encoding = self._processor.encode_as_offset_mapping(lowered)
        pieces = [
            Piece(text=piece, id=i, start=origins[start], end=origins[end])
            for piece, i, (start, end) in zip(encoding["pieces"], encoding["ids"], encoding["offsets"], strict=True)
        ]
        kept = pieces[: self.model_max_length - 1]
        return PromptReport(
            text=text,
            pieces=tuple(kept),
            num_tokens=len(kept) + 1,
            num_tokens_needed=len(pieces) + 1,
            model_max_length=self.model_max_length,
            unread=tuple(_join_characters(text, self._unread_spans(lowered, pieces, origins))),
            tail_start=None if len(kept) == len(pieces) else pieces[len(kept)].start,
        )

    def _lower(self, text: str, field: str) -> str:
        surrogate = re.search("[\ud800-\udfff]", text)
        if surrogate is not None:
            value, position = f"U+{ord(surrogate.group()):04X}", surrogate.start() + 1
            raise InvalidInputError(
                "prompt.surrogate",
                "{field} must be valid Unicode text: {value} at character {position} is half of a "
                "surrogate pair; type or decode the text again as UTF-8",
                field=field,
                value=value,
                position=position,
            )
        # A letter at a time, as what trained the vocabulary did it: a Σ at the end of a word is σ then, not ς.
        return "".join(letter.lower() for letter in text) if self.do_lower_case else text

    def _unread_spans(self, lowered: str, pieces: list[Piece], origins: list[int]) -> Iterator[tuple[int, int]]:
        """The spans of the user's text behind each normalised character that is in no piece."""
        # The pieces, joined, are the normalised text; neighbouring unknown characters share one piece.
        offsets = self._processor.normalize(lowered, with_offsets=True)[1]
        position = 0
        for piece in pieces:
            if piece.id == self.unk_token_id:
                for start in offsets[position : position + len(piece.text)]:
                    end = offsets[bisect_right(offsets, start)]
                    yield origins[start], origins[end - 1] + 1
            position += len(piece.text)


def _join_characters(text: str, spans: Iterator[tuple[int, int]]) -> list[UnreadCharacter]:
    """Join what a reader sees as one character: emoji with joiners, variation selectors, combining marks."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] >= start and (start < joined[-1][1] or _continues(text, start)):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [UnreadCharacter(text=text[start:end], start=start) for start, end in joined]


def _continues(text: str, start: int) -> bool:
    character = text[start]
    return (
        unicodedata.category(character) in {"Mn", "Me", "Cf"}
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or text[start - 1] == ZERO_WIDTH_JOINER
    )


def printable(text: str) -> str:
    """`text` on one line: what a terminal would obey, or cannot show, becomes its code point."""
    alone = {"Mn", "Me"} if len(text) == 1 else set()
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"} | alone
    return "".join(
        f"U+{ord(c):04X}" if unicodedata.category(c) in hidden and (c != ZERO_WIDTH_JOINER or alone) else c
        for c in text
    )


def _read_config(path: Path) -> dict[str, Any]:
    """tokenizer_config.json: "model_max_length", "do_lower_case", "pad_token" (a name, or None).

    Where it is silent: 77; yes, as the released model was trained, but in an SDXL folder as transformers' T5 tokenizer,
    which leaves letters alone; [PAD].
    """
    config: Any = {}
    if path.is_file():
        try:
            config = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _wrong_config(path, "JSON") from error
    if not isinstance(config, dict):
        raise _wrong_config(path, "a JSON object")
    length = config.get("model_max_length", DEFAULT_MAX_LENGTH)
    if isinstance(length, int | float) and length > UNSET_LENGTH:
        length = DEFAULT_MAX_LENGTH
    if type(length) is not int or length < 2:
        raise _wrong_config(path, "model_max_length, a whole number from 2")
    is_sdxl = (path.parent.parent / "text_encoder_2").is_dir()
    do_lower_case = config.get("do_lower_case", not is_sdxl)
    if type(do_lower_case) is not bool:
        raise _wrong_config(path, "do_lower_case, true or false")
    pad_token = config.get("pad_token")
    if isinstance(pad_token, dict):
        pad_token = pad_token.get("content")
    return {
        "model_max_length": length,
        "do_lower_case": do_lower_case,
        "pad_token": pad_token.strip(PRIVATE_MARKS) if isinstance(pad_token, str) else None,
    }


def _wrong_config(path: Path, rule: str) -> ModelFolderError:
    return ModelFolderError(
        "tokenizer.config",
        "{path} must hold {rule}; correct it, or delete it to get 77 tokens and lower-casing",
        path=path,
        rule=rule,
    )
