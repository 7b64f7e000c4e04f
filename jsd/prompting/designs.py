"""Which design a seed draws a thing in, of prompts that name no style.

A small model that has learnt one name for several designs of a thing draws one of them, or their mean, whatever the
noise. So the design is chosen first, by its name in the captions: p(picture | name) is the sum over the designs of
p(design) p(picture | name and design). Seeds in a row take turns, so that the pictures of one request differ.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from jsd.options import SamplingOptions
from jsd.prompting.concepts import normal
from jsd.prompting.prompts import Prompts, read_prompt
from jsd.prompting.tokenizer import JapaneseTokenizer

# Of the whole prompt: 絵本 is a thing, and 絵本風 a style.
_STYLE = re.compile("(?<=[^がをのはもと、。 ])風(?=[のにな]|$)|(?<=.)調の|(?<=[画調彩具])タッチ|(?<!お)[金銀]の")
_COLOUR_OR_NUMBER = re.compile(
    "(?<!景)色|カラフル|透明|[0-9](?!k)|"
    "[一二三四五六七八九十百千万数][匹頭羽人名台本枚冊杯輪軒隻機両足着体粒皿脚房束鉢個つ尾株棟滴玉発組缶膳貫]"
)
_NO_LOOK = re.compile("面白|おもしろ")  # 面白い is not 白い
# Between two names: both are to be seen. 森の鹿 and 荷物を運ぶトラック are one thing.
_BOTH = re.compile(
    "[とや、,，・&＆+＋]|および|[上下横隣脇前後裏奥左右]|となり|そば|近く|うしろ|わき|"
    "[持抱着被履乗食飲見遊]|かぶ|くわえ|つけ|入っ|のった|のせ|のってい"
)


def in_design(tokenizer: JapaneseTokenizer, prompts: Prompts, options: SamplingOptions, seed: int) -> Prompts:
    """`prompts`, as they are read in the design of the seed.

    They stay as they are where a style, a picture or a LoRA file says how to draw; where nothing is named, or two
    things side by side, a colour or a number, which small models lose over a design; where the window has no room.
    """
    known, read = tokenizer.known, prompts.prompt
    if known is None or not known.designs or read.things == () or len(read.windows) > 1 or read.tail:
        return prompts
    if any(part.strip() == "" or _BOTH.search(part) for part in read.around[1:-1]):
        return prompts
    said = _NO_LOOK.sub("", normal(f"{' '.join(read.around)}\n{prompts.negative_prompt.read}"))
    if _COLOUR_OR_NUMBER.search(said) or any(word in said for word in known.words_without_design):
        return prompts
    is_told = options.style != "" or options.image is not None or options.loras or _STYLE.search(read.read)
    design = "" if is_told else known.designs[seed % len(known.designs)]
    if design == "":
        return prompts
    longer = read_prompt(tokenizer, f"{read.text} {design}", read.field, options.unknown_words, "truncate")
    if longer.tail:
        return prompts
    return replace(prompts, prompt=replace(read, design=design, windows_in_design=longer.windows))


@contextmanager
def without_designs(tokenizer: JapaneseTokenizer) -> Iterator[None]:
    """Where what a bare name draws is compared, or learnt from."""
    known = tokenizer.known
    tokenizer.known = None if known is None else replace(known, designs=())
    try:
        yield
    finally:
        tokenizer.known = known
