"""What every test has: the toy model, English messages, a cache of its own; and which tests are slow."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_folder import write_toy_folder

TESTS = Path(__file__).parent
# What `make test-quick` leaves out, as its name begins: servers, a browser, Ray, training, OpenVINO, a wheel, whatever
# else takes many seconds.
SLOW = (
    "serving/",
    "training/",
    "benchmarks/",
    "batch/test_ray",
    "cli/test_batch.py::test_a_killed_run",
    "cli/test_engine.py",
    "cli/test_train.py::test_the_full_recipe",
    "cli/test_weights.py::test_a_full_disk",
    "test_closed_form.py",
    "test_lean.py",
    "test_parity_sdxl.py",
    "test_wheel.py",
)
# And what of that it keeps, so that every room of jsd/ has a test in it.
QUICK = (
    "serving/test_events.py",
    "serving/test_guard.py",
    "serving/test_line.py",
    "training/test_objectives.py",
    "training/corpora/test_concepts.py",
    "training/evaluation/test_measures.py",
)
# Folders of rinna's vocabulary: as `jsd weights fetch` leaves it, or beside the repository.
RELEASED = (TESTS.parent / "weights" / "rinna" / "tokenizer", TESTS.parents[1] / "shared" / "data" / "rinna-tokenizer")


def is_slow(path: Path, test: str = "") -> bool:
    name = path.relative_to(TESTS).as_posix()
    return f"{name}::{test}".startswith(SLOW) and name not in QUICK


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is left out is not imported either: that alone takes seconds."""
    left_out = config.option.markexpr == "not slow" and collection_path.is_file() and is_slow(collection_path)
    return True if left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item.path, item.name):
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
