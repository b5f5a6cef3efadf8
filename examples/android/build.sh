#!/usr/bin/env bash
# The library for Android: build.sh CORE OUT, CORE being the folder that `projgraph export MODEL.pgb --target c` wrote.
#
#   ANDROID_NDK_HOME=/path/to/ndk ./build.sh core jniLibs        # every ABI, by the NDK's clang
#   CC=aarch64-linux-gnu-gcc JNI=/path/to/jdk/include ./build.sh core out    # one library by any other compiler
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
core=${1:?the folder of projgraph.c and projgraph.h} out=${2:?the folder to write into}
api=21
flags=(-std=c99 -O2 -fPIC -shared -fvisibility=hidden -ffp-contract=off -Wall -Wextra -Werror -Wl,-soname,libprojgraph.so)
# Pages of 16 KB, which Android 15 and later may have, take smaller ones too.
flags+=(-Wl,-z,max-page-size=16384)

build() { # COMPILER FOLDER FLAG...
    mkdir -p "$2"
    "$1" "${flags[@]}" "${@:3}" -I "$core" "$here/projgraph_jni.c" "$core/projgraph.c" -o "$2/libprojgraph.so"
    echo "$2/libprojgraph.so: $(wc -c < "$2/libprojgraph.so") bytes"
}

if [ -n "${ANDROID_NDK_HOME:-}" ]; then
    bin=$(echo "$ANDROID_NDK_HOME"/toolchains/llvm/prebuilt/*/bin)
    build "$bin/aarch64-linux-android$api-clang" "$out/arm64-v8a"
    build "$bin/armv7a-linux-androideabi$api-clang" "$out/armeabi-v7a"
    build "$bin/x86_64-linux-android$api-clang" "$out/x86_64"
else
    : "${CC:?give ANDROID_NDK_HOME, or CC and JNI, the folder of jni.h}"
    build "$CC" "$out" -I "${JNI:?the folder of jni.h}" -I "$JNI/linux"
fi
