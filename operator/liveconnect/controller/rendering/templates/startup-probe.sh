#!/bin/sh
# A broker pod has started when it is healthy, its webhooks are registered (until then VerneMQ
# refuses everybody, 0.7 s after /health says OK), it lists a second member and another one lists it
# (a lone node would take clients that no publisher reaches, and would never be able to join again),
# and all parts of its metadata are in sync: until then VerneMQ tells nobody of the subscriptions
# that it takes, and what is published for them elsewhere is acknowledged and lost.
set -eu
api=http://127.0.0.1:8888
ask() {
  printf 'user = "%s:"\n' "$(cat /etc/liveconnect/secret/api-key)" | curl -sS -m 2 -K - "$@"
}
curl -fsS -m 2 -o /dev/null "$api/health"
hooks=$(ask -f "$api/api/v1/webhooks/show" | grep -o '/hooks/' | wc -l)
[ "$hooks" -ge "$EXPECTED_HOOKS" ] || { echo "webhooks: $hooks of $EXPECTED_HOOKS registered"; exit 1; }
node="VerneMQ@${POD_NAME}.${NODES_DOMAIN}"
status=$(curl -fsS -m 2 "$api/status.json")
members=$(printf '%s' "$status" |
  sed -n "s/.*\"$node\":{[^[]*\"mystatus\":\[\([^]]*\)\].*/\1/p" | grep -o 'VerneMQ@' | wc -l)
[ "$members" -ge 2 ] || { echo "waiting to join: the member list has $members node(s)"; exit 1; }
# The lists of all nodes that answer, one in a line.
lists=$(printf '%s' "$status" | grep -o '"mystatus":\[[^]]*\]')
others=$(printf '%s\n' "$lists" | wc -l)
listed=$(printf '%s\n' "$lists" | grep -c "\"$node\":" || true)
[ "$others" -lt 2 ] || [ "$listed" -ge 2 ] || { echo "waiting to join: no other node lists this one"; exit 1; }
# 400 from a broker that knows no such command; it has no such phase either.
sync=$(ask "$api/api/v1/node/swc_sync_status")
unsynced=$(printf '%s' "$sync" | grep -o '"InitSynced":false' | wc -l)
[ "$unsynced" -eq 0 ] || { echo "waiting to be in sync: $unsynced part(s) of the metadata are not"; exit 1; }
