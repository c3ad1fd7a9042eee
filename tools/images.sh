#!/usr/bin/env bash
# Builds a container image per program for the platform of the Docker daemon, and prints their sizes.
#
#   tools/images.sh           build
#   tools/images.sh --check   build again from a copy of the sources in another folder, as the version and revision that the images
#                             name, and fail unless every layer is the same
#
#   IMAGE_PREFIX=tasuki/      in front of the program's name
#   IMAGE_TAG=dev             the tag
#   VERSION=, REVISION=       what the programs and labels say; git knows them
#   CA_BUNDLE=file            certificates of the authorities to trust; the machine's own if not set
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${IMAGE_PREFIX-tasuki/} tag=${IMAGE_TAG:-dev}
version=${VERSION:-$(git describe --tags --match 'v*' 2>/dev/null || echo dev)}
revision=${REVISION:-$(git rev-parse HEAD)}
# The time of the commit is the time of everything in the image.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH CGO_ENABLED=0
# Bytes on disk, unpacked. All in one is four departments, their gateway and the demo: see docs/performance.md.
most() { if [ "$1" = tasuki ]; then echo 47500000; else echo 40000000; fi; }

docker version >/dev/null 2>&1 || { echo "images: no Docker daemon answers"; exit 1; }
os=$(docker version --format '{{.Server.Os}}') arch=$(docker version --format '{{.Server.Arch}}')
bundle=${CA_BUNDLE:-}
for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  [ -n "$bundle" ] || [ ! -s "$f" ] || bundle=$f
done
[ -s "$bundle" ] || { echo "images: no certificates found: install ca-certificates, or name a file by CA_BUNDLE"; exit 1; }

# Program and the address it serves on.
programs=('marketing 9001' 'insidesales 9002' 'fieldsales 9003' 'customersuccess 9004' 'gateway 8080' 'tasuki 8080')
[ ! -d services/insights/cmd ] || programs+=('insights 9005')

# build SOURCES PREFIX: an image of every program from the sources in a folder.
build() {
  local sources=$1 names=$2 p program port work target
  for p in "${programs[@]}"; do
    read -r program port <<<"$p"
    work=$scratch/$program
    mkdir -p "$work/root/"{data,etc/ssl/certs}
    package=$(cd "$sources" && echo services/*/cmd/"$program")
    (cd "$sources" && GOOS=$os GOARCH=$arch go build -tags "$(cat tools/tags)" -trimpath -buildvcs=false -ldflags "-s -w -buildid= \
      -X github.com/tasuki-project/tasuki/services/internal/platform/version.Version=$version \
      -X github.com/tasuki-project/tasuki/services/internal/platform/version.Revision=${revision:0:7}" \
      -o "$work/root/program" "./$package")
    cp "$bundle" "$work/root/etc/ssl/certs/ca-certificates.crt"
    echo 'tasuki:x:65532:65532:Tasuki:/data:/program' >"$work/root/etc/passwd"
    echo 'tasuki:x:65532:' >"$work/root/etc/group"
    chmod -R u=rwX,go=rX "$work/root"
    chmod 555 "$work/root/program"
    tar -C "$work/root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner --owner=0 --group=0 --format=ustar \
      --exclude=./data -cf "$work/rootfs.tar" .
    # The one folder that is written belongs to the one who writes.
    tar -C "$work/root" --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner --owner=65532 --group=65532 --format=ustar \
      --mode=u=rwx,go= -rf "$work/rootfs.tar" ./data
    rm -rf "$work/root"
    cp "$sources/deploy/docker/Dockerfile" "$work/"
    target=program
    [ "$program" != tasuki ] || target=tasuki
    docker build -q --target "$target" --build-arg "PROGRAM=$program" --build-arg "LISTEN=0.0.0.0:$port" \
      --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" \
      --build-arg "CREATED=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" -t "$names$program:$tag" "$work" >/dev/null 2>"$scratch/log" ||
      { cat "$scratch/log"; return 1; }
    rm -rf "$work"
  done
}

layers() { docker image inspect --format '{{json .RootFS.Layers}}' "$1"; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "${1:-}" = --check ]; then
  # What the images say of themselves counts: git may have gone on to another commit since, which is later.
  label() { docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" "$prefix${programs[0]%% *}:$tag"; }
  version=$(label version) revision=$(label revision) created=$(label created)
  SOURCE_DATE_EPOCH=$(date -d "$created" +%s)
  mkdir "$scratch/sources"
  git ls-files -z --cached --others --exclude-standard --deduplicate |
    tar --null -T - --ignore-failed-read -cf - | tar -C "$scratch/sources" -xf -
  programs_again=tasuki-again-$$/
  build "$scratch/sources" "$programs_again"
  differ=0
  for p in "${programs[@]}"; do
    program=${p%% *}
    if [ "$(layers "$prefix$program:$tag")" != "$(layers "$programs_again$program:$tag")" ]; then
      echo "images: $program is not the same when built again"
      differ=1
    fi
    docker image rm "$programs_again$program:$tag" >/dev/null
  done
  [ "$differ" = 0 ] && echo "images: all ${#programs[@]} are the same when built again in another folder"
  exit "$differ"
fi

build . "$prefix"
printf '%-28s %10s %12s\n' image 'MB on disk' 'MB to pull'
big=0
for p in "${programs[@]}"; do
  image=$prefix${p%% *}:$tag
  disk=$(docker image inspect --format '{{.Size}}' "$image")
  pull=$(docker save "$image" | gzip | wc -c)
  printf '%-28s %10s %12s\n' "$image" "$(awk "BEGIN{printf \"%.1f\", $disk/1e6}")" "$(awk "BEGIN{printf \"%.1f\", $pull/1e6}")"
  [ "$disk" -le "$(most "${p%% *}")" ] || { echo "images: $image is more than $(most "${p%% *}") bytes on disk"; big=1; }
done
exit "$big"
