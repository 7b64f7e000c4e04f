from inspect import signature

import pytest

from jsd.errors import InvalidInputError, ModelFolderError
from jsd.schedulers import DISTILLED, MAX_TRAIN_TIMESTEPS, SCHEDULERS, STABLE_DIFFUSION, make_scheduler, scheduler_note

FOLDER_CONFIG = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 900,
    "prediction_type": "v_prediction",
    # What another class saved and must not be carried along.
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 7,
    "timestep_spacing": "trailing",
    "thresholding": True,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_noise_is_the_folders_and_all_else_ours(name: str) -> None:
    scheduler = make_scheduler(name, FOLDER_CONFIG, 5)
    for key in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type"):
        assert scheduler.config[key] == FOLDER_CONFIG[key], f"{name}: {key} is {scheduler.config[key]}"
    default = {key: p.default for key, p in signature(type(scheduler).__init__).parameters.items()}
    expected = STABLE_DIFFUSION | SCHEDULERS[name][1]
    for key in ("clip_sample", "set_alpha_to_one", "steps_offset", "timestep_spacing", "thresholding"):
        if key in default:
            assert scheduler.config[key] == expected.get(key, default[key]), f"{name}: {key}"
    assert scheduler.config.get("use_karras_sigmas", False) is (name == "KarrasDPM")
    assert scheduler.config.get("skip_prk_steps", True) is True


@pytest.mark.parametrize("name", SCHEDULERS)
def test_zero_terminal_snr_is_honoured(name: str) -> None:
    plain, rescaled = (
        make_scheduler(name, FOLDER_CONFIG | {"rescale_betas_zero_snr": rescale}, 5).alphas_cumprod
        for rescale in (False, True)
    )
    assert float(rescaled[0]) == pytest.approx(float(plain[0])), "the picture's end of the schedule stays"
    assert 0 < float(rescaled[-1]) < 1e-7 < float(plain[-1]), "the last level is noise alone"


@pytest.mark.parametrize(
    "change",
    [
        {"rescale_betas_zero_snr": True, "prediction_type": "epsilon"},
        {"rescale_betas_zero_snr": "yes"},
        {"use_flow_sigmas": True},
        {"prediction_type": None},
        {"snr_shift_scale": 3.0},
        {"timestep_type": "continuous"},
        {"variance_type": "learned_range"},
        {"num_train_timesteps": MAX_TRAIN_TIMESTEPS * 10**6},
        {"num_train_timesteps": 900.0},
        {"trained_betas": [0.1, 0.2]},
        {"trained_betas": [0.0] * 900},
        {"beta_start": -0.1},
        {"beta_end": float("nan")},
        {"beta_end": 1.5},
    ],
    ids=lambda change: ", ".join(change),
)
def test_noise_that_cannot_be_drawn_with_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelFolderError, match=next(iter(change))):
        make_scheduler("KarrasDPM", FOLDER_CONFIG | change, 5)


def test_few_steps_are_few_and_a_note_says_what_they_want() -> None:
    assert max(make_scheduler("LCM", FOLDER_CONFIG, 50).timesteps.tolist()) == 899
    with pytest.raises(InvalidInputError, match="at most 50 with LCM"):
        make_scheduler("LCM", FOLDER_CONFIG, 51)
    assert scheduler_note("DDIM", (), 7.5) is None is scheduler_note("TCD", ("a.safetensors",), 2.0)
    assert "distilled" in str(scheduler_note("TCD", (), 1.0))


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in DISTILLED])
def test_more_steps_than_noise_levels_are_refused(name: str) -> None:
    config = FOLDER_CONFIG | {"num_train_timesteps": 60}
    assert max(make_scheduler(name, config, 59).timesteps.tolist()) == 59
    with pytest.raises(InvalidInputError, match="60"):
        make_scheduler(name, config, 60)


def test_strong_guidance_with_a_file_for_few_steps_is_said() -> None:
    assert "1 to 2" in str(scheduler_note("LCM", ("a.safetensors",), 7.5))


@pytest.mark.parametrize("name", ["DDIM", "PNDM"])
def test_where_the_unet_learnt_noise_alone_it_begins_there(name: str) -> None:
    config = FOLDER_CONFIG | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    firsts = [float(make_scheduler(name, one, 4).timesteps[0]) for one in (config, FOLDER_CONFIG)]
    assert firsts == [899, 676], "of 900"
