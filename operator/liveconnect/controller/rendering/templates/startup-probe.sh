#!/bin/sh
# A broker pod has started when it is healthy, its webhooks are registered (until then VerneMQ
# refuses everybody, 0.7 s after /health says OK) and it lists a second member: a lone node would
# take clients that no publisher reaches, and would never be able to join again.
set -eu
api=http://127.0.0.1:8888
curl -fsS -m 2 -o /dev/null "$api/health"
hooks=$(printf 'user = "%s:"\n' "$(cat /etc/liveconnect/secret/api-key)" |
  curl -fsS -m 2 -K - "$api/api/v1/webhooks/show" | grep -o '/hooks/' | wc -l)
[ "$hooks" -ge "$EXPECTED_HOOKS" ] || { echo "webhooks: $hooks of $EXPECTED_HOOKS registered"; exit 1; }
node="VerneMQ@${POD_NAME}.${NODES_DOMAIN}"
members=$(curl -fsS -m 2 "$api/status.json" |
  sed -n "s/.*\"$node\":{[^[]*\"mystatus\":\[\([^]]*\)\].*/\1/p" | grep -o 'VerneMQ@' | wc -l)
[ "$members" -ge 2 ] || { echo "waiting to join: the member list has $members node(s)"; exit 1; }
