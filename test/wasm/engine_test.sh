#!/bin/sh
# engine_test.sh: build the tests of the engine's C ABI against the release build, and run
# them.
#
# THOLE_GUESTS  the folder that build.sh filled; without it the guests are built first
# RELEASE       where cargo put libthole_engine.a and thole-component
# SANITIZE=1    with ASan and UBSan on the C side
# CC            the compiler
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
release=${RELEASE:-$root/build/cargo/release}

work=$(mktemp -d "${TMPDIR:-/tmp}/engine_test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ -z "${THOLE_GUESTS:-}" ]; then
    export THOLE_GUESTS="$work/guests"
    THOLE_COMPONENT=$release/thole-component "$here/build.sh" "$THOLE_GUESTS"
fi
sanitize=
if [ -n "${SANITIZE:-}" ]; then
    sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
fi
# shellcheck disable=SC2086 # a list of options
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra $sanitize \
    -I"$root/rust/engine/include" \
    "$here"/*_test.c "$here/driver.c" "$here/fake_host.c" "$release/libthole_engine.a" \
    -Wl,--gc-sections -lcmocka -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc \
    -o "$work/engine_test"
SCRIPT=${SCRIPT:-$here/script.txt} "$work/engine_test"
