#!/bin/bash
# Keeps the edge's code on this instance as the deployment wants it. Runs at each boot and each minute.
# There is no way to the internet from here: packages come from Amazon's repositories in S3, and so does the code.
set -eu
exec 9>/run/hubless-keep.lock
flock -n 9 || exit 0

if [ "${1:-}" = --install ]; then
    until dnf -q -y install haproxy python3.11; do sleep 5; done
    id hubless >/dev/null 2>&1 || useradd --system --no-create-home --shell /sbin/nologin hubless
    cat > /etc/systemd/system/hubless-edge.service <<'UNIT'
[Unit]
Description=The hub's edge
After=network-online.target
Wants=network-online.target
ConditionPathExists=/opt/hubless/current

[Service]
EnvironmentFile=/etc/hubless/edge.env
Environment=PYTHONPATH=/opt/hubless/current PYTHONDONTWRITEBYTECODE=1
WorkingDirectory=/opt/hubless/current
ExecStart=/usr/bin/python3.11 -m edge_proxy
User=hubless
RuntimeDirectory=hubless-edge
RuntimeDirectoryPreserve=restart
# A new agent takes over the HAProxy of the one before: no connection is cut for new code.
KillMode=process
TimeoutStopSec=120
Restart=always
RestartSec=2
LimitNOFILE=65536
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
UNIT
    cat > /etc/systemd/system/hubless-keep.service <<'UNIT'
[Unit]
Description=Keeps the edge's code new
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/opt/hubless/keep
UNIT
    cat > /etc/systemd/system/hubless-keep.timer <<'UNIT'
[Unit]
Description=Keeps the edge's code new

[Timer]
OnBootSec=1
OnUnitInactiveSec=60

[Install]
WantedBy=timers.target
UNIT
    cat > /etc/systemd/system/hubless-updates.service <<'UNIT'
[Unit]
Description=Installs what is newer in Amazon's repositories; it counts from the next boot on

[Service]
Type=oneshot
Nice=19
ExecStart=/usr/bin/dnf -q -y upgrade --releasever=latest
UNIT
    cat > /etc/systemd/system/hubless-updates.timer <<'UNIT'
[Unit]
Description=Installs what is newer, well after the edge is up

[Timer]
OnBootSec=15min
OnUnitActiveSec=1d

[Install]
WantedBy=timers.target
UNIT
    systemctl daemon-reload
    systemctl enable --now hubless-keep.timer hubless-updates.timer
    systemctl enable hubless-edge
fi

token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
wanted=$(curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/tags/instance/hubless-code)
[ "$wanted" = "$(cat /opt/hubless/wanted 2>/dev/null)" ] && exit 0

name=$(basename "$wanted" .zip)
rm -rf "/opt/hubless/new" && mkdir -p /opt/hubless/new
aws s3 cp --only-show-errors "$wanted" /opt/hubless/new.zip
python3.11 -m zipfile -e /opt/hubless/new.zip /opt/hubless/new
rm -rf "/opt/hubless/$name" && mv /opt/hubless/new "/opt/hubless/$name"
python3.11 -m compileall -q "/opt/hubless/$name" || true
ln -sfn "/opt/hubless/$name" /opt/hubless/link && mv -T /opt/hubless/link /opt/hubless/current
# The agent is killed and not stopped: HAProxy goes on, and the next agent, which systemd starts, takes it over.
systemctl kill --kill-whom=main --signal=KILL hubless-edge 2>/dev/null || true
systemctl start hubless-edge
echo "$wanted" > /opt/hubless/wanted
find /opt/hubless -mindepth 1 -maxdepth 1 -type d ! -name "$name" -mtime +1 -exec rm -rf {} +
