#!/usr/bin/env bash
# A cluster of three nodes on this machine, without consoles. All files are in a temporary folder, which the script
# removes at its end.
#
#     bash examples/three-nodes.sh [FIRST_PORT]
#
# DAPSS is the command to use. Without it: the command of this repository, or the installed dapss-tui.
set -euo pipefail

port=${1:-5000}
here=$(cd "$(dirname "$0")/.." && pwd)
if [ -n "${DAPSS:-}" ]; then dapss=$DAPSS
elif [ -f "$here/source/bin.mjs" ]; then dapss="node $here/source/bin.mjs"
else dapss=dapss-tui; fi

folder=$(mktemp -d)
pids=()
stop() {
	# SIGTERM stops a node cleanly.
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	rm -rf "$folder"
}
trap stop EXIT

export XDG_CONFIG_HOME=$folder/config XDG_DATA_HOME=$folder/data XDG_STATE_HOME=$folder/state XDG_RUNTIME_DIR=
cluster=three-nodes-$port
# The same file on every machine of a cluster.
(umask 077; head -c 32 /dev/urandom | base64 > "$folder/secret")
reach="--cluster $cluster --secret-file $folder/secret"
flags="$reach --no-discovery"

# Examines the machine. A problem ends the script with a remedy.
$dapss doctor $flags --port "$port"

# The first node founds the cluster; the others join through it.
start() {
	$dapss --headless -o jsonl $flags --topics news --port "$1" "${@:2}" > "$folder/node-$1.jsonl" &
	pids+=($!)
}

start "$port"
start $((port + 1)) --bootstrap "$port"
start $((port + 2)) --bootstrap "$port"

# A node that has not joined yet is not healthy.
for one in "$port" $((port + 1)) $((port + 2)); do $dapss check --wait-healthy --wait 30s $reach --server "$one"; done
printf 'one\ntwo\nthree\n' | $dapss publish news - $reach --server "$port"

# Another node has the same messages.
$dapss subscribe news --from beginning --count 3 --wait 20s $reach --server $((port + 2))
