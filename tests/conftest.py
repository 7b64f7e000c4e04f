"""What every test has: the toy model, English messages, a cache of its own; and which tests are slow."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_folder import write_toy_folder

TESTS = Path(__file__).parent
# Folders and files that `make test-quick` leaves out: servers, a browser, Ray, training, a wheel.
SLOW = ("serving", "training", "batch/test_ray.py", "test_wheel.py")
# Folders of rinna's vocabulary: as `jsd weights fetch` leaves it, or beside the repository.
RELEASED = (TESTS.parent / "weights" / "rinna" / "tokenizer", TESTS.parents[1] / "shared" / "data" / "rinna-tokenizer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested for want of something on this machine."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.getreports("skipped"))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"not tested here, {count}: {reason.removeprefix('Skipped: ')}")
    if not any((folder / "spiece.model").is_file() for folder in RELEASED):
        terminalreporter.write_line("not tested here: the ids of rinna's own vocabulary, which is not fetched")


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_folder(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="session")
def make_toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`write_toy_folder` into a fresh folder."""
    return lambda **kwargs: write_toy_folder(tmp_path_factory.mktemp("models") / "toy", **kwargs)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages in English, whatever the machine's locale."""
    monkeypatch.setenv("JSD_LANG", "en")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is known of model folders goes nowhere else, and comes from nowhere else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def quiet_libraries() -> None:
    logging.getLogger("diffusers").setLevel(logging.ERROR)
