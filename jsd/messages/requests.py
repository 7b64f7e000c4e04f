"""Sentences about what a request may ask for."""

# code -> (English, Japanese). Rule, value, remedy, in one line.
ROWS: dict[str, tuple[str, str]] = {
    "cli.arguments": (
        "{reason}; {command} --help lists what there is",
        "コマンドの引数に誤りがあります（{reason}）。{command} --help で確認してください",
    ),
    "cli.choice": (
        "{name} must be one of {choices}, got {value}",
        "{name} は次のいずれかにしてください: {choices}、指定値: {value}",
    ),
    "cli.no_value": ("{name} needs a value", "{name} に値がありません"),
    "cli.required": ("these must be given: {names}", "指定が必要なもの: {names}"),
    "cli.switch": ("{name} takes no value, got {value}", "{name} に値は付けられません、指定値: {value}"),
    "cli.unrecognized": ("these arguments are unknown: {words}", "使えない引数: {words}"),
    "image.address": (
        "{field} must be an https:// or http:// address or a data: URI, got {value}; send the picture itself as a data: URI",
        "{field} は https:// か http:// のアドレス、または data: URI にしてください（指定値: {value}）。画像そのものを data: URI で送れます",
    ),
    "image.bomb": (
        "{field} must have at most {limit} pixels, {value} has more; make it smaller first",
        "{field} の画素数は {limit} までです（{value} は超えています）。縮小してから渡してください",
    ),
    "image.empty": (
        "{field} must have at least one pixel, {value} has none; pass another picture",
        "{field} には 1 画素以上が必要ですが、{value} は空です。別の画像を渡してください",
    ),
    "image.mask_size": (
        "{field} must have the size of the image ({image}), got {value}; resize the one to the other",
        "{field} は画像と同じ大きさ（{image}）にしてください（指定: {value}）。どちらかの大きさを合わせてください",
    ),
    "image.missing": (
        "{field} must be a picture file, and there is none at {value}; check the path",
        "{field} に指定された画像ファイル {value} が見つかりません。パスを確認してください",
    ),
    "image.unreadable": (
        "{field} must be a picture ({formats}), and {value} cannot be read: {reason}; save or upload it again",
        "{field} は画像（{formats}）である必要がありますが、{value} を読み込めません: {reason}。保存またはアップロードし直してください",
    ),
    "image.unwritable": (
        "{field} must be a place where a .png, .jpg or .webp can be written, and {value} is not: {reason}; choose another",
        "{field} に画像（.png、.jpg、.webp）を書き込めません（{value}）: {reason}。別の場所を指定してください",
    ),
    "input.disable_safety_checker": (
        "Return flagged pictures too.",
        "セーフティーチェッカーが検出した画像も返します。",
    ),
    "input.guidance_scale": (
        "Weight of the prompt. Unset: the model's own.",
        "プロンプトに従う強さ。未指定ならモデルの値。",
    ),
    "input.height": ("Pixels. Unset: the image's or the model's own.", "高さ。未指定なら画像かモデルの既定値。"),
    "input.image": ("Picture to start from.", "元にする画像。"),
    "input.long_prompt": (
        "Too long for the model: chunk, or truncate.",
        "長いプロンプト: 分けて読むか、切り捨てます。",
    ),
    "input.mask": ("White is repainted, black stays as in image.", "白い部分を描き直し、黒い部分は残します。"),
    "input.negative_prompt": ("What the picture should not show.", "描いてほしくないもの。"),
    "input.num_inference_steps": ("Denoising steps.", "ノイズ除去のステップ数。"),
    "input.num_outputs": ("Number of pictures.", "枚数。"),
    "input.output_format": ("PNG keeps every pixel.", "ファイル形式。PNG は劣化しません。"),
    "input.output_quality": ("Quality of webp and jpg; png has none.", "webp と jpg の画質。png には関係しません。"),
    "input.preview_every": (
        "A small picture every so many steps; 0: none.",
        "途中の小さな画像を出す間隔。0 なら無し。",
    ),
    "input.prompt": ("What to draw, in Japanese.", "描きたいもの（日本語）。例: サラリーマン 油絵"),
    "input.prompt_strength": (
        "With image: 0 keeps the picture, 1 nothing of it.",
        "0 で image のまま、1 で元は残りません。",
    ),
    "input.safety_threshold": (
        "Withhold scores above it; 0 is standard.",
        "スコアがこれを超える画像は返しません。標準は 0。",
    ),
    "input.scheduler": ("Sampling method.", "サンプリング手法。"),
    "input.seed": ("Picture i uses seed + i. Unset: drawn at random.", "i 枚目は seed + i。未指定なら乱数。"),
    "input.style": ("A style, put behind the prompt:", "プロンプトの後に加えるスタイル:"),
    "input.unknown_words": (
        "Unreadable words: warn, or replace by kana.",
        "読めない語: 警告するか、かなに置き換えます。",
    ),
    "input.width": ("Pixels. Unset: the image's or the model's own.", "幅。未指定なら画像かモデルの既定値。"),
    "options.choice": (
        "{field} must be one of {choices}; got {value}",
        "{field} は次のいずれかにしてください: {choices}（指定値: {value}）",
    ),
    "options.in_memory": (
        "{field} must be a path to be written as JSON, and is a picture in memory; save it to a file and pass the path",
        "JSON に書き出すには {field} がファイルのパスである必要がありますが、メモリー上の画像です。ファイルに保存してパスを渡してください",
    ),
    "options.json": (
        '{field} must be one JSON object of sampling options, got {value}; write it like {{"prompt": "桜"}}',
        '{field} はサンプリング設定の JSON オブジェクトである必要があります（{value}）。{{"prompt": "桜"}} のように書いてください',
    ),
    "options.last_seed": (
        "{field} + num_outputs - 1 must be at most 4294967295, got {field} {value} with num_outputs {num_outputs}; use a seed of at most {high}",
        "{field} + num_outputs - 1 は 4294967295 以下にしてください（{field} {value}、num_outputs {num_outputs}）。{high} 以下のシードを指定してください",
    ),
    "options.long_text": (
        "{field} must be at most {high} characters, got {value}; shorten it",
        "{field} は {high} 文字以内にしてください（指定: {value} 文字）",
    ),
    "options.mask_alone": (
        "{field} needs a picture to repaint and image is not set; pass image too, or leave {field} out",
        "{field} には塗り替える画像が必要ですが、image が指定されていません。image も指定するか、{field} を外してください",
    ),
    "options.number": (
        "{field} must be a number from {low} to {high}, got {value}; choose one in that range",
        "{field} は {low} から {high} までの数値にしてください（指定値: {value}）",
    ),
    "options.picture": (
        "{field} must be a path or a Pillow image, got {value}; pass one of these",
        "{field} にはファイルのパスか Pillow の画像を渡してください（指定された型: {value}）",
    ),
    "options.switch": (
        "{field} must be true or false, got {value}; write one of the two, without quotes",
        "{field} は true か false にしてください（指定値: {value}）。引用符は付けません",
    ),
    "options.text": (
        "{field} must be text, got {value}; pass a string, empty if need be",
        "{field} は文字列にしてください（指定値: {value}）。空文字列でもかまいません",
    ),
    "options.unknown": (
        "{field} is not a sampling option; the options are {choices}",
        "{field} というサンプリング設定はありません。使えるのは次のとおりです: {choices}",
    ),
    "options.whole": (
        "{field} must be a whole number from {low} to {high}, got {value}; choose one in that range",
        "{field} は {low} から {high} までの整数にしてください（指定値: {value}）",
    ),
    "prompt.chunked": (
        "the prompt needs more tokens than the {available} that the model reads at once, so it is read in {count} parts: {parts}",
        "プロンプトがモデルの一度に読める {available} トークンに収まらないため、{count} つに分けて読みます: {parts}",
    ),
    "prompt.cut": (
        "the prompt needs {needed} tokens and the model reads {available}: from character {start} on it is "
        "ignored («{tail}»); shorten it",
        "プロンプトは {needed} トークンですが、モデルが読めるのは {available} トークンまでです。{start} "
        "文字目以降（「{tail}」）は無視されます。短くしてください",
    ),
    "prompt.kana": (
        "the model can read the kana spelling: {spellings}; write it so, or set unknown_words to replace",
        "かなで書けばモデルが読めます: {spellings}。書き換えるか、unknown_words を replace にしてください",
    ),
    "prompt.kana_whole": (
        "the model can read the kana spelling: {spellings}; write «{suggestion}», or set unknown_words to replace",
        "かなで書けばモデルが読めます: {spellings}。「{suggestion}」と書くか、unknown_words を replace にしてください",
    ),
    "prompt.not_japanese": (
        "the model learnt from Japanese captions and finds no Japanese here; write it in Japanese for a better picture",
        "日本語が含まれていません。このモデルは日本語で学習しているため、日本語で書くとより良い画像になります",
    ),
    "prompt.replaced": (
        "words that the vocabulary cannot read were replaced by their kana: {spellings}",
        "語彙にない言葉をかなに置き換えました: {spellings}",
    ),
    "prompt.surrogate": (
        "{field} must be valid Unicode text: {value} at character {position} is half of a surrogate pair; "
        "type or decode the text again as UTF-8",
        "{field} は正しい Unicode 文字列である必要があります。{position} 文字目の {value} "
        "はサロゲートの片割れです。UTF-8 として入力し直してください",
    ),
    "prompt.unread": (
        "the vocabulary cannot read {count} character(s): {characters}; try another spelling, or another word",
        "語彙にないため読めない文字が {count} 種類あります: {characters}。別の書き方か、別の言葉にしてください",
    ),
    "prompt.weight": (
        "a weight in {field} must be {low} to {high}, brackets within brackets multiplied, and the one at character "
        "{position} is {value}; choose another, or write \\( for an ordinary bracket",
        "{field} の重みは {low} から {high} まで（入れ子の括弧は掛け算）ですが、{position} 文字目の括弧は {value} です。"
        "値を変えるか、ただの括弧なら \\( と書いてください",
    ),
    "prompt.windows": (
        "{field} must fit into {limit} windows of {available} tokens, and needs {value} tokens; shorten it, or set "
        "long_prompt to truncate",
        "{field} は {available} トークンの {limit} 個分までですが、{value} トークンあります。短くするか、long_prompt を "
        "truncate にしてください",
    ),
    "size.area": (
        "width x height must be at most {limit} px, got {width}x{height}; choose a smaller size, for example {default}",
        "幅×高さは {limit} 画素以下にしてください（指定: {width}x{height}）。{default} などの小さいサイズを選んでください",
    ),
    "size.multiple": (
        "{field} must be a multiple of {factor} px, got {value}; try {near}",
        "{field} は {factor} の倍数（ピクセル）にしてください（指定値: {value}）。たとえば {near} です",
    ),
    "size.small": (
        "{field} must be at least {low} px, got {value}; choose {low} or more",
        "{field} は {low} ピクセル以上にしてください（指定値: {value}）",
    ),
    "style.unknown": (
        "{field} must be a style that the model can read, got {value}; the styles are {choices}",
        "{field} はモデルが読めるスタイルにしてください（指定値: {value}）。使えるのは次のとおりです: {choices}",
    ),
}
