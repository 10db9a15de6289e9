#!/bin/sh
# Training steps on one GPU, in ten minutes: what each switch is worth on AdaptSegNet and source
# only at published sizes, then every method, against the published loops in plain PyTorch.
#   sh benchmarks/gpu.sh [--device cpu --small --steps 1]     # the latter tries it out without a GPU
set -e
cd "$(dirname "$0")"
python="${PYTHON:-python}"
whole="trainer.batch_size=1 source.size=[720,1280] target.size=[720,1280]"
pair="trainer.batch_size=1 source.size=[720,1280] target.size=[512,1024]"
resnet="source=gta5 target=cityscapes backbone=deeplab_resnet101"
"$python" gpu_steps.py --until 240 \
    --variants published fp32 tf32 bf16 bf16-last bf16-fused bf16-compiled bf16-graphs \
    --rows "method=source_only $resnet $whole" "method=adaptseg $resnet $pair" "$@"
echo
"$python" gpu_steps.py --until 330 --steps 5 --variants published bf16 "$@"
