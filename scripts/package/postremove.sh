#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "${1-}" = purge ]; then
	rm -rf /etc/signalbox /var/lib/signalbox
	! getent passwd signalbox >/dev/null || userdel signalbox
fi
