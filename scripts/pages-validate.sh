#!/usr/bin/env bash
# Runs the commands of the operator's pages that need Docker, as they stand there: the blocks called `sh one` (docker-compose.yml) and
# `sh several` (docker-compose.ha.yml) of docs/operations, page by page, in a copy of the last commit and in projects of its own. While
# servers are replaced there is load, and none of it may fail; documents have to be the same bytes before a backup and after its restore.
#
#   scripts/pages-validate.sh    # some minutes; building the image comes on top where it was not built from this commit yet
#
# PULP_IMAGE names an image that is taken as it is, and commands that build one are left out. PULP_PORT (13000) and LB_PORT (18082) are
# the ports of the two stacks. It needs root's rights for folders of user 10001.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=machine.sh
. "$root/scripts/machine.sh"
export PULP_PORT=${PULP_PORT:-13000} LB_PORT=${LB_PORT:-18082}
image=${PULP_IMAGE:-}
# What the environment says of the stack would count more than what the pages write into .env.
unset PULP_IMAGE COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES BACKUP_DIR

if ! docker compose version >/dev/null 2>&1; then fail "Docker with its compose plugin is needed."; fi
if ! docker info >/dev/null 2>&1; then fail "Docker does not run, or this user may not use it."; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/pages-validate.XXXXXX")
several=(docker compose -f docker-compose.ha.yml)

clean_up() {
    local status=$?
    report_failure
    rm -f "$work/load"
    if [ "$status" -ne 0 ]; then
        (docker compose ps --all && docker compose logs --tail 30; "${several[@]}" ps --all && "${several[@]}" logs --tail 30 api migrate lb) >&2 || true
    fi
    wait || true
    docker compose down -v --timeout 20 >/dev/null 2>&1 || true
    "${several[@]}" --profile backup down -v --timeout 20 >/dev/null 2>&1 || true
    docker image rm pulp-pages:0.2.0 >/dev/null 2>&1 || true
    cd /
    rm -rf "$work"
    exit "$status"
}

# The last commit, with names of its own for projects and images, so that nothing that runs here is touched.
copy() {
    mkdir "$work/copy" "$work/bin"
    git -C "$root" archive HEAD | tar -x -C "$work/copy"
    cd "$work/copy"
    sed -i 's/^name: pulp-engine/name: pulp-pages/; s/pulp-engine:0/pulp-pages:0/' docker-compose*.yml
    # On a machine with the binary this is the binary; here it is in the container.
    printf '#!/bin/sh\nexec docker compose exec -T server docker-entrypoint.sh "$@"\n' >"$work/bin/pulp-engine"
    chmod 755 "$work/bin/pulp-engine"
    PATH=$work/bin:$PATH
}

make_image() { if [ -n "$image" ]; then docker tag "$image" pulp-pages:0.1.0; else docker compose build; fi; }

