"""What a model says it knows: found in a prompt, offered when a prompt has none of it, searched."""

import json
from pathlib import Path

import pytest

from jsd.cli import main
from jsd.errors import ModelFolderError
from jsd.options import SamplingOptions
from jsd.prompting.concepts import CONCEPTS_FILE, PEOPLE, Concept, KnownConcepts
from jsd.prompting.prompts import read_prompts
from jsd.prompting.styles import readable_styles
from jsd.prompting.tokenizer import JapaneseTokenizer
from runs.blocks import ROOT

KNOWN = KnownConcepts(
    (
        Concept("猫", "🐱", ("ねこ", "ネコちゃん", "子猫")),
        Concept("歯", "🦷", ("は", "歯")),
        Concept("カメラ", "📷", ("写真機",)),
        Concept("富士山", "🗻", ("ふじさん", "富士")),
        Concept("桜", "🌸", ("さくら",)),
        Concept("道", "🛣", ("道路",)),
        Concept("いちご", "🍓", ("苺", "イチゴ")),
        Concept("梨", "🍐", ("なし",)),
        Concept("時計", "⌚", ("とけい",)),
        Concept("寒さ", "🥶", ("冷たい",)),
        Concept("鯛", "🐟", ("たい",)),
    ),
    ("油絵", "線画"),
)


def every_place(text: str) -> range:
    """A vocabulary of single characters: a word may begin and end anywhere."""
    return range(len(text) + 1)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("猫", ["猫"]),
        ("富士山と桜", ["富士山", "桜"]),
        ("かわいいネコちゃんの写真", ["猫"]),
        ("浮世絵風の富士山", ["富士山"]),
        ("ねこがいる", ["猫"]),
        ("カメラです", ["カメラ"]),
        ("白猫", ["猫"]),
        ("カメラマン", []),
        ("それは何", []),
        ("北海道", []),
        ("猫舌", []),
        ("通り道", []),
        ("桜 水彩画", ["桜"]),
        ("桜三本", ["桜"]),
        ("長い道", ["道"]),
        ("のら猫", ["猫"]),
        ("ふわふわ猫", ["猫"]),
        ("いちごひとつ", ["いちご"]),
        ("いちごから", ["いちご"]),
        ("ねこください", ["猫"]),
        ("ねこかわいい", ["猫"]),
        ("カメライラスト", ["カメラ"]),
        ("猫水彩画", ["猫"]),
        ("捨て猫", ["猫"]),
        ("海猫", []),
        ("文字なし", []),
        ("なしとあり", ["梨"]),
        ("背景、なし", ["梨"]),
        ("冷たい豆腐", []),
        ("冷たい", ["寒さ"]),
        ("とけい二個", ["時計"]),
        ("猫描いて", ["猫"]),
        ("桜咲く", ["桜"]),
        ("猫可愛い", ["猫"]),
        ("猫壁紙", ["猫"]),
        ("猫達", ["猫"]),
        ("折りたたみ時計と桜", ["時計", "桜"]),
        ("猫が見たい", ["猫"]),
        ("何か食べたい", []),
        ("大きなたい", ["鯛"]),
        ("うみねこ", []),
        ("ヤマネコ", []),
        ("カメライチゴ", ["カメラ", "いちご"]),
        ("カメライカ", []),
        ("とけいイラスト", ["時計"]),
        ("ＵＦＯ", []),
        ("", []),
    ],
)
def test_a_name_is_found_where_it_is_a_word(text: str, names: list[str]) -> None:
    assert [one.concept.name for one in KNOWN.find(text, every_place(text))] == names


def test_a_name_begins_and_ends_where_a_token_or_a_script_does() -> None:
    assert [one.concept.name for one in KNOWN.find("いちごの絵", [0, 5])] == [], "one piece with what follows"
    assert [one.concept.name for one in KNOWN.find("桜並", [0, 1, 2])] == []
    assert [one.concept.name for one in KNOWN.find("桜の絵", [0, 3])] == ["桜"], "の begins another script"


@pytest.fixture
def folder(tmp_path: Path, toy_folder: Path) -> Path:
    whole = tmp_path / "whole"
    whole.mkdir()
    for part in toy_folder.iterdir():
        (whole / part.name).symlink_to(part)
    KNOWN.save(whole)
    return whole


@pytest.fixture
def tokenizer(folder: Path) -> JapaneseTokenizer:
    return JapaneseTokenizer.load(folder / "tokenizer")


