"""Sentences of the server and the web page."""

# code -> (English, Japanese). Rule, value, remedy, in one line.
ROWS: dict[str, tuple[str, str]] = {
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
    "serve.not_writable": (
        "the server's pictures need a place in {folder}, which cannot be written to: {reason}; make room there, or name "
        "another folder in TMPDIR when the server starts, then try again",
        "サーバーの {folder} に画像を書き込めません（{reason}）。空き容量を確保するか、サーバーの起動時に TMPDIR で"
        "別のフォルダーを指定してから、もう一度お試しください",
    ),
    "serve.port_range": (
        "{field} must be 1 to 65535, got {value}; try {default}",
        "{field} は 1 から 65535 で指定してください（指定値: {value}）。たとえば {default} が使えます",
    ),
    "web.apply": ("Use these settings", "この設定を使う"),
    "web.brush": (
        "My strokes are part of the picture (else they mark what is repainted)",
        "描いた線を絵の一部にする（チェックなしなら、塗った部分を描き直します）",
    ),
    "web.cancel": ("Cancel", "中止"),
    "web.cancelled": ("Cancelled.", "中止しました。"),
    "web.dice": ("⚄ Random", "⚄ ランダム"),
    "web.draw": ("Draw", "生成"),
    "web.drawing": ("Step {step} of {num_steps}", "{num_steps} ステップ中 {step} ステップ目"),
    "web.drop": (
        "Read a picture's parameters: drop its file here",
        "画像ファイルをここに置くと、生成時の設定を読み取ります",
    ),
    "web.finished": (
        "{count} picture(s) in {seconds:.1f} s, seed {seeds}",
        "{count} 枚を {seconds:.1f} 秒で生成しました（シード {seeds}）",
    ),
    "web.gallery": ("Pictures (choose one to see its parameters)", "生成した画像（選ぶと設定が表示されます）"),
    "web.guidance_scale": ("Guidance", "ガイダンス"),
    "web.height": ("Height, px", "高さ height (px)"),
    "web.kana": ("Write: {suggestion}", "書き換える: {suggestion}"),
    "web.language": ("Language", "言語"),
    "web.more": ("All of it", "すべて表示"),
    "web.negative_prompt": ("Negative prompt", "描いてほしくないもの"),
    "web.not_taken_over": (
        "Not taken over from the file, so another picture will be drawn: {names}.",
        "ファイルから引き継げない設定があるため、同じ画像にはなりません: {names}",
    ),
    "web.num_inference_steps": ("Steps", "ステップ数"),
    "web.num_outputs": ("Pictures", "枚数"),
    "web.parameters": ("Parameters", "生成時の設定"),
    "web.prompt": ("What to draw, in Japanese", "描きたいもの"),
    "web.prompt_placeholder": ("サラリーマン 油絵", "例: サラリーマン 油絵"),
    "web.prompt_strength": (
        "Change: 0 keeps the picture, 1 nothing of it",
        "変える強さ（0 で元のまま、1 で元は残りません）",
    ),
    "web.random": ("random", "ランダム"),
    "web.reuse": ("↺ Last one", "↺ 前回のシード"),
    "web.running": ("the page is at {url} ; Ctrl+C ends it", "ページのアドレス: {url} （Ctrl+C で終了）"),
    "web.scheduler": ("Scheduler", "スケジューラー"),
    "web.seed": ("Seed", "シード seed"),
    "web.settings": ("Settings", "詳細設定"),
    "web.start": ("Start from a picture, repaint a part of it", "画像から始める・一部を描き直す"),
    "web.starting": ("Starting", "準備しています"),
    "web.style": ("Style", "スタイル"),
    "web.tokens": ("{used} / {available} tokens", "{used} / {available} トークン"),
    "web.unknown_words": ("Replace words that the model cannot read by their kana", "読めない言葉をかなに置き換える"),
    "web.unread": ("cannot be read:", "読めない文字:"),
    "web.upload": ("Picture; paint over what is to be redrawn", "元の画像（描き直す部分を塗ってください）"),
    "web.width": ("Width, px", "幅 width (px)"),
}
