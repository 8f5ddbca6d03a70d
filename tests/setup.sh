#!/bin/sh
# Real clients and servers that the tests drive and pip does not bring. Without root or apt a test says what it lacks.
set -eu

v2() { for aws in /usr/bin/aws /usr/local/bin/aws; do [ -x "$aws" ] && "$aws" --version 2>&1 | grep -q '^aws-cli/2' && return 0; done; return 1; }

v2 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends awscli >/dev/null
fi
v2 || echo "tests: no AWS CLI v2 (Debian: apt-get install awscli); its tests are skipped"
