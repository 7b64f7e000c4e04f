"""The losses against what a reader of the papers computes by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from jsd.training.objectives import (
    COLOUR_WEIGHT,
    KL_WEIGHT,
    LATENT_NOISE,
    autoencoding_loss,
    contrastive_loss,
    decoding_loss,
    denoising_loss,
)

LATENTS = torch.tensor([1.0, -2.0]).reshape(1, 1, 1, 2)


class StubUNet(nn.Module):
    """Predicts `answer(noisy)` and remembers what it was shown."""

    def __init__(self, answer: float | Tensor = 0.0) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, noisy: Tensor, timesteps: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        self.noisy, self.timesteps = noisy, timesteps
        return SimpleNamespace(sample=torch.zeros_like(noisy) + self.answer)


def denoising(unet: nn.Module, alpha_bar: float, prediction_type: str, gamma: float = 5.0) -> float:
    """The loss where every timestep has the same noise level."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.zeros(1, 2, 3)
    loss, _ = denoising_loss(unet, torch.tensor([alpha_bar]), prediction_type, gamma, LATENTS, hidden, generator)
    return loss.item()


def noise_of(unet: StubUNet, alpha_bar: float) -> Tensor:
    return (unet.noisy - math.sqrt(alpha_bar) * LATENTS) / math.sqrt(1 - alpha_bar)


def test_v_prediction_by_hand() -> None:
    # alpha = 0.6, sigma = 0.8: v = 0.6 noise - 0.8 latents; SNR = 0.5625, so min-SNR leaves the weight at 1.
    unet = StubUNet()
    loss = denoising(unet, 0.36, "v_prediction")
    v = 0.6 * noise_of(unet, 0.36) - 0.8 * LATENTS
    assert loss == pytest.approx(v.square().mean().item(), rel=1e-5)


def test_noise_prediction_by_hand() -> None:
    unet = StubUNet()
    loss = denoising(unet, 0.36, "epsilon")
    assert loss == pytest.approx(noise_of(unet, 0.36).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_the_right_prediction_costs_nothing(prediction_type: str) -> None:
    unet = StubUNet()
    denoising(unet, 0.36, prediction_type)
    noise = noise_of(unet, 0.36)
    right = noise if prediction_type == "epsilon" else 0.6 * noise - 0.8 * LATENTS
    assert denoising(StubUNet(right), 0.36, prediction_type) == pytest.approx(0, abs=1e-10)


def test_min_snr_of_v_prediction_caps_nearly_clean_pictures() -> None:
    # SNR = 99: min(SNR + 1, 5) / (SNR + 1) = 0.05.
    unet = StubUNet()
    loss = denoising(unet, 0.99, "v_prediction")
    v = math.sqrt(0.99) * noise_of(unet, 0.99) - math.sqrt(0.01) * LATENTS
    assert loss == pytest.approx(0.05 * v.square().mean().item(), rel=1e-3)


def test_min_snr_of_v_prediction_keeps_the_noisiest_steps() -> None:
    unet = StubUNet()
    loss = denoising(unet, 0.0001, "v_prediction")
    v = 0.01 * noise_of(unet, 0.0001) - math.sqrt(0.9999) * LATENTS
    assert loss == pytest.approx(v.square().mean().item(), rel=1e-4)


def test_min_snr_of_noise_prediction() -> None:
    # SNR = 99: min(SNR, 5) / SNR.
    unet = StubUNet()
    loss = denoising(unet, 0.99, "epsilon")
    assert loss == pytest.approx(5 / 99 * noise_of(unet, 0.99).square().mean().item(), rel=1e-3)


def test_what_is_logged_is_not_weighted() -> None:
    unet = StubUNet()
    generator = torch.Generator().manual_seed(0)
    _, metrics = denoising_loss(unet, torch.tensor([0.99]), "epsilon", 5.0, LATENTS, torch.zeros(1, 2, 3), generator)
    assert metrics["mse"].item() == pytest.approx(noise_of(unet, 0.99).square().mean().item(), rel=1e-3)


def test_every_timestep_is_drawn() -> None:
    unet = StubUNet()
    alphas, latents = torch.linspace(0.9, 0.1, 10), torch.zeros(500, 1, 1, 1)
    denoising_loss(unet, alphas, "epsilon", 5.0, latents, torch.zeros(500, 2, 3), torch.Generator().manual_seed(0))
    assert set(unet.timesteps.tolist()) == set(range(10))


def one_hot(*rows: int) -> Tensor:
    return nn.functional.one_hot(torch.tensor(rows), 4).float()


SCALE = torch.tensor(math.log(10.0))


def test_matched_pairs_cost_little_and_mixed_ones_much() -> None:
    concepts = torch.tensor([0, 1])
    matched, metrics = contrastive_loss(one_hot(0, 1), one_hot(0, 1), SCALE, concepts)
    mixed, _ = contrastive_loss(one_hot(0, 1), one_hot(1, 0), SCALE, concepts)
    assert matched.item() == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-6)
    assert mixed.item() == pytest.approx(math.log(1 + math.exp(10)), abs=1e-4)
    assert metrics["accuracy"].item() == 1


