"""Sentences about model folders and what is installed."""

# code -> (English, Japanese). Rule, value, remedy, in one line.
ROWS: dict[str, tuple[str, str]] = {
    "extra.missing": (
        "this needs the package {package}, which is not installed; in the project's folder run: pip install -e '.[{extra}]'",
        "パッケージ {package} がインストールされていません。プロジェクトのフォルダーで次を実行してください: pip install -e '.[{extra}]'",
    ),
    "fetch.failed": (
        "{repo} could not be downloaded: {reason}; run the same command again: files that arrived are kept "
        "in {partial}",
        "{repo} をダウンロードできませんでした（{reason}）。{partial} に届いたファイルは残るので、"
        "同じコマンドをもう一度実行してください",
    ),
    "fetch.gated": (
        "the hub gives {repo} only to those who accepted its licence; accept it at "
        "https://huggingface.co/{repo} and set HF_TOKEN to a token from "
        "https://huggingface.co/settings/tokens",
        "{repo} のダウンロードにはライセンスへの同意が必要です。https://huggingface.co/{repo} で同意し、"
        "https://huggingface.co/settings/tokens のトークンを HF_TOKEN に設定してください",
    ),
    "fetch.licence": (
        "{repo} is licensed under CreativeML OpenRAIL-M, text: "
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license ; whoever gets the model or its "
        "outputs as a service from you must get the same use restrictions:",
        "{repo} のライセンスは CreativeML OpenRAIL-M です（全文: "
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license ）。"
        "モデルを再配布したりサービスとして提供したりする場合は、次の利用制限も引き継ぐ必要があります。",
    ),
    "fetch.licence_not_accepted": (
        "the licence above must be accepted before {repo} is fetched; run the command again with {field}",
        "{repo} を取得するには上のライセンスへの同意が必要です。{field} を付けてもう一度実行してください",
    ),
    "fetch.restrictions": (
        "not to break laws; exploit or harm minors; spread false information to harm others; disseminate "
        "personal data that can harm someone; defame, disparage or harass; decide automatically to the "
        "detriment of someone's legal rights; discriminate or harm people by behaviour or characteristics; "
        "exploit the vulnerabilities of a group; discriminate on legally protected characteristics; give "
        "medical advice or interpret medical results; serve the administration of justice, law "
        "enforcement, immigration or asylum",
        "法令違反、未成年者の搾取や加害、他者を害する目的の虚偽情報の拡散、害になりうる個人情報の拡散、"
        "名誉毀損・中傷・嫌がらせ、個人の法的権利を損なう完全自動の意思決定、行動や特性による差別や加害、"
        "特定の集団の弱みにつけ込むこと、法律で保護された属性による差別、医療上の助言や検査結果の解釈、"
        "司法・法執行・入国管理・難民認定のための利用は禁止されています",
    ),
    "fetch.unreachable": (
        "the hub must be reachable to fetch {repo}, and {endpoint} is not ({reason}); check the network "
        "and run the same command again",
        "{repo} の取得にはハブへの接続が必要ですが、{endpoint} に接続できません（{reason}）。"
        "ネットワークを確認して、同じコマンドをもう一度実行してください",
    ),
    "folder.config": (
        "{path} must describe a model that diffusers and transformers can build, and does not: {reason}; "
        "copy or fetch the folder again",
        "{path} の設定からモデルを組み立てられません（{reason}）。フォルダーをもう一度コピーするか取得してください",
    ),
    "folder.damaged": (
        "{path} is truncated or not a checkpoint ({size_bytes} bytes); copy or fetch it again",
        "{path} は途中で切れているか、チェックポイントではありません（{size_bytes} バイト）。"
        "もう一度コピーするか取得してください",
    ),
    "folder.file_missing": (
        "{path} is missing or cannot be read; copy or fetch the folder again",
        "{path} がないか、読めません。フォルダーをもう一度コピーするか取得してください",
    ),
    "folder.guidance": (
        "{path}: guidance_scale must be a number from {low} to {high}, got {value}; correct the file, or remove it",
        "{path} の guidance_scale は {low} から {high} までの数値です（指定: {value}）。修正するか、ファイルを削除してください",
    ),
    "folder.lacks": ("no {names}", "{names} がありません"),
    "folder.misfit": (
        "these parts do not belong together: {part} is {value} and {other} is {limit}; take both from the same model",
        "組み合わせが正しくありません。{part} は {value}、{other} は {limit} です。同じモデルのものを使ってください",
    ),
    "folder.missing": (
        "{path} is not a folder; name a model folder in the diffusers layout",
        "{path} はフォルダーではありません。diffusers 形式のモデルフォルダーを指定してください",
    ),
    "folder.no_weights": (
        "{path} must hold its weights as {names}, and holds none of them; copy or fetch the folder again",
        "{path} に重みのファイル（{names}）がありません。フォルダーをもう一度コピーするか取得してください",
    ),
    "folder.not_json": (
        "{path} must be a JSON object; copy or fetch it again",
        "{path} は JSON オブジェクトである必要があります。もう一度コピーするか取得してください",
    ),
    "folder.problems": (
        "the model folder {folder} has {count} problem(s): {problems}; all of them: jsd weights verify {folder}",
        "モデルフォルダー {folder} に問題が {count} 件あります: {problems}。すべて見るには: jsd weights "
        "verify {folder}",
    ),
    "folder.tensor_misshapen": (
        "{path}: the tensor {name} must have the shape {shape} of config.json, and has {found}",
        "{path}: テンソル {name} の形は config.json によると {shape} ですが、{found} になっています",
    ),
    "folder.tensor_missing": (
        "{path}: the tensor {name} {shape} of config.json is missing",
        "{path}: config.json が必要とするテンソル {name} {shape} がありません",
    ),
    "folder.tensor_unexpected": (
        "{path}: the tensor {name} has no place in config.json",
        "{path}: テンソル {name} は config.json にありません",
    ),
    "folder.unsafe": (
        "{path} must hold tensors alone, and holds what loading could run, or is damaged; use a file saved "
        "as safetensors",
        "{path} にはテンソル以外のもの（読み込むと実行されうるもの）が含まれているか、壊れています。"
        "safetensors 形式のファイルを使ってください",
    ),
    "system.file": (
        "{path} must be a place that can be read and written, and is not: {reason}; make room or choose another, then run the same command again",
        "{path} を読み書きできません（{reason}）。空き容量を確保するか別の場所を指定して、同じコマンドをもう一度実行してください",
    ),
    "system.output": (
        "the output must go where it can be written, and it cannot: {reason}; make room or choose another place, then run the same command again",
        "出力を書き込めません（{reason}）。空き容量を確保するか出力先を変えて、同じコマンドをもう一度実行してください",
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
    "weights.are_random": (
        "every weight is random: good for measuring speed and memory, and its pictures mean nothing",
        "重みはすべて乱数です。速度とメモリーの計測用で、画像に意味はありません",
    ),
    "weights.by_argument": ("--weights", "--weights"),
    "weights.by_default": ("the embedded model", "同梱モデル"),
    "weights.by_environment": ("JSD_WEIGHTS", "JSD_WEIGHTS"),
    "weights.by_presence": ("found in weights/", "weights/ にあるため"),
    "weights.damaged": ("damaged", "破損"),
    "weights.in_the_way": (
        "{field} must be a new or empty folder, and {value} exists; name another, or remove it first",
        "{field} には新しいフォルダーか空のフォルダーを指定してください。{value} はすでに存在します。"
        "別の名前にするか、先に削除してください",
    ),
    "weights.lacking": (
        "cannot be used, there are no weights of {components}; all that is wrong: jsd weights verify {folder}",
        "使えません（{components} の重みがありません）。問題をすべて見るには: jsd weights verify {folder}",
    ),
    "weights.none": (
        "no model folder was named and {root} holds none; name one with --weights or JSD_WEIGHTS",
        "モデルフォルダーの指定がなく、{root} にもありません。--weights か JSD_WEIGHTS で指定してください",
    ),
    "weights.not_a_folder": (
        "{field} must be a model folder, got {value}, which is not a folder; jsd weights list shows those there are",
        "{field} にはモデルフォルダーを指定してください。{value} はフォルダーではありません。jsd weights "
        "list で一覧を見られます",
    ),
    "weights.not_whole": (
        "the model folder {folder} has {count} problem(s), listed above; fetch or copy it again",
        "モデルフォルダー {folder} に上記の問題が {count} 件あります。取得し直すか、コピーし直してください",
    ),
    "weights.overflow": (
        "{path}: the tensor {name} has values beyond {dtype}; convert with --dtype bfloat16 or float32",
        "{path}: テンソル {name} の値は {dtype} で表せません。--dtype を bfloat16 か float32 にしてください",
    ),
    "weights.size": (
        "{field} must be one of {choices}, got {value}; mini has the embedded model's shape, full that of "
        "the released one",
        "{field} は次のいずれかにしてください: {choices}（指定値: {value}）。mini は同梱モデル、full "
        "は公開モデルと同じ形です",
    ),
    "weights.unwritable": (
        "the model folder {path} could not be written: {reason}; make room or name another folder, then run the same command again",
        "モデルフォルダー {path} に書き込めません（{reason}）。空き容量を確保するか別のフォルダーを指定して、同じコマンドをもう一度実行してください",
    ),
    "weights.whole": (
        "the model folder {folder} is whole: every file and tensor is there in its shape (values are not compared)",
        "モデルフォルダー {folder} に問題はありません。ファイルとテンソルがすべてあり、形も合っています（値は比較していません）",
    ),
    "weights.written": ("written: {folder}", "書き込みました: {folder}"),
    "weights.written_in": ("written: {folder} ({dtype})", "書き込みました: {folder}（{dtype}）"),
}