def codes(tokenizer: JapaneseTokenizer, prompt: str, **options: str) -> list[str]:
    return [note.code for note in read_prompts(tokenizer, SamplingOptions(prompt=prompt, **options)).notes()]


@pytest.mark.parametrize("prompt", ["猫", "富士山と桜", "ネコちゃん 油絵", "", "  "])
def test_what_is_known_is_drawn_without_a_word(tokenizer: JapaneseTokenizer, prompt: str) -> None:
    assert not {"prompt.unknown", "prompt.unknown_near"} & set(codes(tokenizer, prompt))


def test_a_prompt_of_unknown_things_is_told_what_is_near(tokenizer: JapaneseTokenizer) -> None:
    notes = read_prompts(tokenizer, SamplingOptions(prompt="ねこまた", negative_prompt="文字")).notes()
    (note,) = [one for one in notes if one.code.startswith("prompt.unknown")]
    assert "猫" in str(note) and str(note).startswith("prompt")
    assert "prompt.unknown" in codes(tokenizer, "哲学")
    # Nobody knows what a LoRA file adds.
    with_file = read_prompts(tokenizer, SamplingOptions(prompt="哲学", loras=("own.safetensors",)))
    assert "prompt.unknown" not in [note.code for note in with_file.notes()]


def test_kana_are_offered_only_where_they_lead_to_something_known(folder: Path, tokenizer: JapaneseTokenizer) -> None:
    pytest.importorskip("sudachipy", reason="the extra readings is not installed")
    (folder / CONCEPTS_FILE).unlink()
    anything = JapaneseTokenizer.load(folder / "tokenizer")
    for word in ("苺", "薔薇"):
        offered = [read_prompts(one, SamplingOptions(prompt=word)).prompt.spellings for one in (tokenizer, anything)]
        assert bool(offered[0]) == (bool(offered[1]) and word == "苺")


def test_styles_are_those_that_the_folder_names(folder: Path, tokenizer: JapaneseTokenizer) -> None:
    assert readable_styles(tokenizer) == ["油絵", "線画"]
    (folder / CONCEPTS_FILE).unlink()
    assert len(readable_styles(JapaneseTokenizer.load(folder / "tokenizer"))) != 2


WRONG_TYPES = [{"name": 5}, {"emoji": None}, {"spellings": "猫"}, {"spellings": [5]}]
WRONG = [{"styles": [], "concepts": [{"name": "猫", "emoji": "", "spellings": [], **one}]} for one in WRONG_TYPES]


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", '{"concepts": [{"name": "猫"}], "styles": []}', '{"concepts": 3}'),
        *('{"concepts": [], "styles": [1]}', '{"concepts": [], "styles": "油絵"}'),
        *(f'{{"concepts": [], "styles": [], "designs": {wrong}}}' for wrong in ('"猫"', "[1]", "null")),
        '{"concepts": [], "styles": [], "words_without_design": "猫"}',
        *map(json.dumps, WRONG),
        "[" * 200_000,
    ],
)
def test_a_damaged_file_is_one_line_with_its_path(folder: Path, content: str) -> None:
    (folder / CONCEPTS_FILE).write_text(content, "utf-8")
    with pytest.raises(ModelFolderError) as caught:
        KnownConcepts.load(folder)
    assert CONCEPTS_FILE in str(caught.value) and "\n" not in str(caught.value)


def test_it_is_saved_as_it_was(folder: Path) -> None:
    assert KnownConcepts.load(folder) == KNOWN
    assert set(json.loads((folder / CONCEPTS_FILE).read_text("utf-8"))) == {
        *("concepts", "styles", "designs", "words_without_design")
    }


def test_the_command_lists_and_searches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(["concepts", *words, "--weights", str(folder)]) == 0
        return capsys.readouterr().out

    assert all(one.name in said() for one in KNOWN.concepts)
    assert "猫" in said("ねこ") and "カメラ" not in said("ねこ")
    assert "猫" in said("ねこまた"), "near ones where none is spelled so"


