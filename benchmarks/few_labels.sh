#!/usr/bin/env bash
# Every table of docs/results/another-domain.md, and those that few-labels.md and doubtful-labels.md there name it for.
#
#   bash benchmarks/few_labels.sh FER WEB OUT PART...
#
# FER: folder with fer2013.csv and fer2013new.csv. WEB: folder with legend.csv and images/ (faces from the web). OUT: a folder, which
# may hold what an earlier call left: everything goes on where it was. PART: cached, threshold, statistics,
# noise_cached, domain, pixels, noise_pixels, table1b (a CPU), or
# pixels_gpu, table1b_gpu (an accelerator). SEEDS and THREADS may be set.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
fer=$(realpath "$1") web=$(realpath "$2")
mkdir -p "$3"
cd "$3"
shift 3
seeds=${SEEDS:-3} threads=${THREADS:-1}
all=supervised_small,pl_small,pl_alrao_small,alt_small,st_small,sw_small,st_sw_small,fixmatch_small
paper=supervised_alt,pl,pl_alrao,alt
heads=(--model embedding --set model.dropout=0.5 --set stages.0.lr=0.03)

have() { [ -e "$1" ] || "${@:2}"; }
compare() { mien compare "$1" --seeds "$seeds" --threads "$threads" "${@:2}"; }

have ferplus mien import ferplus "$fer" ferplus --rule probability
have fer2013 mien import fer2013 "$fer/fer2013.csv" fer2013
have web mien import table "$web/legend.csv" web --columns path=name,label=label,subject=person --side 48 --test 0.2 --set images="$web/images"

web_features() {
  have web_run mien train web --out web_run --recipe ferplus --set targets=hard --set weigh=by_class --set weigh.power=0.5 \
    --set choose=average_accuracy --epochs 20 --threads 2
  for faces in ferplus fer2013; do
    have ${faces}_features mien features web_run:stage3_1 $faces ${faces}_features --views 6 --grid 2
  done
}

drawn_features() {
  have drawn mien import synthetic drawn --set faces=6000
  have drawn_run mien train drawn --out drawn_run --recipe supervised --epochs 15 --threads 1
  for faces in ferplus web; do
    have ${faces}_drawn mien features drawn_run:stage3_1 $faces ${faces}_drawn --views 6 --grid 2
  done
}

for part in "$@"; do
  case $part in
    cached)
      web_features
      for faces in ferplus fer2013; do
        compare ${faces}_features --recipes $all --labels-per-class 25,100,250 "${heads[@]}" --split PublicTest --out cached_$faces
      done ;;
    pixels)
      compare ferplus --recipes supervised_small,alt_small,st_sw_small,fixmatch_small --labels-per-class 100 --unlabeled-faces 4000 \
        --split PublicTest --out pixels ;;
    threshold)
      web_features
      compare ferplus_features --recipes supervised_small,pl_small --labels-per-class 100 --vary unlabeled.threshold=0,0.8,0.95 "${heads[@]}" \
        --split PublicTest --out threshold ;;
    statistics)
      # Do unlabeled faces that teach nothing (a weight of 1e-9) cost anything? On a part of Training.
      have ferplus_choose python "$here/held_out.py" ferplus ferplus_choose
      have ferplus_choose_known mien features facenet_dlib:block9 ferplus_choose ferplus_choose_known --views 4 --grid 3 --set side=112
      some=(--recipes supervised_small,pl_small,fixmatch_small --vary unlabeled.weight=1e-9,1 --labels-per-class 100)
      compare ferplus_choose_known "${some[@]}" "${heads[@]}" --split test --out statistics_cached
      compare ferplus_choose "${some[@]}" --vary statistics=labeled,all --unlabeled-faces 4000 --split test --out statistics_pixels ;;
    noise_cached)
      web_features
      compare ferplus_features --recipes supervised_small,sw_small,st_sw_small --labels-per-class 250 --noise 0,0.1,0.2,0.3 \
        "${heads[@]}" --split PublicTest --out noise_cached ;;
    noise_pixels)
      compare ferplus --recipes supervised_small,sw_small,st_sw_small --labels-per-class 100 --noise 0,0.2 --unlabeled-faces 4000 \
        --split PublicTest --out noise_pixels ;;
    domain)
      drawn_features
      some=(--recipes supervised_small,pl_small,alt_small,st_small,st_sw_small,fixmatch_small --labels-per-class 100 --unlabeled-faces 8000)
      some+=("${heads[@]}" --control)
      compare ferplus_drawn "${some[@]}" --unlabeled web_drawn --no-own-unlabeled --split PublicTest --out domain_ferplus_web
      compare ferplus_drawn "${some[@]}" --split PublicTest --out domain_ferplus_own
      compare web_drawn "${some[@]}" --unlabeled ferplus_drawn --no-own-unlabeled --split test --out domain_web_ferplus
      # Labels of one, unlabeled faces of the other, tested on the other: the claim of ST+SW's Table III.
      compare ferplus_drawn "${some[@]}" --unlabeled web_drawn --no-own-unlabeled --test-on web_drawn --test-split test --out domain_to_web
      compare web_drawn "${some[@]}" --unlabeled ferplus_drawn --no-own-unlabeled --test-on ferplus_drawn --test-split PublicTest \
        --out domain_to_ferplus ;;
    table1b)
      compare ferplus --recipes $paper --labels-per-class 50 --unlabeled web --no-own-unlabeled --unlabeled-faces 2000 --epochs 30 \
        --set batch=64 --set unlabeled_batch=64 --split PublicTest --out table1b ;;
    pixels_gpu)
      for faces in ferplus fer2013; do
        for model in mien_s resnet18; do
          compare $faces --recipes $all --labels-per-class 25,100,250 --model $model --device cuda --split PublicTest --out gpu_${faces}_$model
        done
      done ;;
    table1b_gpu)
      for faces in ferplus fer2013; do
        for model in alexnet_bn vgg16_bn; do
          compare $faces --recipes $paper --model $model --unlabeled web --device cuda --split PublicTest --out table1b_${faces}_$model
        done
      done ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
