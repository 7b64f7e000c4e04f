from pathlib import Path

import torch
from encoding import encode_prompt

from jsd.pipeline import Pipeline
from jsd.prompting.embeddings import weight_embeddings


def test_a_text_that_stands_twice_in_a_batch_is_encoded_once(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    sizes: list[int] = []
    pipeline.text_encoder.register_forward_hook(lambda _module, inputs, _output: sizes.append(len(inputs[0])))
    embeddings = encode_prompt(pipeline, ["猫", "桜", "猫"])
    assert sizes == [1, 1] and torch.equal(embeddings[0], embeddings[2])


def test_a_window_without_weights_is_returned_bit_for_bit() -> None:
    z = torch.randn(2, 4, 8, generator=torch.manual_seed(0)) + 1
    weighted = weight_embeddings(z, torch.tensor([[1.0] * 4, [1.0, 2.0, 1.0, 1.0]]))
    assert torch.equal(weighted[0], z[0])
    assert not torch.equal(weighted[1], z[1])


def test_a_token_is_scaled_and_the_windows_mean_restored() -> None:
    z = torch.rand(1, 4, 8, generator=torch.manual_seed(0)) + 0.5
    weighted = weight_embeddings(z, torch.tensor([[1.0, 2.0, 1.0, 1.0]]))
    torch.testing.assert_close(weighted.mean(), z.mean())
    ratio = weighted / z  # (1, 4, 8): one quotient for the window, twice it for the token
    torch.testing.assert_close(ratio[0, 1], 2 * ratio[0, 0])
    torch.testing.assert_close(ratio[0, 2], ratio[0, 0])


def test_a_mean_near_zero_cannot_blow_the_window_up_or_turn_it_round() -> None:
    z = torch.randn(8, 4, 8, generator=torch.manual_seed(0))
    z = z - z.mean(dim=-1, keepdim=True)
    weighted = weight_embeddings(z, torch.tensor([[1.0, 2.0, 1.0, 1.0]] * 8))
    ratio = weighted[:, 0] / z[:, 0]
    assert bool((ratio >= 0.5 - 1e-6).all() and (ratio <= 1 + 1e-6).all()), ratio


def test_half_precision_stays_half_precision() -> None:
    z = torch.full((1, 2, 4), 3e4, dtype=torch.float16)
    weighted = weight_embeddings(z, torch.tensor([[2.0, 1.0]]))
    assert weighted.dtype == torch.float16 and bool(torch.isfinite(weighted).all())
