#!/bin/bash
# What an operator does, in order. The last line is "all is well".
set -eE
trap 'echo "line $LINENO failed: $BASH_COMMAND"; systemctl status signalbox; journalctl -u signalbox --no-pager' ERR
step() { echo "step: $*"; }
fails() { if "$@"; then return 1; fi; }
journal_has() { journalctl -u signalbox --no-pager -o cat "${@:2}" | grep -q -- "$1"; }
ready() { for _ in {1..100}; do curl -skf https://localhost/readyz >/dev/null && return; sleep 0.1; done; return 1; }

# The machine of the test may allow fewer files than the unit asks for.
mkdir -p /etc/systemd/system/signalbox.service.d
printf '[Service]\nLimitNOFILE=4096\n' >/etc/systemd/system/signalbox.service.d/test.conf

step three commands
begin=$(date +%s%N)
/pkg/scripts/install.sh
signalbox quickstart box.local
systemctl enable --now signalbox
ready
echo "serves after $((($(date +%s%N) - begin) / 1000000)) ms"
[[ $(stat -c %U /proc/"$(systemctl show -P MainPID signalbox)") == signalbox ]]
signalbox status | grep '^certificate'

step reload under a running relay
ip address add 203.0.113.9/24 dev lo
for _ in {1..100}; do signalbox status | grep -q '203.0.113.9' && break; sleep 0.1; done
signalbox bench turn --server 203.0.113.9 --load audio --rate 500 --clients 10 --duration 4s --warm-up 1s --json >/bench.json &
bench=$!
sleep 1.5
for _ in {1..3}; do systemctl reload signalbox; sleep 0.5; done
wait $bench
grep -o '"direction":"up","sent":[0-9]*,"received":[0-9]*,"lost":[0-9]*' /bench.json
grep -q '"direction":"up","sent":\([0-9]\+\),"received":\1,"lost":0,' /bench.json

step reload
echo '[log]
level = "debug"' >>/etc/signalbox/config.toml
systemctl reload signalbox
journal_has 'reloaded.*log.level'
cp /etc/signalbox/config.toml /good.toml
echo 'relm = "x"' >>/etc/signalbox/config.toml
fails systemctl reload signalbox
ready
cp /good.toml /etc/signalbox/config.toml

step the journal
journalctl --sync
journal_has level=WARN -p warning
fails journal_has level=INFO -p warning
fails journal_has '^time='

step kill -9
token=$(cat /var/lib/signalbox/admin-token)
sed -i 's/^RestartSec=.*/RestartSec=1/' /etc/systemd/system/signalbox.service
systemctl daemon-reload
kill -9 "$(systemctl show -P MainPID signalbox)"
sleep 1
ready
[[ $token == "$(cat /var/lib/signalbox/admin-token)" ]]

step what only somebody can mend
echo 'relm = "x"' >>/etc/signalbox/config.toml
fails systemctl restart signalbox
[[ $(systemctl is-failed signalbox) == failed ]]
[[ $(systemctl show -P ExecMainStatus signalbox) == 78 ]]
cp /good.toml /etc/signalbox/config.toml
systemctl reset-failed signalbox
systemctl start signalbox
ready

step upgrade
/pkg/scripts/install.sh --upgrade
ready
[[ $token == "$(cat /var/lib/signalbox/admin-token)" ]]
# One that does not start is taken back.
cp -r /pkg /broken
cat >/broken/signalbox <<'END'
#!/bin/sh
[ "$1" = check ]
END
fails /broken/scripts/install.sh --upgrade
ready

step uninstall
/pkg/scripts/install.sh --uninstall
[[ -e /var/lib/signalbox/admin-token ]]
[[ ! -e /etc/systemd/system/signalbox.service ]]
/pkg/scripts/install.sh
/pkg/scripts/install.sh --purge
rm -r /etc/systemd/system/signalbox.service.d
fails getent passwd signalbox
left=$(find / -xdev -name '*signalbox*' -not -path '/proc/*' -not -path '/pkg/*' -not -path '/broken/*' -not -path '/root/*' \
	-not -path '/tmp/*' -not -path '/var/log/journal/*' -newer /check.sh)
[[ -z $left ]] || { echo "left: $left"; false; }
echo 'all is well'
