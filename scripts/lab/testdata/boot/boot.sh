#!/bin/sh
# boot.sh DIR: boots this system's own files, under a layer that is thrown away, in a machine without
# a network, and runs check.sh there. DIR/pkg is what a release archive has in it.
set -e
dir=$1
mount -t tmpfs none "$dir/layers"
mkdir "$dir/layers/upper" "$dir/layers/work" "$dir/layers/root"
root=$dir/layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/layers/upper,workdir=$dir/layers/work" "$root"
: >"$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*.wants
cp -r "$dir/pkg" "$root/pkg"
cp "$dir/check.sh" "$root/check.sh"
cat >"$root/etc/systemd/system/check.service" <<'END'
[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/bash /check.sh
ExecStopPost=/bin/systemctl --no-block poweroff --force
StandardOutput=file:/check.out
StandardError=inherit
END
cat >"$root/etc/systemd/system/check.target" <<'END'
[Unit]
Requires=basic.target check.service
END
timeout -k 5 120 systemd-nspawn -q -D "$root" -M "signalbox-test-$$" --boot --register=no --keep-unit \
	--private-network --settings=no --console=pipe systemd.unit=check.target </dev/null >"$dir/console" 2>&1 || true
cat "$root/check.out"
