#!/usr/bin/env bash
# Several processes on one or more machines: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Without GPUs the processes run on the CPU (gloo). NNODES, NODE_RANK, MASTER_ADDR and PORT as usual.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2; exit 2; }
config=$1 processes=$2
shift 2
exec python -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$processes" \
  "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
