"""Every sentence said to a user, in English and in Japanese, by code.

Codes are `area.what`, sorted; `{name}` is filled from the values of the error or warning. The language is
`JSD_LANG` (`en` or `ja`), else the locale's, else English.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# code -> (English, Japanese). Rule, value, remedy, in one line.
MESSAGES: dict[str, tuple[str, str]] = {
    "batch.cells": (
        "a {field} must have at most as many cells as the header ({limit}), and this has {value}; put cells with commas in quotes",
        "{field} のセルの数は見出しの列数（{limit}）以下にしてください（実際: {value}）。カンマを含むセルは引用符で囲んでください",
    ),
    "batch.column": (
        "the columns must be sampling options, prompt among them, and {field} is missing or is not one; the options are {choices}",
        "列名にはサンプリング設定の名前を使い、prompt を必ず含めてください（問題の列: {field}）。使えるのは次のとおりです: {choices}",
    ),
    "batch.differs": (
        "the requests of one batch may differ in {allowed} only, and these differ in {field}; draw them one after the other",
        "1 つのバッチで変えられるのは {allowed} だけですが、{field} が異なります。別々に生成してください",
    ),
    "batch.empty": (
        "{field} must hold at least one request, and is empty; pass one",
        "{field} が空です。リクエストを 1 つ以上渡してください",
    ),
    "batch.failed": (
        "{count} of {total} rows failed, each named above and in {results}; correct them and run the same command again: finished rows are kept",
        "{total} 行のうち {count} 行が失敗しました（詳細は上の表示と {results}）。修正して同じコマンドをもう一度実行してください。完了した行はそのまま残ります",
    ),
    "batch.in_use": (
        "{field} must not be in use by another run, and {value} is; wait for it, or choose another folder",
        "{field} {value} は別の実行が使用中です。終了を待つか、別のフォルダーを指定してください",
    ),
    "batch.no_rows": (
        "{field} must hold at least one row, and {value} holds none; write one prompt a line",
        "{field} {value} に行がありません。1 行に 1 つプロンプトを書いてください",
    ),
    "batch.not_utf8": (
        "{field} must be UTF-8 text, and {value} is not at byte {position}; save it as UTF-8 (in Excel: CSV UTF-8)",
        "{field} は UTF-8 のテキストにしてください（{value} の {position} バイト目が UTF-8 ではありません）。Excel では「CSV UTF-8」で保存してください",
    ),
    "batch.only_ray": (
        "{field} is for the engine ray, and the engine is {value}; add --engine ray, or leave {field} out",
        "{field} は ray エンジン用です（指定されたエンジン: {value}）。--engine ray を付けるか、{field} を外してください",
    ),
    "batch.other_model": (
        "{field} must hold pictures of one model, and {value} has those of another (digest {found}); choose another folder",
        "{field} に入れられるのは 1 つのモデルの画像だけですが、{value} には別のモデル（{found}）の画像があります。別のフォルダーを指定してください",
    ),
    "batch.ray_address": (
        "{field} must be HOST:PORT of a running Ray cluster that this machine belongs to, and {value} is not: {reason}; start one with ray start, or leave {field} out",
        "{field} には、このマシンが参加している実行中の Ray クラスターを HOST:PORT で指定してください（{value}: {reason}）。ray start で起動するか、{field} を外してください",
    ),
    "batch.ray_start": (
        "Ray must be able to start on this machine, and did not: {reason}; run the command again, or with --engine local",
        "このマシンで Ray を起動できませんでした（{reason}）。もう一度実行するか、--engine local を指定してください",
    ),
    "batch.results": (
        "{field} must hold the results file as it was written, and line {number} of {value} is damaged; remove that line, and its row is drawn again",
        "{field} の結果ファイル {value} の {number} 行目が壊れています。その行を削除すると、対応する画像がもう一度生成されます",
    ),
    "batch.resumed": (
        "{count} of {total} rows are finished already; going on with the others",
        "{total} 行のうち {count} 行は完了しています。残りを続けます",
    ),
    "batch.row": (
        "row {number}",
        "{number} 行目",
    ),
    "batch.suffix": (
        "{field} must end in one of {choices}, got {value}; rename it to say what it holds",
        "{field} の拡張子は {choices} のいずれかにしてください（指定値: {value}）",
    ),
    "batch.twice": (
        "each name may stand once, and {field} stands twice; remove one",
        "{field} が 2 回現れています。同じ名前は 1 回だけにしてください",
    ),
    "batch.unreadable": (
        "{field} must be a file that can be read, and {value} cannot: {reason}; check the path",
        "{field} {value} を読み込めません（{reason}）。パスを確認してください",
    ),
    "batch.unwritable": (
        "{field} must be a place that can be written to, and {value} is not: {reason}; make room or choose another, then run the same command again",
        "{field} に書き込めません（{value}: {reason}）。空き容量を確保するか別のフォルダーを指定し、同じコマンドをもう一度実行してください",
    ),
    "batch.windows": (
        "the prompts of one batch must need the same number of windows, and these need {value}; draw them one after the other",
        "1 つのバッチのプロンプトは同じ数のウィンドウに収まる必要がありますが、{value} になっています。別々に生成してください",
    ),
    "batch.worker": (
        "a worker on {host} cannot draw: {reason}",
        "{host} のワーカーが生成できません: {reason}",
    ),
    "batch.worker_model": (
        "the model folder must be the same on every machine, and {folder} there holds other files; copy it again",
        "モデルのフォルダーはすべてのマシンで同じでなければなりませんが、このマシンの {folder} は内容が異なります。コピーし直してください",
    ),
    "batch.workers": (
        "the workers must stay alive, and Ray gave up: {reason}; finished rows are kept, run the same command again",
        "ワーカーが停止し、Ray が処理を中止しました: {reason}。完了した行はそのまま残ります。同じコマンドをもう一度実行してください",
    ),
    "device.cpu_float16": (
        "{field} {value} does not go with the CPU, where it is hundreds of times too slow; use bfloat16 or float32, or leave {field} out",
        "CPU では {field} {value} は数百倍遅くなるため使えません。bfloat16 か float32 を指定するか、{field} を外してください",
    ),
    "corpus.absent": (
        "there is no corpus in {folder}; run: jsd data build --corpus {folder}",
        "{folder} にコーパスがありません。次を実行してください: jsd data build --corpus {folder}",
    ),
    "corpus.checksum": (
        "the package {package} {version} is not the one this project pins: its SHA-512 is {found}; "
        "it was removed, run the command again",
        "パッケージ {package} {version} のチェックサムが固定値と一致しません（SHA-512: {found}）。"
        "削除しましたので、もう一度実行してください",
    ),
    "corpus.client": (
        "fetching {package} needs the program {client}, which is not installed; install it, or put the package file into the "
        "sources folder",
        "{package} の取得には {client} が必要です。インストールするか、パッケージファイルを sources フォルダーに置いてください",
    ),
    "corpus.damaged": (
        "the corpus in {folder} is damaged ({reason}); make it again: jsd data build --corpus {folder}",
        "{folder} のコーパスが壊れています（{reason}）。次で作り直してください: jsd data build --corpus {folder}",
    ),
    "corpus.download": (
        "the package {package} {version} could not be fetched: {reason}; check the network, then run the command again",
        "パッケージ {package} {version} を取得できませんでした: {reason}。ネットワークを確認し、もう一度実行してください",
    ),
    "corpus.font": (
        "the package {package} holds no TrueType font; remove it and run the command again",
        "パッケージ {package} に TrueType フォントがありません。削除してもう一度実行してください",
    ),
    "corpus.occupied": (
        "{field} must be a new folder or one made by jsd data build, and {value} holds something else; name another",
        "{field} は新しいフォルダーか、jsd data build で作ったフォルダーにしてください（{value} には別のものがあります）。別の名前を指定してください",
    ),
    "corpus.unpack": (
        "unpacking {package} needs the program {client}, which is not installed; install it and run the command again",
        "{package} の展開には {client} が必要ですが、見つかりません。インストールして、もう一度実行してください",
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
        "this needs the package {package}, which is not installed; in the project's folder run: pip install '.[{extra}]'",
        "パッケージ {package} がインストールされていません。プロジェクトのフォルダーで次を実行してください: pip install '.[{extra}]'",
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
        "{path} の設定からモデルを組み立てられません（{reason}）。"
        "フォルダーをもう一度コピーするか取得してください",
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
    "folder.misfit": (
        "these parts do not belong together: {part} is {value} and {other} is {limit}; take both from the "
        "same model",
        "組み合わせが正しくありません。{part} は {value}、{other} は {limit} です。"
        "同じモデルのものを使ってください",
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
        "the model folder {folder} has {count} problem(s): {problems}; all of them: jsd weights verify "
        "{folder}",
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
    "generate.model": (
        "model {folder} ({reason}), on {device} in {dtype}",
        "モデル {folder}（{reason}）、{device}、{dtype}",
    ),
    "generate.output_dir": (
        "{field} must be a folder that can be made and written to, got {value}, and {path} is not; choose another",
        "{field} には書き込めるフォルダーを指定してください（指定: {value}、問題の場所: {path}）",
    ),
    "generation.black": (
        "a picture must not be all black, and this one is, computed in {dtype}; use another seed, or dtype float32",
        "生成された画像が真っ黒でした（{dtype} で計算）。別のシードか dtype float32 を試してください",
    ),
    "generation.latents": (
        "latents must be finite numbers, and the UNet in {dtype} gave others; use dtype float32, or check the weights with jsd weights verify",
        "UNet（{dtype}）の出力に無限大か非数が含まれています。dtype float32 を使うか、jsd weights verify で重みを確認してください",
    ),
    "generation.memory": (
        "the pictures must fit into the device's memory, and they do not; ask for fewer outputs or a smaller size",
        "デバイスのメモリーが足りません。枚数を減らすか、サイズを小さくしてください",
    ),
    "generation.vae": (
        "pictures must be finite numbers, and the VAE gave others even in float32; check the weights with jsd weights verify",
        "VAE の出力に float32 でも無限大か非数が含まれています。jsd weights verify で重みを確認してください",
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
        "How closely to follow the prompt.",
        "プロンプトに従う強さ。",
    ),
    "input.height": (
        "Pixels. Unset: the image's or the model's own.",
        "高さ。未指定なら画像かモデルの既定値。",
    ),
    "input.image": (
        "Picture to start from.",
        "元にする画像。",
    ),
    "input.long_prompt": (
        "Too long for the model: chunk, or truncate.",
        "長いプロンプト: 分けて読むか、切り捨てます。",
    ),
    "input.mask": (
        "White is repainted, black stays as in image.",
        "白い部分を描き直し、黒い部分は残します。",
    ),
    "input.negative_prompt": (
        "What the picture should not show.",
        "描いてほしくないもの。",
    ),
    "input.num_inference_steps": (
        "Denoising steps.",
        "ノイズ除去のステップ数。",
    ),
    "input.num_outputs": (
        "Number of pictures.",
        "枚数。",
    ),
    "input.output_format": (
        "PNG keeps every pixel.",
        "ファイル形式。PNG は劣化しません。",
    ),
    "input.output_quality": (
        "Quality of webp and jpg; png has none.",
        "webp と jpg の画質。png には関係しません。",
    ),
    "input.preview_every": (
        "A small picture every so many steps; 0: none.",
        "途中の小さな画像を出す間隔。0 なら無し。",
    ),
    "input.prompt": (
        "What to draw, in Japanese.",
        "描きたいもの（日本語）。例: サラリーマン 油絵",
    ),
    "input.prompt_strength": (
        "With image: 0 keeps the picture, 1 nothing of it.",
        "0 で image のまま、1 で元は残りません。",
    ),
    "input.safety_threshold": (
        "Withhold scores above it; 0 is standard.",
        "スコアがこれを超える画像は返しません。標準は 0。",
    ),
    "input.scheduler": (
        "Sampling method.",
        "サンプリング手法。",
    ),
    "input.seed": (
        "Picture i uses seed + i. Unset: drawn at random.",
        "i 枚目は seed + i。未指定なら乱数。",
    ),
    "input.style": (
        "A style, put behind the prompt:",
        "プロンプトの後に加えるスタイル:",
    ),
    "input.unknown_words": (
        "Unreadable words: warn, or replace by kana.",
        "読めない語: 警告するか、かなに置き換えます。",
    ),
    "input.width": (
        "Pixels. Unset: the image's or the model's own.",
        "幅。未指定なら画像かモデルの既定値。",
    ),
    "metadata.none": (
        "{field} must be a picture that says what made it, and {value} says nothing; pass the file as jsd or another tool wrote it",
        "{field} には生成情報を含む画像が必要ですが、{value} には何も書かれていません。生成したときのファイルをそのまま渡してください",
    ),
    "metadata.too_long": (
        "a {field} {value} holds at most {limit} bytes of metadata, and this picture's is {size}; use png or webp, or --no-metadata",
        "{field} {value} に書き込めるメタデータは {limit} バイトまでですが、この画像では {size} バイトになります。png か webp にするか、--no-metadata を指定してください",
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
    "preview.damaged": (
        "{path} must hold the numbers of a map from {channels} latent channels to colours, and does not; write it anew with jsd weights preview, or delete it",
        "{path} には {channels} チャンネルの潜在変数を色に変える数値が必要ですが、読み取れません。jsd weights preview で作り直すか、削除してください",
    ),
    "preview.fitted": (
        "written: {path} ({count} pictures; colours of 0 to 1 differ by {error:.3f}, root mean square)",
        "書き込みました: {path}（画像 {count} 枚、0 から 1 の色の差の二乗平均平方根 {error:.3f}）",
    ),
    "preview.no_pictures": (
        "{field} must be a corpus or a folder of pictures ({suffixes}), and {value} has none; name another",
        "{field} にはコーパスか画像（{suffixes}）のあるフォルダーが必要ですが、{value} にはありません。別のフォルダーを指定してください",
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
        "the vocabulary cannot read {count} character(s): {characters}; try their kana spelling, or "
        "another word",
        "語彙にないため読めない文字が {count} 種類あります: {characters}。かなで書くか、"
        "別の言葉にしてください",
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
    "rerun.batch": (
        "{field} must be a place and a size of at most {limit}, the file says {value}; its record is damaged",
        "{field} は位置と {limit} 以下の枚数である必要がありますが、ファイルには {value} とあります。記録が壊れています",
    ),
    "rerun.differs": (
        "{path} is not the same picture as {file}: drawn here by {here}, there by {there}; only the same machine and versions give every bit",
        "{path} は {file} と同じ画像になりませんでした（今回: {here}、元: {there}）。完全に一致するのは同じマシンと同じバージョンの場合だけです",
    ),
    "rerun.no_record": (
        "{field} must be a picture by jsd, and {value} holds no record of ours; jsd info shows what it says",
        "{field} には jsd で生成した画像が必要ですが、{value} に記録がありません。jsd info で内容を確認できます",
    ),
    "rerun.other_model": (
        "the picture was drawn by {model} with the digest {wanted}, and {folder} has {found}; name its folder with --weights, or use --force",
        "この画像を生成したモデルは {model}（{wanted}）ですが、{folder} は {found} です。--weights でフォルダーを指定するか、--force を付けてください",
    ),
    "rerun.other_picture": (
        "{field} must be the picture that it was drawn from, and {value} is another; pass that one, or use --force",
        "{field} には元の画像が必要ですが、{value} は別の画像です。元の画像を渡すか、--force を付けてください",
    ),
    "rerun.picture_missing": (
        "{field} must be the picture that it was drawn from ({value}), and there is none at {path}; pass its path",
        "{field} には元の画像（{value}）が必要ですが、{path} にありません。パスを指定してください",
    ),
    "safety.all_withheld": (
        "NSFW content detected: the safety checker withheld every picture (score of each seed: {scores}); try another seed or prompt",
        "NSFW content detected: セーフティーチェッカーがすべての画像を不適切と判定しました（シードとスコア: {scores}）。別のシードやプロンプトを試してください",
    ),
    "safety.missing": (
        "{path} must be there, for model_index.json names it, and nothing else would check the pictures; fetch or copy the folder again, or write \"safety_checker\": [null, null] into model_index.json to do without",
        "model_index.json に書かれている {path} がないため、画像を検査できません。フォルダーを取得し直すか、検査なしで使う場合は model_index.json に \"safety_checker\": [null, null] と書いてください",
    ),
    "safety.none": (
        "this model has no safety checker: nothing checks its pictures",
        "このモデルにはセーフティーチェッカーがありません。画像は検査されません",
    ),
    "safety.not_finite": (
        "scores of the safety checker must be finite numbers, and those of {folder} are not; check the weights with jsd weights verify, or fetch them again",
        "{folder} のセーフティーチェッカーのスコアに無限大か非数が含まれています。jsd weights verify で重みを確認するか、取得し直してください",
    ),
    "safety.withheld": (
        "seed {seed} is withheld: the safety checker takes it for sexual content (score {score:g}, above {threshold:g}; concept {concept}); try another seed or prompt",
        "シード {seed} の画像は出力しません。セーフティーチェッカーが性的な内容と判定しました（スコア {score:g} > {threshold:g}、概念 {concept}）。別のシードやプロンプトを試してください",
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
        "{field} must be 1 to 65535, got {value}; try {default}",
        "{field} は 1 から 65535 で指定してください（指定値: {value}）。たとえば {default} が使えます",
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
    "train.base": (
        "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, --base is {value}; give one",
        "レシピ {recipe} の {component} は Stable Diffusion v1 のフォルダーから読み込みます（--base の値: {value}）。フォルダーを指定してください",
    ),
    "train.checkpoint": (
        "the checkpoint {path} does not fit this stage or is damaged ({reason}); remove it to start the stage again",
        "チェックポイント {path} はこのステージに合わないか、壊れています（{reason}）。最初からやり直すには削除してください",
    ),
    "train.differs": (
        "a run goes on with the {field} that it began with, {kept}, and it is {value} now; use the same options, or begin anew with another --output ({path})",
        "途中からの学習では {field} を最初の値 {kept} から変えられません（現在の値: {value}）。同じ設定にするか、別の --output で最初から始めてください（{path}）",
    ),
    "train.diverged": (
        "{quantity} must be a finite number, and at step {step} it was {value}; run the same command again with a --learning-rate below {rate:.2g}: it goes on from the last checkpoint",
        "ステップ {step} で {quantity} が {value} になりました。--learning-rate を {rate:.2g} より小さくして、同じコマンドをもう一度実行してください。最後のチェックポイントから続きます",
    ),
    "train.order": (
        "the stage {stage} starts from the stage {needs}, which has no model yet; run: jsd train --stage {needs}",
        "ステージ {stage} は {needs} の結果から始まりますが、まだモデルがありません。次を実行してください: jsd train --stage {needs}",
    ),
    "train.positive": (
        "{field} must be more than 0, got {value}",
        "{field} は 0 より大きい値にしてください（現在の値: {value}）",
    ),
    "train.schedule": (
        "training knows the noise schedule scaled_linear, the model folder's is {value}",
        "学習できるノイズスケジュールは scaled_linear です（モデルフォルダーの値: {value}）",
    ),
    "train.start_from": (
        "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
        "--start-from には {component} のあるモデルフォルダーを指定してください（現在の値: {value}。例: weights/mini）",
    ),
    "train.stage": (
        "stage must be one of the recipe {recipe}: {stages}; got {value}",
        "stage はレシピ {recipe} のもの（{stages}）にしてください（現在の値: {value}）",
    ),
    "train.unwritable": (
        "training must be able to write {path}, and cannot: {reason}; make room, then run the same command again: it goes on from the last checkpoint",
        "{path} に書き込めません（{reason}）。空き容量を確保して、同じコマンドをもう一度実行してください。最後のチェックポイントから続きます",
    ),
    "web.apply": (
        "Use these settings",
        "この設定を使う",
    ),
    "web.brush": (
        "My strokes are part of the picture (else they mark what is repainted)",
        "描いた線を絵の一部にする（チェックなしなら、塗った部分を描き直します）",
    ),
    "web.cancel": (
        "Cancel",
        "中止",
    ),
    "web.cancelled": (
        "Cancelled. Nothing of it is kept.",
        "中止しました。途中の画像は残りません。",
    ),
    "web.dice": (
        "⚄ Random",
        "⚄ ランダム",
    ),
    "web.draw": (
        "Draw",
        "生成",
    ),
    "web.drawing": (
        "Step {step} of {num_steps}",
        "{num_steps} ステップ中 {step} ステップ目",
    ),
    "web.drop": (
        "Read a picture's parameters: drop its file here",
        "画像ファイルをここに置くと、生成時の設定を読み取ります",
    ),
    "web.finished": (
        "{count} picture(s) in {seconds:.1f} s, seed {seeds}",
        "{count} 枚を {seconds:.1f} 秒で生成しました（シード {seeds}）",
    ),
    "web.gallery": (
        "Pictures (choose one to see its parameters)",
        "生成した画像（選ぶと設定が表示されます）",
    ),
    "web.guidance_scale": (
        "Guidance",
        "ガイダンス",
    ),
    "web.height": (
        "Height, px",
        "高さ height (px)",
    ),
    "web.kana": (
        "Write: {suggestion}",
        "書き換える: {suggestion}",
    ),
    "web.language": (
        "Language",
        "言語",
    ),
    "web.more": (
        "All of it",
        "すべて表示",
    ),
    "web.negative_prompt": (
        "Negative prompt",
        "描いてほしくないもの",
    ),
    "web.num_inference_steps": (
        "Steps",
        "ステップ数",
    ),
    "web.num_outputs": (
        "Pictures",
        "枚数",
    ),
    "web.parameters": (
        "Parameters",
        "生成時の設定",
    ),
    "web.prompt": (
        "What to draw, in Japanese",
        "描きたいもの",
    ),
    "web.prompt_placeholder": (
        "サラリーマン 油絵",
        "例: サラリーマン 油絵",
    ),
    "web.prompt_strength": (
        "Change: 0 keeps the picture, 1 nothing of it",
        "変える強さ（0 で元のまま、1 で元は残りません）",
    ),
    "web.random": (
        "random",
        "ランダム",
    ),
    "web.reuse": (
        "↺ Last one",
        "↺ 前回のシード",
    ),
    "web.running": (
        "the page is at {url} ; Ctrl+C ends it",
        "ページを開きました: {url} （Ctrl+C で終了）",
    ),
    "web.scheduler": (
        "Scheduler",
        "スケジューラー",
    ),
    "web.seed": (
        "Seed",
        "シード seed",
    ),
    "web.settings": (
        "Settings",
        "詳細設定",
    ),
    "web.start": (
        "Start from a picture, repaint a part of it",
        "画像から始める・一部を描き直す",
    ),
    "web.starting": (
        "Starting",
        "準備しています",
    ),
    "web.style": (
        "Style",
        "スタイル",
    ),
    "web.tokens": (
        "{used} / {available} tokens",
        "{used} / {available} トークン",
    ),
    "web.unknown_words": (
        "Replace words that the model cannot read by their kana",
        "読めない言葉をかなに置き換える",
    ),
    "web.unread": (
        "cannot be read:",
        "読めない文字:",
    ),
    "web.upload": (
        "Picture; paint over what is to be redrawn",
        "元の画像（描き直す部分を塗ってください）",
    ),
    "web.width": (
        "Width, px",
        "幅 width (px)",
    ),
    "weights.are_random": (
        "every weight is random: good for measuring speed and memory, and its pictures mean nothing",
        "重みはすべて乱数です。速度とメモリーの計測用で、画像に意味はありません",
    ),
    "weights.by_argument": (
        "--weights",
        "--weights",
    ),
    "weights.by_default": (
        "the embedded model",
        "同梱モデル",
    ),
    "weights.by_environment": (
        "JSD_WEIGHTS",
        "JSD_WEIGHTS",
    ),
    "weights.by_presence": (
        "found in weights/",
        "weights/ にあるため",
    ),
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
        "{field} must be a model folder, got {value}, which is not a folder; jsd weights list shows those "
        "there are",
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
        "the model folder {folder} is whole",
        "モデルフォルダー {folder} に問題はありません",
    ),
    "weights.written": (
        "written: {folder}",
        "書き込みました: {folder}",
    ),
    "weights.written_in": (
        "written: {folder} ({dtype})",
        "書き込みました: {folder}（{dtype}）",
    ),
}


# Of whom a sentence is for, where that is not who started the program: a visitor of the web page.
_LISTENER: ContextVar[str | None] = ContextVar("language", default=None)


@contextmanager
def in_language(name: str) -> Iterator[None]:
    """Sentences made within the block are in the language `name`: "ja" or "en"."""
    token = _LISTENER.set(name)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def language() -> str:
    """The user's language: "ja" or "en"."""
    listener = _LISTENER.get()
    if listener is not None:
        return listener
    for name in ("JSD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def message(code: str, **params: object) -> str:
    """The sentence of `code` in the user's language, with `params` filled in."""
    english, japanese = MESSAGES[code]
    return (japanese if language() == "ja" else english).format(**params)
