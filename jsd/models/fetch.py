"""Models from the Hugging Face hub: licence first, whole or not at all, resumed where it stopped."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from jsd.errors import InvalidInputError, ModelFolderError, first_line
from jsd.models.convert import WEIGHT_ENDINGS, check_free
from jsd.models.folder import open_model_folder, weights_root
from jsd.models.record import OPENRAIL, OPENRAIL_URL
from jsd.models.weights import WEIGHT_STEMS, choose_names
from jsd.rules import not_one_of

try:  # huggingface_hub's client, whose exceptions come through: of its version 2, and of 1
    from httpx2 import HTTPError
except ImportError:
    from httpx import HTTPError  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Fetchable:
    """A model that `jsd weights fetch` knows; `size_gb` of what is downloaded."""

    repository: str
    size_gb: float
    licence: str
    licence_url: str
    needs_account: bool


FETCHABLE = {
    "rinna": Fetchable(
        repository="rinna/japanese-stable-diffusion",
        size_gb=4.2,
        licence=OPENRAIL,
        licence_url=OPENRAIL_URL,
        needs_account=True,
    ),
    "tohoku-sdxl": Fetchable(
        repository="tohoku-nlp/stable-diffusion-xl-jp-base-1.0",
        size_gb=8.8,
        licence="CreativeML Open RAIL++-M",
        licence_url="https://huggingface.co/tohoku-nlp/stable-diffusion-xl-jp-base-1.0",
        needs_account=False,
    ),
}
REPOSITORY = FETCHABLE["rinna"].repository
ACCEPTED = "accept-licence"  # what JSD_FETCH must say


def fetch_folder(
    folder: Path | str,
    *,
    accept_licence: bool,
    repository: str = REPOSITORY,
    revision: str = "main",
    endpoint: str | None = None,
) -> Path:
    """Download a model to `folder`; the token is HF_TOKEN's. Run again, it keeps the files that arrived."""
    folder = Path(folder)
    if not accept_licence:
        raise InvalidInputError(
            "fetch.licence_not_accepted",
            "the licence above must be accepted before {repo} is fetched; run the command again with {field}",
            field="--accept-licence",
            repo=repository,
        )
    check_free(folder)
    folder = folder.resolve()  # of a link, what it leads to
    # A fixed name, so that the next run finds what this one got.
    partial = folder.with_name(f".{folder.name}.partial")
    api = HfApi(endpoint=endpoint)
    try:
        info = api.model_info(repository, revision=revision)
        names = choose_files([sibling.rfilename for sibling in info.siblings or ()])
        snapshot_download(repository, revision=info.sha, local_dir=partial, allow_patterns=names, endpoint=endpoint)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        # Without a token the hub does not say whether a repository is gated or missing.
        raise ModelFolderError(
            "fetch.gated",
            "the hub gives {repo} only to those who accepted its licence; accept it at "
            "https://huggingface.co/{repo} and set HF_TOKEN to a token from "
            "https://huggingface.co/settings/tokens",
            repo=repository,
        ) from error
    except HfHubHTTPError as error:
        raise _failed(repository, partial, error) from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HTTPError) as error:
        raise ModelFolderError(
            "fetch.unreachable",
            "the hub must be reachable to fetch {repo}, and {endpoint} is not ({reason}); check "
            "the network and run the same command again",
            repo=repository,
            endpoint=api.endpoint,
            reason=first_line(error),
        ) from error
    except OSError as error:
        raise _failed(repository, partial, error) from error
    open_model_folder(partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    partial.replace(folder)
    return folder


def fetch_if_asked(endpoint: str | None = None) -> Path | None:
    """For a container: JSD_FETCH=accept-licence downloads rinna's model at start, accept-licence:tohoku-sdxl another,
    unless an earlier start has.

    It goes where JSD_WEIGHTS says, else into weights/ under its name; None where JSD_FETCH is unset.
    """
    asked = os.environ.get("JSD_FETCH", "")
    if asked == "":
        return None
    choices = [ACCEPTED, *(f"{ACCEPTED}:{name}" for name in FETCHABLE)]
    if asked not in choices:
        raise not_one_of("JSD_FETCH", asked, choices)
    name = asked.partition(":")[2] or "rinna"
    named = os.environ.get("JSD_WEIGHTS", "")
    folder = weights_root() / name if named == "" else Path(named)
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    repository = FETCHABLE[name].repository
    return fetch_folder(folder, accept_licence=True, repository=repository, endpoint=endpoint)


def choose_files(names: list[str]) -> list[str]:
    """Of a repository's files: one form of weights a component, and everything that is not weights."""
    rest = [name for name in names if not name.endswith(WEIGHT_ENDINGS)]
    best = []
    for component in WEIGHT_STEMS:
        inside = {name.removeprefix(f"{component}/") for name in names if name.startswith(f"{component}/")}
        best += [f"{component}/{name}" for name in choose_names(inside, component)]
    return rest + best


def _failed(repository: str, partial: Path, error: Exception) -> ModelFolderError:
    return ModelFolderError(
        "fetch.failed",
        "{repo} could not be downloaded: {reason}; run the same command again: files that "
        "arrived are kept in {partial}",
        repo=repository,
        partial=partial,
        reason=first_line(error),
    )
