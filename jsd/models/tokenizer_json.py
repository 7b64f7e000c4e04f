"""A SentencePiece vocabulary as `tokenizer.json`, so that `AutoTokenizer` and plain diffusers give our ids.

transformers' own T5 tokenizer does not: it ignores `do_lower_case`, pads with an id of its own and turns a typed "</s>"
into the control id. Here control pieces have private names, which nobody types. Equal ids but for rare sequences of
combining marks, which `tokenizers` normalises in another order.
"""

import json
import shutil
import sys
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from jsd.atomic import write_json, write_text
from jsd.errors import ModelFolderError
from jsd.models.configs import read_json
from jsd.models.record import ORIGINAL_CLASS
from jsd.models.weights import CHECKER, SECOND_ENCODER, has_safety_checker, networks_of
from jsd.prompting.tokenizer import PRIVATE_MARKS, VOCABULARY_FILE, JapaneseTokenizer

TOKENIZER_CLASS = "PreTrainedTokenizerFast"
# What transformers 4 wrote beside the vocabulary, and 5 still reads: there control pieces have their own names.
OF_EARLIER_TRANSFORMERS = ("special_tokens_map.json", "added_tokens.json")
# Of sentencepiece_model.proto: kinds of vocabularies, and of pieces the one that is found in a text before all others.
UNIGRAM, BPE, CHAR = 1, 2, 4
USER_DEFINED = 4
# As model_index.json has them: library and class.
CLASSES = {
    "text_encoder": ["transformers", "CLIPTextModel"],
    SECOND_ENCODER: ["transformers", "CLIPTextModelWithProjection"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    CHECKER: ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
}


def open_to_diffusers(folder: Path) -> None:
    """Make a model folder one that `DiffusionPipeline.from_pretrained` opens, and draws our pictures with."""
    path = folder / "model_index.json"
    index = read_json(path) if path.is_file() else {}
    networks = networks_of(folder)
    is_sdxl = SECOND_ENCODER in networks
    tokenizers = ("tokenizer", "tokenizer_2") if is_sdxl else ("tokenizer",)
    for name in tokenizers:
        if not (folder / name).is_dir():
            shutil.copytree(folder / "tokenizer", folder / name)
        write_tokenizer_json(folder / name)
    class_name = "StableDiffusionXLPipeline" if is_sdxl else "StableDiffusionPipeline"
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    made = {
        "_class_name": class_name,
        **({} if index.get("_class_name") in (None, class_name) else {ORIGINAL_CLASS: index["_class_name"]}),
        **{name: CLASSES[name] for name in networks if name in CLASSES},
        "vae": [CLASSES["vae"][0], read_json(folder / "vae" / "config.json").get("_class_name", CLASSES["vae"][1])],
        **{name: ["transformers", TOKENIZER_CLASS] for name in tokenizers},
        "scheduler": ["diffusers", scheduler.get("_class_name", "DDIMScheduler")],
    }
    of_checker = (CHECKER, "feature_extractor")
    if is_sdxl:  # its pipelines have no checker, and would look for what is named
        made |= {name: [None, None] for name in of_checker if name in index and not (folder / name).is_dir()}
    else:
        has_checker = has_safety_checker(folder)
        made |= {name: CLASSES[name] if has_checker else [None, None] for name in of_checker}
        made["requires_safety_checker"] = has_checker
    write_json(path, {**index, **made})


def write_tokenizer_json(folder: Path) -> None:
    """Write `tokenizer.json` into a tokenizer folder, and its special tokens into `tokenizer_config.json`."""
    tokenizer = JapaneseTokenizer.load(folder)
    processor = SentencePieceProcessor(model_file=str(folder / VOCABULARY_FILE))
    built = json.loads(_build(tokenizer, processor, folder / VOCABULARY_FILE).to_str())
    if built["model"]["type"] == "Unigram":
        # Scores have float32's digits: written out in float64's they would take a quarter of the file.
        built["model"]["vocab"] = [[piece, float(str(np.float32(score)))] for piece, score in built["model"]["vocab"]]
    write_text(folder / "tokenizer.json", json.dumps(built, ensure_ascii=False, separators=(",", ":")) + "\n")
    for name in OF_EARLIER_TRANSFORMERS:
        (folder / name).unlink(missing_ok=True)
    specials = {"unk_token": tokenizer.unk_token_id, "eos_token": tokenizer.eos_token_id}
    specials["pad_token"] = tokenizer.pad_token_id
    write_json(
        folder / "tokenizer_config.json",
        {
            "model_max_length": tokenizer.model_max_length,
            "do_lower_case": tokenizer.do_lower_case,
            "tokenizer_class": TOKENIZER_CLASS,
            **{name: _piece_name(processor, id) for name, id in specials.items()},
        },
    )


def _build(tokenizer: JapaneseTokenizer, processor: SentencePieceProcessor, path: Path) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors

    spec = _normalizer_spec(processor.serialized_model_proto())
    built = Tokenizer(_model(processor, path))
    # A letter at a time, so that a final Σ is σ: see `jsd.prompting.tokenizer`.
    lower_case = [normalizers.Replace("Σ", "σ"), normalizers.Lowercase()]
    steps: list[Any] = lower_case if tokenizer.do_lower_case else []
    if spec["charsmap"]:
        is_nfkc = "nfkc" in spec["name"].decode()
        charsmap = _of_characters(spec["charsmap"]) if is_nfkc else spec["charsmap"]
        steps += [normalizers.NFC(), normalizers.Precompiled(charsmap), normalizers.NFC()]
    if spec["remove_extra_whitespaces"]:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    built.normalizer = normalizers.Sequence(steps)
    scheme = "always" if spec["add_dummy_prefix"] else "never"
    built.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    eos = _piece_name(processor, tokenizer.eos_token_id)
    built.post_processor = processors.TemplateProcessing(
        single=f"$A {eos}", special_tokens=[(eos, tokenizer.eos_token_id)]
    )
    controls = [id for id in range(processor.vocab_size()) if processor.is_control(id)]
    built.add_special_tokens([AddedToken(_piece_name(processor, id), normalized=False) for id in controls])
    return built


def _model(processor: SentencePieceProcessor, path: Path) -> Any:
    """What parts a text into pieces, by the kind that the vocabulary was trained as."""
    from tokenizers import models

    proto = processor.serialized_model_proto()
    names = [_piece_name(processor, id) for id in range(processor.vocab_size())]
    has_bytes = any(processor.is_byte(id) for id in range(processor.vocab_size()))
    kind = _spec(proto, 2).get(3, UNIGRAM)
    if kind in (UNIGRAM, CHAR):  # characters alone can be parted in one way
        pieces = [(name, processor.get_score(id)) for id, name in enumerate(names)]
        return models.Unigram(pieces, unk_id=processor.unk_id(), byte_fallback=has_bytes)
    messages = (value for number, value in _fields(proto) if number == 1 and isinstance(value, bytes))
    types = {dict(_fields(one)).get(3) for one in messages}  # of the pieces
    if kind != BPE or USER_DEFINED in types:
        raise ModelFolderError(
            "tokenizer.kind",
            "{path} must be a vocabulary of the kind unigram, char or BPE, so that diffusers reads it alike, and is of "
            "the kind {kind}; use the folder as it is",
            path=path,
            kind="BPE (user_defined_symbols)" if kind == BPE else "word",
        )
    vocab = {name: id for id, name in enumerate(names)}
    merges, unknown = _merges(processor, names), names[processor.unk_id()]
    return models.BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=has_bytes)


