"""Model folders with random weights, in the real shape: for speed and memory, not for pictures."""

import json
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceTrainer

from jsd.atomic import write_json
from jsd.devices import dtype_name
from jsd.errors import InvalidInputError
from jsd.models.components import expected_shapes
from jsd.models.configs import read_json
from jsd.models.convert import new_folder, target_dtype
from jsd.models.folder import EMBEDDED, folder_named
from jsd.models.tokenizer_json import CLASSES, open_to_diffusers
from jsd.models.weights import MODELS, WEIGHT_STEMS, Shapes
from jsd.prompting.tokenizer import VOCABULARY_FILE

# Stable Diffusion v1's shape with rinna's vocabulary; and that of the embedded model.
STABLE_DIFFUSION_V1: dict[str, dict[str, Any]] = {
    "text_encoder": {
        "vocab_size": 32_000,
        "max_position_embeddings": 77,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "hidden_act": "quick_gelu",
    },
    "unet": {
        "sample_size": 64,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "vae": {
        "sample_size": 512,
        "latent_channels": 4,
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
        "scaling_factor": 0.18215,
    },
}
# Of stabilityai/stable-diffusion-xl-base-1.0, with as large a vocabulary.
STABLE_DIFFUSION_XL: dict[str, dict[str, Any]] = {
    "text_encoder": STABLE_DIFFUSION_V1["text_encoder"],
    "text_encoder_2": {
        "vocab_size": 32_000,
        "max_position_embeddings": 77,
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
    "unet": {
        "sample_size": 128,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 2, 10],
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "vae": {**STABLE_DIFFUSION_V1["vae"], "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
}
SIZES = ("mini", "full", "sdxl")
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
SAFETENSORS_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
MODEL_CARD = """# Random weights

Made by `jsd weights random --size {size}` to measure speed and memory. Every weight is random noise, and the
vocabulary knows single characters only (ASCII, kana, JIS level-1 kanji): the pictures mean nothing, and there is no
safety checker.
"""


def model_configs(size: str) -> dict[str, dict[str, Any]]:
    """component -> its config.json; `size` "mini", "full", "sdxl": of the embedded model, the released one, SDXL."""
    if size not in SIZES:
        raise InvalidInputError(
            "weights.size",
            "{field} must be one of {choices}, got {value}; mini has the embedded model's shape, full that of the "
            "released one, sdxl that of SDXL",
            field="size",
            choices=", ".join(SIZES),
            value=repr(size),
        )
    if size == "sdxl":
        return {name: {**_classes(name), **config} for name, config in STABLE_DIFFUSION_XL.items()}
    if size == "mini":
        embedded = folder_named(EMBEDDED) or Path(EMBEDDED)
        return {component: read_json(embedded / component / "config.json") for component in MODELS}
    return {name: {**_classes(name), **config} for name, config in STABLE_DIFFUSION_V1.items()}


def _classes(component: str) -> dict[str, Any]:
    if component.startswith("text_encoder"):
        special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "model_type": "clip_text_model"}
        return {"architectures": [CLASSES[component][1]], **special}
    return {"_class_name": CLASSES[component][1]}


def write_random_folder(folder: Path | str, size: str = "mini", dtype: str | None = None, seed: int = 0) -> torch.dtype:
    """A whole model folder of random weights; one tensor in memory at a time. Returns the dtype written."""
    target = target_dtype(dtype)
    configs = model_configs(size)
    generator = torch.Generator("cpu").manual_seed(seed)
    with new_folder(Path(folder)) as partial:
        for component in configs:
            write_json(partial / component / "config.json", configs[component])
            path = partial / component / f"{WEIGHT_STEMS[component][0]}.safetensors"
            _write_tensors(path, expected_shapes(component, configs[component]), target, generator)
        write_json(partial / "scheduler" / "scheduler_config.json", SCHEDULER)
        text = configs["text_encoder"]
        window = {"model_max_length": text["max_position_embeddings"], "do_lower_case": True}
        write_json(partial / "tokenizer" / "tokenizer_config.json", window)
        (partial / "tokenizer" / VOCABULARY_FILE).write_bytes(character_vocabulary(text["vocab_size"]))
        open_to_diffusers(partial)
        (partial / "README.md").write_text(MODEL_CARD.format(size=size), "utf-8")
    return target


def character_vocabulary(max_pieces: int) -> bytes:
    """A SentencePiece model of single characters, with the released vocabulary's control ids."""
    # JIS X 0208: row 1 punctuation, 4 and 5 kana, 16 to 47 level-1 kanji.
    rows = [1, 4, 5, *range(16, 48)]
    cells = (bytes([0xA0 + row, 0xA0 + cell]) for row in rows for cell in range(1, 95))
    ascii_characters = map(chr, range(0x21, 0x7F))
    characters = [*ascii_characters, *filter(None, (cell.decode("euc_jp", errors="ignore") for cell in cells))]
    # Seven control pieces, and the mark of a word's beginning.
    characters = characters[: max_pieces - 8]
    model = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(characters),
        model_writer=model,
        model_type="char",
        vocab_size=max_pieces,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        pad_id=3,
        pad_piece="[PAD]",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    return model.getvalue()


def _write_tensors(path: Path, shapes: Shapes, dtype: torch.dtype, generator: torch.Generator) -> None:
    """A safetensors file (8 bytes of header length, header, data), tensor by tensor."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    name_of_dtype = SAFETENSORS_DTYPES[dtype_name(dtype)]
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + prod(shape) * dtype.itemsize
        header[name] = {"dtype": name_of_dtype, "shape": list(shape), "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, shape in shapes.items():
            file.write(_random(name, shape, generator).to(dtype).reshape(-1).view(torch.uint8).numpy().data)


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Weights that keep activations finite in half precision: norms 1, biases 0, else variance 1 / fan-in."""
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    return torch.randn(shape, generator=generator) * float(prod(shape[1:]) ** -0.5)
