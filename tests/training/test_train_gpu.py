"""runs.train_gpu: from a model folder and sprites alone to parts that are laid over the folder; here on a CPU."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file
from toy_recipe import TOY

from jsd.models.folder import verify_folder
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training import modules
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.words import read_vocabulary
from jsd.training.recipes import PHRASES, RECIPES
from jsd.training.vocabulary import train_phrase_tokenizer
from runs import train_gpu


@pytest.fixture(scope="module")
def start(toy_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as the stage before leaves it, and weights/mini is."""
    folder = tmp_path_factory.mktemp("start")
    phrases = Phrases(toy_corpus, read_vocabulary())
    train_phrase_tokenizer(phrases, TOY.vocab_size[PHRASES], 16, folder / "tokenizer")
    tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
    parts = {name: modules.build(name, TOY.components[name], tokenizer) for name in ("text_encoder", "unet", "vae")}
    assert TOY.scheduler is not None
    modules.write_model_folder(folder, parts, TOY.scheduler, TOY.guidance_scale)
    return folder


def log(folder: Path, seconds: dict[int, float]) -> Path:
    path = folder / "log.jsonl"
    path.write_text(
        "".join(json.dumps({"step": at, "seconds": value}) + "\n" for at, value in seconds.items()), "utf-8"
    )
    return path


def test_it_goes_from_a_folder_to_pieces_that_fit_over_it(
    start: Path, toy_sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "mini", TOY)
    monkeypatch.setattr(train_gpu, "PART_BYTES", 100_000)
    result, laid = tmp_path / "result", shutil.copytree(start, tmp_path / "laid")
    options = ["--seconds", "1", "--device", "cpu", "--mixed-precision", "no", "--seed", "7"]
    options += [
        "--dataloader-num-workers",
        "0",
        "--shards",
        "2",
        "--parts",
        "--train-batch-size 8",
        "--scenes",
        "--train-batch-size 2",
    ]
    train_gpu.main([str(start), str(toy_sprites), str(result), *options])
    pieces = sorted(result.glob("trained.tar.*"))
    assert len(pieces) > 1 and max(piece.stat().st_size for piece in pieces) <= 100_000
    steps = train_gpu.TIMED_STEPS
    others = {"parts.jsonl", "scenes.jsonl", f"{steps:06}.png"}
    assert {path.name for path in result.iterdir()} - {piece.name for piece in pieces} == others
    subprocess.run(["tar", "-x", "-C", laid], input=b"".join(piece.read_bytes() for piece in pieces), check=True)
    assert verify_folder(laid) == []
    for component, name in (("text_encoder", "model"), ("unet", "diffusion_pytorch_model")):
        before, after = (load_file(one / component / f"{name}.safetensors") for one in (start, laid))
        assert {str(tensor.dtype) for tensor in after.values()} == {"torch.bfloat16"}
        assert before.keys() == after.keys()
        assert sum(not before[key].bfloat16().equal(after[key]) for key in before) > len(before) / 2
    for stage, size in (("parts", 8), ("scenes", 2)):
        run = json.loads((laid / f"{stage}.json").read_text("utf-8"))
        assert (run["stage"]["max_train_steps"], run["stage"]["train_batch_size"]) == (steps, size)
        assert run["options"]["seed"] == 7 and str(tmp_path) not in json.dumps(run)
        assert "corpus" not in run["options"], "a folder of one machine"


def test_the_first_steps_say_how_many_there_is_time_for(tmp_path: Path) -> None:
    """A tenth of a second each, of 90 % of what is left to train."""
    path = log(tmp_path, {20: 49.0, 40: 54.0, 60: 56.0, 80: 58.0, 100: 60.0})
    assert train_gpu.steps_within(path, train_gpu.RESERVE_SECONDS + 100.0) == 100 + 900
    assert train_gpu.steps_within(path, 5.0) == 100, "there is no time for more"


@pytest.mark.parametrize("stage", train_gpu.STAGES)
def test_no_step_is_timed_while_the_rate_goes_down(stage: str) -> None:
    """Else the cosine would have gone down to its end before the run has begun."""
    assert RECIPES["mini"].stages[stage].lr_warmup_steps >= train_gpu.TIMED_STEPS


def test_parts_of_another_run_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "trained.tar.00").write_bytes(b"")
    with pytest.raises(SystemExit, match="must be an empty folder"):
        train_gpu.main(["start", "sprites", str(tmp_path)])
