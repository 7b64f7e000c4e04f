"""What a stage would do, without doing it: its row, its parameters, its memory."""

from dataclasses import asdict
from typing import Any

import torch

from jsd.i18n import _
from jsd.models.configs import read_json
from jsd.training import modules
from jsd.training.adapters import add_adapters
from jsd.training.recipes import Recipe, Stage
from jsd.training.stages import MODULES, image_encoder
from jsd.training.starting import TrainOptions, source_folder

# fp32 weights, gradients, AdamW's two moments and the average; a frozen weight only itself.
BYTES_PER_TRAINED_PARAMETER = 4 * 5
BYTES_PER_FROZEN_PARAMETER = 4
LORA = "LoRA"


def count_parameters(recipe: Recipe, stage: Stage, options: TrainOptions) -> dict[str, int]:
    """Component -> number of parameters, of all that the stage loads, without their memory.

    A component of which a part trains is counted without it, and the part by its own name; LoRA's layers too.
    """
    names = dict.fromkeys((*MODULES[stage.objective], *stage.starts_from))
    with torch.device("meta"):
        modules = {name: _build(recipe, stage, name, options) for name in names}
    counts = {name: _count(module) for name, module in modules.items()}
    if stage.adapter is not None:
        return counts | {LORA: _count(add_adapters(modules, stage.adapter))}
    for name in stage.trains:
        component, _, part = name.partition(".")
        if part:
            counts[name] = _count(modules[component].get_submodule(part))
            counts[component] -= counts[name]
    return counts


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _build(recipe: Recipe, stage: Stage, name: str, options: TrainOptions) -> Any:
    if name == "image_encoder":
        return image_encoder(recipe)
    is_given = options.start_from is not None and name in stage.starts_from
    if name in recipe.components and not is_given:
        config = dict(recipe.components[name])
    else:
        config = read_json(source_folder(recipe, stage, name, options) / name / "config.json")
    if name != "text_encoder":
        return modules.CLASSES[name].from_config(config)
    if stage.adapter is None and not is_given:
        vocabulary = stage.vocabulary or stage.language
        assert vocabulary is not None
        config |= {
            "vocab_size": recipe.vocab_size[vocabulary],
            "max_position_embeddings": recipe.model_max_length[vocabulary],
        }
        config |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    return modules.CLASSES[name](modules.CLASSES[name].config_class(**config))


def plan(recipe: Recipe, name: str, options: TrainOptions) -> list[tuple[str, str]]:
    """The plan of a stage: (what, how much)."""
    stage = recipe.stages[name]
    counts = count_parameters(recipe, stage, options)
    trains = stage.trains if stage.adapter is None else (LORA,)
    rows = [(key, str(value)) for key, value in asdict(stage).items()]
    for component, count in counts.items():
        role = _("trains") if component in trains else _("fixed")
        rows.append((f"{component} ({role})", _("{count:,} parameters", count=count)))
    trained = sum(count for component, count in counts.items() if component in trains)
    frozen = sum(counts.values()) - trained
    size = trained * BYTES_PER_TRAINED_PARAMETER + frozen * BYTES_PER_FROZEN_PARAMETER
    rows.append((_("trainable / frozen"), _("{trained:,} / {frozen:,} parameters", trained=trained, frozen=frozen)))
    rows.append((_("weights and optimiser state"), _("{size:.2f} GiB, activations not counted", size=size / 2**30)))
    return rows
