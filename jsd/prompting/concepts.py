"""What a model knows: the things that it was trained to draw, and how they are called, in its folder's concepts.json.

    {"styles": ["油絵"], "concepts": [{"name": "猫", "emoji": "🐱", "spellings": ["猫", "ねこ"]}],
     "designs": ["", "フラット"], "words_without_design": ["油絵", "赤"]}

Folders of large models have no such file: nobody can list what they know.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from jsd.atomic import write_text
from jsd.errors import ModelFolderError

CONCEPTS_FILE = "concepts.json"
MAX_SEARCHED = 40  # characters of a prompt for which near names are looked for
MAX_CANDIDATES = 20
MAX_NEAR = 3
ALIKE = 0.55  # of difflib's ratio: one kanji of two is not enough
EMOJI_STYLE = "\ufe0f"  # that keyboards put behind an emoji
_SCRIPTS = _KANJI, _HIRAGANA, _KATAKANA = [re.compile(f"[{letters}]") for letters in ("々一-鿿", "ぁ-ゖ", "ァ-ヺー")]
# What may follow a name in hiragana without being a part of the word.
_AFTER_HIRAGANA = re.compile(
    r"[のをがはにでともへやだねよ]|さん|ちゃん|くん|さま|です|みたい|っぽ|など|たち|から|まで|より|ひとつ|ふたつ|みっつ|"
    r"ください|ちょうだい|ほしい|かいて|かわいい|おいしい|なの|って|きれい|すき|たべ|のみ|いきたい|みたい|みせて|つくって|いっぱい|"
    r"たくさん|ござい|いる|いた|さく|かな|かも|お願い|おねがい|お?描き|いっ[こぴぽ]|いちまい|いつつ|むっつ|ご[ひこ]|ろっ|じゃ|なんて"
)
# What one may name a picture by, right after a name in its script: ペンギンイラスト, 猫水彩画.
_MEDIUM = re.compile(
    "イラスト|アイコン|スタンプ|キャラ|ロゴ|アニメ|シール|ステッカー|ポスター|マスコット|デザイン|スケッチ|モチーフ|シルエット|グッズ|"
    "写真|画像|壁紙|素材|油絵|水彩画|線画|ドット絵|絵|達|姿|畑|柄|型|親子|夫婦|家族|同士|狩り|満開|風(?!邪|景|呂)|"
    # Verbs and adjectives that a particle was left out before: 猫描いて, 花咲く.
    "描|書いて|作って|出して|見せて|見たい|下さい|欲し|食べ|飲みたい|飼いたい|大?好き|可愛|綺麗|走[るっ]|飛[ぶん]|咲[くい]|降[るっり]|"
    "散[るっり]|舞[いうっ]|鳴[いくっ]|吹[いく]|輝|出[たる]|光[るっ]|揺れ|寝[てる]|座[っる]|泳[いぐ]|笑[いうっ]|怒[っる]|泣[いくっ]|"
    "飼[いうっ]|飲[むみん]|食[いう]|撫で|抱[いくっ]|盛り|詰め|数[匹個本枚人羽台頭輪軒]|カワイイ|カッコ|ダイスキ"
)
# Wishes and other phrases, in which no name is what it is alone: 食べたい is no sea bream.
_PHRASES = re.compile(
    "(?<=[きしちにみりびぎえけせてべめれ見寝着])たい|(?<=[々一-鿿]い)たい|(?:くだ|下|な)さい|お?願い(?=し|いたし|致し|でき)|"
    "(?<=を)お?願い|(?<=.)(?:大好き|だいすき)|大好き(?=な)|ちょうだい|(?<=.)よろしく|すみません(?=が)|(?<=.)うれしいです|"
    "元気な(?![のどら])|元気(?=に|いっぱい|よく)|(?:世界|日本)(?:で一番|一)|(?<=[やらるこそ])かに|ちいさい|小さい|うるさい|"
    "(?:走[るっ]|歩[くい]|眠[るっ]|笑[うっ]|泣[くい]|座[るっ]|急[ぐい]|怒った|疲れた)(?:てい[るた]|た)?(?=[々一-鿿ァ-ヺ])|"
    "(?<=[0-9０-９])[月本足円箱袋串]|(?<=[ぁ-んァ-ヺー])風(?=[のにな]|$)|金(?=の[々一-鿿ァ-ヺ])|空(?=き缶|っぽ|い[たて])|"
    "愛(?=らし|し|くるし)|光(?=る|っ)|歌(?=う|っ)|死(?=ぬほど)|しま(?=模様)|しましま(?=の)|ほん(?=と|もの)|"
    "ささや[かき]|(?<=で)たい|(?<=らい)たい|(?<=逢い)たい|(?<=[いな])きもち|(?<=の)そば(?=[にでのをへ])|うち(?=の)|"
    "ここ(?=[にはがでをへもか])|(?<=に)なると|(?<=[なんー一-鿿ァ-ヺ])ふう|静かに(?=[^し])|憧れ(?=の)|夢(?=のよう)|"
    "日本(?=の)|幸せ(?=な|そう)|目(?=の前)|カメラ(?=目線)|ゴロゴロ(?=し|す)|コロコロ(?=し)|"
    "(?:クレヨン|色?鉛筆|絵の具)で(?=描)|(?:絵本|物語)に(?=出て)|テレビで(?=見)"
)
# Things of their own that are spelt with the names of others.
_OTHERS = re.compile(
    "にんにく|わかめ|しいたけ|こたつ|あじさい|いちょう|つくし|なわとび|うみねこ|にほん|あさがお|たけのこ|かものはし|"
    "たつのおとしご|歯ブラシ|肉まん|肉じゃが|たい焼き|焼き鳥|けん玉|ビー玉|ゴミ箱|トラウマ|カモシカ|ヤマネコ|カメムシ|クマムシ|"
    "マンホール|ドラゴンフルーツ|スターフルーツ|はくさい|まつたけ|まいたけ|たいやき|かぶとむし|カブト虫|きつつき|ありのまま|"
    "ありがと(?!う)|ありがち|ありがた|アジサイ|タケノコ|グレープフルーツ|パンジー|カーペット|フォークリフト|サンドバッグ|ウミウシ|"
    "ウミネコ|ダンゴムシ|ダンゴ虫|トラベル|雪合戦|異世界|銀世界|泣き虫|豚まん|アメリカ人|ハチ公|ドラム缶|タイ人|豚バラ|バラ肉|タイ料理|タイ旅行|タイの|カップケーキ|"
    "わたあめ|りんごあめ|リンゴあめ|綿あめ|三角コーン|カラーコーン|綿菓子|わた飴|いちごあめ|手描き|山盛り|仮面ライダー|"
    "ドラゴンボール|ラブライブ|ベビーカー|ハンドボール|ドッグフード|ポストカード|クリスマスカード|ホワイトボード|イエローカード|"
    "グリーンピース|[QＱ][RＲ]コード|[IＩ][CＣ]カード|だんご虫|だんごむし|かぶと虫|湯のみ|むぎ茶|手ぶくろ|海がめ|雨がえる|水でっぽう|"
    "ほうれん草|そら豆|しりとり|あやとり|ちりとり|もちつき|めんたいこ|一輪車|風車|千羽鶴|月明かり|花吹雪|紙飛行機"
)
# Of a prompt what is no name of anything: how it is asked for.
_ASKING = re.compile(
    "イラスト|写真|画像|壁紙|素材|アイコン|スタンプ|[描書]いて|見せて|作って|(?:くだ|下)さい|お願い(?:し|いたし)?ます|ほしい|欲しい"
)
_PEOPLE = re.compile(
    "女性|男性|家族|夫婦|親子|カップル|恋人|[父姉兄妻夫]|(?<!空)母(?!校|国|船|の日)|奥さん|"
    "お(?:ば|じ|とう|かあ|ねえ|にい)(?:さん|ちゃん|さま)|ママ|パパ(?!イヤ|ラ)|(?:^|[のいな])人(?![気生力口工数権参形魚])"
)
PEOPLE = ("女の子", "男の子", "おばあさん")  # what is near to them, by no spelling
_TITLE = re.compile("(?:さん|ちゃん|くん|さま)$")
# A kanji of its own that others may stand before: 白猫 is a cat, 北海道 no road.
_PREFIXES = frozenset("白黒赤青黄緑紫茶金銀大小子親古新生夜朝夕春夏秋冬海山森野雪雨星花和洋初真早晩")
# Kana that may stand before one: ends of adjectives and verbs, particles. 折り紙 is no paper.
_BEFORE_KANJI = frozenset("のいなただんるうくすつぬむぐぶがをにとはへもでやきて")
_ENDS = frozenset("手目口木金紙道")  # of words whose kana belong to them
_ALL_HIRAGANA = "".join(map(chr, range(ord("ぁ"), ord("ゖ") + 1)))
# Words of two kanji of which the second is no thing in them, though the first may stand before one.
_COMPOUNDS = re.compile(
    "朝顔|夕顔|山羊|山車|海猫|海馬|海牛|大豆|小豆|山口|野口|山本|森本|小林|大林|山梨|青森|青木|黒木|和風|"
    "洋風|黄金|白金|金額|夏目|真空|初心"
)
_NUMERALS = frozenset("一二三四五六七八九十百千万何")  # 卵二個
_COUNTED = re.compile("[一二三四五六七八九十百千万数何][匹本輪台羽頭軒枚]$")  # 千本桜
# What may stand before a name in katakana: ピンクドレス.
_BEFORE_KATAKANA = re.compile(
    "ピンク|ブルー|レッド|ブラック|ホワイト|グリーン|イエロー|グレー|ゴールド|シルバー|ミニ|ベビー|ビッグ|プチ|リアル|カラフル"
)
# After what is no name then: ウマい, ウマそう.
_OKURIGANA = re.compile("い(?=$|[^ぁ-ゖ]|です|ね|よ)|そう|ける")
_KATAKANA_RUN = re.compile("[ァ-ヺー]+")
_WORD = re.compile("[々一-鿿]+[ぁ-ゖ]{0,2}|[ァ-ヺー]+|[ぁ-ゖー]{2,}|[a-z]+")


@dataclass(frozen=True)
class Concept:
    name: str
    emoji: str
    spellings: tuple[str, ...]


class Named(NamedTuple):
    concept: Concept
    start: int  # of its spelling in the text
    end: int


@dataclass(frozen=True)
class KnownConcepts:
    concepts: tuple[Concept, ...]
    styles: tuple[str, ...]  # names in jsd.prompting.styles.STYLES that the model draws
    designs: tuple[str, ...] = ()  # what a prompt of one thing gains by its seed: see jsd.prompting.designs
    words_without_design: tuple[str, ...] = ()  # where it has none of these; as `normal` writes them

    @classmethod
    def load(cls, folder: Path) -> "KnownConcepts | None":
        """What `folder` says of itself; None where it has no concepts.json."""
        path = folder / CONCEPTS_FILE
        if not path.is_file():
            return None
        try:
            said = json.loads(path.read_text("utf-8"))
            concepts = tuple(Concept(one["name"], one["emoji"], _texts(one["spellings"])) for one in said["concepts"])
            _texts([text for one in concepts for text in (one.name, one.emoji)])
            later = (_texts(said.get(name, [])) for name in ("designs", "words_without_design"))
            return cls(concepts, _texts(said["styles"]), *later)
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelFolderError(
                "concepts.damaged",
                "{path} must list styles and concepts, and does not; fetch the folder again, or delete the file",
                path=path,
            ) from error

    def save(self, folder: Path) -> None:
        write_text(folder / CONCEPTS_FILE, json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n")

    @cached_property
    def by_spelling(self) -> dict[str, Concept]:
        """Of a spelling that several concepts have, the first."""
        found: dict[str, Concept] = {}
        for concept in self.concepts:
            for spelling in (concept.name, *concept.spellings):
                found.setdefault(normal(spelling), concept)
        return found

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.by_spelling), default=0)

    @cached_property
    def _by_part(self) -> dict[str, list[str]]:
        """A kanji, or two characters -> the spellings that hold it."""
        found: dict[str, list[str]] = {}
        for spelling in self.by_spelling:
            for part in _parts(spelling):
                found.setdefault(part, []).append(spelling)
        return found

    def find(self, text: str, ends: Iterable[int]) -> list[Named]:
        """What `text` names, from left to right. `ends` are the places in it where a token begins or ends:
        a name begins and ends there, or where the script changes."""
        others = [one.span() for one in _PHRASES.finditer(text)]
        others += [one.span() for one in _OTHERS.finditer(text) if normal(one.group()) not in self.by_spelling]
        cuts = sorted({*ends, *(i for i in range(1, len(text)) if _script(text[i - 1]) != _script(text[i]))})
        found = []
        position = 0
        for number, start in enumerate(cuts):
            # A space may stand on each side, and one sign of a unit is two letters.
            near = [end for end in cuts[number + 1 : number + 3 + self._longest] if end <= start + 2 + self._longest]
            is_inside = any(first < start < last for first, last in others)
            past = max((last for first, last in others if first == start), default=start)  # 日本の旗 goes on
            for end in reversed(near) if start >= position and not is_inside else ():
                concept = self.by_spelling.get(normal(text[start:end])) if end > past else None
                if concept is not None and _is_a_word(text, start, end, self.by_spelling):
                    found.append(Named(concept, start, end))
                    position = end
                    break
        return found

    def near(self, text: str) -> list[str]:
        """Names that look like one of the first words of `text`, the nearest first."""
        text = text[:MAX_SEARCHED]
        shown = [concept.name for concept in self.concepts if concept.emoji in text]
        if _PEOPLE.search(text):
            return [*shown, *(name for name in PEOPLE if name in self.by_spelling)][:MAX_NEAR]
        close = []
        for word in _WORD.findall(normal(_ASKING.sub(" ", _OTHERS.sub(" ", text)))):
            word = _TITLE.sub("", word)
            if len(word) == 1 and _KANJI.match(word):
                continue
            shared = Counter(spelling for part in _parts(word) for spelling in self._by_part.get(part, ()))
            # The shortest of those that share as much: 花 before 花束.
            candidates = sorted(shared, key=lambda one: (-shared[one], len(one), one))[:MAX_CANDIDATES]
            close += [
                (SequenceMatcher(None, word, spelling).ratio(), self.by_spelling[spelling].name)
                for spelling in candidates
                if _may_be_meant(word, spelling)
            ]
        alike = [name for ratio, name in sorted(close, key=lambda one: -one[0]) if ratio >= ALIKE]
        return list(dict.fromkeys([*shown, *alike]))[:MAX_NEAR]

    def search(self, word: str) -> list[Concept]:
        """The concepts with a spelling that holds `word`."""
        wanted = normal(word).replace(EMOJI_STYLE, "")
        return [c for c in self.concepts if any(wanted in normal(s) for s in (c.name, *c.spellings, c.emoji))]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"no list of texts: {value!r:.100}")
    return tuple(value)


def normal(text: str) -> str:
    """As a vocabulary reads it: full width as half width, capitals as small letters."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def _script(character: str) -> tuple[bool, ...]:
    return tuple(pattern.match(character) is not None for pattern in _SCRIPTS)


