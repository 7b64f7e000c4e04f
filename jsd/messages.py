"""Every sentence said to a user, in English and in Japanese, by code.

Codes are `area.what`, sorted; `{name}` is filled from the values of the error or warning. The language is
`JSD_LANG` (`en` or `ja`), else the locale's, else English.
"""

import os

# code -> (English, Japanese). Rule, value, remedy, in one line.
MESSAGES: dict[str, tuple[str, str]] = {
    "device.cpu_float16": (
        "{field} {value} does not go with the CPU, where it is hundreds of times too slow; use bfloat16 or float32, or leave {field} out",
        "CPU では {field} {value} は数百倍遅くなるため使えません。bfloat16 か float32 を指定するか、{field} を外してください",
    ),
    "device.dtype": (
        "{field} must be one of {choices}, got {value}; leave it out for the fastest",
        "{field} は次のいずれかにしてください: {choices}（指定値: {value}）。指定しなければ最も速いものになります",
    ),
    "device.unknown": (
        "{field} must be one that this machine has ({choices}), got {value}; leave it out for the fastest",
        "{field} はこのマシンにあるもの（{choices}）にしてください（指定値: {value}）。指定しなければ最も速いものになります",
    ),
    "extra.missing": (
        "this needs the package {package}, which is not installed; run: pip install 'jsd[{extra}]'",
        "パッケージ {package} がインストールされていません。次を実行してください: pip install 'jsd[{extra}]'",
    ),
    "options.choice": (
        "{field} must be one of {choices}; got {value}",
        "{field} は次のいずれかにしてください: {choices}（指定値: {value}）",
    ),
    "options.in_memory": (
        "{field} must be a path to be written as JSON, and is a picture in memory; save it to a file and pass the path",
        "JSON に書き出すには {field} がファイルのパスである必要がありますが、メモリー上の画像です。ファイルに保存してパスを渡してください",
    ),
    "options.json": (
        "{field} must be one JSON object of sampling options, got {value}; write it as SamplingOptions.to_json() does",
        "{field} はサンプリング設定の JSON オブジェクトである必要があります（{value}）。SamplingOptions.to_json() の形式で書いてください",
    ),
    "options.last_seed": (
        "{field} + num_outputs - 1 must be at most 4294967295, got {field} {value} with num_outputs {num_outputs}; use a seed of at most {high}",
        "{field} + num_outputs - 1 は 4294967295 以下にしてください（{field} {value}、num_outputs {num_outputs}）。{high} 以下のシードを指定してください",
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
    "prompt.cut": (
        "the prompt needs {needed} tokens and the model reads {available}: from character {start} on it is "
        "ignored («{tail}»); shorten it",
        "プロンプトは {needed} トークンですが、モデルが読めるのは {available} トークンまでです。{start} "
        "文字目以降（「{tail}」）は無視されます。短くしてください",
    ),
    "prompt.surrogate": (
        "{field} must be valid Unicode text: {value} at character {position} is half of a surrogate pair; "
        "type or decode the text again as UTF-8",
        "{field} は正しい Unicode 文字列である必要があります。{position} 文字目の {value} "
        "はサロゲートの片割れです。UTF-8 として入力し直してください",
    ),
    "prompt.unread": (
        "the vocabulary cannot read {count} character(s): {characters}; try their kana spelling, or "
        "another word",
        "語彙にないため読めない文字が {count} 種類あります: {characters}。かなで書くか、"
        "別の言葉にしてください",
    ),
    "serve.cannot_bind": (
        "the server needs a free address and {host} port {port} is not one ({reason}); stop what uses it, or choose "
        "another with --port",
        "サーバーには空いているアドレスが必要ですが、{host} のポート {port} は使えません（{reason}）。"
        "使用中のプログラムを終了するか、--port で別のポートを指定してください",
    ),
    "serve.no_predict": (
        "{path} must define {name}; restore the file from the repository",
        "{path} には {name} の定義が必要です。リポジトリのファイルに戻してください",
    ),
    "serve.no_predictor": (
        "jsd serve runs from a checkout of the repository and {path} does not exist; clone the repository and run it "
        "there",
        "jsd serve はリポジトリの中で実行する必要がありますが、{path} がありません。"
        "リポジトリをクローンして、その中で実行してください",
    ),
    "serve.not_literal": (
        "the predictor's {field} must be a type and literal values that Cog can read without running Python, got "
        "{value}; write it out as one literal",
        "予測器の {field} には、Python を実行せずに Cog が読み取れる型とリテラル値が必要ですが、{value} "
        "になっています。1 つのリテラルとして書いてください",
    ),
    "serve.port_range": (
        "{field} must be 1 to 65535, got {value}; try 5000",
        "{field} は 1 から 65535 で指定してください（指定値: {value}）。たとえば 5000 が使えます",
    ),
    "tokenizer.config": (
        "{path} must hold {rule}; correct it, or delete it to get 77 tokens and lower-casing",
        "{path} の内容が正しくありません（必要なもの: {rule}）。修正するか、削除して既定値（77 トークン、"
        "小文字化あり）を使ってください",
    ),
    "tokenizer.damaged": (
        "{path} must be a SentencePiece vocabulary and cannot be read as one; fetch or copy it again",
        "{path} は SentencePiece の語彙として読み込めません。もう一度取得するか、コピーし直してください",
    ),
    "tokenizer.missing": (
        "a tokenizer folder must hold a SentencePiece vocabulary and {path} cannot be read; fetch the "
        "model again, or name another folder",
        "トークナイザーのフォルダーには SentencePiece の語彙が必要ですが、{path} を読めません。"
        "モデルを取得し直すか、別のフォルダーを指定してください",
    ),
    "tokenizer.no_control": (
        "in {path} these must be control pieces, so that no prompt can type them: {pieces}; train the "
        "vocabulary with control_symbols, not user_defined_symbols",
        "{path} では、プロンプトから入力できないように次を制御記号にする必要があります: {pieces}。"
        "user_defined_symbols ではなく control_symbols で語彙を学習し直してください",
    ),
}


def language() -> str:
    """The user's language: "ja" or "en"."""
    for name in ("JSD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def message(code: str, **params: object) -> str:
    """The sentence of `code` in the user's language, with `params` filled in."""
    english, japanese = MESSAGES[code]
    return (japanese if language() == "ja" else english).format(**params)
