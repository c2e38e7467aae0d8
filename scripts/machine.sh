# What this machine must have, and how it gets what it lacks. Sourced by the other scripts.
# shellcheck shell=bash

# Prints a line for people, apart from what a script puts out for programs.
say() { printf '%s\n' "$*" >&2; }

fail() {
    current_step=
    say ""
    say "Cannot go on: $1"
    shift
    local line
    for line in "$@"; do say "  $line"; done
    exit 1
}

# step "what happens" command…: runs the command and says how long it took. The script ends when it fails (set -e
# stays in force inside, which it would not behind an `if` or `||`), and then says at which step.
current_step=
step() {
    local begin=$SECONDS
    current_step=$1
    say "==> $1"
    shift
    "$@"
    say "    $((SECONDS - begin)) s"
    current_step=
}
report_failure() {
    local status=$?
    if [ "$status" -ne 0 ] && [ -n "$current_step" ]; then say "    failed (exit code $status): $current_step"; fi
}
trap report_failure EXIT

has() { command -v "$1" >/dev/null 2>&1; }

# --- what there is ------------------------------------------------------------------------------------------------

has_postgres() {
    local dir
    for dir in ${PG_BIN_DIR:+"$PG_BIN_DIR"} /usr/lib/postgresql/*/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then return 0; fi
    done
    has initdb && has postgres
}

# Prints the path of the browser, the cheap one first; nothing when there is none.
find_browser() {
    if [ -n "${CHROMIUM_PATH:-}" ]; then
        if [ -x "$CHROMIUM_PATH" ]; then printf '%s\n' "$CHROMIUM_PATH"; fi
        return 0
    fi
    local name path
    for name in /usr/lib/chromium/chromium-headless-shell chromium-headless-shell chrome-headless-shell \
        /opt/pulp-engine/chromium/chromium-headless-shell \
        /usr/lib/chromium/chromium chromium google-chrome-stable google-chrome chromium-browser; do
        path=$(command -v "$name" 2>/dev/null) || continue
        # Ubuntu's chromium is a snap behind a shell script: it cannot reach the profile folder it is given.
        case "$(readlink -f "$path")" in */snap | */snap/*) continue ;; esac
        if [ "$(head -c 2 "$path")" = '#!' ] && grep -q '/snap/' "$path"; then continue; fi
        printf '%s\n' "$path"
        return 0
    done
}

has_browser() { [ -n "$(find_browser)" ]; }

# has_font "family": whether fontconfig knows it.
has_font() { has fc-list && [ -n "$(fc-list "$1" family 2>/dev/null | head -n 1)" ]; }

# Programs of administrators are not in everybody's PATH.
has_haproxy() { has haproxy || [ -x /usr/sbin/haproxy ]; }

# A clock that is wrong, for the tests; without it they leave that out.
has_libfaketime() { compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || [ -e /usr/lib/faketime/libfaketime.so.1 ]; }

has_venv() { has python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

# --- what it lacks ------------------------------------------------------------------------------------------------

# Packages without which nothing works, and packages without which some documents look wrong.
missing=()
wanted=()
needs() { "${@:2}" || missing+=("$1"); }
wants() { "${@:2}" || wanted+=("$1"); }

lacks_to_run() {
    needs gcc has cc
    needs libc6-dev test -e /usr/include/stdlib.h
    needs ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    needs curl has curl
    needs postgresql has_postgres
    needs chromium-headless-shell has_browser
    needs fontconfig has fc-list
    wants fonts-liberation has_font 'Liberation Sans'
    wants fonts-dejavu-core has_font 'DejaVu Sans'
    wants fonts-noto-core has_font 'Noto Sans Arabic'
    wants fonts-noto-cjk has_font 'Noto Sans CJK JP'
    wants fonts-noto-color-emoji has_font 'Noto Color Emoji'
}

lacks_to_test() {
    lacks_to_run
    needs poppler-utils has pdftotext
    needs haproxy has_haproxy
    wants libfaketime has_libfaketime
    needs nodejs has node
    needs npm has npm
    needs python3 has python3
    needs python3-venv has_venv
    # Debian's signatures, for scripts/fetch-pgbouncer; there already on Debian itself.
    if has apt-get; then needs debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg; fi
}

# --- how it gets it -----------------------------------------------------------------------------------------------

# The command that gives us root's rights; empty when we have them.
as_root=()
can_be_root() {
    if [ "$(id -u)" -eq 0 ]; then return 0; fi
    if ! has sudo; then return 1; fi
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif [ -t 0 ]; then
        say "    sudo may ask for your password: it is needed to install the packages above"
        as_root=(sudo)
    else
        return 1
    fi
}

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >&2
}

# A server package makes a system-wide cluster that nobody asked for, unless postgresql-common was told not to.
install_postgres() {
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        apt install --no-install-recommends postgresql-common
        "${as_root[@]}" sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    apt install --no-install-recommends postgresql
}

no_browser() {
    fail "there is no Chromium that works for a server, or CHROMIUM_PATH names none." \
        "Ubuntu's is a snap, which may not use the folders of other programs; if Debian's could not be fetched in its" \
        "place (scripts/fetch-chromium), the lines above say why. Any of these helps:" \
        "  * chrome-headless-shell: npx @puppeteer/browsers install chrome-headless-shell@stable" \
        "    and then: export CHROMIUM_PATH=/the/path/it/prints" \
        "  * Google Chrome: https://www.google.com/chrome/ offers a .deb package; apt-get install ./google-chrome-stable_*.deb" \
        "Then run this script again."
}

# Distributions that do not have a package may know its name all the same.
apt_offers() { case "$(apt-cache policy "$1")" in *"Candidate: "[0-9]*) return 0 ;; *) return 1 ;; esac; }

install_packages() {
    local packages=() package fetch=no
    apt update || apt update || say "    the package lists could not be renewed; trying with the ones there are"
    for package in "${missing[@]}" "${wanted[@]}"; do
        case $package in
            postgresql) ;;
            chromium-headless-shell) if apt_offers "$package"; then packages+=("$package"); else fetch=yes; fi ;;
            *) packages+=("$package") ;;
        esac
    done
    if ! has_postgres; then install_postgres; fi
    if [ "${#packages[@]}" -gt 0 ]; then apt install --no-install-recommends "${packages[@]}"; fi
    if [ "$fetch" = yes ]; then
        say "    no package here brings a Chromium that a server can use: fetching Debian's (some 130 MB)"
        "${as_root[@]}" "$(dirname "${BASH_SOURCE[0]}")/fetch-chromium" </dev/null >&2 || no_browser
    fi
}

# Installs what the functions above found missing; says what and stops when that is not possible.
install_missing() {
    local all=("${missing[@]}" "${wanted[@]}")
    if [ "${#all[@]}" -eq 0 ]; then
        say "==> system packages: nothing is missing"
        return 0
    fi
    say "==> system packages: missing are ${all[*]}"
    local command="apt-get install ${all[*]}"
    if ! has_browser; then
        command+="; where there is no package chromium-headless-shell, as on Ubuntu, leave it out and run scripts/fetch-chromium"
    fi
    if has apt-get && can_be_root; then
        step "apt-get installs them (the first time some minutes)" install_packages
    elif [ "${#missing[@]}" -gt 0 ]; then
        if has apt-get; then
            fail "these packages are missing and this user may not install them: ${missing[*]}" "Run as root: $command"
        fi
        fail "these packages (names as in Debian) are missing: ${missing[*]}" "Install them, then run this script again."
    else
        say "    going on without them: texts in some scripts may print as empty boxes, and a test may leave something out; as root run: $command"
    fi
}

# Finds cargo even where the shell was not restarted after its installation.
find_cargo() {
    if ! has cargo && [ -x "${HOME:-/root}/.cargo/bin/cargo" ]; then PATH="${HOME:-/root}/.cargo/bin:$PATH"; fi
    has cargo || fail "there is no Rust toolchain (cargo)." "Install it from https://rustup.rs, then run this script again."
    local version minor
    version=$(cargo --version | cut -d ' ' -f 2)
    minor=${version#*.}
    minor=${minor%%.*}
    if [ "${version%%.*}" -eq 1 ] && [ "$minor" -lt 95 ]; then
        fail "cargo $version is too old; this needs 1.95 or newer." "Run: rustup update stable"
    fi
}

# What every build here needs: the checked-in description of the SQL instead of a database to ask.
build_environment() {
    export SQLX_OFFLINE=true
    find_cargo
}
