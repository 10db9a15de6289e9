#!/bin/sh
# Training steps on one GPU, in ten minutes: what each switch is worth on AdaptSegNet and source
# only at published sizes, then every method, against the published loops in plain PyTorch, then
# what the memory presets make of two recipes, as long as time is left; what is left out is named.
#   sh benchmarks/gpu.sh [--device cpu --small --steps 1]     # the latter tries it out without a GPU
set -e
cd "$(dirname "$0")"
python="${PYTHON:-python}"
start=$(date +%s)
left() { echo $(($1 - $(date +%s) + start)); } # seconds, until so many have passed
whole="trainer.batch_size=1 source.size=[720,1280] target.size=[720,1280]"
pair="trainer.batch_size=1 source.size=[720,1280] target.size=[512,1024]"
resnet="source=gta5 target=cityscapes backbone=deeplab_resnet101"
"$python" gpu_steps.py --until 180 \
    --variants published fp32 tf32 bf16 bf16-last bf16-fused bf16-compiled bf16-graphs \
    --rows "method=source_only $resnet $whole" "method=adaptseg $resnet $pair" "$@"
echo
"$python" gpu_steps.py --until "$(left 500)" --steps 5 --variants published bf16 "$@"
echo
"$python" gpu_steps.py --until "$(left 560)" --steps 2 --variants fp32 --presets "$@"
