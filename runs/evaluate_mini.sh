#!/usr/bin/env bash
# Fill the results table of docs/training.md and weights/mini/README.md: each stage at Stable Diffusion's guidance, the
# editions of the embedded model at their own (3, 3 and the folder's), on the prompts of the test split; these on natural
# prompts, the last by the scorer, too.
# After runs/train_mini.sh and python -m runs.export_mini. Arguments go to every evaluation.
set -euo pipefail
cd "$(dirname "$0")/.."
JSD=${JSD:-.venv/bin/jsd}
PYTHON=${PYTHON:-.venv/bin/python}
reports=outputs/evaluation

evaluate() {  # NAME FOLDER LANGUAGE: the report is $reports/NAME/report.json
  "$JSD" evaluate --weights "$2" --language "$3" --output "$reports/$1" "${@:4}"
}

evaluate base_en checkpoints/mini/base/model en --guidance-scale 7.5 "$@"
evaluate base_ja checkpoints/mini/base/model ja --guidance-scale 7.5 "$@"
evaluate stage1 checkpoints/mini/stage1/model ja --guidance-scale 7.5 "$@"
evaluate stage2 checkpoints/mini/stage2/model ja --guidance-scale 7.5 "$@"
evaluate decoder checkpoints/mini/decoder/model ja --guidance-scale 7.5 "$@"
evaluate first checkpoints/mini/decoder/model ja --guidance-scale 3 "$@"
evaluate text checkpoints/mini/text/model ja --guidance-scale 3 "$@"
evaluate mini weights/mini ja "$@"
prompts=jsd/training/evaluation/sets/natural.txt
natural() {  # NAME FOLDER
  evaluate "natural_$1" "$2" ja --prompts "$prompts" --seeds 2 --sprites data/scenes "${@:3}"
}
natural first checkpoints/mini/decoder/model --guidance-scale 3 "$@"
natural text checkpoints/mini/text/model --guidance-scale 3 "$@"
natural mini weights/mini "$@"
evaluate ja500_mini weights/mini ja --prompts jsd/training/evaluation/sets/ja-500.txt --scorer weights/clip_ja \
  --num-inference-steps 12 "$@"

described=$("$JSD" data describe)
mkdir -p docs/results
printf '%s\n' "$described" > docs/results/corpus.txt
"$PYTHON" -m runs.results_table \
  base_en=$reports/base_en/report.json base_ja=$reports/base_ja/report.json \
  stage1=$reports/stage1/report.json stage2=$reports/stage2/report.json decoder=$reports/decoder/report.json \
  first=$reports/first/report.json text=$reports/text/report.json mini=$reports/mini/report.json \
  natural_first=$reports/natural_first/report.json natural_text=$reports/natural_text/report.json \
  natural_mini=$reports/natural_mini/report.json ja500_mini=$reports/ja500_mini/report.json
