#!/bin/sh
# The user of the service, and a configuration if there is none. It starts nothing that has not run.
set -e
if ! getent passwd signalbox >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/signalbox --shell /usr/sbin/nologin signalbox
fi
install -d -m 0750 -g signalbox /etc/signalbox
if [ ! -e /etc/signalbox/config.toml ]; then
	install -m 0640 -g signalbox /dev/null /etc/signalbox/config.toml
	# shellcheck disable=SC2016 # the quotes are for who reads it
	echo '# Only what differs from the defaults: `signalbox config` prints every key.' >/etc/signalbox/config.toml
fi
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
# A start that fails leaves the package whole: it is for the operator to mend.
systemctl try-restart signalbox || echo 'signalbox does not start: see journalctl -u signalbox' >&2
