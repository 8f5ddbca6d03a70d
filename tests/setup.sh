#!/bin/sh
# Real clients and servers that the tests drive and pip does not bring. Without root or apt a test says what it lacks.
set -eu

v2() { for aws in /usr/bin/aws /usr/local/bin/aws; do [ -x "$aws" ] && "$aws" --version 2>&1 | grep -q '^aws-cli/2' && return 0; done; return 1; }

slurm() { for one in slurmctld slurmd scontrol munged; do command -v "$one" >/dev/null || return 1; done; }

exim() { [ -x /usr/sbin/exim4 ]; }

# Another mail server stays what it is: Debian has one at a time.
mails() { exim || [ -x /usr/sbin/sendmail ]; }

stress() { command -v stress-ng >/dev/null && command -v fio >/dev/null; }

# Packages, without the daemons that Debian would start with them.
install() {
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  fi
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null || true
}

# The Terraform provider of the tests; what it is made of comes through Go's own client, and is checked by go.sum.
provider() {
  command -v go >/dev/null && command -v terraform >/dev/null &&
    (cd tests/terraform && timeout 900 go build -buildvcs=false -o ../../build/terraform/terraform-provider-awscc .)
}

provider || echo "tests: no Terraform provider (it needs go and terraform); its tests are skipped"

# Clients of HyperPod whose whole installs are half a gigabyte: only what they import here, beside what the project's
# environment has. Importing it shows that nothing is missing, and compiles what the tests load.
client() {
  lock="tests/clients/$1.lock"
  there=".venv/clients/$1"
  why=""
  cmp -s "$lock" "$there/made-of.lock" && return
  rm -rf "$there"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps --no-compile \
    --require-hashes --target "$there" -r "$lock" &&
    why=$(PYTHONPATH="$there" PYTHONDONTWRITEBYTECODE='' .venv/bin/python -c "import $2" 2>&1) &&
    cp "$lock" "$there/made-of.lock" && return
  echo "tests: no $1 (pip, from $lock)${why:+ as }$(echo "$why" | tail -n 1); its tests are skipped"
}

client hyp sagemaker.hyperpod.cli.hyp_cli
client sagemaker-core sagemaker.core.resources

v2 && slurm && mails && stress && exit 0
SLURM="slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq || echo "tests: apt-get update failed; what is there already is used"
  export DEBIAN_FRONTEND=noninteractive
  v2 || install awscli
  # shellcheck disable=SC2086
  slurm || install $SLURM
  mails || install exim4-daemon-light
  stress || install stress-ng fio
fi
v2 || echo "tests: no AWS CLI v2 (Debian: apt-get install awscli); its tests are skipped"
slurm || echo "tests: no Slurm (Debian: apt-get install $SLURM); its tests are skipped"
stress || echo "tests: no stress-ng and fio (Debian: apt-get install stress-ng fio); their tests are skipped"
exim || echo "tests: no Exim (Debian: apt-get install exim4-daemon-light); its tests are skipped"
