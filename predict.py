"""Cog's facade: typed inputs -> SamplingOptions -> files, one after the other.

Cog reads the signature without running it, so types and values stand here as literals; tests/test_predict.py
holds them equal to those of `SamplingOptions`.

Older names work: `cog predict` is the program's alias of `cog run`, and `Predictor().predict(prompt="…")` reaches
`run()` by Cog's own bridge, with Cog's DeprecationWarning. Defaults are filled in by Cog's server: a call in Python
passes every input.
"""

from collections.abc import Iterator

from cog import BaseRunner, Input, Path, streaming

from jsd import SamplingOptions
from jsd.images import load_image, load_mask
from jsd.serving.loras import served_loras
from jsd.serving.pictures import read_picture
from jsd.serving.prediction import Service


class Predictor(BaseRunner):
    # Cog passes weights only to a setup() that has the parameter.
    def setup(self) -> None:  # type: ignore[override]
        """Load the model folder: JSD_WEIGHTS, else rinna, tohoku-sdxl or mini in weights/."""
        # The schema is read from the source. Here the annotation is for Cog's worker, which would fetch the address of
        # a Path before run() begins: without a deadline, and where nothing can cancel it.
        type(self).run.__annotations__.update(image=str | None, mask=str | None)
        self.service = Service.load()

    def healthcheck(self) -> bool:
        """Whether the device still computes; Cog answers UNHEALTHY where it does not."""
        return self.service.is_healthy()

    @streaming
    def run(
        self,
        prompt: str = Input(
            description="What to draw, in Japanese. 描きたいもの（日本語）。例: サラリーマン 油絵",
            default="サラリーマン 油絵",
        ),
        negative_prompt: str = Input(
            description="What the picture should not show. 描いてほしくないもの。", default=""
        ),
        style: str = Input(
            description="A style, put behind the prompt. プロンプトの後に加えるスタイル。",
            default="",
            choices=[
                "",
                "油絵",
                "水彩画",
                "浮世絵風",
                "水墨画",
                "日本画",
                "アニメ調",
                "漫画風",
                "鉛筆画",
                "線画",
                "パステル画",
                "版画",
                "切り絵",
                "折り紙",
                "絵本風",
                "ドット絵",
                "絵文字",
                "フラットデザイン",
                "立体",
                "写真",
                "白黒写真",
            ],
        ),
        image: Path | None = Input(description="Picture to start from. 元にする画像。", default=None, accept="image/*"),
        mask: Path | None = Input(
            description="White is repainted, black stays as in image. 白い部分を描き直し、黒い部分は残します。",
            default=None,
            accept="image/*",
        ),
        prompt_strength: float = Input(
            description="With image: 0 keeps the picture, 1 nothing of it. 0 で image のまま、1 で元は残りません。",
            default=0.8,
            ge=0,
            le=1,
        ),
        width: int | None = Input(
            description="Width in px before upscale. Unset: the image's or model's. 拡大前の幅。",
            default=None,
            ge=1,
            le=16383,
        ),
        height: int | None = Input(
            description="Height in px before upscale. Unset: the image's or model's. 拡大前の高さ。",
            default=None,
            ge=1,
            le=16383,
        ),
        upscale: int | None = Input(
            description="How many times as large. Unset: 4 where the model has an upscaler, else 1. 拡大の倍率。",
            default=None,
            ge=1,
            le=4,
        ),
        num_outputs: int = Input(description="Number of pictures. 枚数。", default=1, ge=1, le=4),
        num_candidates: int = Input(
            description="So many are drawn, the best num_outputs of them returned. この枚数から良いものを返します。",
            default=1,
            ge=1,
            le=16,
        ),
        num_inference_steps: int = Input(
            description="Denoising steps. ノイズ除去のステップ数。", default=25, ge=1, le=500
        ),
        guidance_scale: float | None = Input(
            description="Weight of the prompt. Unset: the model's own. プロンプトに従う強さ。未指定ならモデルの値。",
            default=None,
            ge=1,
            le=20,
        ),
        guidance_start: float = Input(
            description="Guidance begins at this share of the way from noise to picture. ガイダンスを始める位置。",
            default=0.0,
            ge=0,
            le=1,
        ),
        guidance_end: float = Input(
            description="Guidance ends at this share of the way from noise to picture. ガイダンスを終える位置。",
            default=1.0,
            ge=0,
            le=1,
        ),
        scheduler: str = Input(
            description="Sampling method. サンプリング手法。",
            default="DPMSolverMultistep",
            choices=[
                "DDIM",
                "DPMSolverMultistep",
                "K_EULER",
                "K_EULER_ANCESTRAL",
                "PNDM",
                "KLMS",
                "HeunDiscrete",
                "KarrasDPM",
                "LCM",
                "TCD",
                "DDIM_TRAILING",
            ],
        ),
        unknown_words: str = Input(
            description="Unreadable words: warn, or replace by kana. 読めない語: 警告するか、かなに置き換えます。",
            default="warn",
            choices=["warn", "replace"],
        ),
        long_prompt: str = Input(
            description="Too long for the model: chunk, or truncate. 長いプロンプト: 分けて読むか、切り捨てます。",
            default="chunk",
            choices=["chunk", "truncate"],
        ),
        seed: int | None = Input(
            description="Picture i uses seed + i. Unset: drawn at random. 未指定なら乱数。logs に出ます (in logs)。",
            default=None,
            ge=0,
            le=4294967295,
        ),
        loras: str = Input(
            description="LoRA files of this server, NAME or NAME:WEIGHT, with commas. サーバーの LoRA。", default=""
        ),
        disable_safety_checker: bool = Input(
            description="Return flagged pictures too. セーフティーチェッカーが検出した画像も返します。", default=False
        ),
        safety_threshold: float = Input(
            description="Withhold scores above it; 0 is standard. スコアがこれを超える画像は返しません。標準は 0。",
            default=0.0,
            ge=-0.1,
            le=0.1,
        ),
        output_format: str = Input(
            description="PNG keeps every pixel. With cog run -o, name this ending. 劣化なしは png。-o は同じ拡張子で。",
            default="png",
            choices=["png", "webp", "jpg"],
        ),
        output_quality: int = Input(
            description="Quality of webp and jpg; png has none. webp と jpg の画質。png には関係しません。",
            default=80,
            ge=0,
            le=100,
        ),
        preview_every: int = Input(
            description="HTTP API only: a small picture every so many steps; 0: none. 途中の小さな画像（API 用）。",
            default=0,
            ge=0,
            le=500,
        ),
    ) -> Iterator[Path]:
        """Draw the prompt: previews, then the finished pictures, each as it is ready."""
        options = SamplingOptions(
            prompt=prompt,
            negative_prompt=negative_prompt,
            style=style,
            image=None if not image else load_image(read_picture(str(image), "image"), "image"),
            mask=None if not mask else load_mask(read_picture(str(mask), "mask"), "mask"),
            prompt_strength=prompt_strength,
            unknown_words=unknown_words,
            long_prompt=long_prompt,
            width=width,
            height=height,
            upscale=upscale,
            num_outputs=num_outputs,
            num_candidates=num_candidates,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_start=guidance_start,
            guidance_end=guidance_end,
            scheduler=scheduler,
            seed=seed,
            loras=served_loras(loras),
            disable_safety_checker=disable_safety_checker,
            safety_threshold=safety_threshold,
            output_format=output_format,
            output_quality=output_quality,
        )
        for path in self.service.draw(
            options, self.record_metric, preview_every=preview_every, context=self.scope.context
        ):
            yield Path(path)
