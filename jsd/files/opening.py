"""Opening a picture that somebody sent: without torch, so that a look at a file's metadata is quick."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from jsd.errors import ImageFileError

Source = str | Path | bytes | Image.Image

# Decoders for pictures that people have; the rest of Pillow's (EPS runs Ghostscript) stays out of reach.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")


@contextmanager
def open_image(source: Source, field: str) -> Iterator[Image.Image]:
    """The picture, not yet decoded; whatever is wrong with it, here or in the block, is one `ImageFileError`."""
    name = _name(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            if isinstance(source, Image.Image):
                yield source
                return
            if not isinstance(source, bytes) and Path(source).exists() and not Path(source).is_file():
                raise FileNotFoundError(source)  # a pipe would be waited for
            with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                yield image
        except FileNotFoundError as error:
            raise ImageFileError("image.missing", field=field, value=name) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            limit = Image.MAX_IMAGE_PIXELS
            raise ImageFileError("image.bomb", field=field, value=name, limit=limit) from error
        except Exception as error:
            # Damaged files make the decoders raise nearly anything: OSError, SyntaxError, struct.error, ...
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageFileError(
                "image.unreadable", field=field, value=name, formats=", ".join(FORMATS), reason=reason[:200]
            ) from error


def _name(source: Source) -> str:
    if isinstance(source, Image.Image):
        return f"a {source.mode} image"
    text = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
    return text if len(text) <= 200 else text[:200] + "…"
