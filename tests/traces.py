"""What a picture's file says beside its pixels."""

from pathlib import Path

from PIL import Image

# What a decoder needs: JPEG's header, WebP's animation.
OF_THE_FORMAT = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background", "timestamp", "duration"}


def traces(path: Path) -> set[str]:
    """Whatever Pillow finds there, and what stands there for other readers: words too long to be there by chance."""
    with Image.open(path) as image:
        image.load()  # all of it: a PNG may keep its texts at the end
        found = set(image.info) - OF_THE_FORMAT | {f"EXIF {tag}" for tag in image.getexif()}
    data = path.read_bytes().lower()
    return found | {word for word in ("parameters", "prompt", "xpacket", "jsd:record") if word.encode() in data}
