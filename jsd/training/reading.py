"""The reading stage: a text encoder learns new words for what a UNet already draws.

The teacher is the encoder that the UNet was trained with. It reads how a picture has been asked for so far (the short
name, its style); the new encoder, with a vocabulary of its own, learns to say the same of every other way in which
people ask for it. Tohoku's SDXL-jp and AltDiffusion (arXiv 2211.06679) distil encoders so.

A text that asks for more than one thing can be read in parts: the states from its </s> on say them one after another,
the first thing, the second, then a vector for each colour, count, place or relation. So a UNet can attend to one
without the others (of 「AとB」 the state at </s> is a blend of both), and a thing is said as in a text of its own.
"""

import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sentencepiece import SentencePieceProcessor
from torch import Tensor, nn

from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer
from jsd.training.ahead import Ahead
from jsd.training.corpora.phrases import NOTHING, Asked, Phrases
from jsd.training.objectives import Losses
from jsd.training.vocabulary import same_vocabulary

POOLED_WEIGHT = 0.5
ALONE, FIRST, SECOND, MARK = "alone", "first", "second", "mark"  # what a part says of a text
# Of how far things lie from each other: what says which of two a thing is, and a colour, count, place or relation.
ROLE_LENGTH, MARK_LENGTH = 0.7, 1.0


