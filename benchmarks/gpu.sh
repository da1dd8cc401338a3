#!/usr/bin/env bash
# What one GPU does, in about five minutes: step times, relevance, spectra, features and start-up,
# each beside PyTorch (eager) where it is installed, then the tests against other people's numbers on
# this backend.
#
#     benchmarks/gpu.sh [PYTHON [PYTHON_WITH_TORCH]]
#
# QUICK=1 takes two rounds, narrow networks and few tests, and more time, to try the script itself on a
# CPU.
set -uo pipefail
cd "$(dirname "$0")/.."
python="${1:-python3}"
peer="${2:-$python}"
rounds=30
patience=1
published=(--published)
steps=(ours infomax infomax-64 torch)
if [ -n "${QUICK:-}" ]; then
  rounds=2
  patience=5
  published=()
  steps=(ours infomax torch)
fi
# Sides live in processes of their own and share the card.
export XLA_PYTHON_CLIENT_PREALLOCATE=false

run() { # seconds, then a command: what fails or takes too long does not stop the rest
  local limit="$(($1 * patience))"
  shift
  echo
  echo "== $*"
  timeout "$limit" "$@" 2>&1 | grep -v -e '^WARNING' -e '^I0000' -e '^W0000'
  [ "${PIPESTATUS[0]}" = 0 ] || echo "(failed, or stopped after $limit s)"
}

bench() {
  local limit="$1" name="$2"
  shift 2
  run "$limit" "$python" -m "benchmarks.$name" "$@"
}

start=$SECONDS
"$python" - <<'PYTHON'
import jax
print("jax", jax.__version__, jax.default_backend(), [d.device_kind for d in jax.devices()])
PYTHON
with=(--python-with-torch "$peer" --rounds "$rounds")
bench 60 dcgan_step "${with[@]}" --only ours torch
bench 120 sngan_step "${with[@]}" "${published[@]}" --precision tf32 --only "${steps[@]}"
bench 90 sngan_step "${with[@]}" "${published[@]}" --precision bfloat16 --only ours
bench 60 relevance --python-with-zennit "$peer" --rounds 5 --precision float32
bench 45 relevance --rounds 5 --precision tf32 --only relevance plain
bench 30 spectra
bench 60 quality "${with[@]}"
bench 120 start_up --only DCGAN-64 SNGAN-32
# Exact products, as the arrays to compare with were made.
export JAX_PLATFORMS="$("$python" -c 'import jax; print(jax.default_backend().replace("gpu", "cuda"))')"
export JAX_DEFAULT_MATMUL_PRECISION=float32
tests=(tests/test_nn_conv.py tests/test_gans_losses.py)
[ -n "${QUICK:-}" ] || tests+=(tests/test_nn_layers.py tests/test_nn_weights_resgan.py
  tests/test_explain_relevance.py tests/test_spectra_curves.py)
run 120 "$python" -m pytest -q "${tests[@]}"
echo
echo "$((SECONDS - start)) s in all"
