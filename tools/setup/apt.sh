#!/usr/bin/env bash
# Installs Debian packages for whatever is missing:  apt.sh NEED…
# A need is named by what it is for and looked for as such, so that one met in another way (a Rust or
# Node image, a browser from elsewhere) installs nothing.
set -euo pipefail

packages=()
for need in "$@"; do
    case $need in
        compiler) command -v cc >/dev/null && command -v c++ >/dev/null && command -v make >/dev/null || packages+=(build-essential) ;;
        python) python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv python3-pip) ;;
        browser) command -v chromium >/dev/null || packages+=(chromium) ;;
        # without any font a page's picture has no words
        fonts) compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null || packages+=(fonts-liberation) ;;
        # the server's programs only: the tests make clusters of their own, and none is to be started here
        postgres) [ -x /usr/lib/postgresql/15/bin/initdb ] || packages+=(postgresql-15) ;;
        # a hardware security module in software
        softhsm) command -v softhsm2-util >/dev/null || packages+=(softhsm2) ;;
        certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates) ;;
        *) echo "apt: nobody knows the need '$need'" >&2; exit 2 ;;
    esac
done
[ ${#packages[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
if ! command -v apt-get >/dev/null || { [ ${#as_root[@]} -gt 0 ] && ! command -v sudo >/dev/null; }; then
    echo "apt: please install these by hand, and run again: ${packages[*]}" >&2
    exit 1
fi
if [[ " ${packages[*]} " == *" postgresql-15 "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    # Debian's package would make and start a cluster that nobody asked for.
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
echo "apt: installing ${packages[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "${packages[@]}"
