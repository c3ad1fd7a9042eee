#!/usr/bin/env bash
# Generates everything that is made from the contracts: into a fresh folder first, and only then over the old files, so
# that a broken contract leaves them alone and a removed one leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.bin:$PATH"
fresh=.cache/generate

rm -rf "$fresh"
mkdir -p "$fresh/proto/gen/openapi" "$fresh/documents"
thirdparty -out proto/third_party
buf generate -o "$fresh"
buf build proto -o "$fresh/proto/gen/descriptors.binpb" --path proto/tasuki --exclude-imports
buf build proto -o "$fresh/image.binpb" --path proto/tasuki
openapi -in "$fresh/documents" -image "$fresh/image.binpb" -protos proto/tasuki -out "$fresh/proto/gen/openapi" -merge .bin/openapiv3-merge

# Copy what changed, and delete what is no longer generated.
for part in $(cd "$fresh/proto/gen" && find . -type f | sort); do
  if ! cmp -s "$fresh/proto/gen/$part" "proto/gen/$part"; then
    mkdir -p "proto/gen/$(dirname "$part")"
    cp "$fresh/proto/gen/$part" "proto/gen/$part"
  fi
done
for old in $(cd proto/gen && find tasuki openapi -name '*.pb.go' -o -name '*.pb.gw.go' -o -path 'openapi/*.json' | sort); do
  if [ ! -e "$fresh/proto/gen/$old" ]; then
    rm "proto/gen/$old"
  fi
done
