"""A SentencePiece vocabulary as `tokenizer.json`, so that `AutoTokenizer` and plain diffusers give our ids.

transformers' own T5 tokenizer does not: it ignores `do_lower_case`, pads with an id of its own and turns a typed "</s>"
into the control id. Here control pieces have private names, which nobody types. Equal ids but for rare sequences of
combining marks, which `tokenizers` normalises in another order.
"""

import json
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from jsd.atomic import write_json, write_text
from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer

TOKENIZER_CLASS = "PreTrainedTokenizerFast"
# Of a private-use character, around the name of a control piece.
_PRIVATE = "\ue000{name}\ue001"


def open_to_diffusers(folder: Path) -> None:
    """Make a model folder one that `StableDiffusionPipeline.from_pretrained` opens, and draws our pictures with."""
    write_tokenizer_json(folder / "tokenizer")
    path = folder / "model_index.json"
    index = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    classes = {
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
    }
    known = {"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", TOKENIZER_CLASS]}
    write_json(path, {**classes, "requires_safety_checker": False, **index, **known})


def write_tokenizer_json(folder: Path) -> None:
    """Write `tokenizer.json` into a tokenizer folder, and its special tokens into `tokenizer_config.json`."""
    tokenizer = JapaneseTokenizer.load(folder)
    processor = SentencePieceProcessor(model_file=str(folder / VOCABULARY_FILE))
    write_text(folder / "tokenizer.json", _build(tokenizer, processor).to_str(pretty=False) + "\n")
    path = folder / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    specials = {"unk_token": tokenizer.unk_token_id, "eos_token": tokenizer.eos_token_id}
    specials["pad_token"] = tokenizer.pad_token_id
    write_json(
        path,
        {
            "model_max_length": tokenizer.model_max_length,
            "do_lower_case": tokenizer.do_lower_case,
            **config,
            "tokenizer_class": TOKENIZER_CLASS,
            **{name: _piece_name(processor, id) for name, id in specials.items()},
        },
    )


def _build(tokenizer: JapaneseTokenizer, processor: SentencePieceProcessor) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    spec = _normalizer_spec(processor.serialized_model_proto())
    pieces = [(_piece_name(processor, id), processor.get_score(id)) for id in range(processor.vocab_size())]
    has_bytes = any(processor.is_byte(id) for id in range(processor.vocab_size()))
    built = Tokenizer(models.Unigram(pieces, unk_id=tokenizer.unk_token_id, byte_fallback=has_bytes))
    # A letter at a time, so that a final Σ is σ: see `jsd.prompting.tokenizer`.
    lower_case = [normalizers.Replace("Σ", "σ"), normalizers.Lowercase()]
    steps: list[Any] = lower_case if tokenizer.do_lower_case else []
    steps += [normalizers.NFC(), normalizers.Precompiled(spec["charsmap"])] if spec["charsmap"] else []
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


def _piece_name(processor: SentencePieceProcessor, id: int) -> str:
    name = str(processor.id_to_piece(id))
    return _PRIVATE.format(name=name) if processor.is_control(id) or processor.is_unknown(id) else name


def _normalizer_spec(model: bytes) -> dict[str, Any]:
    """Of a serialised ModelProto: its field 3, NormalizerSpec (sentencepiece_model.proto)."""
    spec: dict[str, Any] = {"charsmap": b"", "add_dummy_prefix": True, "remove_extra_whitespaces": True}
    names = {2: "charsmap", 3: "add_dummy_prefix", 4: "remove_extra_whitespaces"}
    for number, value in _fields(model):
        if number == 3 and isinstance(value, bytes):
            found = {names[inner]: value for inner, value in _fields(value) if inner in names}
            spec |= {name: value if name == "charsmap" else bool(value) for name, value in found.items()}
    return spec


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
