"""What is committed of the real corpus and of the models' reports: their sizes, and that they are of one corpus.

docs/results is written by runs/evaluate_mini.sh; the corpus itself is too large for the repository.
"""

import re

import pytest

from jsd.cli import main
from jsd.models.configs import GUIDANCE_SCALE, guidance_scale
from jsd.models.record import folder_digest
from jsd.training.corpora.concepts import read_list
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.evaluation.prompt_sets import GROUPS
from runs.blocks import ROOT
from runs.results_table import CORPUS, NATURAL_COLUMNS, NATURAL_ROWS, ROWS, load_reports

REPORTS = load_reports()
NATURAL = load_reports(rows=NATURAL_ROWS)
EMBEDDED = ("mini",)
AIMS = {"general": 80, "japan": 80, "onomatopoeia": 60, "unseen": 50}  # top-5 in percent


def described(pattern: str) -> list[int]:
    """The numbers of one line of `jsd data describe`."""
    found = re.search(f"^{pattern}", CORPUS.read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"{CORPUS} has no line {pattern!r}; run: jsd data describe > {CORPUS}"
    return [int(number) for number in found.groups()]


def test_every_row_of_the_table_has_its_report() -> None:
    assert set(REPORTS) == set(ROWS)


def test_the_corpus_has_600_to_1200_concepts_in_every_style() -> None:
    pictures, concepts = described(r"(\d+) pictures of (\d+) concepts in data/mini$")
    assert 600 <= concepts <= 1200
    # Every style once, and once more on a coloured background where it takes one.
    assert pictures == concepts * (len(CORPUS_STYLES) + sum(style.takes_background for style in CORPUS_STYLES.values()))


def test_the_japan_split_is_the_whole_list() -> None:
    (concepts,) = described(r"Japan split: (\d+) concepts$")
    assert concepts == len(read_list("japan")) >= 60, "a name of the list has no picture, or no concept"


def test_concepts_with_sound_words_are_many() -> None:
    (concepts,) = described(r"sound words: (\d+) concepts$")
    assert concepts >= 60


def test_about_one_pair_in_ten_is_unseen() -> None:
    unseen, pairs = described(r"unseen pairs: (\d+) of (\d+) ")
    (_, concepts) = described(r"(\d+) pictures of (\d+) concepts")
    assert pairs == concepts * len(CORPUS_STYLES)
    assert 0.07 < unseen / pairs < 0.11, "one in ten of the styles but the default one"


def test_the_sources_of_the_pictures_add_up() -> None:
    by_source = re.findall(r"^ *(\d+) pictures from \S+ \S+, \S+$", CORPUS.read_text("utf-8"), re.MULTILINE)
    (pictures, _) = described(r"(\d+) pictures of (\d+) concepts")
    assert len(by_source) == 3
    assert sum(map(int, by_source)) == pictures


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_asks_for_15_concepts(group: str) -> None:
    _, concepts = described(rf"prompts of the test split, {group}: (\d+) for (\d+) concepts$")
    assert concepts >= 15


@pytest.mark.parametrize("name", ROWS)
def test_a_report_is_over_the_prompts_of_the_corpus_and_at_least_200(name: str) -> None:
    cells = REPORTS[name]["accuracy"]
    for group in GROUPS:
        prompts, _ = described(rf"prompts of the test split, {group}: (\d+) for (\d+) concepts$")
        assert cells[group]["drawings"] == prompts * REPORTS[name]["seeds"], group
    assert sum(cell["drawings"] for cell in cells.values()) >= 200


@pytest.mark.parametrize("name", ROWS)
def test_a_report_was_judged_against_the_whole_corpus_on_the_test_split(name: str) -> None:
    pictures, concepts = described(r"(\d+) pictures of (\d+) concepts")
    assert REPORTS[name]["gallery"] == {"pictures": pictures, "concepts": concepts}
    assert REPORTS[name]["split"] == "test"


@pytest.mark.parametrize("name", ROWS)
def test_chance_is_near_nothing(name: str) -> None:
    """The judge does not say yes to any picture: with another prompt of its group hardly one is right."""
    assert max(cell["top5"] for cell in REPORTS[name]["chance"].values()) <= 5


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("group", AIMS)
def test_the_embedded_model_reaches_its_aim(name: str, group: str) -> None:
    assert REPORTS[name]["accuracy"][group]["top5"] >= AIMS[group]


def test_all_rows_are_of_one_guidance_but_the_editions_which_are_at_their_own() -> None:
    scales = {name: report["guidance_scale"] for name, report in REPORTS.items()}
    assert scales.pop("mini") == guidance_scale(ROOT / "weights" / "mini")
    assert (scales.pop("first"), scales.pop("text")) == (3, 3), "the folders of these editions said so"
    assert set(scales.values()) == {GUIDANCE_SCALE}


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_models_report_is_of_the_weights_in_the_repository(name: str) -> None:
    drawn_by = REPORTS[name].get("model_sha256")
    assert drawn_by == folder_digest(ROOT / "weights" / "mini"), "run: runs/evaluate_mini.sh"


def test_the_embedded_model_reads_more_than_the_editions_before_it_drew() -> None:
    first, text, mini = (NATURAL[name] for name in NATURAL_ROWS)
    assert mini["model_sha256"] == folder_digest(ROOT / "weights" / "mini"), "run: runs/evaluate_mini.sh"
    for name in ("first", "text"):
        assert NATURAL[f"natural_{name}"]["model_sha256"] == REPORTS[name]["model_sha256"]
    assert {name: one["gallery"] for name, one in NATURAL.items()} == dict.fromkeys(NATURAL_ROWS, first["gallery"])
    assert mini["accuracy"]["colours"]["colour"] > 2 * text["accuracy"]["colours"]["colour"]
    for group in NATURAL_COLUMNS:
        assert mini["accuracy"][group]["top5"] >= first["accuracy"][group]["top5"], group
        assert mini["accuracy"][group]["drawings"] == first["accuracy"][group]["drawings"]


def test_both_rows_of_the_base_model_are_of_the_same_weights() -> None:
    assert REPORTS["base_en"].get("model_sha256") == REPORTS["base_ja"].get("model_sha256")


if (ROOT / "data" / "mini" / "records.jsonl").is_file():  # where it was built

    def test_the_description_is_that_of_the_corpus(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(ROOT)  # it names data/mini
        assert main(["data", "describe"]) == 0
        assert capsys.readouterr().out == CORPUS.read_text("utf-8")
