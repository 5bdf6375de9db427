#!/bin/sh
# Begin a new life on a volume: set-aside.sh VOLUME LIFE
# What it holds is the state of a node that left the cluster; with it a node could never join again
# (non_empty_node). It is moved aside on the same volume, where the last three are kept. A start that
# is cut short goes on with the next; one in the same life changes nothing.
set -eu
volume=$1
life=$2
[ "$(cat "$volume/.life" 2>/dev/null || true)" != "$life" ] || exit 0
aside="$volume/.earlier/before-$life"
mkdir -p "$aside"
for each in "$volume"/* "$volume"/.[!.]*; do
  case ${each##*/} in
    lost+found | generated.configs | .earlier | .life | '*' | '.[!.]*') ;;
    *) mv "$each" "$aside/" ;;
  esac
done
touch "$aside"
ls -1t "$volume/.earlier" | tail -n +4 | while read -r old; do rm -rf "$volume/.earlier/$old"; done
printf '%s' "$life" > "$volume/.life.new"
mv "$volume/.life.new" "$volume/.life"
echo "a new life of this volume: what an earlier node left is in $aside"