# page NAME WORD: the blocks of that page with that word, one after the other in one shell, with a call of `after` behind each.
page() {
    local script=$work/$1.$2.sh
    {
        declare -f after key_of ask render version sql same fail say
        awk -v word="\`\`\`sh $2" -v name="$1" -v word_of="$2" '
            $0 == word { inside = 1; next }
            inside && /^```$/ { inside = 0; count++; print "after " name " " word_of " " count; next }
            inside { print }' "docs/operations/$1.md" |
            { if [ -n "$image" ]; then sed '/^docker compose build/d'; else cat; fi; } |
            sed "s/127\.0\.0\.1:3000/127.0.0.1:$PULP_PORT/g; s/127\.0\.0\.1:8080/127.0.0.1:$LB_PORT/g; s/pulp-engine:0/pulp-pages:0/g"
    } >"$script"
    if ! grep -q '^after ' "$script"; then fail "docs/operations/$1.md has no block \`sh $2\`"; fi
    work=$work bash -euo pipefail "$script"
}

# --- what has to be so -------------------------------------------------------------------------------------------

key_of() {
    if [ "$1" = one ]; then docker compose exec -T server cat /var/lib/pulp-engine/admin-key </dev/null; else sed -n 's/^API_KEY_ADMIN=//p' .env; fi
}
# ask one|several PATH…: an answer that is none is a failure.
ask() {
    local stack=$1 path=$2 port=$PULP_PORT
    if [ "$stack" = several ]; then port=$LB_PORT; fi
    shift 2
    curl -sS --fail-with-body --max-time 60 -H "X-Api-Key: $(key_of "$stack")" -H 'Content-Type: application/json' "$@" "http://127.0.0.1:$port$path"
}
# The same moment in the data and in the document, whenever it is rendered.
render() { sed '1s/{/{"now": "2026-01-02T03:04:05Z",/' examples/invoice/request.json | ask "$1" /render/pdf --data-binary @- -o "$2"; }
sql() { docker compose -f docker-compose.ha.yml exec -T postgres psql -X -q -v ON_ERROR_STOP=1 -U pulp -d pulp -c "$1" </dev/null; }
version() { ask several /health | grep -q "\"$1\"" || fail "the servers are not of version $1: $(ask several /health)"; }
same() {
    render "$1" "$work/after.pdf"
    cmp "$work/$1.pdf" "$work/after.pdf"
    say "    the same $(wc -c <"$work/after.pdf") bytes after the restore"
}

after() {
    case "$*" in
        "single-node one 2") [ "$(head -c 5 invoice.pdf)" = %PDF- ] || fail "invoice.pdf is no PDF" ;;
        # What a next release could have done; it is taken back, as backups of newer tables are refused.
        "upgrade several 1")
            version 0.2.0
            sql "CREATE TABLE of_the_next_release (a int); INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (29991231235959, 'of the next release', true, '\\x00', 0)"
            ;;
        "upgrade several 2")
            version 0.1.0
            sql "DROP TABLE of_the_next_release; DELETE FROM _sqlx_migrations WHERE version = 29991231235959"
            ;;
        "backup-in-containers one 2") same one ;;
        "backup-in-containers several 3") same several ;;
        "backup-in-containers several 4") cp "$work/one.pdf" "$work/several.pdf" && same several ;;
    esac
}

# Renders, one after the other, as long as the file is there: a line for each, and those that failed once more for people.
load() {
    local number=0 key
    key=$(key_of several)
    while [ -e "$work/load" ]; do
        number=$((number + 1))
        if curl -sS --fail-with-body --max-time 60 -H "X-Api-Key: $key" -H 'Content-Type: application/json' -H "Idempotency-Key: $1-$number" \
            -d @examples/invoice/request.json -o "$work/load-$1.pdf" "http://127.0.0.1:$LB_PORT/render/pdf" 2>>"$work/failed"; then
            echo ok >>"$work/asked"
        else
            echo failed >>"$work/asked"
        fi
    done
}

upgrade_under_load() {
    local callers=()
    : >"$work/asked" && : >"$work/failed" && : >"$work/load"
    load first & callers+=("$!")
    load second & callers+=("$!")
    page upgrade several
    rm "$work/load"
    wait "${callers[@]}"
    say "    $(grep -c failed "$work/asked" || true) of $(wc -l <"$work/asked") renders failed while all servers were replaced twice"
    if grep -q failed "$work/asked"; then fail "$(cat "$work/failed")"; fi
}

a_key() {
    local id
    id=$(ask one /admin/api-keys -d '{"name": "of the page", "scope": "render"}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
    PULP_URL=http://127.0.0.1:$PULP_PORT ADMIN_KEY=$(key_of one) KEY_ID=$id page key-rotation one
}

next_version() {
    printf 'FROM pulp-pages:0.1.0\nENV APP_VERSION=0.2.0\n' | docker build -q -t pulp-pages:0.2.0 - >/dev/null
}

templates() { ask several /templates --data-binary @examples/invoice/template.json -o /dev/null; }

trap clean_up EXIT
step "a copy of the last commit" copy
step "the image" make_image
step "single-node.md" page single-node one
step "docker compose up" docker compose up -d --wait
step "troubleshooting.md" page troubleshooting one
step "key-rotation.md" a_key
step "upgrade.md, one server" page upgrade one
render one "$work/one.pdf"
step "backup-in-containers.md, one server" page backup-in-containers one
docker compose down -v --timeout 20 2>/dev/null

step "high-availability.md" page high-availability several
step "docker compose up, two servers" "${several[@]}" up -d --wait
templates
next_version
step "upgrade.md, several servers under load" upgrade_under_load
step "render-workers.md" page render-workers several
render several "$work/several.pdf"
step "backup-in-containers.md, several servers" page backup-in-containers several
say "All commands did what their pages say, in $SECONDS s."
