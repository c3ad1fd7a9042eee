#!/usr/bin/env bash
# Makes third_party/kong from kong's own module and our patch: see third_party/kong/README.md.
#
#   tools/kong.sh           make it
#   tools/kong.sh --check   fail unless it is what this would make, and kong's own tests pass on it
set -euo pipefail
cd "$(dirname "$0")/.."
version=v1.17.0
ours=$PWD/third_party/kong

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
export GOWORK=off
module=$(go mod download -json "github.com/alecthomas/kong@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -R "$module" kong
chmod -R u+w kong
(cd kong && patch --quiet -p1 <"$ours/smaller.patch")
mkdir made
find kong -maxdepth 1 -name '*.go' ! -name '*_test.go' -exec cp {} made/ \;
cp kong/COPYING "$ours/README.md" "$ours/smaller.patch" made/
printf 'module github.com/alecthomas/kong\n\ngo 1.20\n' >made/go.mod

if [ "${1:-}" = --check ]; then
  diff -r "$ours" made || { echo "kong: third_party/kong is not kong $version with the patch; run tools/kong.sh"; exit 1; }
  # That one is about what the patch takes away.
  (cd kong && go test -skip '^TestProviderMethods$' . >"$scratch/log" 2>&1) || { cat "$scratch/log"; exit 1; }
  echo "kong: third_party/kong is kong $version with the patch"
else
  rm -rf "$ours"
  mv made "$ours"
fi
