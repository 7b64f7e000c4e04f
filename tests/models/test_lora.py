"""LoRA files: merged as peft computes them, in the names that trainers write, and out again bit for bit."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor
from toy_sdxl import write_toy_sdxl_folder

from jsd import Pipeline, SamplingOptions
from jsd.errors import InvalidInputError
from jsd.models.record import file_digest
from jsd.serving.loras import served_loras

RANK, ALPHA = 4, 2.0
OPTIONS = {"num_inference_steps": 2, "seed": 0}


@pytest.fixture
def pipeline(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def trained(toy_folder: Path) -> tuple[dict[str, Tensor], Tensor]:
    """(peft's tensors of the UNet's attention, the UNet's output with them)."""
    unet = Pipeline.load(toy_folder, device="cpu", dtype="float32").unet
    torch.manual_seed(0)
    targets = ["to_q", "to_k", "to_v", "to_out.0", "conv_in"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=int(ALPHA), target_modules=targets, init_lora_weights=False))
    return get_peft_model_state_dict(unet), output_of(unet)


def output_of(unet: torch.nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    sample, text = (torch.randn(shape, generator=generator) for shape in ((1, 4, 8, 8), (1, 16, 32)))
    with torch.inference_mode():
        result: Tensor = unet(sample, 500, encoder_hidden_states=text).sample
    return result


def peft_names(name: str) -> str:
    return f"unet.{name}"


def kohya_names(name: str) -> str:
    module, _, part = name.removesuffix(".weight").rpartition(".")
    return f"lora_unet_{module.replace('.', '_')}.{ {'lora_A': 'lora_down', 'lora_B': 'lora_up'}[part] }.weight"


def old_diffusers_names(name: str) -> str:
    return f"unet.{name.replace('lora_A', 'lora.down').replace('lora_B', 'lora.up')}"


def write(path: Path, tensors: dict[str, Tensor], rename: Callable[[str], str] = peft_names) -> str:
    named = {rename(name): tensor.clone() for name, tensor in tensors.items()}
    downs = (end for end in (".lora_A.weight", ".lora_down.weight", ".lora.down.weight"))
    alphas = {f"{name.removesuffix(end)}.alpha" for end in downs for name in named if name.endswith(end)}
    save_file(named | {name: torch.tensor(ALPHA) for name in alphas}, path)
    return str(path)


@pytest.mark.parametrize("rename", [peft_names, kohya_names, old_diffusers_names])
def test_a_file_of_any_trainer_gives_what_peft_gives(
    rename: Callable[[str], str], trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    tensors, expected = trained
    before = output_of(pipeline.unet)
    path = write(tmp_path / "cat.safetensors", tensors, rename)
    pipeline.adapters.apply([path])
    torch.testing.assert_close(output_of(pipeline.unet), expected, rtol=1e-4, atol=1e-5)
    assert (expected - before).abs().max() > 1e-3
    pipeline.adapters.apply([])
    assert torch.equal(output_of(pipeline.unet), before), "the weights must be those of the folder again"


def test_of_sdxl_kohyas_names_are_those_of_the_original_code(tmp_path: Path) -> None:
    pipeline = Pipeline.load(write_toy_sdxl_folder(tmp_path / "sdxl"), device="cpu", dtype="float32")
    torch.manual_seed(0)
    modules = [f"{block}_1_transformer_blocks_0_attn1_to_q" for block in ("input_blocks_3", "output_blocks_1")]
    modules += ["middle_block_1_transformer_blocks_0_ff_net_2", "input_blocks_3_1_proj_in"]
    tensors = {}
    for module in modules:
        inner = 4 * 64 if "_ff_" in module else 64
        tensors[f"lora_unet_{module}.lora_down.weight"] = torch.randn(2, inner)
        tensors[f"lora_unet_{module}.lora_up.weight"] = torch.randn(64, 2)
    mapped = _maybe_map_sgm_blocks_to_diffusers(dict(tensors), pipeline.unet.config)
    # diffusers' own second half of it.
    sides = {"input_blocks": "down_blocks", "middle_block": "mid_block", "output_blocks": "up_blocks"}
    pattern = re.compile("|".join(sides))
    renamed = {pattern.sub(lambda found: sides[found[0]], name): one for name, one in mapped.items()}
    states = []
    for name, named in (("original", tensors), ("diffusers", renamed)):
        save_file(named, tmp_path / f"{name}.safetensors")
        pipeline.adapters.apply([str(tmp_path / f"{name}.safetensors")])
        states.append({key: one.clone() for key, one in pipeline.unet.state_dict().items()})
    pipeline.adapters.apply([])
    before = pipeline.unet.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in before)
    assert sum(not torch.equal(states[0][key], one) for key, one in before.items()) == len(modules)


@pytest.mark.parametrize("loras", [[], ["file"]], ids=["none", "again"])
def test_a_merge_that_breaks_off_leaves_nothing(
    loras: list[str],
    trained: tuple[dict[str, Tensor], Tensor],
    pipeline: Pipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By Ctrl+C, or where the memory ends."""
    path = write(tmp_path / "cat.safetensors", trained[0])
    before, weight_of, asked = output_of(pipeline.unet), pipeline.adapters._weight, []

    def break_off(key: tuple[str, str]) -> Tensor:
        asked.append(key)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return weight_of(key)

    monkeypatch.setattr(pipeline.adapters, "_weight", break_off)
    with pytest.raises(KeyboardInterrupt):
        pipeline.adapters.apply([path])
    monkeypatch.undo()
    pipeline.adapters.apply([path for _ in loras])
    if loras:
        torch.testing.assert_close(output_of(pipeline.unet), trained[1], rtol=1e-4, atol=1e-5)
    else:
        assert torch.equal(output_of(pipeline.unet), before)


def test_weights_scale_a_file_and_several_add_up(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.safetensors", trained[0])
    pipeline.adapters.apply([path])
    whole = output_of(pipeline.unet)
    pipeline.adapters.apply([f"{path}:0.25", f"{path}:0.75"])
    torch.testing.assert_close(output_of(pipeline.unet), whole, rtol=1e-4, atol=1e-5)
    pipeline.adapters.apply([f"{path}:0"])
    bare = output_of(pipeline.unet)
    pipeline.adapters.apply([])
    torch.testing.assert_close(output_of(pipeline.unet), bare)


def test_a_picture_says_its_files_and_the_next_is_drawn_without(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = write(tmp_path / "cat.safetensors", trained[0])
    (plain,) = pipeline.generate("猫", **OPTIONS)
    (adapted,) = pipeline.generate("猫", loras=[f"{path}:0.7"], **OPTIONS)
    (again,) = pipeline.generate("猫", **OPTIONS)
    assert adapted.image.tobytes() != plain.image.tobytes() == again.image.tobytes()
    (record,) = adapted.metadata["lora_files"]  # type: ignore[misc]
    assert adapted.metadata["loras"] == ["cat.safetensors:0.7"] and len(record["sha256"]) == 64
    assert "lora_files" not in again.metadata


def test_two_jobs_at_once_each_keep_their_own(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = write(tmp_path / "cat.safetensors", trained[0])
    (alone,) = pipeline.generate("猫", loras=[path], **OPTIONS)
    job = pipeline.prepare(SamplingOptions(prompt="猫", loras=(path,), **OPTIONS))
    steps = pipeline.denoise(job)
    next(steps)
    pipeline.generate("桜", **OPTIONS)
    for _state in steps:
        pass
    (beside,) = pipeline.finish(job)
    assert beside.image.tobytes() == alone.image.tobytes()


RSLORA = {"lora_adapter_metadata": json.dumps({"unet.use_rslora": True})}
# What is wrong -> the error's code, what is written over the good file's tensors, its metadata; MODULE stands for one.
BROKEN: dict[str, tuple[str, dict[str, Tensor], dict[str, str]]] = {
    "a key": ("lora.key", {"unet.down_blocks.9.attn1.to_q.lora_A.weight": torch.ones(1, 1)}, {}),
    "DoRA": ("lora.kind", {"MODULE.dora_scale": torch.ones(1)}, {}),
    "another scale": ("lora.kind", {}, RSLORA),
    **{
        f"it began as {start}": (
            "lora.kind",
            {},
            {"lora_adapter_metadata": json.dumps({"unet.init_lora_weights": start})},
        )
        for start in ("pissa", "PiSSA_niter_4", "OLoRA", "corda", "lora_ga", "loftq")
    },
    "a shape": ("lora.shape", {"MODULE.lora_A.weight": torch.zeros(RANK, 3)}, {}),
    "rank 0": (
        "lora.shape",
        {"MODULE.lora_A.weight": torch.zeros(0, 32), "MODULE.lora_B.weight": torch.zeros(32, 0)},
        {},
    ),
    "many alphas": ("lora.shape", {"MODULE.alpha": torch.ones(2)}, {}),
    "no number": ("lora.not_finite", {"MODULE.lora_B.weight": torch.full((32, RANK), torch.nan)}, {}),
    "an endless alpha": ("lora.not_finite", {"MODULE.alpha": torch.tensor(torch.inf)}, {}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_fits_nothing_is_refused_and_nothing_is_changed(
    case: str, trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    code, changes, metadata = BROKEN[case]
    good = write(tmp_path / "good.safetensors", trained[0])
    named = {peft_names(name): tensor.clone() for name, tensor in trained[0].items()}
    module = next(iter(named)).partition(".lora_")[0]
    named |= {name.replace("MODULE", module): tensor for name, tensor in changes.items()}
    save_file(named, tmp_path / "bad.safetensors", metadata=metadata)
    before = output_of(pipeline.unet)
    with pytest.raises(InvalidInputError) as caught:
        pipeline.adapters.apply([good, str(tmp_path / "bad.safetensors")])
    assert caught.value.code == code and "bad.safetensors" in str(caught.value)
    assert torch.equal(output_of(pipeline.unet), before)


def test_a_file_without_tensors_for_this_model_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    english = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.zeros(2, 32)}
    for tensors, words in (({}, "has none"), (english, "English text encoder")):
        save_file(tensors, tmp_path / "other.safetensors")
        with pytest.raises(InvalidInputError, match=f"other.safetensors.*{words}"):
            pipeline.adapters.apply([str(tmp_path / "other.safetensors")])


def test_what_pefts_own_saving_writes_has_its_settings_beside_it(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    tensors, expected = trained
    path = tmp_path / "adapter_model.safetensors"
    save_file({f"base_model.model.{name}": tensor.clone() for name, tensor in tensors.items()}, path)
    settings = tmp_path / "adapter_config.json"
    harmless = {"use_rslora": False, "init_lora_weights": "gaussian"}
    settings.write_text(json.dumps({"lora_alpha": int(ALPHA), **harmless}), "utf-8")
    pipeline.adapters.apply([str(path)])
    torch.testing.assert_close(output_of(pipeline.unet), expected, rtol=1e-4, atol=1e-5)
    settings.write_text(json.dumps({"lora_alpha": int(ALPHA), "use_rslora": True}), "utf-8")
    with pytest.raises(InvalidInputError, match="use_rslora"):
        pipeline.adapters.apply([str(path)])
    for damaged in ('{"lora_alpha": 4', "[]", "[" * 100_000):
        settings.write_text(damaged, "utf-8")
        with pytest.raises(InvalidInputError, match=r"adapter_config\.json"):
            pipeline.adapters.apply([str(path)])


@pytest.mark.parametrize(("name", "is_read"), [("adapter_model.safetensors", True), ("cat.safetensors", False)])
def test_settings_that_are_read_beside_a_file_are_merged_anew_and_in_its_digest(
    name: str, is_read: bool, trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path, settings = tmp_path / name, tmp_path / "adapter_config.json"
    save_file({f"base_model.model.{key}": tensor.clone() for key, tensor in trained[0].items()}, path)
    drawn, digests = [], []
    for alpha in (2, 8):
        settings.write_text(json.dumps({"lora_alpha": alpha}), "utf-8")
        pipeline.adapters.apply([str(path)])
        drawn.append(output_of(pipeline.unet))
        digests.append(pipeline.adapters.records[0]["sha256"])
    assert torch.equal(*drawn) is not is_read and (digests[0] == digests[1]) is not is_read
    assert (file_digest(path) in digests) is not is_read, "alone, it has the digest that other programs compute"


@pytest.mark.parametrize(
    ("loras", "code"),
    [
        (["nowhere.safetensors"], "lora.unreadable"),
        (["a.safetensors:9"], "lora.weight"),
        ("a.safetensors", "options.list"),
        ([1], "options.list"),
        (["a.safetensors"] * 9, "options.many"),
    ],
)
def test_a_file_or_a_weight_that_is_none_is_named(loras: object, code: str, pipeline: Pipeline) -> None:
    with pytest.raises(InvalidInputError) as caught:
        pipeline.generate("猫", loras=loras)
    assert caught.value.code == code and caught.value.field == "loras"


def test_a_client_names_only_what_the_operator_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered").mkdir()
    for path in (tmp_path / "offered" / "a.safetensors", tmp_path / "secret.safetensors"):
        path.write_bytes(b"")
    monkeypatch.setenv("JSD_LORAS", str(tmp_path / "offered"))
    assert served_loras("a.safetensors:0.5, a.safetensors") == tuple(
        f"{tmp_path / 'offered' / 'a.safetensors'}:{weight}" for weight in (0.5, 1.0)
    )
    for name in ("../secret.safetensors", str(tmp_path / "secret.safetensors"), "secret.safetensors", "https://a.b/c"):
        with pytest.raises(InvalidInputError) as caught:
            served_loras(name)
        assert caught.value.code == "lora.not_served"
    monkeypatch.delenv("JSD_LORAS")
    with pytest.raises(InvalidInputError, match="--loras"):
        served_loras("a.safetensors")


def test_threads_that_draw_with_and_without_a_file_leave_each_others_pictures_alone(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = write(tmp_path / "cat.safetensors", trained[0])

    def draw(loras: tuple[str, ...]) -> bytes:
        (drawn,) = pipeline.generate(SamplingOptions(prompt="猫", loras=loras, **OPTIONS), progress=False)
        return drawn.image.tobytes()

    plain, changed = draw(()), draw((path,))
    assert plain != changed
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(draw, [(), (path,)] * 12))
    assert found == [plain, changed] * 12
    assert draw(()) == plain


def test_what_kohyas_trainer_learnt_of_an_english_encoder_is_left_out_and_said(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    """It reads other tokens; what jsd trained says so, and is merged whole."""
    encoder = next(name for name, one in pipeline.text_encoder.named_modules() if name.endswith("q_proj"))
    before = pipeline.text_encoder.get_submodule(encoder).weight.clone()
    named = {kohya_names(name): tensor.clone() for name, tensor in trained[0].items()}
    module = f"lora_te_{encoder.replace('.', '_')}"
    named |= {f"{module}.lora_down.weight": torch.ones(1, 32), f"{module}.lora_up.weight": torch.ones(32, 1)}
    for name, metadata, is_merged in (("civitai", {}, False), ("ours", {"jsd_version": "0.1.0"}, True)):
        save_file(named, tmp_path / f"{name}.safetensors", metadata=metadata)
        job = pipeline.prepare(SamplingOptions(prompt="猫", loras=(str(tmp_path / f"{name}.safetensors"),), **OPTIONS))
        assert torch.equal(pipeline.text_encoder.get_submodule(encoder).weight, before) != is_merged
        assert not torch.equal(output_of(pipeline.unet), trained[1]), "alpha is the rank's where none is given"
        assert [note.code for note in job.notes if note.code.startswith("lora")] == ["lora.text_encoder"] * (
            not is_merged
        )
    assert "lora.text_encoder" not in [note.code for note in pipeline.prepare(SamplingOptions(prompt="猫")).notes]


def test_a_file_that_is_replaced_while_it_is_drawn_with_changes_the_next_picture(
    trained: tuple[dict[str, Tensor], Tensor], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = write(tmp_path / "cat.safetensors", trained[0])
    job = pipeline.prepare(SamplingOptions(prompt="猫", loras=(path,), **OPTIONS))
    steps = pipeline.denoise(job)
    next(steps)
    weights = output_of(pipeline.unet)
    Path(path).write_bytes(b"half of another")
    list(steps)
    assert torch.equal(output_of(pipeline.unet), weights)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        pipeline.prepare(SamplingOptions(prompt="猫", loras=(path,), **OPTIONS))
