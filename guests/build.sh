#!/usr/bin/env bash
# Builds the guests into dist/, reproducibly: the same toolchain gives the same bytes, wherever this directory lies.
#
#   ./build.sh          build all guests and write dist/
#   ./build.sh --check  build all guests and compare them with dist/; 1 if a file differs, 0 if none does or if
#                       this machine cannot tell because its toolchain is another one
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly TARGET=wasm32-wasip2
readonly SERVICES=(orders inventory payment notification gateway checkout stock items storefront mailer dispatch command service)
readonly TESTS=(bad-routes chores early hop hostile mailbox no-handler noop probe sulky trouble)
# Guests of the labs, each with its place below ../labs/. The crates below labs/ have their sources there, too.
readonly LABS=(
    promise-start:17-a-guest-that-keeps-its-promise/start/guest/payments.wasm
    promise-solution:17-a-guest-that-keeps-its-promise/solution/guest/payments.wasm
    promise-memory:17-a-guest-that-keeps-its-promise/wrong/memory-of-a-worker/guest/payments.wasm
    promise-forever:17-a-guest-that-keeps-its-promise/wrong/kept-for-ever/guest/payments.wasm
    promise-receipts:17-a-guest-that-keeps-its-promise/wrong/receipts-for-ever/guest/payments.wasm
    promise-status:17-a-guest-that-keeps-its-promise/wrong/another-status/guest/payments.wasm
    promise-failure:17-a-guest-that-keeps-its-promise/wrong/failure-remembered/guest/payments.wasm
    page-start:18-parallel-with-a-deadline/start/guest/product_page.wasm
    page-solution:18-parallel-with-a-deadline/solution/guest/product_page.wasm
    page-no-timeout:18-parallel-with-a-deadline/wrong/no-timeout/guest/product_page.wasm
    page-short:18-parallel-with-a-deadline/wrong/short-timeout/guest/product_page.wasm
    page-dropped:18-parallel-with-a-deadline/wrong/dropped/guest/product_page.wasm
    page-one-after-another:18-parallel-with-a-deadline/wrong/one-after-another/guest/product_page.wasm
    page-never-asked:18-parallel-with-a-deadline/wrong/never-asked/guest/product_page.wasm
    quote-3f1a:22-which-build/start/builds/quote-3f1a.wasm
    quote-77c2:22-which-build/start/builds/quote-77c2.wasm
    quote-b09e:22-which-build/start/builds/quote-b09e.wasm
    quote-d45b:22-which-build/start/builds/quote-d45b.wasm
    invoices-start:23-a-span-of-your-own/start/guest/invoices.wasm
    invoices-solution:23-a-span-of-your-own/solution/guest/invoices.wasm
    invoices-one:23-a-span-of-your-own/wrong/one-span-around-all/guest/invoices.wasm
    invoices-each:23-a-span-of-your-own/wrong/a-span-for-each-line/guest/invoices.wasm
    invoices-unmarked:23-a-span-of-your-own/wrong/failure-unmarked/guest/invoices.wasm
    invoices-twice:23-a-span-of-your-own/wrong/laid-out-twice/guest/invoices.wasm
)
readonly SIZE_LIMIT=$((512 * 1024)) # of a service: it is embedded in the simulator

main() {
    case "${1:-}" in
    "") require_target && write ;;
    --check) check ;;
    *)
        echo "usage: $0 [--check]" >&2
        exit 2
        ;;
    esac
}

write() {
    build dist
    place_labs
}

check() {
    if ! has_target; then
        echo "skipped: the target $TARGET is not installed (rustup target add $TARGET)"
    elif [[ "$(toolchain)" != "$(cat dist/TOOLCHAIN)" ]]; then
        echo "skipped: dist/ was built by $(head -n 1 dist/TOOLCHAIN), here is $(rustc --version)"
    else
        compare_with_dist
    fi
}

