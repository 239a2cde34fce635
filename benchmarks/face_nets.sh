#!/usr/bin/env bash
# Every table of docs/results.md under "What a face-recognition network can teach".
#
#   bash benchmarks/face_nets.sh FER WEB OUT PART...
#
# FER: folder with fer2013.csv and fer2013new.csv. WEB: folder with legend.csv and images/ (faces from the web). OUT: a folder, which
# may hold what an earlier call left: everything goes on where it was. PART: layers, few, all, frozen, people (a CPU), or gpu
# (an accelerator: the papers' sizes). SEEDS, THREADS and UNLABELED may be set.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
fer=$(realpath "$1") web=$(realpath "$2")
mkdir -p "$3"
cd "$3"
shift 3
seeds=${SEEDS:-3} threads=${THREADS:-1} unlabeled=${UNLABELED:-10000}
recipes=scratch_bn_small,face_finetune,fn2en_small

have() { [ -e "$1" ] || "${@:2}"; }
compare() { mien compare "$1" --seeds "$seeds" --threads "$threads" --split PublicTest "${@:2}"; }
face_features() { have "$1_$2" mien features "facenet_dlib:$2" "$1" "$1_$2" --set side=112 --views 2 --grid 3; }
# dlib's net distilled into dalnet on all Training faces, without a label (the rate of the labeled epoch is 0): once for all runs.
dal_start() {
  have dal_start mien train ferplus --recipe dal_small --labels-per-class 10 --seed 100 --threads "$threads" --out dal_start \
    --set start.stages.0.epochs=5 --set 'stages=[{"epochs": 1, "lr": 0.0}]'
}
from_dal_start=(--set 'start={"technique": "transfer", "source": "dal_start"}')

have ferplus mien import ferplus "$fer" ferplus --rule probability
have fer2013 mien import fer2013 "$fer/fer2013.csv" fer2013

for part in "$@"; do
  case $part in
    layers)
      for block in block8 block9 block10; do face_features fer2013 $block; done
      rm -f face_layers.csv
      python "$here/face_layers.py" fer2013_block8 fer2013_block9 fer2013_block10 --seeds "$seeds" --threads "$threads" --table face_layers.csv ;;
    few)
      face_features ferplus block9
      dal_start
      for labels in 10 25 100; do
        compare ferplus --recipes $recipes --labels-per-class $labels --unlabeled-faces "$unlabeled" --out face_$labels
        compare ferplus --recipes dal_small "${from_dal_start[@]}" --labels-per-class $labels --out face_dal_$labels
        compare ferplus_block9 --recipes linear_head --labels-per-class $labels --out face_linear_$labels
      done ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
