#!/bin/sh
# Builds the stand-in and the replaying program in a folder: build.sh FOLDER
# FOLDER holds torch/ (of PyTorch's CUDA wheel: lib/libc10*.so and include/) and cuda/ (include/ of NVIDIA's wheels).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
wanted() { nm -D --undefined-only torch/lib/libc10_cuda.so | sed -n 's/.* \(cuda[A-Za-z0-9_]*\)@.*/\1/p' | sort -u; }
name=$(readelf -d torch/lib/libc10_cuda.so | sed -n 's/.*\[\(libcudart[^]]*\)\].*/\1/p')
mkdir -p build
gcc -O1 -Wall -fPIC -Icuda/include -c "$here/standin.c" -o build/standin.o
# What the stand-in does not have answers cudaErrorNotSupported.
nm --defined-only build/standin.o | sed -n 's/.* T //p' | sort -u > build/there
wanted | comm -23 - build/there | sed 's/.*/int &(void) { return 801; }/' > build/rest.c
echo "$name { global: cuda*; local: *; };" > build/version
gcc -shared -fPIC -Wl,-soname,"$name" -Wl,--version-script,build/version build/standin.o build/rest.c -o "build/$name"
# The stand-in comes first: the program needs it itself, so that no other runtime that lies around is taken.
g++ -std=c++20 -O1 -Wall -Itorch/include -Icuda/include "$here/replay.cpp" -o build/replay \
    -Ltorch/lib -Wl,--no-as-needed "build/$name" -lc10_cuda -lc10 \
    -Wl,-rpath,"$PWD/build:$PWD/torch/lib" -Wl,--disable-new-dtags
echo "$PWD/build/replay"
