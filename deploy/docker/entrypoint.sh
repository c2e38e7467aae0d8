#!/bin/sh
# The first thing in the image. A server that others reach needs a key; one that stands alone makes one at its first start
# and keeps it with its data, so that nothing has to be configured. A replica (DATABASE_URL) is always told its keys.
set -eu

named() { # named SETTING: whether it is set, as a value or as a file
    eval "[ -n \"\${$1:-}\" ] || [ -n \"\${$1_FILE:-}\" ]"
}

has_credential() {
    for setting in API_KEY API_KEY_ADMIN API_KEY_EDITOR API_KEY_RENDER API_KEY_PREVIEW API_KEY_SUPER_ADMIN API_KEYS_JSON; do
        if named "$setting"; then return 0; fi
    done
    return 1
}

# A render worker is known by RENDER_WORKER_SECRET and keeps nothing.
if [ "${1:-}" != render-worker ] && ! named DATABASE_URL && ! has_credential && [ -z "${ALLOW_UNAUTHENTICATED:-}" ]; then
    key=$PULP_DATA_DIR/admin-key
    if [ ! -s "$key" ]; then
        (umask 077 && od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$key.new")
        mv "$key.new" "$key"
        echo "made an admin key: $key" >&2
    fi
    export API_KEY_ADMIN_FILE="$key"
fi

exec pulp-engine "$@"
