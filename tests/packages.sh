#!/bin/sh
# Installs the named Debian packages that are missing; touches nothing when none is.
set -eu

missing=""
for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
        installed) continue ;;
    esac
    # Node.js and npm often come from elsewhere; then Debian's would be in the way.
    case $package in
        nodejs) command -v node >/dev/null && continue ;;
        npm) command -v npm >/dev/null && continue ;;
        nginx-light) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] && continue ;;
    esac
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
if ! command -v apt-get >/dev/null; then
    echo "this is not a Debian machine: install the equivalents of$missing yourself" >&2
    exit 1
fi
root=""
if [ "$(id -u)" != 0 ]; then
    root="sudo"
    command -v sudo >/dev/null || { echo "neither root nor sudo: install$missing yourself" >&2; exit 1; }
fi
$root apt-get update -q
# shellcheck disable=SC2086 # a list of names
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
