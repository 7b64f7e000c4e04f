"""What the command line says of itself: its commands, their arguments, the names of what they print."""

# code -> (English, Japanese), in short phrases.
ROWS: dict[str, tuple[str, str]] = {
    "action.build": (
        "fetch the pinned packages and make pictures and captions from them",
        "固定バージョンのパッケージを取得し、画像とキャプションを作成",
    ),
    "action.convert": (
        "write a folder anew as safetensors, in the dtype that runs",
        "フォルダーを、実行する dtype の safetensors として書き直す",
    ),
    "action.describe": (
        "count pictures and concepts, with sources and licences",
        "画像と概念の数を、出典とライセンスごとに表示",
    ),
    "action.fetch": (
        "download rinna's model (4 GB; token in HF_TOKEN)",
        "rinna のモデルをダウンロード（4 GB、トークンは HF_TOKEN）",
    ),
    "action.list": ("the model folders that are there, and the one in use", "モデルフォルダーの一覧と、使用中のもの"),
    "action.preview": (
        "fit what draws previews to pictures, and write it into the folder",
        "プレビューの係数を画像に合わせて求め、フォルダーに書き込む",
    ),
    "action.random": (
        "write a folder of random weights, to measure speed with",
        "速度計測用に、乱数の重みのフォルダーを作成",
    ),
    "action.verify": ("name everything that keeps a folder from loading", "フォルダーを読み込めない原因をすべて表示"),
    "command.batch": (
        "draw a picture for every row of a file; run again, it goes on where it was",
        "ファイルの各行から画像を生成（もう一度実行すると続きから）",
    ),
    "command.data": ("build the training corpus, or describe it", "学習用コーパスの作成、または内容の表示"),
    "command.evaluate": (
        "measure how well a model draws what its prompts say",
        "モデルがプロンプトどおりに描けるかを評価",
    ),
    "command.generate": ("draw pictures from a Japanese prompt", "日本語のプロンプトから画像を生成"),
    "command.info": ("show what made a picture, as its file says", "画像ファイルに書かれた生成情報を表示"),
    "command.jsd": (
        "Japanese Stable Diffusion: pictures from Japanese prompts",
        "Japanese Stable Diffusion: 日本語のプロンプトから画像を生成",
    ),
    "command.prompt": (
        "show how a prompt is read: its tokens, and what is unread or cut off",
        "プロンプトの読まれ方を表示（トークン、読めない文字、切り捨てられる部分）",
    ),
    "command.rerun": ("draw a picture again from what its file says", "画像ファイルに書かれた情報から、もう一度生成"),
    "command.serve": (
        "serve the Cog predictor over HTTP, without Docker",
        "Cog の予測器を Docker なしで HTTP サーバーとして起動",
    ),
    "command.train": ("train a model, stage by stage", "モデルをステージごとに学習"),
    "command.web": (
        "open a web page that draws: previews, a gallery, parameters of a picture",
        "画像を生成する Web ページを開く（プレビュー、ギャラリー、画像の設定）",
    ),
    "command.weights": (
        "list, verify, fetch, convert model folders, or write one with random weights",
        "モデルフォルダーの一覧、検査、取得、変換、乱数による作成",
    ),
    "evaluate.row": (
        "{row}, top-1 / top-5 in percent (drawings): {cells}",
        "{row}、top-1 / top-5（%、かっこ内は枚数）: {cells}",
    ),
    "help.accept_licence": ("you accept the licence that this shows", "表示されるライセンスに同意する"),
    "help.as_json": ("write all of it as JSON", "すべてを JSON で出力"),
    "help.base": (
        "Stable Diffusion v1 folder that --recipe full starts from",
        "--recipe full の出発点になる Stable Diffusion v1 のフォルダー",
    ),
    "help.checkpointing_steps": (
        "steps from one checkpoint and its samples to the next",
        "チェックポイントとサンプルを作る間隔（ステップ数）",
    ),
    "help.component_dtype": (
        "of the weights; default: what runs fastest here",
        "重みの数値形式。未指定ならこのマシンで最速のもの",
    ),
    "help.corpus": ("of the corpus, as jsd data build makes it", "jsd data build で作るコーパスのフォルダー"),
    "help.device": (
        "cuda, mps or cpu; default: the fastest there is",
        "cuda、mps、cpu のいずれか。未指定なら最速のもの",
    ),
    "help.dry_run": (
        "print the plan, the parameters and the memory",
        "学習せずに、計画、パラメーター数、メモリー量を表示",
    ),
    "help.dtype": (
        "float32, float16 or bfloat16; default: the fastest there is",
        "float32、float16、bfloat16 のいずれか。未指定なら最速のもの",
    ),
    "help.engine": ("ray: over a cluster, the same pictures", "ray ならクラスターで分散（画像は同じ）"),
    "help.folder": ("a model folder", "モデルフォルダー"),
    "help.folder_to_make": ("to make", "作成するフォルダー"),
    "help.force": ("draw even where it cannot become the same picture", "同じ画像にならない場合も生成"),
    "help.from_scratch": (
        "begin with this component's weights at random, not from an earlier stage",
        "この部品の重みを、前のステージからではなく乱数から始める",
    ),
    "help.help": ("show this help and exit", "このヘルプを表示して終了"),
    "help.host": ("address to listen on", "待ち受けるアドレス"),
    "help.language": ("of the prompts", "プロンプトの言語"),
    "help.learning_rate": ("instead of the stage's own", "学習率。未指定ならステージの値"),
    "help.max_train_steps": ("instead of the stage's own number", "学習ステップ数。未指定ならステージの値"),
    "help.mixed_precision": (
        "format of the arithmetic (default: bf16 where it is fast)",
        "計算の数値形式（未指定なら、速いマシンでは bf16）",
    ),
    "help.no_metadata": ("do not write into the files what made them", "生成情報をファイルに書き込まない"),
    "help.of_file": ("that of FILE", "FILE と同じ"),
    "help.of_model": ("of which model", "どのモデルの形にするか"),
    "help.options": ("options", "オプション"),
    "help.output_dir": ("for the pictures", "画像を保存するフォルダー"),
    "help.picture_by_jsd": ("a picture by jsd", "jsd で生成した画像"),
    "help.picture_file": ("a picture by jsd, or with A1111's text", "jsd で生成した画像か、A1111 形式の情報がある画像"),
    "help.pictures": ("a corpus, or a folder of pictures", "コーパスか、画像のあるフォルダー"),
    "help.port": ("port to listen on", "待ち受けるポート"),
    "help.positionals": ("positional arguments", "引数"),
    "help.ray_address": (
        "with ray: a running cluster (RAY_ADDRESS, else none: start one)",
        "ray 用: 実行中のクラスター（なければ RAY_ADDRESS、それもなければ新しく起動）",
    ),
    "help.recipe": ("the embedded model, or rinna's size", "同梱モデルか、rinna と同じ大きさのモデル"),
    "help.report_folder": ("for report and contact sheet", "レポートと画像一覧を保存するフォルダー"),
    "help.revision": ("branch, tag or commit", "ブランチ、タグ、コミットのいずれか"),
    "help.rinna_folder": (
        "to make (weights/rinna of the repository)",
        "作成するフォルダー（未指定ならリポジトリの weights/rinna）",
    ),
    "help.rows": (
        "JSON lines or CSV (columns are sampling options: prompt, seed, width, ...), or .txt: one prompt a line",
        "JSON Lines か CSV（列はサンプリング設定: prompt、seed、width など）、または 1 行に 1 プロンプトの .txt",
    ),
    "help.seeds": ("drawings of each prompt", "プロンプトごとの枚数"),
    "help.source_folder": ("the model folder to read", "読み込むモデルフォルダー"),
    "help.sources": ("where packages are kept", "パッケージを置くフォルダー"),
    "help.split": ("dev to choose, test to report", "dev は選択用、test は報告用"),
    "help.stage": (
        "which of the recipe's stages to run; they go in this order",
        "実行するステージ（レシピ内の順序はこの並びのとおり）",
    ),
    "help.stage_folders": (
        "gets one folder for each stage (checkpoints/RECIPE)",
        "ステージごとのフォルダーを作る場所（checkpoints/RECIPE）",
    ),
    "help.start_from": (
        "model folder to go on from (weights/mini), instead of the stages before",
        "前のステージの代わりに出発点とするモデルフォルダー（weights/mini など）",
    ),
    "help.start_image": (
        "what it started from; default: that name beside FILE",
        "元にした画像。未指定なら FILE と同じ場所の同じ名前のもの",
    ),
    "help.start_mask": (
        "its mask; default: that name beside FILE",
        "マスク。未指定なら FILE と同じ場所の同じ名前のもの",
    ),
    "help.train_batch_size": ("instead of the stage's own", "バッチサイズ。未指定ならステージの値"),
    "help.train_device": ("cuda where there is one, else cpu", "未指定なら、あれば cuda、なければ cpu"),
    "help.train_seed": ("of weights, batches and noise", "重み、バッチ、ノイズの乱数のシード"),
    "help.usage": ("usage", "使い方"),
    "help.version": ("print the version and exit", "バージョンを表示して終了"),
    "help.weights": (
        "model folder (JSD_WEIGHTS, else weights/rinna, else mini)",
        "モデルフォルダー（未指定なら JSD_WEIGHTS、weights/rinna、mini の順）",
    ),
    "help.weights_by_name": (
        "model folder; default: that of its name in weights/",
        "モデルフォルダー。未指定なら weights/ にある同じ名前のもの",
    ),
    "help.weights_or_tokenizer": (
        "model folder, or its tokenizer folder alone (JSD_WEIGHTS, else weights/rinna, else mini)",
        "モデルフォルダーか、その中の tokenizer フォルダー（未指定なら JSD_WEIGHTS、weights/rinna、mini の順）",
    ),
    "help.weights_seed": ("of the weights", "重みの乱数のシード"),
    "help.workers": (
        "with ray: default one for each GPU, else for each machine",
        "ray 用: ワーカー数。未指定なら GPU ごと、GPU がなければマシンごとに 1 つ",
    ),
    "label.accuracy": ("accuracy", "正答率"),
    "label.chance": ("chance", "偶然による正答率"),
    "label.cut_off": ("cut off", "切り捨て"),
    "label.file": ("file", "ファイル"),
    "label.negative_prompt": ("negative prompt", "ネガティブプロンプト"),
    "label.pieces": ("pieces", "区切り"),
    "label.tokens": ("tokens", "トークン"),
    "label.unread": ("unread", "読めない文字"),
}