compare_with_dist() {
    # Not local: the trap runs after this function is gone.
    fresh="$(mktemp -d)"
    trap 'rm -rf "$fresh"' EXIT
    build "$fresh"
    if ! diff --recursive --brief dist "$fresh"; then
        echo "dist/ is not what the sources give: run guests/build.sh and commit the result" >&2
        exit 1
    fi
    local lab
    for lab in "${LABS[@]}"; do
        cmp "$(built_lab "$lab")" "$(place_of "$lab")" || {
            echo "../labs/ is not what the sources give: run guests/build.sh and commit the result" >&2
            exit 1
        }
    done
    sdk_of_labs_fits || {
        echo "../labs/sdk/ does not fit the SDK: take over its version, and notation/Cargo.toml" >&2
        exit 1
    }
    echo "dist/ is what the sources give, and so is ../labs/"
}

# The SDK that a lab writes beside its guest is linked to this one, but for two manifests.
sdk_of_labs_fits() {
    local sdk=../labs/sdk
    diff <(grep '^version' Cargo.toml) <(grep '^version' "$sdk/Cargo.toml.in") &&
        diff <(grep --invert-match '^workspace = "' notation/Cargo.toml) "$sdk/notation/Cargo.toml.in"
}

# Copies the guests of the labs to their places.
place_labs() {
    local lab
    for lab in "${LABS[@]}"; do
        mkdir -p "$(dirname "$(place_of "$lab")")"
        cp "$(built_lab "$lab")" "$(place_of "$lab")"
    done
}

built_lab() {
    local name="lab-${1%%:*}"
    echo "target/dist/$TARGET/release/${name//-/_}.wasm"
}

place_of() { echo "../labs/${1#*:}"; }

# Builds everything into the directory $1.
build() {
    local out="$1"
    compile
    rm -rf "$out"
    mkdir -p "$out/tests"
    local name
    for name in "${SERVICES[@]}"; do
        cp "target/dist/$TARGET/release/${name//-/_}.wasm" "$out/$name.wasm"
    done
    for name in "${TESTS[@]}"; do
        cp "target/dist/$TARGET/release/${name//-/_}.wasm" "$out/tests/$name.wasm"
    done
    core_module >"$out/tests/core-module.wasm"
    toolchain >"$out/TOOLCHAIN"
    (cd "$out" && sha256 *.wasm tests/*.wasm >SHA256SUMS)
    inspect "$out"
}

# Panic messages hold paths of sources. Those of dependencies are cut to begin with the crate's name; those of the
# standard library are what they are without the component rust-src, which would make them paths of this machine.
compile() {
    cargo fetch --locked --target "$TARGET" # or there is no registry to name yet
    local flags="" registry commit separator=$'\x1f'
    for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
        flags+="--remap-path-prefix=$registry=$separator"
    done
    commit="$(rustc --version --verbose | sed -n 's/^commit-hash: //p')"
    flags+="--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit$separator"
    flags+="--remap-path-prefix=$PWD=guests"
    CARGO_ENCODED_RUSTFLAGS="$flags" cargo build --release --locked --workspace --target "$TARGET" \
        --target-dir target/dist
}

# A core module with one exported function: what `wasm32-unknown-unknown` gives, and no component.
core_module() {
    printf '\0asm\1\0\0\0\1\4\1\140\0\0\3\2\1\0\7\12\1\6handle\0\0\12\4\1\2\0\13'
}

inspect() {
    local file size
    for file in "$1"/*.wasm "$1"/tests/*.wasm target/dist/"$TARGET"/release/lab_*.wasm; do
        if grep --quiet --text --fixed-strings -e "$PWD" -e "$HOME/" -e "${CARGO_HOME:-$HOME/.cargo}" "$file"; then
            echo "$file contains a path of this machine" >&2
            exit 1
        fi
        size=$(wc -c <"$file")
        if [[ "$file" != */tests/* ]] && ((size > SIZE_LIMIT)); then
            echo "$file has $size bytes, more than $SIZE_LIMIT" >&2
            exit 1
        fi
    done
}

toolchain() {
    rustc --version
    echo "$TARGET"
}

has_target() {
    compgen -G "$(rustc --print target-libdir --target "$TARGET")/libstd-*" >/dev/null
}

require_target() {
    has_target || {
        echo "the target $TARGET is not installed: rustup target add $TARGET" >&2
        exit 1
    }
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

main "$@"
