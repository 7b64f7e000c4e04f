"""The pictures that a request starts from, at the size that is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from jsd.errors import InvalidInputError, Note
from jsd.images import load_image, load_mask
from jsd.options import MAX_SIDE_PX, SamplingOptions
from jsd.sizes import SizeLimits


@dataclass(frozen=True, kw_only=True)
class InputPictures:
    """`image` and `mask` are None where the request has none; else they have `size`."""

    size: tuple[int, int]  # width, height that are drawn, px
    image: Image.Image | None = None
    mask: Image.Image | None = None
    notes: tuple[Note, ...] = ()
    originals: tuple[Image.Image, Image.Image] | None = None  # image and mask as they came, of a part to be repainted

    def restore(self, enlarged: Image.Image) -> Image.Image:
        """With what is not repainted as it came, where that has more pixels than are drawn."""
        if self.originals is None or not self.size[0] < min(enlarged.width, self.originals[0].width):
            return enlarged
        image, mask = self.originals
        mask = shrink_mask(mask, enlarged.size)
        return Image.composite(enlarged, image.resize(enlarged.size, Image.Resampling.LANCZOS), mask)


def load_inputs(options: SamplingOptions, limits: SizeLimits, upscale: int = 1) -> InputPictures:
    """The pictures of a request, fitted to what the model draws; InvalidInputError where they cannot be."""
    if options.image is None:
        size = limits.fit(None, options.width, options.height)
        _check_format(options, upscale * max(size))
        return InputPictures(size=size, notes=tuple(_unused(options)))
    image = load_image(options.image, "image")
    size = limits.fit(image.size, options.width, options.height, upscale)
    _check_format(options, upscale * max(size))
    mask, originals = None, None
    if options.mask is not None:
        mask = load_mask(options.mask, "mask")
        if mask.size != image.size:
            raise InvalidInputError(
                "image.mask_size",
                "{field} must have the size of the image ({image}), got {value}; resize the one to the other",
                field="mask",
                value=_shown(mask.size),
                image=_shown(image.size),
            )
        originals = (image, mask)
        mask = shrink_mask(mask, size)
    notes = [*_scaled(image.size, (upscale * size[0], upscale * size[1])), *_unchanged(options, mask)]
    drawn = image.resize(size, Image.Resampling.LANCZOS)
    return InputPictures(size=size, image=drawn, mask=mask, notes=tuple(notes), originals=originals)


def _check_format(options: SamplingOptions, side: int) -> None:
    """Before minutes of work: a WebP is no larger than this."""
    if options.output_format == "webp" and side > MAX_SIDE_PX:
        raise InvalidInputError(
            "image.webp_side",
            "{field} must be png or jpg for a picture with a side of {side} px, got {value}, which holds at most "
            "{high}; take one of these, or a smaller upscale",
            field="output_format",
            value=options.output_format,
            side=side,
            high=MAX_SIDE_PX,
        )


def shrink_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A pixel is white where any of those that it stands for is: a thin stroke counts."""
    return mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 if value > 0 else 0)


def _scaled(size: tuple[int, int], fitted: tuple[int, int]) -> Iterator[Note]:
    if size != fitted:
        yield Note(
            "image.scaled",
            "{field}: the picture of {size} px was scaled to {fitted}, a size that the model draws; name width and "
            "height for another",
            field="image",
            size=_shown(size),
            fitted=_shown(fitted),
        )


def _unchanged(options: SamplingOptions, mask: Image.Image | None) -> Iterator[Note]:
    """What asks for a change and makes none."""
    if mask is not None and mask.getbbox() is None:
        yield Note(
            "image.mask_black",
            "{field}: no part of it is white, so nothing of the picture is drawn anew; paint white what should change",
            field="mask",
        )
    if 0 < options.prompt_strength * options.num_inference_steps < 1:
        yield Note(
            "image.no_step",
            "{field}: {value} of {num_inference_steps} steps is less than one, so the picture stays as it is; take "
            "more of either",
            field="prompt_strength",
            value=options.prompt_strength,
            num_inference_steps=options.num_inference_steps,
        )


def _unused(options: SamplingOptions) -> Iterator[Note]:
    """What was meant for a picture that was not given."""
    if options.prompt_strength != SamplingOptions.prompt_strength:
        yield Note(
            "image.no_image",
            "{field}: it is how much of an image changes, got {value}, and there is no image, so it changes nothing; "
            "give an image with it",
            field="prompt_strength",
            value=options.prompt_strength,
        )


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
