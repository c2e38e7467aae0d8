#!/usr/bin/env bash
# Proves docker-compose.render-tier.yml: two servers without a browser and two render workers, as a project of its own. Workers are killed and
# ended under load, and no request may fail; without any worker a render is refused at once and with a time to come back.
#
#   scripts/render-tier-validate.sh    # some minutes; prints a line with figures for each scenario
#
# PULP_IMAGE names the image (docker compose -f docker-compose.ha.yml build makes it), LB_PORT the port (18083).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=machine.sh
. "$root/scripts/machine.sh"
cd "$root"

if ! docker compose version >/dev/null 2>&1; then fail "Docker with its compose plugin is needed."; fi
if ! docker info >/dev/null 2>&1; then fail "Docker does not run, or this user may not use it."; fi

export LB_PORT=${LB_PORT:-18083}
secrets=$root/target/render-tier-validate.env
url=http://127.0.0.1:$LB_PORT
work=$(mktemp -d "${TMPDIR:-/tmp}/render-tier-validate.XXXXXX")
# Callers at once, and how many requests each of them sends over one connection.
callers=4
at_once=50

stack() {
    docker compose --project-name pulp-engine-render-tier --env-file "$secrets" --file docker-compose.ha.yml --file docker-compose.render-tier.yml "$@"
}
make_secrets() { rm -f "$secrets"; scripts/make-env "$secrets"; }
down() { stack down --volumes --timeout 20 >&2; }
clean_up() {
    local status=$?
    report_failure
    rm -f "$work/load"
    if [ "$status" -ne 0 ]; then { stack ps --all; stack logs --tail 40 api render lb; } >&2 || true; fi
    wait || true
    down || true
    rm -rf "$work"
    exit "$status"
}

ask() { curl -sS --max-time 70 -H "X-Api-Key: $key" -H 'Content-Type: application/json' "$@"; }

# Renders PDFs until the file is gone: a line of status and seconds for each.
caller() {
    local urls=()
    for _ in $(seq "$at_once"); do urls+=(-o /dev/null "$url/render/pdf"); done
    while [ -e "$work/load" ]; do
        ask -w '%{http_code} %{time_total}\n' -d @examples/invoice/request.json "${urls[@]}" >>"$work/answers" 2>>"$work/errors" || true
    done
}
begin() {
    : >"$work/answers" && : >"$work/errors" && : >"$work/load"
    running=()
    for _ in $(seq "$callers"); do caller & running+=("$!"); done
}
# go_on N: waits until so many more are answered.
go_on() {
    local from deadline=$((SECONDS + 300))
    from=$(wc -l <"$work/answers")
    until [ "$(wc -l <"$work/answers")" -ge $((from + $1)) ]; do
        if [ "$SECONDS" -ge "$deadline" ]; then fail "fewer than $1 answers in 300 s"; fi
        sleep 0.1
    done
}
# end WHAT: stops the load and says how it went; a failure ends the script.
end() {
    rm "$work/load"
    wait "${running[@]}"
    local all bad slowest
    all=$(wc -l <"$work/answers")
    bad=$(grep -vc '^200 ' "$work/answers" || true)
    slowest=$(cut -d ' ' -f 2 "$work/answers" | sort -n | tail -n 1)
    say "    $1: $bad of $all renders failed, the slowest took $slowest s"
    if [ "$bad" -ne 0 ]; then fail "$1" "$(grep -v '^200 ' "$work/answers" | cut -d ' ' -f 1 | sort | uniq -c)" "$(tail -n 5 "$work/errors")"; fi
}

workers() { stack ps --all --format '{{.Name}}' render; }
healthy() { # healthy NAME: waits until it is, for a minute at most
    local deadline=$((SECONDS + 60))
    until [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; do
        if [ "$SECONDS" -ge "$deadline" ]; then fail "$1 is not healthy after 60 s"; fi
        sleep 0.2
    done
}

browsers() { docker exec "$1" sh -c 'cat /proc/[0-9]*/comm' | grep -Eci 'chrom|headless' || true; }
# By address: a name of another network would not be known anyway.
address_of() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(stack ps -q "$1")"; }
reaches() { docker exec "$1" timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; }
closed() {
    local server database balancer
    database=$(address_of postgres)
    balancer=$(address_of lb)
    for server in $(stack ps --format '{{.Name}}' api); do
        if [ "$(browsers "$server")" -ne 0 ]; then fail "$server has a browser"; fi
        # Otherwise the question below would say nothing.
        if ! reaches "$server" "$database" 5432 || ! reaches "$server" "$balancer" 8080; then fail "$server does not reach its own networks"; fi
    done
    for server in $(workers); do
        if [ "$(browsers "$server")" -eq 0 ]; then fail "$server has no browser"; fi
        if reaches "$server" "$database" 5432; then fail "$server reaches the database"; fi
        if reaches "$server" "$balancer" 8080; then fail "$server reaches other networks"; fi
        if docker exec "$server" env | grep -Eq 'DATABASE|S3_|API_KEY'; then fail "$server has secrets that are not its own"; fi
    done
}

# away_and_back HOW WHAT: under load, `docker HOW` takes one worker after the other away.
away_and_back() {
    local victim
    begin
    go_on 300
    for victim in $(workers); do
        docker "$1" "$victim" >/dev/null
        go_on 300
        docker start "$victim" >/dev/null
        healthy "$victim"
        go_on 100
    done
    end "$2"
}
none() {
    local began status
    # shellcheck disable=SC2046
    docker stop $(workers) >/dev/null
    began=$(date +%s%N)
    status=$(ask -o "$work/refusal" -D "$work/head" -w '%{http_code}' -d @examples/invoice/request.json "$url/render/pdf")
    say "    without a worker: $status $(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/refusal") after $((($(date +%s%N) - began) / 1000000)) ms"
    if [ "$status" != 503 ] || ! grep -qi '^retry-after' "$work/head"; then fail "not 503 with Retry-After: $(cat "$work/head" "$work/refusal")"; fi
    # shellcheck disable=SC2046
    docker start $(workers) >/dev/null
    began=$(date +%s%N)
    until [ "$(ask -o /dev/null -w '%{http_code}' -d @examples/invoice/request.json "$url/render/pdf")" = 200 ]; do
        if [ $((($(date +%s%N) - began) / 1000000000)) -ge 60 ]; then fail "no PDF 60 s after the workers were started"; fi
        sleep 0.1
    done
    say "    a PDF $((($(date +%s%N) - began) / 1000000)) ms after they were started again"
}

mkdir -p target
step "secrets of its own" make_secrets
step "what an earlier run left" down
trap clean_up EXIT
step "docker compose up, two servers and two workers" stack up --detach --wait
key=$(sed -n 's/^API_KEY_ADMIN=//p' "$secrets")
ask --fail-with-body -o /dev/null "$url/templates" --data-binary @examples/invoice/template.json
step "who has a browser, and whom it reaches" closed
step "workers are killed" away_and_back kill "kill -9 of one worker after the other"
step "workers are ended" away_and_back stop "SIGTERM of one worker after the other"
step "no worker is there" none
say "Everything held in $SECONDS s."
