#!/usr/bin/env bash
# The README's commands on clean Debian roots that hold Python and make alone: `make test-roots`.
#
#   sudo tests/setup/roots.sh [debian12|debian13|debian12-user] ...     ALL=1: `make test-all`, too
#
# debootstrap builds each root in a folder, from where this machine's apt gets its packages; needs
# root, about 1 GB a root (6 with ALL=1) and, with an empty cache, the download that make announces.
# The first command must work everywhere; the second on Python 3.11 as root (debian12), elsewhere it
# is told which environments of it install. Penny is started in a network namespace with loopback
# alone: nothing that it needs at the start comes from outside.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
work=${ROOTS:-$(mktemp -d)}
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root: sudo make test-roots" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
[ -n "${ROOTS:-}" ] || trap 'rm -rf --one-file-system "$work"' EXIT

build() { # suite, folder
    [ -x "$2/usr/bin/make" ] && return
    debootstrap --variant=minbase --include=python3,python3-venv,make,ca-certificates "$1" "$2" >"$2.log" 2>&1 ||
        { tail -5 "$2.log" >&2; return 1; }
    # This machine's certificates and its way to packages, if it has its own.
    cp /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/"
    cp /etc/resolv.conf "$2/etc/" 2>/dev/null || true
    echo "127.0.0.1 localhost" >"$2/etc/hosts"
}

inside() { # folder, user, network (host or none), command
    local folder=$1 user=$2 net=() command=$4
    [ "$3" = none ] && net=(--net)
    unshare --mount --pid --fork "${net[@]}" bash -euc '
        [ "$3" = host ] || ip link set lo up
        home=$([ "$2" = 0 ] && echo /root || echo /home/penny)
        mount --bind "$1" "$1"
        cd "$1"
        mount --bind /dev dev
        mount -t proc proc proc
        mount -t tmpfs tmpfs dev/shm
        # A root of its own, not a chroot: in that the kernel refuses what the tests of full disks do.
        mkdir -p mnt/before
        pivot_root . mnt/before
        umount -l /mnt/before
        exec chroot --userspec="$2:$2" / /usr/bin/env -i HOME="$home" LANG=C.UTF-8 \
            PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin ${PIP_CERT:+PIP_CERT=$PIP_CERT} \
            bash -euc "cd ~/penny; $4"' - "$folder" "$user" "$3" "$command"
}

START='
    make run >~/penny.log 2>&1 & server=$!
    python3 - <<PYTHON
import sys, time, urllib.request
for _ in range(6000):
    try:
        sys.exit(urllib.request.urlopen("http://127.0.0.1:8080/readyz").status != 200)
    except OSError:
        time.sleep(0.1)
sys.exit("Penny did not get ready")
PYTHON
    cat ~/penny.log; kill $server; wait $server || true'

ENVIRONMENTS=".venv/.dev .venv-runpod/.made .venv-triton/.made .venv-worker/.made"

try() { # name
    local suite=bookworm user=0 home folder
    [[ $1 == debian13* ]] && suite=trixie
    folder=$work/$suite
    build "$suite" "$folder"
    [[ $1 == *-user ]] && user=1000
    home=$([ "$user" = 0 ] && echo "$folder/root" || echo "$folder/home/penny")
    rm -rf "$home/penny" && mkdir -p "$home"
    git clone --quiet "$here" "$home/penny"
    chown -R "$user:$user" "$home"
    echo "== $1: $(chroot "$folder" python3 --version), user $user"
    SECONDS=0
    inside "$folder" "$user" host "make setup" || return 1
    inside "$folder" "$user" none "$START" || { cat "$home/penny.log"; return 1; }
    echo "== $1: the first command works, $SECONDS s"
    [ -n "${ALL:-}" ] || return 0
    SECONDS=0
    if [ "$1" = debian12 ]; then
        inside "$folder" "$user" host "make -k test-all" || return 1
        echo "== $1: the second command works, $SECONDS s"
        return 0
    fi
    # Another Python, or no right to install a browser: what of it installs, and what does not.
    inside "$folder" "$user" host "make -k $ENVIRONMENTS" || true
    for made in $ENVIRONMENTS; do
        [ -e "$home/penny/$made" ] && echo "== $1: ${made%/*} installs" || echo "== $1: ${made%/*} does NOT install"
    done
}

failed=()
[ $# -gt 0 ] || set -- debian12 debian13 debian12-user
for name in "$@"; do
    try "$name" || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
