#!/usr/bin/env bash
# Proves docker-compose.ha.yml: brings it up with three servers as a project of its own, beside whatever else runs here, asks of
# it what crates/testkit/tests/ha asks of processes, and takes it down again.
#
#   scripts/ha-validate.sh            # some minutes; prints a line with figures for each scenario
#   scripts/ha-validate.sh --report   # with more requests, and writes docs/ha-validation-report.md
#
# PULP_IMAGE names the image (docker compose -f docker-compose.ha.yml build makes it), LB_PORT the port (18081). Arguments behind -- go to
# the tests: scripts/ha-validate.sh -- deaths
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=machine.sh
. "$root/scripts/machine.sh"
cd "$root"

export HA_PROJECT=pulp-engine-ha-validate
export HA_SECRETS=$root/target/ha-validate.env
while [ $# -gt 0 ]; do
    case $1 in
        --report) export HA_FULL=1 HA_REPORT=docs/ha-validation-report.md ;;
        --)
            shift
            break
            ;;
        *) fail "what is $1?" "scripts/ha-validate.sh [--report] [-- names of tests]" ;;
    esac
    shift
done

if ! docker compose version >/dev/null 2>&1; then fail "Docker with its compose plugin is needed."; fi
if ! docker info >/dev/null 2>&1; then fail "Docker does not run, or this user may not use it."; fi

compose() { docker compose --project-name "$HA_PROJECT" --env-file "$HA_SECRETS" --file docker-compose.ha.yml "$@"; }
secrets() {
    rm -f "$HA_SECRETS"
    scripts/make-env "$HA_SECRETS"
    printf 'LB_PORT=%s\n' "${LB_PORT:-18081}" >>"$HA_SECRETS"
}
down() { compose down --volumes --timeout 20 >&2; }
# Whatever a failed run left, and what this one leaves.
clean_up() {
    local status=$?
    report_failure
    if [ "$status" -ne 0 ]; then compose ps --all >&2 || true; fi
    down || true
    exit "$status"
}

build_environment
mkdir -p target
step "secrets of its own" secrets
step "what an earlier run left" down
trap clean_up EXIT
step "docker compose up, three servers" compose up --detach --wait --scale api=3
step "the scenarios" cargo test --locked --package testkit --test ha -- --test-threads 1 --nocapture "$@"
say "Everything held in $SECONDS s."