def test_a_folder_that_says_nothing_is_one_line(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["concepts", "--weights", str(toy_folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert CONCEPTS_FILE in line


@pytest.fixture(scope="module")
def embedded() -> JapaneseTokenizer:
    return JapaneseTokenizer.load(ROOT / "weights" / "mini" / "tokenizer")


KNOWN_TO_IT = (
    "桜満開 さくらきれい ペンギンステッカー 猫百匹 千本桜 紅葉狩り 猫風 ワンワン 赤いかに かにさん "
    "猫（黒） 傘（青） 猫寝てる 犬座ってる 寿司盛り合わせ ねこお願いします りんごいっこ ピンクドレス "
    "ミニドラゴン ネコカワイイ ネコいっぱい 日本の旗 ホテル 高級車 金閣寺"
)
UNKNOWN_TO_IT = (
    "豊かに ひとり 小さい はくさい アジサイ たいやき ありのままの自分 アメリカ人 雪合戦 山口さん "
    "ツルツルの床 もちもちの肌 湖のそばに book spring 大好きなお母さん テレビで見た滝 絵を描いて貰いたい "
    "トロける 豚バラ タイ料理 日本の学校 目の前の学校 お手数ですが わたあめ りんごあめ カップケーキ "
    "三角コーン 走るダチョウ カピバラを描いてちょうだい カピバラの絵をお願い 元気に走るカピバラ "
    "いらすとや風のカピバラ 12月のイラスト 大根3本 手描きのカピバラ 山盛りのグラタン 熱々のグラタン "
    "ジャンプするカピバラ 右向きのカピバラ カピバラ大好き 仮面ライダー ドラゴンボール ベビーカー "
    "QRコード だんご虫 綿菓子 しりとり 一輪車 千羽鶴 愛らしいカピバラ 光る石 水族館 海底 "
    "本日はよろしくお願いします"
)


@pytest.mark.parametrize(
    ("prompt", "is_known"),
    [
        (prompt, is_known)
        for all_of, is_known in ((KNOWN_TO_IT, True), (UNKNOWN_TO_IT, False))
        for prompt in all_of.split()
    ],
)
def test_of_the_embedded_model_a_name_is_known_and_no_other_word(
    embedded: JapaneseTokenizer, prompt: str, is_known: bool
) -> None:
    codes = [note.code for note in read_prompts(embedded, SamplingOptions(prompt=prompt)).notes()]
    assert any(code.startswith("prompt.unknown") for code in codes) != is_known, codes


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("寿司食いたい", ["寿司"]),
        ("ウマいラーメン", ["ラーメン"]),
        ("カメラ目線の猫", ["猫"]),
        ("ゴロゴロする猫", ["猫"]),
        ("虹色の猫", ["猫"]),
        ("カレーうどん", ["ラーメン"]),
        ("リンゴジュース", ["トロピカルドリンク"]),
        ("カツ丼", ["ご飯"]),
        ("コーンスープ", ["鍋"]),
        ("走る犬", ["犬"]),
        ("走る人", ["走る人"]),
        ("猫ちょうだい", ["猫"]),
        ("ありがとうございます", ["祈り"]),
        ("元気いっぱいの犬", ["犬"]),
        ("魚を食べる猫", ["魚", "猫"]),
        ("ちいさいねこ", ["猫"]),
        ("空っぽのバス", ["バス"]),
        ("歌う女の子", ["女の子"]),
    ],
)
def test_of_the_embedded_model_a_thing_is_that_thing_alone(
    embedded: JapaneseTokenizer, prompt: str, names: list[str]
) -> None:
    windows = read_prompts(embedded, SamplingOptions(prompt=prompt)).prompt.windows
    ends = [end for window in windows for piece in window.pieces for end in (piece.start, piece.end)]
    assert embedded.known is not None
    assert [one.concept.name for one in embedded.known.find(prompt, ends)] == names


@pytest.mark.parametrize("prompt", ["トトロ", "カピバラ", "パパイヤ", "人力車", "母の日"])
def test_what_is_spelt_a_little_like_it_is_not_offered(embedded: JapaneseTokenizer, prompt: str) -> None:
    assert embedded.known is not None
    assert not set(embedded.known.near(prompt)) & {"寿司", "バラ", *PEOPLE}


@pytest.mark.parametrize(
    "prompt", ["お母さん", "お兄さんのイラスト", "黒人", "便箋", "原爆", "こたつ", "妻", "おにいちゃん", "カップル"]
)
def test_no_animal_is_offered_for_a_person_and_nothing_for_one_kanji(embedded: JapaneseTokenizer, prompt: str) -> None:
    assert embedded.known is not None
    assert set(embedded.known.near(prompt)) <= set(PEOPLE)
