"""Sentences about the corpus and training."""

# code -> (English, Japanese). Rule, value, remedy, in one line.
ROWS: dict[str, tuple[str, str]] = {
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
    "corpus.counts": (
        "{num_records} records, {num_pictures} pictures",
        "記録 {num_records} 件、画像 {num_pictures} 枚",
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
    "train.base": (
        "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and --base is not given; give one",
        "レシピ {recipe} の {component} は Stable Diffusion v1 のフォルダーから読み込みます。--base でフォルダーを指定してください",
    ),
    "train.base_lacks": (
        "--base must be a Stable Diffusion v1 folder with a {component}/, and {value} has none; check the path",
        "--base は {component}/ のある Stable Diffusion v1 のフォルダーにしてください。{value} にはありません。パスを確認してください",
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
        "{field} must be a number more than 0, got {value}; give one",
        "{field} には 0 より大きい数値を指定してください（現在の値: {value}）",
    ),
    "train.positive_whole": (
        "{field} must be a whole number more than 0, got {value}; give one",
        "{field} には 0 より大きい整数を指定してください（現在の値: {value}）",
    ),
    "train.schedule": (
        "training knows the noise schedule scaled_linear, the model folder's is {value}; start from another folder",
        "学習できるノイズスケジュールは scaled_linear だけです（モデルフォルダーの値: {value}）。別のフォルダーから始めてください",
    ),
    "train.stage": (
        "stage must be one of the recipe {recipe}: {stages}; got {value}",
        "stage はレシピ {recipe} のもの（{stages}）にしてください（現在の値: {value}）",
    ),
    "train.start_from": (
        "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
        "--start-from には {component} のあるモデルフォルダーを指定してください（現在の値: {value}。例: weights/mini）",
    ),
    "train.unwritable": (
        "training must be able to write {path}, and cannot: {reason}; make room, then run the same command again: it goes on from the last checkpoint",
        "{path} に書き込めません（{reason}）。空き容量を確保して、同じコマンドをもう一度実行してください。最後のチェックポイントから続きます",
    ),
    "train.width": (
        "the recipe {recipe} makes text features of {width}, the UNet of the base reads {value}; give another --base",
        "レシピ {recipe} のテキスト特徴量の次元は {width} ですが、ベースの UNet は {value} です。別の --base を指定してください",
    ),
}
