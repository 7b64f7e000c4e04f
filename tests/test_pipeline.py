import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoding import encode_prompt
from PIL import Image
from safetensors.torch import load_file

from jsd.errors import InvalidInputError, ModelFolderError
from jsd.options import MAX_SEED, SamplingOptions
from jsd.pipeline import Pipeline

OPTIONS = SamplingOptions(prompt="サラリーマン 油絵", num_inference_steps=2, seed=0)


@pytest.fixture(scope="module")
def pipeline(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, device="cpu", dtype="float32")


def photo(width: int = 32, height: int = 32) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def test_a_prompt_becomes_a_picture_of_the_models_size(pipeline: Pipeline) -> None:
    (made,) = pipeline.generate(OPTIONS)
    assert made.image.size == (32, 32) and made.image.mode == "RGB"
    assert (made.seed, made.options.seed, made.options.width, made.options.height) == (0, 0, 32, 32)
    assert (made.model, made.device, made.dtype) == ("toy", "cpu", "float32")
    assert set(made.seconds) == {"encode", "denoise", "decode"} and min(made.seconds.values()) > 0


def test_the_same_request_draws_the_same_picture_and_another_seed_another(pipeline: Pipeline) -> None:
    first, again = (pipeline.generate(OPTIONS)[0].image for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != pipeline.generate(replace(OPTIONS, seed=1))[0].image.tobytes()


@pytest.mark.parametrize("scheduler", ["DPMSolverMultistep", "K_EULER_ANCESTRAL"])
def test_picture_i_of_a_request_is_the_single_picture_of_seed_plus_i(pipeline: Pipeline, scheduler: str) -> None:
    options = replace(OPTIONS, seed=5, num_outputs=4, scheduler=scheduler)
    four = pipeline.generate(options)
    assert [made.seed for made in four] == [5, 6, 7, 8]
    for made in four:
        (single,) = pipeline.generate(made.options)
        difference = np.abs(np.asarray(made.image, int) - np.asarray(single.image, int)).max()
        assert difference <= 1, f"the picture of seed {made.seed} is {difference} levels from the single one"


def test_a_picture_is_there_before_the_next_is_decoded(pipeline: Pipeline) -> None:
    decoded: list[object] = []
    hook = pipeline.vae.decoder.register_forward_hook(lambda *_: decoded.append(None))
    job = pipeline.prepare(replace(OPTIONS, num_outputs=3))
    for _ in pipeline.denoise(job):
        pass
    counts = [len(decoded) for _ in pipeline.finish_each(job)]
    hook.remove()
    assert counts == [1, 2, 3]


def test_a_batch_may_hold_different_prompts(pipeline: Pipeline) -> None:
    requests = [replace(OPTIONS, prompt="猫", seed=1), replace(OPTIONS, prompt="富士山", seed=2)]
    batch = pipeline.generate(requests)
    for request, made in zip(requests, batch, strict=True):
        alone = pipeline.generate(request)[0]
        assert np.abs(np.asarray(made.image, int) - np.asarray(alone.image, int)).max() <= 1
        assert made.options.prompt == request.prompt


@pytest.mark.parametrize("prompts", ["猫の木", ["猫", "富士山"]])
def test_a_text_is_a_prompt_alone_and_in_a_list(prompts: str | list[str], pipeline: Pipeline) -> None:
    drawn = pipeline.generate(prompts, seed=1, num_inference_steps=2)
    assert [made.options.prompt for made in drawn] == ([prompts] if isinstance(prompts, str) else prompts)
    assert pipeline.prepare(prompts).options[0].prompt == drawn[0].options.prompt


LONG = "富士山と桜の水彩画、夏の海、こいのぼり"  # of two windows
REFUSED: list[tuple[str, list[dict[str, object]]]] = [
    ("options", []),  # of an empty batch
    ("width", [{}, {"width": 64}]),  # what a batch may not differ in
    ("scheduler", [{}, {"scheduler": "DDIM"}]),
    ("guidance_scale", [{}, {"guidance_scale": 2.0}]),
    ("prompt", [{}, {"prompt": LONG}]),
    ("width", [{"width": 33}]),  # what this model cannot draw
    ("height", [{"height": 4}]),
    ("width", [{"width": 4096}]),
    ("prompt", [{"prompt": "\ud800"}]),
    ("negative_prompt", [{"negative_prompt": "\ud800"}]),
    ("mask", [{"image": photo(), "mask": Image.new("L", (16, 16), 255)}]),
]


@pytest.mark.parametrize(("field", "requests"), REFUSED)
def test_what_this_model_cannot_draw_is_refused_by_name(
    pipeline: Pipeline, field: str, requests: list[dict[str, object]]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        pipeline.prepare([replace(OPTIONS, **changes) for changes in requests])  # type: ignore[arg-type]
    assert caught.value.field == field


def test_an_unset_seed_is_drawn_and_told(pipeline: Pipeline) -> None:
    jobs = [pipeline.prepare(replace(OPTIONS, seed=None, num_outputs=2)) for _ in range(2)]
    seeds = [[one.seed for one in job.options] for job in jobs]
    assert seeds[0] != seeds[1], "two requests without a seed drew the same"
    for first, second in seeds:
        assert first is not None and second == first + 1 <= MAX_SEED


def test_seed_0_and_guidance_1_are_values_not_unset(pipeline: Pipeline) -> None:
    job = pipeline.prepare(replace(OPTIONS, guidance_scale=1.0))
    assert job.options[0].seed == 0
    assert job.conditioning.negative_prompt_embeds is None, "guidance 1 reads no negative prompt"
    expected = torch.randn((1, 4, 8, 8), generator=torch.Generator("cpu").manual_seed(0))
    assert torch.equal(job.latents, expected * job.start.scheduler.init_noise_sigma)


def test_factor_and_channels_come_from_the_folder(make_toy_folder: Callable[..., Path]) -> None:
    folder = make_toy_folder(latent_channels=6, vae_blocks=2)
    pipeline = Pipeline.load(folder, device="cpu", dtype="float32")
    assert (pipeline.latent_channels, pipeline.size_limits.factor, pipeline.default_size) == (6, 2, (16, 16))
    job = pipeline.prepare(replace(OPTIONS, width=18))
    assert job.latents.shape == (1, 6, 8, 9)
    assert pipeline.generate(replace(OPTIONS, width=18))[0].image.size == (18, 16)


def test_the_prediction_type_comes_from_the_folder(make_toy_folder: Callable[..., Path]) -> None:
    folder = make_toy_folder(prediction_type="v_prediction")
    job = Pipeline.load(folder, device="cpu", dtype="float32").prepare(OPTIONS)
    assert job.start.scheduler.config.prediction_type == "v_prediction"


def test_the_text_encoder_reads_from_left_to_right(pipeline: Pipeline) -> None:
    """The released encoder is causal: what follows a token does not change its hidden state."""
    short, long = encode_prompt(pipeline, ["猫の", "猫の肖像画"])
    torch.testing.assert_close(short[:2], long[:2])
    assert not torch.allclose(short[5], long[5])


def test_without_syntax_and_within_the_window_the_embeddings_are_the_encoders_own(pipeline: Pipeline) -> None:
    prompts = ["サラリーマン 油絵", "猫の🐱", ""]
    with torch.inference_mode():
        expected = [
            pipeline.text_encoder(torch.tensor([pipeline.tokenizer.encode(prompt)])).last_hidden_state[0]  # (16, D)
            for prompt in prompts
        ]
    assert torch.equal(encode_prompt(pipeline, prompts), torch.stack(expected))


def test_a_long_prompt_is_its_parts_side_by_side(pipeline: Pipeline) -> None:
    first, second = "富士山と桜の水彩画、夏の海、", "こいのぼり"
    joined = encode_prompt(pipeline, [first + second])  # (1, 32, D)
    assert joined.shape[1] == 32
    parts = encode_prompt(pipeline, [first, second])  # (2, 16, D)
    torch.testing.assert_close(joined[0], torch.cat(list(parts)))


def test_emphasis_changes_the_embeddings_of_its_window_alone(pipeline: Pipeline) -> None:
    first, second = "富士山と桜の水彩画、夏の海、", "こいのぼり"
    plain, weighted = encode_prompt(pipeline, [first + second, f"{first}こい（の:1.5）ぼり"])
    torch.testing.assert_close(weighted[:16], plain[:16], rtol=0, atol=0)
    assert not torch.allclose(weighted[16:], plain[16:])


def test_the_shorter_of_prompt_and_negative_prompt_is_padded_with_an_empty_window(pipeline: Pipeline) -> None:
    options = replace(OPTIONS, prompt="猫", negative_prompt=LONG)
    job = pipeline.prepare(options)
    assert job.conditioning.negative_prompt_embeds is not None
    assert job.conditioning.prompt_embeds.shape == job.conditioning.negative_prompt_embeds.shape == (1, 32, 32)
    torch.testing.assert_close(job.conditioning.prompt_embeds[:, 16:], encode_prompt(pipeline, [""]))
    assert pipeline.generate(options)[0].image.size == (32, 32)


def test_a_unet_that_pools_the_text_takes_any_number_of_windows(pipeline: Pipeline) -> None:
    """The embedded model's `addition_embed_type`."""
    from diffusers.models import UNet2DConditionModel

    config = dict(pipeline.unet.config) | {"addition_embed_type": "text", "addition_embed_type_num_heads": 4}
    pooling = replace(pipeline, unet=UNet2DConditionModel.from_config(config).eval())
    (made,) = pooling.generate(replace(OPTIONS, prompt=LONG))
    assert made.image.size == (32, 32)


def test_what_was_replaced_stands_in_the_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from jsd.prompting import prompts
    from jsd.prompting.kana import KanaSpelling

    # The toy vocabulary has too few kana to spell a word with them.
    spelling = KanaSpelling(text="苺", kana="の", start=0)
    monkeypatch.setattr(prompts, "kana_spellings", lambda *_: [spelling])
    (made,) = pipeline.generate(replace(OPTIONS, prompt="苺", unknown_words="replace"))
    assert made.metadata["replaced"] == {"苺": "の"} and made.metadata["prompt"] == "苺"


def test_the_negative_line_of_the_prompt_is_the_negative_prompt(pipeline: Pipeline) -> None:
    line = pipeline.prepare(replace(OPTIONS, prompt="猫\nネガティブ：桜")).conditioning
    field = pipeline.prepare(replace(OPTIONS, prompt="猫", negative_prompt="桜")).conditioning
    assert line.negative_prompt_embeds is not None and field.negative_prompt_embeds is not None
    assert torch.equal(line.prompt_embeds, field.prompt_embeds)
    assert torch.equal(line.negative_prompt_embeds, field.negative_prompt_embeds)


def test_a_picture_gives_the_size_and_changes_with_strength(pipeline: Pipeline) -> None:
    options = replace(OPTIONS, image=photo(48, 32), num_inference_steps=10)
    results = {strength: replace(options, prompt_strength=strength) for strength in (0.0, 0.3, 1.0)}
    pictures = {strength: pipeline.generate(one)[0].image for strength, one in results.items()}
    assert all(picture.size == (48, 32) for picture in pictures.values())
    assert pictures[0.3].tobytes() != pictures[1.0].tobytes()


def test_strength_0_is_the_vaes_view_of_the_picture(pipeline: Pipeline) -> None:
    from jsd.images.tensors import image_to_tensor, tensor_to_images

    made = pipeline.generate(replace(OPTIONS, image=photo(), prompt_strength=0))[0]
    seen = pipeline.decode_latents(pipeline.encode_image(image_to_tensor(photo())))
    assert made.image.tobytes() == tensor_to_images(seen)[0].tobytes()


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_inpainting_changes_the_white_part_and_no_other_pixel(pipeline: Pipeline, strength: float) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (3, 5, 20, 31))
    options = replace(OPTIONS, image=photo(), mask=mask, prompt_strength=strength, num_outputs=2)
    white = np.asarray(mask) == 255
    for made in pipeline.generate(options):
        after, before = np.asarray(made.image), np.asarray(photo())
        assert (after[~white] == before[~white]).all(), "a pixel outside the mask changed"
        assert (after[white] != before[white]).any(), "the white part was not repainted"


def test_a_folder_of_2022_loads(toy_folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    """Pickles, `text_model.` and `position_ids` in the text encoder, the VAE's old names of attention."""
    folder = shutil.copytree(toy_folder, tmp_path / "old")
    renames = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    for component, name, old_name in (
        ("text_encoder", "model", "pytorch_model"),
        ("unet", "diffusion_pytorch_model", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model", "diffusion_pytorch_model"),
    ):
        weights = load_file(folder / component / f"{name}.safetensors")
        (folder / component / f"{name}.safetensors").unlink()
        if component == "text_encoder":
            weights = {f"text_model.{key}": value for key, value in weights.items()}
            weights["text_model.embeddings.position_ids"] = torch.arange(16)[None]
        if component == "vae":
            for new, old in renames.items():
                weights = {key.replace(new, old): value for key, value in weights.items()}
        torch.save(weights, folder / component / f"{old_name}.bin")
    old = Pipeline.load(folder, device="cpu", dtype="float32")
    assert old.generate(OPTIONS)[0].image.tobytes() == pipeline.generate(OPTIONS)[0].image.tobytes()


def test_a_caller_sees_each_step_and_may_stop(pipeline: Pipeline) -> None:
    job = pipeline.prepare(replace(OPTIONS, num_inference_steps=5))
    for state in pipeline.denoise(job):
        assert job.latents is state.latents
        if state.step == 2:
            break
    assert state.num_steps == 5 and torch.isfinite(state.latents).all()


@pytest.mark.parametrize("num_done", [0, 2])
def test_a_job_that_was_stopped_gives_no_picture(num_done: int, pipeline: Pipeline) -> None:
    """Its file would say of the noise that is left that it is the finished picture."""
    job = pipeline.prepare(replace(OPTIONS, num_inference_steps=5))
    for _state in islice(pipeline.denoise(job), num_done):
        pass
    with pytest.raises(InvalidInputError, match=f"{num_done} of 5") as caught:
        pipeline.finish(job)
    assert caught.value.code == "job.unfinished"


@pytest.mark.parametrize("scheduler", ["DPMSolverMultistep", "DDIM", "K_EULER_ANCESTRAL"])
def test_a_job_is_denoised_once(scheduler: str, pipeline: Pipeline) -> None:
    """The scheduler goes on from where it is: the second picture would be another, or none."""
    job = pipeline.prepare(replace(OPTIONS, scheduler=scheduler))
    pipeline.run(job)
    with pytest.raises(InvalidInputError) as caught:
        pipeline.run(job)
    assert caught.value.code == "job.begun"
    assert pipeline.finish(job)[0].image.tobytes() == pipeline.finish(job)[0].image.tobytes()


@pytest.mark.parametrize("given", [None, 5, {"prompt": "猫"}, ["猫", None], [{"prompt": "猫"}]])
def test_what_is_no_request_is_named(given: Any, pipeline: Pipeline) -> None:
    with pytest.raises(InvalidInputError, match="SamplingOptions") as caught:
        pipeline.generate(given)
    assert caught.value.code == "options.request"


def test_metadata_is_equal_for_equal_requests_and_names_no_folder(pipeline: Pipeline, tmp_path: Path) -> None:
    photo().save(tmp_path / "in.png")
    options = replace(OPTIONS, image=tmp_path / "in.png")
    first, again = (pipeline.generate(options)[0].metadata for _ in range(2))
    assert first == again
    assert first["image"] == "in.png" and first["model"] == "toy" and first["prompt"] == OPTIONS.prompt
    assert str(tmp_path) not in str(first)


def test_bfloat16_runs_and_is_close(toy_folder: Path, pipeline: Pipeline) -> None:
    half = Pipeline.load(toy_folder, device="cpu", dtype="bfloat16")
    made, exact = half.generate(OPTIONS)[0], pipeline.generate(OPTIONS)[0]
    assert made.dtype == "bfloat16"
    assert np.abs(np.asarray(made.image, int) - np.asarray(exact.image, int)).mean() < 8


def test_a_broken_folder_names_everything_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError) as caught:
        Pipeline.load(tmp_path)
    for part in ("scheduler", "text_encoder", "unet"):
        assert part in str(caught.value)


def test_the_log_says_which_model_where_and_how(toy_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="jsd"):
        Pipeline.load(toy_folder, device="cpu", dtype="float32")
    assert str(toy_folder) in caplog.text and "cpu, float32" in caplog.text
