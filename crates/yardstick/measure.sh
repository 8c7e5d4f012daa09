#!/bin/sh
# Times gradus and other frameworks in turns, on 1 and 2 threads, and prints the tables.
#
#   sh crates/yardstick/measure.sh FOLDER [COMMAND...]
#
# Every COMMAND is a program of another framework that takes `--threads N --seconds S` and prints lines as the yardstick does,
# such as 'python3 crates/yardstick/composed.py --mode jax'. What was printed is kept in FOLDER, with the tables and a chart.
# From the environment: SECONDS_EACH, the timed seconds a workload (0.3), and ONLY, an expression for names of workloads.
set -eu
folder=${1:?"usage: sh measure.sh FOLDER [COMMAND...]"}
shift
seconds=${SECONDS_EACH:-0.3}
only=${ONLY:-}
mkdir -p "$folder"
rm -f "$folder"/*.jsonl
cargo build --release -p gradus-yardstick
yardstick=${CARGO_TARGET_DIR:-target}/release/gradus-yardstick
for threads in 1 2; do
    for mode in eager compiled; do
        echo "gradus, $mode, $threads threads" >&2
        "$yardstick" --mode $mode --threads $threads --seconds "$seconds" --only "$only" \
            >> "$folder/gradus.jsonl" 2>> "$folder/remarks.txt"
    done
    for command in "$@"; do
        echo "$command, $threads threads" >&2
        # A peer may lack a workload, or fail in one.
        $command --threads $threads --seconds "$seconds" >> "$folder/others.jsonl" 2>> "$folder/remarks.txt" || true
    done
done
touch "$folder/others.jsonl"
set --
if [ -s "$folder/others.jsonl" ]; then
    set -- --svg "$folder/speed.svg"
fi
"$yardstick" report "$@" "$folder/gradus.jsonl" "$folder/others.jsonl" | tee "$folder/tables.md"
