#!/usr/bin/env bash
# Makes a release. `scripts/release.sh --help` says more.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	cat <<'END'
usage: scripts/release.sh [--only OS/ARCH] [--out DIR] VERSION

Writes to DIR (dist/VERSION) what a release consists of:

  signalbox-VERSION-OS-ARCH.tar.gz    a static program, install.sh, unit, completions, documents, licenses
  signalbox_VERSION_ARCH.deb, .rpm    for linux
  signalbox-VERSION.cdx.json          the modules that it is built of (CycloneDX)
  SHA256SUMS                          of all of these

Two runs at the same commit write the same bytes: no file has the time of the run,
the name of a directory or that of the machine in it.
END
}

# The packager, which takes more modules than the box itself: it is built apart.
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

die() {
	printf 'release.sh: %s\n' "$*" >&2
	exit 1
}

targets=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)
out='' version=''
while (($#)); do
	case $1 in
	--only) targets=("$2") && shift ;;
	--out) out=$2 && shift ;;
	-h | --help)
		usage
		exit
		;;
	-*)
		usage >&2
		exit 2
		;;
	*) version=$1 ;;
	esac
	shift
done
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || die "name the version, as in scripts/release.sh 1.2.3"
out=${out:-dist/$version}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The time of every file is that of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH CGO_ENABLED=0 LC_ALL=C
umask 022

# modules prints "path version directory" of each module that any of the programs has in it.
modules() {
	local target
	for target in "${targets[@]}"; do
		GOOS=${target%/*} GOARCH=${target#*/} go list -deps \
			-f '{{with .Module}}{{if .Version}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/signalbox
	done | sort -u
}

licenses() {
	local path version dir file
	while read -r path version dir; do
		printf '%s %s\n\n' "$path" "$version"
		for file in "$dir"/LICEN[CS]E* "$dir"/COPYING* "$dir"/NOTICE*; do
			[[ -f $file ]] && cat "$file" && printf '\n'
		done
		printf '%.0s-' {1..80}
		printf '\n\n'
	done < <(modules)
}

sbom() {
	local path version dir comma=''
	printf '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,\n'
	printf '"metadata":{"component":{"type":"application","name":"signalbox","version":"%s"}},\n"components":[' "$1"
	while read -r path version dir; do
		printf '%s\n{"type":"library","name":"%s","version":"%s","purl":"pkg:golang/%s@%s"}' "$comma" "$path" "$version" \
			"$path" "$version"
		comma=,
	done < <(modules)
	printf '\n]}\n'
}

# build OS ARCH FILE [TAGS] builds the program.
build() {
	GOOS=$1 GOARCH=$2 go build -trimpath -buildvcs=false -tags "${4-}" \
		-ldflags "-s -w -buildid= -X signalbox/internal/status.version=$version" -o "$3" ./cmd/signalbox
}

# archive DIR FILE packs a directory so that the same files give the same bytes.
archive() {
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$work" -c "$1" |
		gzip -n -9 >"$2"
}

licenses >"$work/licenses"
sbom "$version" >"$out/signalbox-$version.cdx.json"
build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$work/host" man
for shell in bash zsh fish; do
	"$work/host" completion "$shell" >"$work/completion.$shell"
done
mkdir "$work/man"
"$work/host" man "$work/man"
gzip -n -9 "$work"/man/*

for target in "${targets[@]}"; do
	os=${target%/*} arch=${target#*/} name=signalbox-$version-${target/\//-}
	echo "$target"
	mkdir -p "$work/$name/completions"
	exe=signalbox
	[[ $os == windows ]] && exe=signalbox.exe
	build "$os" "$arch" "$work/$name/$exe"
	cp README.md README.zh-CN.md CHANGELOG.md LICENSE config.toml "$work/$name/"
	# Where README finds them.
	for document in internal/trouble/TROUBLES.md cmd/signalbox/internal/coturn/OPTIONS.md webui/pictures/*.webp; do
		install -D -m 0644 "$document" "$work/$name/$document"
	done
	cp "$work/licenses" "$work/$name/LICENSES-OF-OTHERS"
	cp -r "$work/man" "$work/$name/"
	for shell in bash zsh fish; do
		cp "$work/completion.$shell" "$work/$name/completions/signalbox.$shell"
	done
	if [[ $os == linux ]]; then
		mkdir -p "$work/$name/scripts"
		cp -r scripts/install.sh scripts/signalbox.service scripts/fail2ban scripts/prometheus "$work/$name/scripts/"
	fi
	archive "$name" "$out/$name.tar.gz"
	[[ $os == linux ]] || continue
	sed 's|/usr/local/bin/|/usr/bin/|; s|/etc/systemd/system/|/usr/lib/systemd/system/|' scripts/signalbox.service >"$work/unit"
	for kind in deb rpm; do
		VERSION=$version ARCH=$arch PACKED=$work/$name UNIT=$work/unit \
			go run "$nfpm" package --config scripts/package/nfpm.yaml --packager "$kind" --target "$out" >/dev/null
	done
done
(cd "$out" && sha256sum signalbox* >SHA256SUMS)
echo "made $out"
