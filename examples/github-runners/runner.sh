#!/usr/bin/env bash
# One ephemeral GitHub Actions runner as a worker of a pool: it registers, takes one job, and exits when that is done.
# On TERM it ends at once if it is idle, and after its job if it has one.
set -euo pipefail
set -m # or bash would have the runner ignore the signal that ends it

# token prints a short-lived one, for "registration" or "remove". The long-lived one is not for jobs to inherit.
token() {
  GH_TOKEN=$(<"$GH_TOKEN_FILE") gh api -X POST "repos/$GITHUB_REPOSITORY/actions/runners/$1-token" --jq .token
}

home=$HOME/runners/$POOLKEEPER_WORKER_ID
mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp -a "$RUNNER_DISTRIBUTION/." "$home"
cd "$home"

./config.sh --unattended --ephemeral --disableupdate --url "https://github.com/$GITHUB_REPOSITORY" \
  --name "$POOLKEEPER_WORKER_ID" --labels "$RUNNER_LABELS" --token "$(token registration)"

# GitHub removes no runner that has a job, so that nobody has to guess whether one has just come.
leave() {
  leaving=1
  while kill -0 "$runner" 2>/dev/null; do
    if ./config.sh remove --token "$(token remove)"; then
      kill -TERM "$runner" || true
      return
    fi
    sleep 10
  done
}

leaving=
RUNNER_MANUALLY_TRAP_SIG=1 ./run.sh &
runner=$!
trap leave TERM

# A TERM ends the first wait before the runner has ended.
wait "$runner" || { code=$? && [[ $leaving ]] && wait "$runner"; } || exit "$code"