def test_pictures_of_the_same_concept_are_no_negatives() -> None:
    same, _ = contrastive_loss(one_hot(0, 0), one_hot(0, 0), SCALE, torch.tensor([7, 7]))
    different, _ = contrastive_loss(one_hot(0, 0), one_hot(0, 0), SCALE, torch.tensor([7, 8]))
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert different.item() == pytest.approx(math.log(2), abs=1e-6)


def test_both_directions_count_alike() -> None:
    text, image, concepts = one_hot(0, 1, 2), one_hot(0, 1, 1), torch.tensor([0, 1, 2])
    there, _ = contrastive_loss(text, image, SCALE, concepts)
    back, _ = contrastive_loss(image, text, SCALE, concepts)
    assert there.item() == pytest.approx(back.item())


class StubVae:
    """Decodes to `decoded`, whatever the latents; a posterior of the given mean and variance."""

    config = SimpleNamespace(scaling_factor=0.5)

    def __init__(self, decoded: Tensor, mean: float = 0.0, variance: float = 1.0) -> None:
        self.decoded, self.mean, self.variance = decoded, mean, variance

    def encode(self, pixel_values: Tensor) -> SimpleNamespace:
        mean = torch.full((len(pixel_values), 1, 2, 2), self.mean)
        logvar = torch.full_like(mean, math.log(self.variance))
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=(logvar / 2).exp(), logvar=logvar))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        self.latents = latents
        return SimpleNamespace(sample=self.decoded)


PICTURE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def autoencoding(vae: StubVae) -> tuple[float, dict[str, Tensor]]:
    loss, metrics = autoencoding_loss(vae, PICTURE, torch.Generator().manual_seed(0))
    return loss.item(), metrics


def test_a_better_reconstruction_costs_less() -> None:
    error = torch.randn(PICTURE.shape, generator=torch.Generator().manual_seed(1))
    losses = [autoencoding(StubVae(PICTURE + size * error))[0] for size in (0.0, 0.1, 0.5)]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(0, abs=1e-6)


def test_a_tint_costs_pixels_and_colour_and_no_edges() -> None:
    loss, metrics = autoencoding(StubVae(PICTURE + 0.2))
    assert metrics["pixel_l1"].item() == pytest.approx(0.2)
    assert metrics["gradient_l1"].item() == pytest.approx(0, abs=1e-6)
    assert metrics["colour_l1"].item() == pytest.approx(0.2)
    assert loss == pytest.approx(0.2 + COLOUR_WEIGHT * 0.2)


def test_fine_stripes_cost_pixels_and_edges_and_no_colour() -> None:
    stripes = 0.2 * torch.tensor([1.0, -1.0]).repeat(4)  # (W,)
    loss, metrics = autoencoding(StubVae(PICTURE + stripes))
    assert metrics["pixel_l1"].item() == pytest.approx(0.2)
    assert metrics["gradient_l1"].item() == pytest.approx(0.4), "0.4 from column to column, nothing from row to row"
    assert metrics["colour_l1"].item() == pytest.approx(0, abs=1e-6)
    assert loss == pytest.approx(0.2 + 0.4)


def test_kl_by_hand() -> None:
    loss, metrics = autoencoding(StubVae(PICTURE, mean=2.0, variance=0.5))
    kl = 0.5 * (4 + 0.5 - 1 - math.log(0.5))
    assert metrics["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert loss == pytest.approx(KL_WEIGHT * kl, rel=1e-3)


def test_latents_are_decoded_at_their_own_scale_with_a_little_noise() -> None:
    latents, vae = torch.full((2, 4, 32, 32), 3.0), StubVae(PICTURE + 0.2)
    loss, metrics = decoding_loss(vae, latents, PICTURE, torch.Generator().manual_seed(0))
    assert vae.latents.mean().item() == pytest.approx(3.0 / 0.5, abs=0.01)
    assert vae.latents.std().item() == pytest.approx(LATENT_NOISE / 0.5, rel=0.05)
    assert loss.item() == pytest.approx(0.2 + COLOUR_WEIGHT * 0.2)
    assert metrics["pixel_l1"].item() == pytest.approx(0.2)
