#!/usr/bin/env bash
# Fill the results table of README.md and weights/mini/README.md: four models, the prompts of the test split.
# After runs/train_mini.sh and python -m runs.export_mini. Arguments go to every evaluation.
set -euo pipefail
cd "$(dirname "$0")/.."
JSD=${JSD:-.venv/bin/jsd}
PYTHON=${PYTHON:-.venv/bin/python}
reports=outputs/evaluation

evaluate() {  # NAME FOLDER LANGUAGE: the report is $reports/NAME/report.json
  "$JSD" evaluate --weights "$2" --language "$3" --output "$reports/$1" "${@:4}"
}

evaluate base_en checkpoints/mini/base/model en "$@"
evaluate base_ja checkpoints/mini/base/model ja "$@"
evaluate stage1 checkpoints/mini/stage1/model ja "$@"
evaluate stage2 weights/mini ja "$@"

described=$("$JSD" data describe)
mkdir -p docs/results
printf '%s\n' "$described" > docs/results/corpus.txt
"$PYTHON" -m runs.results_table \
  base_en=$reports/base_en/report.json base_ja=$reports/base_ja/report.json \
  stage1=$reports/stage1/report.json stage2=$reports/stage2/report.json
