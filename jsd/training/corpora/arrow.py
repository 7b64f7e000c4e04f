"""pyarrow, which only those have who installed the extra `train`."""

from typing import Any

from jsd.errors import MissingExtraError


def import_arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "train") from None
    return pyarrow, pyarrow.parquet