class Teacher:
    """What the UNet is used to: hidden states of the texts that it was trained with.

    Where the encoder that learns is its own teacher, it reads the spellings like the names that pictures go with.
    `has_read`: the teacher learnt by this stage too, so that what it says of a text begins at </s>.
    """

    def __init__(
        self,
        text_encoder: Any,
        tokenizer: JapaneseTokenizer,
        add_embedding: nn.Module | None,
        learns: bool = False,
        has_read: bool = False,
    ) -> None:
        self.text_encoder, self.tokenizer, self.add_embedding = text_encoder, tokenizer, add_embedding
        self.learns, self.has_read = learns, has_read
        self._states: dict[str, Tensor] = {}
        self._starts: dict[str, int] = {}
        self._parts: dict[tuple[str, str], int] = {}  # (role, name) -> its row in the table
        self._table = torch.empty(0, text_encoder.config.hidden_size, device=text_encoder.device)

    @torch.no_grad()
    def states(self, texts: Sequence[str]) -> Tensor:
        """(B, L, D), each text encoded once, or as often as the teacher has learnt something."""
        if self.learns:
            self._states.clear()
        new = list(dict.fromkeys(text for text in texts if text not in self._states))
        if new:
            input_ids = torch.tensor([self.tokenizer.encode(text) for text in new], device=self.text_encoder.device)
            self._states.update(zip(new, self.text_encoder(input_ids).last_hidden_state.float(), strict=True))
        return torch.stack([self._states[text] for text in texts])

    def said(self, texts: Sequence[str]) -> Tensor:
        """(B, D): what the teacher says of each text at its </s>."""
        states = self.states(texts)
        said: Tensor = states[torch.arange(len(texts), device=states.device), self.starts(texts).to(states.device)]
        return said

    def measure(self, names: Sequence[str]) -> None:
        """Where the states of these things lie, and how far apart."""
        states = self.said(names)
        self.centre: Tensor = states.mean(dim=0)
        self.spread: Tensor = states.std(dim=0)

    def direction(self, name: str) -> Tensor:
        """(D,): of that name's own, as long as things lie from their centre."""
        noise = torch.randn(self.spread.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        return self.spread * noise.to(self.spread.device)

    def parts(self, asked: Sequence[Asked]) -> tuple[Tensor, Tensor]:
        """(B, P, D): what the states from </s> on say, as many of a row as it has; (B,) on the CPU: how many."""
        rows = [_roles(one) for one in asked]
        new = list(dict.fromkeys(part for row in rows for part in row if part not in self._parts))
        if new:
            self.states([name for role, name in new if role != MARK] or [""])  # at once
            self._parts.update(zip(new, range(len(self._table), len(self._table) + len(new)), strict=True))
            self._table = torch.cat([self._table, *(self._said_as(*part)[None] for part in new)])
        counts = [len(row) for row in rows]
        numbers = [[self._parts[part] for part in row] + [0] * (max(counts) - len(row)) for row in rows]
        return self._table[torch.tensor(numbers, device=self._table.device)], torch.tensor(counts)

    def _said_as(self, role: str, name: str) -> Tensor:
        """(D,)"""
        if role == MARK:
            return self.centre + MARK_LENGTH * self.direction(name)
        thing = self.said([name])[0]
        return thing if role == ALONE else thing + ROLE_LENGTH * self.direction(role)

    def starts(self, texts: Sequence[str]) -> Tensor:
        """(B,) on the CPU: where in a teacher's text its </s> is; 0 for one that did not learn so, whose whole text
        counts."""
        if not self.has_read:
            return torch.zeros(len(texts), dtype=torch.long)
        for text in texts:
            if text not in self._starts:
                self._starts[text] = self.tokenizer.encode(text).index(self.tokenizer.eos_token_id)
        return torch.tensor([self._starts[text] for text in texts])

    def pooled(self, states: Tensor) -> Tensor | None:
        """states (B, L, D) -> (B, E): the text as it shifts every ResNet block, where the UNet has that."""
        return None if self.add_embedding is None else self.add_embedding(states)


def _roles(asked: Asked) -> list[tuple[str, str]]:
    """The parts of a text, in their order."""
    roles = (ALONE,) if len(asked.things) == 1 else (FIRST, SECOND)
    return [*zip(roles, asked.things, strict=True), *((MARK, name) for name in asked.marks)]


def text_lengths(input_ids: Tensor, tokenizer: JapaneseTokenizer) -> Tensor:
    """input_ids (B, L) -> (B,): the tokens before </s>."""
    return (input_ids == tokenizer.eos_token_id).int().argmax(dim=1)


def target_states(states: Tensor, empty: Tensor, starts: Tensor, lengths: Tensor, window: int) -> Tensor:
    """states (B, L, D) of the teacher, whose texts end at starts (B,), empty (L, D) of the empty text, lengths (B,) of
    the student's text without </s> -> (B, W, D).

    The two texts are laid end to end, </s> on </s>. The encoder is causal, so at the first tokens of a longer text
    nothing is known of it yet: these say what the empty prompt says. The teacher's last state fills the window.
    """
    positions = torch.arange(window, device=states.device)[None] - lengths[:, None] + starts[:, None]  # (B, W)
    placed = positions.clamp(0, states.shape[1] - 1)[..., None].expand(-1, -1, states.shape[-1])
    before = empty[torch.arange(window, device=states.device).clamp(max=len(empty) - 1)]  # (W, D)
    return torch.where(positions[..., None] < 0, before[None], states.gather(1, placed))


def in_turn(target: Tensor, lengths: Tensor, parts: Tensor, counts: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """target (B, W, D), lengths (B,) of the texts without </s>, parts (B, P, D), of which counts (B,) are each row's
    -> (B, W, D) with the parts from </s> on, as many as the window holds; where they are: (rows, positions)."""
    numbers = torch.arange(parts.shape[1])[None]
    positions = lengths[:, None] + numbers  # (B, P)
    rows, columns = ((numbers < counts[:, None]) & (positions < target.shape[1])).nonzero(as_tuple=True)
    at = rows.to(target.device), positions[rows, columns].to(target.device)
    return target.index_put(at, parts[at[0], columns.to(target.device)]), at


def reading_loss(hidden: Tensor, target: Tensor, pooled: Tensor | None, pooled_target: Tensor | None) -> Losses:
    """Squared error of the hidden states (B, W, D) and of the pooled text (B, E), each relative to its variance."""
    states = F.mse_loss(hidden.float(), target) / target.var()
    if pooled is None or pooled_target is None:
        return states, {"states": states}
    shift = F.mse_loss(pooled.float(), pooled_target) / pooled_target.var()
    return states + POOLED_WEIGHT * shift, {"states": states, "pooled": shift}


class Reading:
    """The loss of a step: phrases drawn anew, read by the encoder that learns and by the teacher."""

    def __init__(
        self,
        phrases: Phrases,
        teacher: Teacher,
        tokenizer: JapaneseTokenizer,
        batch_size: int,
        dropout: float,
        seed: int,
        in_parts: bool = False,
        ahead: tuple[int, int] = (0, 1),
    ) -> None:
        """`ahead`: worker processes that make batches, and how far the steps that are asked for lie apart."""
        self.phrases, self.teacher, self.tokenizer = phrases, teacher, tokenizer
        self.batch_size, self.dropout, self.seed, self.in_parts = batch_size, dropout, seed, in_parts
        self.made = Ahead(lambda step: (self.batch(step), self.words(step) if in_parts else None), *ahead)
        if in_parts:
            teacher.measure(list(dict.fromkeys(phrases.names.values())))

    def batch(self, step: int) -> tuple[Tensor, list[Asked]]:
        """input_ids (B, W), and what they mean (B)."""
        rng = random.Random(f"{self.seed}/reading/{step}")
        drawn = [
            ("", NOTHING) if rng.random() < self.dropout else self.phrases.draw(rng) for _ in range(self.batch_size)
        ]
        return torch.tensor([self.tokenizer.encode(text) for text, _ in drawn]), [asked for _, asked in drawn]

    def words(self, step: int) -> tuple[Tensor, list[str]]:
        """input_ids (B, L) up to the last </s> of the batch, and what the words mean (B)."""
        rng = random.Random(f"{self.seed}/words/{step}")
        words, asked = zip(*(self.phrases.word(rng) for _ in range(self.batch_size)), strict=True)
        input_ids = torch.tensor([self.tokenizer.encode(word) for word in words])
        return input_ids[:, : int(text_lengths(input_ids, self.tokenizer).max()) + 1], list(asked)

    def loss(self, text_encoder: Any, step: int) -> Losses:
        (input_ids, asked), words = self.made(step)
        texts = [one.things[0] if self.in_parts else one.text for one in asked]
        states = self.teacher.states(texts)
        (empty,) = self.teacher.states([""])
        lengths, starts = text_lengths(input_ids, self.tokenizer), self.teacher.starts(texts)
        hidden = text_encoder(input_ids.to(text_encoder.device)).last_hidden_state
        starts, ends = starts.to(hidden.device), lengths.to(hidden.device)
        target = target_states(states, empty, starts, ends, input_ids.shape[1])
        if words is None:
            with torch.no_grad():
                pooled_target = self.teacher.pooled(states)
            return reading_loss(hidden, target, self.teacher.pooled(hidden), pooled_target)
        target, where = in_turn(target, lengths, *self.teacher.parts(asked))
        with torch.no_grad():
            pooled_target = self.teacher.pooled(target)
        parts = F.mse_loss(hidden[where].float(), target[where]) / self.teacher.spread.square().mean()
        alone = self._words_loss(text_encoder, *words)
        loss, metrics = reading_loss(hidden, target, self.teacher.pooled(hidden), pooled_target)
        return parts + alone + loss, {"parts": parts, "words": alone, **metrics}

    def _words_loss(self, text_encoder: Any, input_ids: Tensor, asked: list[str]) -> Tensor:
        """Of spellings alone, at their </s> alone: in phrases thousands of them are learnt ten times later."""
        device = text_encoder.device
        at = torch.arange(len(asked), device=device), text_lengths(input_ids, self.tokenizer).to(device)
        hidden = text_encoder(input_ids.to(device)).last_hidden_state[at]
        return F.mse_loss(hidden.float(), self.teacher.said(asked)) / self.teacher.spread.square().mean()


@torch.no_grad()
def reread(old: Any, old_tokenizer: Path, new: Any, tokenizer: Path) -> dict[str, Tensor]:
    """The weights of `old` for the vocabulary and the window of `new`: each embedding is the mean of those that `old`
    has for the same characters; the last position fills a longer window."""
    state = dict(old.state_dict())
    tokens, positions = (f"embeddings.{kind}_embedding.weight" for kind in ("token", "position"))
    if not same_vocabulary(old_tokenizer, tokenizer):
        table = state[tokens]  # (V, D)
        before, after = (
            SentencePieceProcessor(model_file=str(path / VOCABULARY_FILE)) for path in (old_tokenizer, tokenizer)
        )
        words = []
        for i in range(after.vocab_size()):
            ids = before.encode(after.id_to_piece(i).replace("▁", " ")) if i > after.pad_id() else [i]
            words.append(table[ids or [before.unk_id()]].mean(dim=0))
        state[tokens] = torch.stack(words)
    more = new.config.max_position_embeddings - len(state[positions])
    state[positions] = torch.cat([state[positions], state[positions][-1:].expand(more, -1)])
    return state
