"""Test accuracy against the amount of unlabelled text, of the set's own and of foreign text beside it.

    python benchmarks/unlabelled.py SETS/banking77 --labels 5 --amounts 0 1000 3000 --foreign SETS/clinc150 --seeds 0 1

Every run is `projgraph train` with its defaults. One Markdown row per amount; where a foreign set is given, as many of
its training texts as there are go beside all of the set's own, without labels: they should do no harm.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from accuracy import run_projgraph
from few_labels import spread
from rows import draw, train_file

from projgraph.read import read_dataset


def foreign_texts(source: Path, scratch: Path) -> list[str]:
    """The options that add the training texts of another set, one a line, without their labels."""
    path = scratch / f"{source.name}.txt"
    lines = (" ".join(text.split()) for text in read_dataset(train_file(source)).texts)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogatepass")
    return ["--unlabelled", str(path)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, default=5, help="labels a class")
    parser.add_argument("--amounts", nargs="+", type=int, default=[0, 1000, 3000, 10_000], help="unlabelled texts")
    parser.add_argument("--foreign", nargs="*", type=Path, default=[], help="folders of other sets")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options, extra = parser.parse_known_args()
    print("| unlabelled texts | accuracy |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        beside = {f"all, and {source.name}": foreign_texts(source, scratch) for source in options.foreign}
        for title, amount, more in [(f"{amount:,}", amount, []) for amount in options.amounts] + [
            (title, None, more) for title, more in beside.items()
        ]:
            found = []
            for seed in options.seeds:
                task = draw(options.folder, options.labels, seed, scratch / f"{title}-{seed}", amount)
                found.append(run_projgraph(task.folder, None, seed, extra + more)["test_accuracy"])
            print(f"| {title} | {spread(found)} |", flush=True)


if __name__ == "__main__":
    main()
