#!/usr/bin/env bash
# The version before this one, for tests that run both side by side. What it makes lies in .cache/previous and is made once.
#
#   tools/previous.sh revision   prints its commit
#   tools/previous.sh sources    prints a folder with its sources
#   tools/previous.sh programs   builds its programs, and prints the folder they are in
#   tools/previous.sh images     builds its images, as it builds them itself: IMAGE_PREFIX=tasuki/ IMAGE_TAG=previous
#
# It is the newest release (tag v1.2.3) before this commit. Before the first release it is the newest commit whose schema an
# upgrade would change: one of its sets of migrations has more files today. PREVIOUS=revision names another one.
# Ends with 3 when the history does not reach so far, as in a shallow clone or outside of git.
set -euo pipefail
cd "$(dirname "$0")/.."
missing() { echo "previous: $1; a full clone with its tags (git fetch --unshallow --tags) has it, or PREVIOUS=revision names one" >&2; exit 3; }

[ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$PWD" ] || missing "this is no git checkout"
migrations=(':(glob)services/**/*.sql' ':(exclude,glob)services/**/testdata/**')

# grown OLD: sets of migrations that OLD has, and that have more files today.
grown() {
  local folder
  git diff --no-renames --diff-filter=A --name-only "$1" HEAD -- "${migrations[@]}" | xargs -r -n1 dirname | sort -u | while read -r folder; do
    [ -z "$(git ls-tree "$1" -- "$folder")" ] || echo "$folder"
  done
}

resolve() {
  local commit
  if [ -n "${PREVIOUS:-}" ]; then
    git rev-parse -q --verify "$PREVIOUS^{commit}" || missing "there is no revision $PREVIOUS"
    return
  fi
  if commit=$(git describe --tags --abbrev=0 --match 'v[0-9]*' --exclude '*-*' 'HEAD^' 2>/dev/null); then
    git rev-parse "$commit^{commit}"
    return
  fi
  [ "$(git rev-parse --is-shallow-repository)" = false ] || missing "a shallow clone, and no release in it"
  for commit in $(git log --format=%H -- "${migrations[@]}"); do
    if git rev-parse -q --verify "$commit^" >/dev/null && [ -n "$(grown "$commit^")" ]; then
      git rev-parse "$commit^"
      return
    fi
  done
  missing "no commit before this one has an older schema"
}

revision=$(resolve)
short=${revision:0:12}
sources=$PWD/.cache/previous/$short
version=$(git describe --tags --match 'v[0-9]*' "$revision" 2>/dev/null || echo "previous-$short")
[ "${1:-}" != revision ] || { echo "$revision"; exit; }

# Several tests may ask at once.
mkdir -p .cache/previous
exec 9>".cache/previous/$short.lock"
flock 9
if [ ! -d "$sources" ]; then
  rm -rf "$sources.part"
  mkdir "$sources.part"
  git archive "$revision" | tar -x -C "$sources.part"
  mv "$sources.part" "$sources"
fi

# It is a workspace of its own.
unset GOWORK
export CGO_ENABLED=0
case "${1:-}" in
  sources) echo "$sources" ;;
  programs)
    if [ ! -e "$sources/bin/.built" ]; then
      mkdir -p "$sources/bin"
      (cd "$sources" && go build -o bin/ -ldflags "-X github.com/tasuki-project/tasuki/services/internal/platform/version.Version=$version" \
        ./services/*/cmd/*) >&2
      touch "$sources/bin/.built"
    fi
    echo "$sources/bin" ;;
  images)
    [ -x "$sources/tools/images.sh" ] || { echo "previous: $version builds no images" >&2; exit 1; }
    IMAGE_PREFIX="${IMAGE_PREFIX-tasuki/}" IMAGE_TAG="${IMAGE_TAG:-previous}" VERSION=$version REVISION=$revision \
      SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$revision") "$sources/tools/images.sh" >&2 ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
