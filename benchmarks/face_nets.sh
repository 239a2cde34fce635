#!/usr/bin/env bash
# The tables of docs/results/face-network.md.
#
#   bash benchmarks/face_nets.sh FER WEB OUT PART...
#
# FER: folder with fer2013.csv and fer2013new.csv. WEB: folder with legend.csv and images/ (faces from the web). OUT: a folder, which
# may hold what an earlier call left: everything goes on where it was. PART: layers, linear, few, all, frozen, people, neurons (a CPU), or gpu
# (an accelerator: the papers' sizes). SEEDS, THREADS and UNLABELED may be set. In `all` every recipe sees the labels 12 times; what is
# learned without labels before that, or by a teacher, comes on top. In `few` scratch_bn_small and dal_few have 1,200 batches of labels.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
fer=$(realpath "$1") web=$(realpath "$2")
mkdir -p "$3"
cd "$3"
shift 3
seeds=${SEEDS:-3} threads=${THREADS:-1} unlabeled=${UNLABELED:-10000}
few=scratch_bn_small,face_finetune,fn2en_small,dal_few.toml
all=scratch_bn_all.toml,face_finetune_all.toml,fn2en_all.toml,dal_all.toml

have() { [ -e "$1" ] || "${@:2}"; }
compare() { mien compare "$1" --seeds "$seeds" --threads "$threads" --split PublicTest "${@:2}"; }
face_features() { have "$1_$2" mien features "facenet_dlib:$2" "$1" "$1_$2" --set side=112 --views 2 --grid 3; }
# dlib's net distilled into dalnet on all Training faces, without a label (the rate of the labeled epoch is 0): once for all runs.
dal_start() {
  have dal_start mien train ferplus --recipe dal_small --labels-per-class 10 --seed 100 --threads "$threads" --out dal_start \
    --set start.stages.0.epochs=8 --set 'stages=[{"epochs": 1, "lr": 0.0}]'
}

cp "$here"/face_nets/*.toml .
have ferplus mien import ferplus "$fer" ferplus --rule probability
have fer2013 mien import fer2013 "$fer/fer2013.csv" fer2013

for part in "$@"; do
  case $part in
    layers)
      for block in block8 block9 block10; do face_features fer2013 $block; done
      rm -f face_layers.csv
      python "$here/face_layers.py" fer2013_block8 fer2013_block9 fer2013_block10 --seeds "$seeds" --threads "$threads" --table face_layers.csv ;;
    linear)
      face_features ferplus block9
      compare ferplus_block9 --recipes linear_head --labels-per-class 10,25,100 --out face_linear
      compare ferplus_block9 --recipes linear_head --out face_linear_all ;;
    few)
      dal_start
      for labels in 10 25 100; do
        compare ferplus --recipes $few --labels-per-class $labels --unlabeled-faces "$unlabeled" --out face_$labels
      done ;;
    all)
      dal_start
      compare ferplus --recipes $all --out face_all
      compare ferplus --recipes scratch_grid_all.toml --out face_all_grid ;;
    frozen)
      dal_start
      compare ferplus --recipes dal_few.toml --labels-per-class 100 --out face_frozen --vary \
        'stages.0.frozen=[],["conv1"],["conv1","conv2"],["conv1","conv2","conv3"],["conv1","conv2","conv3","conv4"],["conv1","conv2","conv3","conv4","conv5"]' ;;
    people)
      have web mien import table "$web/legend.csv" web --columns path=name,label=label,subject=person --side 48 --set images="$web/images"
      have drawn mien import synthetic drawn --set faces=4000 --set people=160
      for faces in web drawn; do
        have ${faces}_people mien identities $faces ${faces}_people --split all
        epochs=$([ $faces = web ] && echo 20 || echo 15)
        have ${faces}_known mien train ${faces}_people --recipe face_pretrain --model mien_s --set stages.0.lr=0.1 --epochs $epochs \
          --threads "$threads" --out ${faces}_known
        for network in ${faces}_known mien_s facenet_dlib; do mien verify $network ${faces}_people --flip; done
      done ;;
    neurons)
      have all_run mien train ferplus --recipe supervised_small --epochs 2 --threads "$threads" --out all_run
      rm -rf neurons neurons_before
      time mien neurons all_run ferplus --split Training --out neurons
      mien neurons all_run ferplus --split Training --before mien_s --out neurons_before ;;
    gpu)
      have ferplus_large mien import ferplus "$fer" ferplus_large --rule probability --side 224
      compare ferplus_large --recipes scratch_bn,face_finetune,fn2en --device cuda --out gpu_fn2en
      have ferplus_144 mien import ferplus "$fer" ferplus_144 --rule probability --side 144
      compare ferplus_144 --recipes supervised,dal --device cuda --out gpu_dal ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
