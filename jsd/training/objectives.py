"""The losses of the method. Each takes components and a batch, and returns a scalar and what to log."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Losses = tuple[Tensor, dict[str, Tensor]]  # the loss, and what to log
KL_WEIGHT = 2e-4
COLOUR_WEIGHT = 2.0
LATENT_NOISE = 0.05  # standard deviation beside latents of about 1: a UNet's latents are not exact either


def reconstruction_loss(decoded: Tensor, pixel_values: Tensor) -> Losses:
    """L1 of the pixels, of their gradients (edges), and of the mean colour of each 8x8 cell (hues).

    Both (B, 3, H, W), the second in [-1, 1].
    """
    pixel_l1 = F.l1_loss(decoded, pixel_values)
    gradient_l1 = torch.stack([F.l1_loss(decoded.diff(dim=d), pixel_values.diff(dim=d)) for d in (2, 3)]).sum()
    colour_l1 = F.l1_loss(F.avg_pool2d(decoded, 8), F.avg_pool2d(pixel_values, 8))
    loss = pixel_l1 + gradient_l1 + COLOUR_WEIGHT * colour_l1
    return loss, {"pixel_l1": pixel_l1, "gradient_l1": gradient_l1, "colour_l1": colour_l1}


def autoencoding_loss(vae: Any, pixel_values: Tensor, generator: torch.Generator) -> Losses:
    """Reconstruction and a little KL (Rombach et al., arXiv 2112.10752).

    pixel_values (B, 3, H, W) in [-1, 1].
    """
    posterior = vae.encode(pixel_values).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator).to(pixel_values.device)
    latents = posterior.mean + posterior.std * noise  # (B, C, H/f, W/f)
    reconstruction, metrics = reconstruction_loss(vae.decode(latents).sample.float(), pixel_values)
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return reconstruction + KL_WEIGHT * kl, {**metrics, "kl": kl}


def decoding_loss(vae: Any, latents: Tensor, pixel_values: Tensor, generator: torch.Generator) -> Losses:
    """Reconstruction from latents that stay as they are: what was trained on them goes on to fit
    (the model card of stabilityai/sd-vae-ft-mse does the same).

    latents (B, C, h, w), scaled; pixel_values (B, 3, H, W) in [-1, 1].
    """
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    noisy = (latents + LATENT_NOISE * noise) / vae.config.scaling_factor
    return reconstruction_loss(vae.decode(noisy).sample.float(), pixel_values)


def upscaling_loss(upscaler: torch.nn.Module, small: Tensor, large: Tensor) -> Losses:
    """Reconstruction of the large picture; where that is less than four times as large, of what shrinks to it.

    small (B, 3, h, w), large (B, 3, H, W), in [0, 1].
    """
    enlarged = upscaler(small).float()
    return reconstruction_loss(F.avg_pool2d(enlarged, enlarged.shape[-1] // large.shape[-1]), large)


def contrastive_loss(text_features: Tensor, image_features: Tensor, logit_scale: Tensor, concepts: Tensor) -> Losses:
    """CLIP's symmetric cross-entropy (Radford et al., arXiv 2103.00020).

    text_features, image_features (B, D), of length one; concepts (B,): rows of the same concept are not negatives.
    """
    similarity = logit_scale.exp() * text_features @ image_features.T  # (B, B)
    same = (concepts[:, None] == concepts[None]) & ~torch.eye(len(concepts), dtype=torch.bool, device=concepts.device)
    similarity = similarity.masked_fill(same, -1e4)
    target = torch.arange(len(concepts), device=concepts.device)
    loss = (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
    accuracy = (similarity.argmax(dim=1) == target).float().mean()
    return loss, {"accuracy": accuracy}


def denoising_loss(
    unet: torch.nn.Module,
    alphas_cumprod: Tensor,
    prediction_type: str,
    snr_gamma: float,
    latents: Tensor,
    encoder_hidden_states: Tensor,
    generator: torch.Generator,
) -> Losses:
    """Mean squared error of the UNet's prediction, weighted by min-SNR (arXiv 2303.09556, section 3.4).

    latents (B, C, h, w), scaled; encoder_hidden_states (B, L, D); alphas_cumprod (T,).
    """
    noisy, noise, timesteps, alpha_bar = noised(latents, alphas_cumprod, generator)
    prediction = unet(noisy, timesteps, encoder_hidden_states).sample.float()
    velocity = alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * latents  # arXiv 2202.00512, appendix D
    target = velocity if prediction_type == "v_prediction" else noise
    squared_error = (prediction - target).square()
    weight = snr_weight(alpha_bar, prediction_type, snr_gamma)
    return (weight * squared_error).mean(), {"mse": squared_error.mean()}


def noised(
    latents: Tensor, alphas_cumprod: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """latents (B, C, h, w) -> the same at random timesteps, their noise, the timesteps (B,), alpha_bar (B, 1, 1, 1)."""
    device = latents.device
    made_on = generator.device
    timesteps = torch.randint(0, len(alphas_cumprod), (len(latents),), generator=generator, device=made_on).to(device)
    noise = torch.randn(latents.shape, generator=generator, device=made_on).to(device)
    alpha_bar = alphas_cumprod[timesteps][:, None, None, None]
    return alpha_bar.sqrt() * latents + (1 - alpha_bar).sqrt() * noise, noise, timesteps, alpha_bar


def snr_weight(alpha_bar: Tensor, prediction_type: str, snr_gamma: float) -> Tensor:
    """min-SNR. For v-prediction the SNR is counted from one: min(SNR + 1, gamma) / (SNR + 1). The paper's own
    min(SNR, gamma) / (SNR + 1) leaves next to nothing to the noisiest steps, where the text decides what is drawn."""
    snr = alpha_bar / (1 - alpha_bar)
    if prediction_type == "v_prediction":
        return (snr + 1).clamp(max=snr_gamma) / (snr + 1)
    return snr.clamp(max=snr_gamma) / snr
