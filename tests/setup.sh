#!/bin/sh
# Real clients and servers that the tests drive and pip does not bring. Without root or apt a test says what it lacks.
set -eu

v2() { for aws in /usr/bin/aws /usr/local/bin/aws; do [ -x "$aws" ] && "$aws" --version 2>&1 | grep -q '^aws-cli/2' && return 0; done; return 1; }

slurm() { for one in slurmctld slurmd scontrol munged; do command -v "$one" >/dev/null || return 1; done; }

v2 && slurm && exit 0
SLURM="slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  export DEBIAN_FRONTEND=noninteractive
  v2 || apt-get install -y -qq --no-install-recommends awscli >/dev/null || true
  # shellcheck disable=SC2086
  slurm || apt-get install -y -qq --no-install-recommends $SLURM >/dev/null || true
fi
v2 || echo "tests: no AWS CLI v2 (Debian: apt-get install awscli); its tests are skipped"
slurm || echo "tests: no Slurm (Debian: apt-get install $SLURM); its tests are skipped"
