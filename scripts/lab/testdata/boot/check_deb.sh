#!/bin/bash
# What an operator does with Debian's package, in order. The last line is "all is well".
set -eE
trap 'echo "line $LINENO failed: $BASH_COMMAND"; systemctl status signalbox; journalctl -u signalbox --no-pager' ERR
step() { echo "step: $*"; }
fails() { if "$@"; then return 1; fi; }
ready() { for _ in {1..100}; do curl -skf https://localhost/readyz >/dev/null && return; sleep 0.1; done; return 1; }

# The machine of the test may allow fewer files than the unit asks for.
mkdir -p /etc/systemd/system/signalbox.service.d
printf '[Service]\nLimitNOFILE=4096\n' >/etc/systemd/system/signalbox.service.d/test.conf

step three commands
begin=$(date +%s%N)
dpkg -i /pkg/1.2.3.deb
fails systemctl is-active signalbox
signalbox quickstart box.local
systemctl enable --now signalbox
ready
echo "serves after $((($(date +%s%N) - begin) / 1000000)) ms"
[[ $(stat -c %U /proc/"$(systemctl show -P MainPID signalbox)") == signalbox ]]
[[ -e /usr/share/man/man8/signalbox-quickstart.8.gz ]]
[[ -e /usr/share/doc/signalbox/TROUBLES.md && -e /usr/share/doc/signalbox/OPTIONS.md ]]

step upgrade
token=$(cat /var/lib/signalbox/admin-token)
echo '# mine' >>/etc/signalbox/config.toml
dpkg -i /pkg/1.2.4.deb
ready
[[ $(signalbox version) == 1.2.4 ]]
signalbox status | grep 1.2.4
[[ $token == "$(cat /var/lib/signalbox/admin-token)" ]]
grep -q '^# mine' /etc/signalbox/config.toml

step downgrade
dpkg -i /pkg/1.2.3.deb
ready
signalbox status | grep 1.2.3
[[ $token == "$(cat /var/lib/signalbox/admin-token)" ]]

step remove and purge
dpkg -r signalbox
fails curl -sk https://localhost/readyz
[[ -e /var/lib/signalbox/admin-token ]]
dpkg -P signalbox
rm -r /etc/systemd/system/signalbox.service.d
fails getent passwd signalbox
left=$(find / -xdev -name '*signalbox*' -not -path '/proc/*' -not -path '/pkg/*' -not -path '/root/*' -not -path '/tmp/*' \
	-not -path '/var/log/journal/*' -newer /check.sh)
[[ -z $left ]] || { echo "left: $left"; false; }
echo 'all is well'
