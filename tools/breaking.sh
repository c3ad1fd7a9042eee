#!/usr/bin/env bash
# Compares the contracts with those of main: a change that breaks readers of the wire or of the JSON fails. On main
# itself, they are compared with what they were before their last change.
set -euo pipefail
cd "$(dirname "$0")/.."

# The commit to compare with; empty where there is nothing before.
base() {
  if [ -n "${AGAINST:-}" ]; then git rev-parse --verify "$AGAINST^{commit}"; return; fi
  local main
  main=$(git rev-parse -q --verify origin/main || git rev-parse -q --verify main || true)
  if [ -n "$main" ] && { [ "$main" != "$(git rev-parse HEAD)" ] || [ -n "$(git status --porcelain -- proto/tasuki)" ]; }; then
    echo "$main"
    return
  fi
  local last
  last=$(git log -1 --format=%H -- proto/tasuki)
  [ -z "$last" ] || git rev-parse -q --verify "$last^" || true
}

commit=$(base)
if [ -z "$commit" ] || [ -z "$(git ls-tree -r --name-only "$commit" -- proto/tasuki)" ]; then
  echo "no earlier contracts to compare with"
  exit 0
fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$commit" -- proto/tasuki | tar -x -C "$old"
.bin/thirdparty -out proto/third_party
cp -r proto/third_party "$old/proto/third_party"
cp buf.yaml "$old/"
echo "comparing with $(git log -1 --format='%h %s' "$commit")"
.bin/buf breaking --against "$old"
