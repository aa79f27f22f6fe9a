#!/usr/bin/env bash
# One command on a fresh machine: sets up .venv, then starts Temporal with its Web UI, Redis, a worker and the API,
# runs a demo and stays up until Ctrl-C. Options are those of `cody dev`; see --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash scripts/setup.sh
exec .venv/bin/cody dev "$@"
