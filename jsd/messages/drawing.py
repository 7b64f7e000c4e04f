"""Sentences about drawing: devices, batches, files and drawing again."""

# code -> (English, Japanese). Rule, value, remedy, in one line.
ROWS: dict[str, tuple[str, str]] = {
    "batch.cells": (
        "a {field} must have at most as many cells as the header ({limit}), and this has {value}; put cells with commas in quotes",
        "{field} のセルの数は見出しの列数（{limit}）以下にしてください（実際: {value}）。カンマを含むセルは引用符で囲んでください",
    ),
    "batch.column": (
        "the columns must be sampling options, prompt among them, and {field} is missing or is not one; the options are {choices}",
        "列名にはサンプリング設定の名前を使い、prompt を必ず含めてください（問題の列: {field}）。使えるのは次のとおりです: {choices}",
    ),
    "batch.csv": (
        "{field} must be CSV, and row {row} of {value} is not: {reason}; close its quotes and double those inside a cell",
        "{field} は CSV にしてください。{value} の {row} 行目が CSV ではありません: {reason}。引用符を閉じ、セルの中の引用符は二重にしてください",
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
        "{count} of {total} rows failed, each named above and in {page}; correct them and run the same command again: finished rows are kept",
        "{total} 行のうち {count} 行が失敗しました（詳細は上の表示と {page}）。修正して同じコマンドをもう一度実行してください。完了した行はそのまま残ります",
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
    "batch.row": ("row {number}", "{number} 行目"),
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
    "batch.worker": ("a worker on {host} cannot draw: {reason}", "{host} のワーカーが生成できません: {reason}"),
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
    "device.dtype": (
        "{field} must be one of {choices}, got {value}; leave it out for the fastest",
        "{field} は次のいずれかにしてください: {choices}（指定値: {value}）。指定しなければ最も速いものになります",
    ),
    "device.unknown": (
        "{field} must be one that this machine has ({choices}), got {value}; leave it out for the fastest",
        "{field} はこのマシンにあるもの（{choices}）にしてください（指定値: {value}）。指定しなければ最も速いものになります",
    ),
    "generate.model": (
        "model {folder} ({reason}), on {device} in {dtype}",
        "モデル {folder}（{reason}）、{device}、{dtype}",
    ),
    "generate.output_dir": (
        "{field} must be a folder that can be made and written to, got {value}, and {path} is not: {reason}; choose another",
        "{field} には書き込めるフォルダーを指定してください（指定値: {value}、問題の場所: {path}、理由: {reason}）",
    ),
    "generate.output_dir_file": ("it is not a folder", "フォルダーではありません"),
    "generate.output_dir_link": ("it is a link that leads nowhere", "リンク先がありません"),
    "generate.output_dir_locked": ("it may not be written to", "書き込みが許可されていません"),
    "generate.output_dir_long": (
        "{field} must be no longer than the file system allows, files within it too, and {value} is; choose a shorter name",
        "{field} の名前は、中に作るファイルも含めてファイルシステムの上限を超えないようにしてください（指定値: {value}）。短い名前を指定してください",
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
    "metadata.none": (
        "{field} must be a picture that says what made it, and {value} says nothing; pass the file as jsd or another tool wrote it",
        "{field} には生成情報を含む画像が必要ですが、{value} には何も書かれていません。生成したときのファイルをそのまま渡してください",
    ),
    "metadata.too_long": (
        "a {field} {value} holds at most {limit} bytes of metadata, and this picture's is {size}; use png or webp, or --no-metadata",
        "{field} {value} に書き込めるメタデータは {limit} バイトまでですが、この画像では {size} バイトになります。png か webp にするか、--no-metadata を指定してください",
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
        '{path} must be there, for model_index.json names it, and nothing else would check the pictures; fetch or copy the folder again, or write "safety_checker": [null, null] into model_index.json to do without',
        'model_index.json に書かれている {path} がないため、画像を検査できません。フォルダーを取得し直すか、検査なしで使う場合は model_index.json に "safety_checker": [null, null] と書いてください',
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
}