def _merges(processor: SentencePieceProcessor, names: list[str]) -> list[tuple[str, str]]:
    """Every two pieces that make a third, those that make the piece of the highest score first."""
    kinds = (processor.is_control, processor.is_unknown, processor.is_byte)
    scores = {name: processor.get_score(id) for id, name in enumerate(names) if not any(is_it(id) for is_it in kinds)}
    best_first = sorted(scores, key=scores.__getitem__, reverse=True)
    pairs = ((name[:end], name[end:]) for name in best_first for end in range(1, len(name)))
    return [(left, right) for left, right in pairs if left in scores and right in scores]


@lru_cache(maxsize=1)  # it asks for each of a million characters
def _of_characters(charsmap: bytes) -> bytes:
    """The rules of a map for NFKC that are for one character: a fifth of it. Those for more compose, as NFC does."""
    from tokenizers import normalizers

    normalise = normalizers.Precompiled(charsmap).normalize_str
    characters = (chr(code) for code in (*range(1, 0xD800), *range(0xE000, sys.maxunicode + 1)))
    rules = [(one, becomes) for one in characters if (becomes := normalise(one)) != one]
    lines = [f"{ord(one):X}\t{' '.join(f'{ord(letter):X}' for letter in becomes)}\n" for one, becomes in rules]
    model = BytesIO()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.tsv"
        path.write_text("".join(lines), "utf-8")
        SentencePieceTrainer.train(
            sentence_iterator=iter(["a"]),
            model_writer=model,
            vocab_size=8,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(path),
            minloglevel=2,
        )
    trained: bytes = _normalizer_spec(model.getvalue())["charsmap"]
    return trained


def _piece_name(processor: SentencePieceProcessor, id: int) -> str:
    name = str(processor.id_to_piece(id))
    is_special = processor.is_control(id) or processor.is_unknown(id)
    return name.join(PRIVATE_MARKS) if is_special else name


def _normalizer_spec(model: bytes) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": b"", "charsmap": b"", "add_dummy_prefix": True, "remove_extra_whitespaces": True}
    names = {1: "name", 2: "charsmap", 3: "add_dummy_prefix", 4: "remove_extra_whitespaces"}
    found = {names[inner]: value for inner, value in _spec(model, 3).items() if inner in names}
    return spec | {name: value if isinstance(value, bytes) else bool(value) for name, value in found.items()}


def _spec(model: bytes, number: int) -> dict[int, int | bytes]:
    """Of a serialised ModelProto (sentencepiece_model.proto): its field 2, TrainerSpec, or 3, NormalizerSpec."""
    specs = [value for found, value in _fields(model) if found == number and isinstance(value, bytes)]
    return {inner: value for spec in specs for inner, value in _fields(spec)}


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """(number, value) of a protobuf message's fields: numbers, and bytes of texts and inner messages."""
    found: list[tuple[int, int | bytes]] = []
    position = 0

    def varint() -> int:
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        number, wire_type = divmod(varint(), 8)
        if wire_type == 0:
            found.append((number, varint()))
            continue
        length = varint() if wire_type == 2 else {1: 8, 5: 4}[wire_type]
        found.append((number, message[position : position + length]))
        position += length
    return found
