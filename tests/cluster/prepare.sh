#!/usr/bin/env bash
# Installs Debian's Slurm for the tests of this folder. Needs root; starts nothing.
set -euo pipefail
command -v sbatch >/dev/null && command -v munged >/dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
