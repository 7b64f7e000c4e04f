"""A toy safety checker: CompVis' class at a tiny size, with concepts aimed at pictures of the test's choice."""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

SIDE = 16


def write_toy_checker(folder: Path, unsafe: Sequence[Image.Image] = (), care: Sequence[Image.Image] = ()) -> Path:
    """Write `safety_checker/` and `feature_extractor/` of random weights into a model folder. What it sees of `unsafe`
    are its first concepts, of `care` its first special-care concepts, each at a cosine of 0.999; the others never
    match."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 4,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16)).eval()
    # As 2022 wrote it.
    preprocessing = {
        "crop_size": SIDE,
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "size": SIDE,
    }
    (folder / "feature_extractor").mkdir()
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(preprocessing), "utf-8")
    processor = CLIPImageProcessorPil.from_pretrained(folder / "feature_extractor")
    with torch.no_grad():
        # Weights of training's scale would see the same in every picture.
        for name, weight in checker.vision_model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.0 if "embed" in name else 0.3)
        checker.visual_projection.weight.normal_()
        for embeds, weights, pictures in (
            (checker.concept_embeds, checker.concept_embeds_weights, unsafe),
            (checker.special_care_embeds, checker.special_care_embeds_weights, care),
        ):
            embeds.normal_()
            weights.fill_(2)
            for number, picture in enumerate(pictures):
                pixel_values = processor(picture, return_tensors="pt")["pixel_values"]
                embeds[number] = checker.visual_projection(checker.vision_model(pixel_values).pooler_output)[0]
                weights[number] = 0.999
    checker.save_pretrained(folder / "safety_checker")
    return folder
