"""The UNet and the VAE's decoder as OpenVINO computes them on a CPU, in place of torch's; the rest stays torch's.

What they are converted to lies in the user's cache, by the digest of the weights and the version of OpenVINO. Sizes are
left open: a network is compiled once, for every size, number of pictures and length of text.
"""

import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jsd.atomic import replacing_folder
from jsd.models.components import build, load_components, load_network
from jsd.models.configs import read_json
from jsd.models.known import cache_folder
from jsd.models.record import folder_digest
from jsd.models.weights import vae_place

PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
NETWORK_FILE = "network.xml"
# What a network is traced with: odd, so that the UNet tells its upsampling layers every size, not 2x alone.
BATCH, HEIGHT, WIDTH, LENGTH = 2, 17, 19, 5
ADDED = ("text_embeds", "time_ids")  # what SDXL's UNet is told besides


class Compiled(nn.Module):
    """A converted network, compiled: tensors in, a float32 tensor out."""

    def __init__(self, network: Any, dtype: torch.dtype) -> None:
        import openvino

        super().__init__()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": PRECISIONS[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # beside another busy process a pinned thread waits for its core
        }
        self.request = openvino.Core().compile_model(network, "CPU", settings).create_infer_request()
        self.lock = threading.Lock()  # a request holds one inference

    def forward(self, *inputs: Tensor) -> Tensor:
        arrays = [one.float().contiguous().numpy() for one in inputs]
        with self.lock:
            return torch.from_numpy(self.request.infer(arrays, share_inputs=True)[0])


class CompiledUNet(nn.Module):
    """Called as the loop calls diffusers' UNet2DConditionModel; it has no weights that could be changed."""

    device = torch.device("cpu")

    def __init__(self, network: Any, config: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.compiled, self.config, self.dtype = Compiled(network, dtype), config, dtype

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: Mapping[str, Tensor] | None = None,
        timestep_cond: Tensor | None = None,
        return_dict: bool = False,
    ) -> tuple[Tensor]:
        added = [] if added_cond_kwargs is None else [added_cond_kwargs[name] for name in ADDED]
        added += [] if timestep_cond is None else [timestep_cond]
        return (self.compiled(sample, timestep, encoder_hidden_states, *added),)


class _ByPosition(nn.Module):
    """diffusers' UNet with the arguments of `CompiledUNet.compiled`."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, *others: Tensor) -> Tensor:
        added = list(others)
        told: dict[str, Any] = {}
        if self.unet.config.time_cond_proj_dim is not None:
            *added, told["timestep_cond"] = added
        if added:
            told["added_cond_kwargs"] = dict(zip(ADDED, added, strict=True))
        noise_pred: Tensor = self.unet(sample, timestep, encoder_hidden_states, return_dict=False, **told)[0]
        return noise_pred


def load_compiled(folder: Path, device: torch.device, dtype: torch.dtype, vae: Path | None = None) -> dict[str, Any]:
    """As `jsd.models.components.load_components`; `device` is the CPU."""
    networks = load_components(folder, device, dtype, vae, without=("unet",))
    config = build("unet", read_json(folder / "unet" / "config.json")).config
    decoded = vae_place(folder if vae is None else vae)
    unet = _network(
        f"{folder_digest(folder)}-unet",
        lambda: _convert_unet(load_network(folder / "unet", "unet", device, torch.float32)),
    )
    decoder = _network(
        f"{folder_digest(folder, vae)}-decoder",
        lambda: _convert_decoder(load_network(decoded, "vae", device, torch.float32)),
    )
    networks["vae"].decoder = Compiled(decoder, dtype)
    return {**networks, "unet": CompiledUNet(unet, config, dtype)}


def _network(name: str, convert: Callable[[], Any]) -> Any:
    """From the cache, else converted, and put there if it can be."""
    import openvino

    place = cache_folder() / "openvino" / version("openvino") / name
    found = _cached(place)
    if found is not None:
        return found
    network = convert()
    with suppress(OSError, RuntimeError), replacing_folder(place) as made:
        openvino.save_model(network, made / NETWORK_FILE, compress_to_fp16=False)
    found = _cached(place)  # its weights are the file's: those of torch can go
    return network if found is None else found


def _cached(place: Path) -> Any:
    """None where there is none, or what is there cannot be read."""
    import openvino

    with suppress(RuntimeError):
        if (place / NETWORK_FILE).is_file():
            return openvino.Core().read_model(place / NETWORK_FILE)
    return None


def _convert_unet(unet: Any) -> Any:
    config = unet.config
    inputs = [
        torch.randn(BATCH, config.in_channels, HEIGHT, WIDTH),
        torch.tensor(1.0),
        torch.randn(BATCH, LENGTH, config.encoder_hid_dim or config.cross_attention_dim),
    ]
    if config.addition_embed_type == "text_time":  # SDXL
        time_ids = torch.ones(BATCH, 6)
        pooled = config.projection_class_embeddings_input_dim - time_ids.shape[1] * config.addition_time_embed_dim
        inputs += [torch.randn(BATCH, pooled), time_ids]
    if config.time_cond_proj_dim is not None:  # distilled with its guidance
        inputs.append(torch.randn(BATCH, config.time_cond_proj_dim))
    return _convert(_ByPosition(unet), inputs)


def _convert_decoder(vae: Any) -> Any:
    return _convert(vae.decoder, [torch.randn(1, vae.config.latent_channels, HEIGHT, WIDTH)])


def _convert(network: nn.Module, inputs: list[Tensor]) -> Any:
    """By the parts of `openvino.convert_model`, which would report its use to its makers."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of values that the trace keeps: the number of channels is one
        traced = TorchScriptPythonDecoder(network, example_input=tuple(inputs), trace_kwargs={"check_trace": False})
    frontend = FrontEndManager().load_by_framework("pytorch")
    return frontend.convert(frontend.load(traced))
