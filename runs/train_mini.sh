#!/usr/bin/env bash
# Train the embedded model: every stage in order, each into checkpoints/mini/STAGE.
# Run it again after an interruption: it goes on at the last checkpoint of the stage that was broken off.
# Arguments go to every stage: runs/train_mini.sh --device cuda
set -euo pipefail
cd "$(dirname "$0")/.."
JSD=${JSD:-.venv/bin/jsd}

test -f data/mini/records.jsonl || "$JSD" data build
test -f data/scenes/sprites.zip || "$JSD" data sprites
for stage in vae clip_en base clip_ja stage1 stage2 decoder text joint parts scenes upscaler; do
  "$JSD" train --recipe mini --stage "$stage" "$@"
done
