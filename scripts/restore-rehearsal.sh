#!/usr/bin/env bash
# Rehearses a disaster: a server with examples renders a PDF and is backed up while it runs; the backup is restored into an empty
# place, compared with it to the last byte, and a server there renders the PDF again. Exit code 0: the same bytes.
#
# PULP_ENGINE names the binary (default: pulp-engine of PATH, or what is built here). Both sides have a data folder of their own
# in a temporary place, with an embedded PostgreSQL. Settings that begin with SOURCE_ or TARGET_ are for one of them, so that
# TARGET_DATABASE_URL and TARGET_ASSET_BINARY_STORE=s3 with TARGET_S3_… rehearse the way to a cluster. Nothing else is touched.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '%s\n' "$*" >&2; }

engine=${PULP_ENGINE:-}
for found in "$(command -v pulp-engine || true)" "$root/target/release/pulp-engine" "$root/target/debug/pulp-engine"; do
    if [ -z "$engine" ] && [ -n "$found" ] && [ -x "$found" ]; then engine=$found; fi
done
if [ -z "$engine" ]; then say "no pulp-engine found: set PULP_ENGINE"; exit 2; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/restore-rehearsal.XXXXXX")
# The browser may be another user's, who has to reach its folder.
chmod 711 "$work"
server=
cleanup() {
    local status=$?
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    if [ "$status" -ne 0 ]; then
        for log in "$work"/*.log; do say "--- $log"; tail -n 20 "$log" >&2 || true; done
    fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
key=$(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n')

# on side command…: runs the binary with the settings of that side and no others, with run=exec in the place of this shell.
on() {
    local side=$1 prefix settings=() name
    shift
    prefix=$(tr '[:lower:]' '[:upper:]' <<<"$side")_
    while IFS= read -r name; do settings+=("${name#"$prefix"}=${!name}"); done < <(compgen -e | grep "^$prefix" || true)
    mkdir -p "$work/$side"
    chmod 711 "$work/$side"
    ${run:-} env -i PATH="$PATH" PULP_DATA_DIR="$work/$side" PULP_RUNTIME_DIR="$work/$side/chromium" API_KEY_ADMIN="$key" PORT="${port:-3000}" \
        RENDER_MAX_CONCURRENT_PAGES=1 "${settings[@]}" "$engine" "$@"
}

free_port() {
    local tried
    for tried in $(shuf -i 20000-29999 -n 50); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$tried") 2>/dev/null; then printf '%s' "$tried"; return; fi
    done
    say "no free port"; exit 1
}

start() {
    port=$(free_port)
    run="exec" on "$1" serve 2>>"$work/$1.log" &
    server=$!
    local deadline=$((SECONDS + 120))
    until PORT=$port "$engine" healthcheck 2>/dev/null; do
        if ! kill -0 "$server" 2>/dev/null; then say "the server of the $1 ended"; exit 1; fi
        if [ "$SECONDS" -ge "$deadline" ]; then say "the server of the $1 is not ready after 120 s"; exit 1; fi
        sleep 0.1
    done
}

stop() {
    kill "$server"
    wait "$server" || true
    server=
}

ask() { curl -sS --fail-with-body --max-time 60 -H "X-Api-Key: $key" "$@"; }

# One and the same moment in the data and in the document, whenever it is rendered.
render() {
    sed '1s/{/{"now": "2026-01-02T03:04:05Z",/' "$root/examples/invoice/request.json" |
        ask -X POST -H 'Content-Type: application/json' --data-binary @- -o "$1" "http://127.0.0.1:$port/render/pdf"
    ask -X POST -H 'Content-Type: application/json' -o "$1.asset" "http://127.0.0.1:$port/render/pdf" \
        -d '{"template": "rehearsal", "now": "2026-01-02T03:04:05Z", "data": {}}'
}

say "==> a server with examples, an asset and a template of its own"
start source
printf '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="18" fill="teal"/></svg>' >"$work/dot.svg"
ask -o "$work/asset.json" -F "file=@$work/dot.svg;filename=dot.svg;type=image/svg+xml" "http://127.0.0.1:$port/assets/upload"
for example in invoice letter; do
    # An embedded database has them already.
    ask -o /dev/null "http://127.0.0.1:$port/templates/$example" 2>/dev/null ||
        ask -o /dev/null -X POST -H 'Content-Type: application/json' --data-binary @"$root/examples/$example/template.json" \
            "http://127.0.0.1:$port/templates"
done
ask -o /dev/null -X POST -H 'Content-Type: application/json' "http://127.0.0.1:$port/templates" \
    -d '{"key": "rehearsal", "name": "Rehearsal", "html": "<p>Rehearsed <img src=\"asset:dot\"></p>"}'
render "$work/before.pdf"

say "==> a backup while it runs"
on source backup create --full --output "$work/backup"
on source backup verify "$work/backup"
on source backup create --output "$work/list.json"
(cd "$work/backup" && sha256sum --check --quiet manifest.json.sha256)
stop

say "==> restored into an empty place"
on target backup restore "$work/backup"
on target backup verify --deep "$work/backup"
on target backup verify "$work/list.json"

say "==> a server there"
start target
on target backup verify --deep "$work/backup"
render "$work/after.pdf"
stop
for pdf in before.pdf before.pdf.asset; do
    cmp "$work/$pdf" "$work/after${pdf#before}"
    say "    $pdf: $(wc -c <"$work/$pdf") bytes, the same before and after"
done
say "The rehearsal went well."