def _parts(word: str) -> set[str]:
    return {*_KANJI.findall(word), *(word[i : i + 2] for i in range(len(word) - 1))}


def _ends_a_word(before: str) -> bool:
    """Whether two kana that follow `before` would end a word that it begins: 豊かに, ひとり."""
    if before == "":
        return False
    if _KANJI.match(before[-1]):
        return before[-1] not in _PREFIXES
    run = len(before) - len(before.rstrip(_ALL_HIRAGANA))
    return run == 1 and before[-1] not in _BEFORE_KANJI and before[-1] != "お"


def _may_be_meant(word: str, spelling: str) -> bool:
    """Whether who writes `word` may mean what is spelt like it: a kana more is another word, トトロ."""
    if _KANJI.search(word):
        return len(spelling) > 1 or word.endswith(spelling)
    is_long = len(spelling) > 2 or _HIRAGANA.match(spelling) is not None
    return word == spelling or (is_long and (spelling[0] == word[0] or word.endswith(spelling)))


def _is_a_word(text: str, start: int, end: int, known: Collection[str]) -> bool:
    """A name is not the inside of a longer word of the same script; in katakana beside another name that is `known` it
    is, リンゴジュース."""
    name = text[start:end].strip()
    start += text[start:end].find(name)
    before, after = text[:start], text[start + len(name) :]
    if name == "":
        return False
    if name in ("なし", "あり"):  # pear and ant, or none and some: 文字なし
        ends = not _HIRAGANA.match(after) or _AFTER_HIRAGANA.match(after) is not None
        return ends and (before == "" or before[-1] in " 　、")
    if re.fullmatch("[a-z0-9]+", normal(name)) and (re.match("[A-Za-z]", after) or re.search("[A-Za-z]$", before)):
        return False  # ok in book
    if len(name) == 2 and not _KANJI.search(name) and (after.startswith(name) or before.endswith(name)):
        return False  # ツルツル
    goes_on = after != "" and after[0] not in _NUMERALS and not _MEDIUM.match(after)
    if name.endswith("い") and goes_on and (_KANJI.match(after) or _KATAKANA.match(after)):
        return False  # of an adjective, before what it says something of: 冷たい豆腐
    if all(map(_HIRAGANA.match, name)):
        if len(name) == 1:
            return before.strip() == after.strip() == ""
        if len(name) == 2 and _ends_a_word(before):
            return False
        return not _HIRAGANA.match(after) or _AFTER_HIRAGANA.match(after) is not None
    if name in ("風", "的") and re.search("[ァ-ヺーa-zA-Z0-9]$", before):
        return False  # アニメ風
    if _KANJI.match(name[-1]) and _KANJI.match(after) and goes_on:
        return False
    if _KATAKANA.match(name[-1]) and _OKURIGANA.match(after):
        return False
    if _KATAKANA.match(name[-1]) and goes_on:
        rest = _KATAKANA_RUN.match(after)
        if rest is not None and normal(rest.group()) not in known:
            return False
    if _KATAKANA.match(name[0]):
        rest = _KATAKANA_RUN.match(before[::-1])
        other = "" if rest is None else rest.group()[::-1]
        return other == "" or _BEFORE_KATAKANA.fullmatch(other) is not None or normal(other) in known
    if len(name) > 1 or before == "" or not _KANJI.match(name):
        return True
    if _HIRAGANA.match(before[-1]):
        # The end of a word in kanji, 折り紙, or one of its own: のら犬.
        is_an_end = _KANJI.match(before.rstrip(_ALL_HIRAGANA)[-1:]) is not None
        return not is_an_end or before[-1] in _BEFORE_KANJI or name not in _ENDS
    if _COMPOUNDS.fullmatch(before[-1] + name):
        return False
    if before.endswith(("風", "調", "白黒")):
        return True  # 油絵風猫
    if _COUNTED.search(before):
        return True
    return not _KANJI.match(before[-1]) or (before[-1] in _PREFIXES and not _KANJI.match(before[-2:-1]))
