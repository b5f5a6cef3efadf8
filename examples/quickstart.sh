#!/usr/bin/env bash
# From a labelled file to a classifier in C, on the sample data; `make quickstart` runs it. Everything goes to
# ./quickstart, nothing else is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

data=data/home_intents
out=quickstart
mkdir -p "$out"

step() { printf '\n== %s\n\n' "$*" >&2; }

step "Train on 5 labels a class; the other rows and unlabelled.txt teach without labels"
projgraph train "$data/train.csv" --test "$data/test.csv" --unlabelled "$data/unlabelled.txt" --labels-per-class 5 \
    --store "sqlite:///$out/mlflow.db" --out "$out/few.pgb" --json > "$out/few.json"

step "Train on all labels, for a device with less room"
projgraph train "$data/train.csv" --test "$data/test.csv" --budget 64KB \
    --store "sqlite:///$out/mlflow.db" --out "$out/all.pgb" --json > "$out/all.json"

step "Measure both on the test file, through the C core"
for model in few all; do
    projgraph evaluate "$out/$model.pgb" "$data/test.csv" --json > "$out/$model.evaluation.json"
done

step "Export the second to C"
projgraph export "$out/all.pgb" --target c --out "$out/c"

step "Predict"
cat > "$out/sentences.txt" << 'END'
it's freezing in here
wake me at seven tomorrow
put some jazz on
do i have anything on friday
we're out of milk
END
projgraph predict "$out/all.pgb" "$out/sentences.txt" | paste "$out/sentences.txt" - | expand -t 32

step "The same by the exported C"
if compiler=$(command -v cc || command -v gcc || command -v clang); then
    (cd "$out/c" && "$compiler" -std=c99 -O2 main.c model.c projgraph.c -o predict)
    "$out/c/predict" < "$out/sentences.txt"
else
    echo "no C compiler found: left out"
fi

step "Result"
python - "$out" << 'END'
import json, sys
from pathlib import Path

out = Path(sys.argv[1])
print(f"{'model':20}{'labels':>8}{'unlabelled':>12}{'accuracy':>10}{'bytes':>10}{'µs a text':>11}")
for name in ("few", "all"):
    trained = json.loads((out / f"{name}.json").read_text())
    measured = json.loads((out / f"{name}.evaluation.json").read_text())
    print(
        f"{trained['model']:20}{trained['n_labelled']:8,}{trained['n_unlabelled']:12,}"
        f"{measured['accuracy']:10.1%}{measured['model_bytes']:10,}{measured['latency_p50_us']:11.1f}"
    )
END
cat << END

Reports     $out/few.report.html  $out/all.report.html
C sources   $out/c
Runs        .venv/bin/mlflow ui --backend-store-uri sqlite:///$out/mlflow.db
END
