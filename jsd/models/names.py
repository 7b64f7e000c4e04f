"""What a tensor of a checkpoint of 2022 is called today."""

import re


def current_name(component: str, name: str) -> str | None:
    """Its name in the network of `component`; None where it is no longer a weight."""
    if component == "text_encoder":
        name = name.removeprefix("text_model.")
        return None if name == "embeddings.position_ids" else name
    if component == "text_encoder_2":
        return None if name == "text_model.embeddings.position_ids" else name
    if component == "safety_checker":
        name = name.replace("vision_model.vision_model.", "vision_model.")
        return None if name == "vision_model.embeddings.position_ids" else name
    if component == "vae":
        # diffusers 0.17 renamed the VAE's attention.
        for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
            name = re.sub(rf"(\.attentions\.\d+)\.{old}\.", rf"\1.{new}.", name)
    return name
