#!/usr/bin/env bash
# Installs signalbox on a server with systemd, from a release archive or from a clone.
# `scripts/install.sh --help` says more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
	cat <<'END'
usage: scripts/install.sh [--upgrade | --uninstall | --purge] [--offline]

Installs the program, its user and its unit; starts nothing. Run it as root.

  --upgrade    replace the program, and restart the service if it runs; if the new
               one does not start, the former one runs again
  --uninstall  remove program and unit; configuration and state stay
  --purge      remove these, and the user, too
  --offline    if the program must be built: download nothing

  /usr/local/bin/signalbox                 the program; --upgrade keeps signalbox.previous
  /usr/local/share/man/man8/signalbox*.8   its manual, if the archive has it
  /etc/systemd/system/signalbox.service    the unit
  /etc/signalbox/config.toml               the configuration, which it leaves alone if there is one
  /var/lib/signalbox                       secrets and certificates, which the service makes
END
}

program=/usr/local/bin/signalbox manuals=/usr/local/share/man/man8 unit=/etc/systemd/system/signalbox.service
etc=/etc/signalbox state=/var/lib/signalbox

die() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}
say() { printf '%s\n' "$*"; }

# Without a running systemd, as while an image is made, there is nothing to tell.
systemd() {
	[[ ! -d /run/systemd/system ]] || systemctl "$@"
}
running() {
	[[ -d /run/systemd/system ]] && systemctl is-active --quiet signalbox
}

action=install offline=''
while (($#)); do
	case $1 in
	--upgrade | --uninstall | --purge) action=${1#--} ;;
	--offline) offline=yes ;;
	-h | --help)
		usage
		exit
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
((EUID == 0)) || die "run it as root: sudo $0"

# get_program prints the path of the program to install: that of the archive, or one built here.
get_program() {
	local built
	if [[ -x $here/../signalbox && -f $here/../signalbox ]]; then
		echo "$here/../signalbox"
		return
	fi
	[[ -f $here/../go.mod ]] || die "there is no program beside this script: unpack the whole archive"
	command -v go >/dev/null || die "a clone is built with Go, which is not on the path: take a release archive, or see https://go.dev/dl"
	built=$(mktemp -d)/signalbox
	say "building; the first time takes a minute or two, most of it for downloads and other people's packages" >&2
	(
		cd "$here/.."
		[[ ! $offline ]] || export GOPROXY=off
		CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$built" ./cmd/signalbox
	) || die "the build has failed"
	echo "$built"
}

# put installs the program in one step, since the one that runs may go on, and its manual.
put() {
	install -m 0755 "$1" "$program.new"
	mv -f "$program.new" "$program"
	remove_manuals
	if [[ -d $here/../man ]]; then
		install -d "$manuals"
		install -m 0644 "$here"/../man/signalbox*.8.gz "$manuals"
	fi
}
remove_manuals() { rm -f "$manuals"/signalbox.8.gz "$manuals"/signalbox-*.8.gz; }

case $action in
install)
	[[ ! -e $program ]] || die "$program is there already: use --upgrade"
	new=$(get_program)
	getent passwd signalbox >/dev/null ||
		useradd --system --user-group --home-dir "$state" --shell /usr/sbin/nologin signalbox
	install -d -m 0750 -g signalbox "$etc"
	if [[ ! -e $etc/config.toml ]]; then
		install -m 0640 -g signalbox /dev/null "$etc/config.toml"
		# shellcheck disable=SC2016 # the quotes are for who reads it
		echo '# Only what differs from the defaults: `signalbox config` prints every key.' >"$etc/config.toml"
	fi
	put "$new"
	install -m 0644 "$here/signalbox.service" "$unit"
	systemd daemon-reload
	say "installed $("$program" version)"
	say "next: signalbox quickstart DOMAIN, then systemctl enable --now signalbox"
	say "to undo: $0 --purge"
	;;
upgrade)
	[[ -e $program ]] || die "$program is not there: install first, without --upgrade"
	new=$(get_program)
	"$new" check >/dev/null || die "the new program can't use the configuration: nothing has been changed"
	cp -f --preserve=all "$program" "$program.previous"
	put "$new"
	[[ ! -e $unit ]] || cp -f "$unit" "$unit.previous"
	install -m 0644 "$here/signalbox.service" "$unit"
	systemd daemon-reload
	if running && ! systemctl restart signalbox; then
		mv -f "$program.previous" "$program"
		[[ ! -e $unit.previous ]] || mv -f "$unit.previous" "$unit"
		systemctl daemon-reload
		systemctl reset-failed signalbox
		systemctl start signalbox || die "neither the new program starts nor the former one: journalctl -u signalbox"
		die "the new program does not start, so the former one runs again: journalctl -u signalbox says why"
	fi
	rm -f "$unit.previous"
	say "upgraded to $("$program" version)"
	say "to undo: mv $program.previous $program && systemctl restart signalbox"
	;;
uninstall | purge)
	if [[ -e $unit ]]; then
		systemd disable --quiet --now signalbox || true
	fi
	rm -f "$unit" "$program" "$program.previous"
	remove_manuals
	systemd daemon-reload
	if [[ $action == purge ]]; then
		rm -rf "$etc" "$state"
		! getent passwd signalbox >/dev/null || userdel signalbox
		! getent group signalbox >/dev/null || groupdel signalbox
		say "removed, with configuration and state"
	else
		say "removed; $etc and $state stay: $0 installs it again, $0 --purge removes them"
	fi
	;;
esac
