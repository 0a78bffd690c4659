#!/bin/sh
# build.sh OUT-DIR: make components of all guests of this folder.
# THOLE_COMPONENT: the tool thole-component.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=$1
: "${THOLE_COMPONENT:?set THOLE_COMPONENT to the tool thole-component}"
export THOLE_COMPONENT
mkdir -p "$out"

for guest in echo caller pinger script spin trap deep bomb flood spawnbomb boundary \
    misuse burst topic play; do
    "$root/sdk/c/thole-cc" "$here/$guest.c" -o "$out/$guest.wasm"
done

# The worlds of the other guests include ours, which stands in one place only.
wit=$out/wit
rm -rf "$wit"
mkdir -p "$wit/deps/kinode" "$out/hyperware"
cp "$here/wit/test.wit" "$wit/"
cp "$root/rust/engine/wit/kinode.wit" "$wit/deps/kinode/"
for guest in wasi actor; do
    THOLE_WIT=$wit THOLE_WORLD=with-wasi \
        "$root/sdk/c/thole-cc" "$here/$guest.c" -o "$out/$guest.wasm"
done

sed 's/^package kinode:process/package hyperware:process/' \
    "$root/rust/engine/wit/kinode.wit" >"$out/hyperware/hyperware.wit"
THOLE_WIT=$out/hyperware "$root/sdk/c/thole-cc" \
    '-DTHOLE_INTERFACE="hyperware:process/standard@1.0.0"' \
    "$here/script.c" -o "$out/hyperware.wasm"

bare="${CC:-clang} --target=wasm32 -O2 -ffreestanding -nostdlib -Wl,--no-entry"
$bare "$here/strange.c" -o "$out/strange.core"
"$THOLE_COMPONENT" "$out/strange.core" "$wit" strange "$out/strange.wasm"
printf 'int nothing;\n' | $bare -x c - -o "$out/mute.core"
"$THOLE_COMPONENT" "$out/mute.core" "$wit" mute "$out/mute.wasm"
