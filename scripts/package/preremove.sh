#!/bin/sh
# "remove" is Debian's word, 0 Fedora's; an upgrade restarts the service afterwards.
set -e
case ${1-} in
remove | 0)
	[ ! -d /run/systemd/system ] || systemctl disable --quiet --now signalbox || true
	;;
esac
