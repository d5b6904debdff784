#!/usr/bin/env bash
# Several processes on one or more machines: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# Without GPUs the processes run on the CPU (gloo). NNODES, NODE_RANK, MASTER_ADDR and PORT as usual.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of tools/test.py]" >&2; exit 2; }
config=$1 checkpoint=$2 processes=$3
shift 3
exec python -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$processes" \
  "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
