import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from projgraph.errors import OutputError
from projgraph.evaluate import BitUse, ReportInput, evaluate, write_report
from projgraph.evaluate.plots import confusion_map, reliability_diagram, training_curves
from projgraph.evaluate.report import render
from projgraph.records import Texts

VOID = {"meta", "br", "img", "input", "link"}


class FirstIsRight:
    """Says the class whose number a text begins with."""

    scale = 0.1
    threshold = 0

    def __init__(self, classes):
        self.classes = tuple(classes)

    def scores(self, texts):
        scores = np.zeros((len(texts), len(self.classes)), dtype=np.int32)
        scores[np.arange(len(texts)), [int(text.split()[0]) for text in texts]] = 70
        return scores

    def time_calls(self, texts, repeats):
        return np.array([[100.0 * len(text)] * repeats for text in texts])


class Balance(HTMLParser):
    """Checks that every element is closed in its place, and collects the texts."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.texts = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def report_input(n_classes=3, text="how are you", **changes):
    classes = [f"class {index:03}" for index in range(n_classes)]
    texts = Texts.from_strings([f"{index} {text}" for index in range(n_classes)] + [f"0 {text} wrong"])
    labels = np.array([*range(n_classes), 1])
    given = ReportInput(
        title="cards",
        evaluation=evaluate(FirstIsRight(classes), texts, labels, classes, labels, model_bytes=65536),
        trainer_accuracy=0.875,
        history=[{"epoch": 1, "loss": 2.0, "accuracy": 0.5}, {"epoch": 2, "loss": 1.0, "accuracy": 0.75}],
        bits=BitUse(np.array([0.0, 0.25, 0.5, 0.25]), np.array([0.0, 0.125, 0.25, 0.125]), 8),
        configuration={"projection.bits": 2048, "trainer.name": "propagation"},
        counts={"rows": 1234, "labelled": 30},
        created="2026-01-02",
    )
    return dataclasses.replace(given, **changes)


def text_of(page):
    parser = Balance()
    parser.feed(page.decode())
    assert parser.open == []
    return re.sub(r"\s+", " ", " ".join(parser.texts))


def test_figures_stand_in_the_report():
    text = text_of(render(report_input()))
    for expected in (
        "cards",
        "2026-01-02",
        "accuracy 75.0 % of 4 test rows",
        "P@3 100.0 %",
        "trainer 87.5 %",
        "agreement 75.0 %",
        "model 64 KiB 65,536 bytes",
        "latency 1.3 µs",
        "projection.bits 2,048",
        "trainer.name propagation",
        "rows 1,234",
        "class 001 class 000 1",
        "4 bits over 8 rows: a row has 25.0% of them non-zero, 12.5% positive; 1 bits are never used.",
    ):
        assert expected in text


def test_texts_and_names_are_escaped():
    given = report_input(text="<script>alert('x')</script> \x00\x1b[0m & $title \u202eabc", title="a <b> & $subtitle")
    page = render(given).decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; ␀␛[0m &amp; $title" in page
    assert "<h1>a &lt;b&gt; &amp; $subtitle</h1>" in page
    assert "<bdi>" in page
    assert not re.search("[\x00-\x08\x0b-\x1f]", page)


@pytest.mark.parametrize("n_classes", [3, 12, 150])
def test_same_input_same_bytes_and_nothing_from_a_network(n_classes):
    page = render(report_input(n_classes))
    assert page == render(report_input(n_classes))
    text = page.decode()
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "http:" not in without_namespaces
    assert "https:" not in without_namespaces
    assert "//" not in re.sub(r"data:image/png;base64,[\w+/=\s]*", "", without_namespaces)
    assert "default-src 'none'" in text
    text_of(page)


def test_few_classes_make_a_table_and_many_a_heat_map():
    few, many = (render(report_input(n_classes)).decode() for n_classes in (12, 30))
    assert "<table class=confusion>" in few
    assert "Heat map" not in few
    assert "<table class=confusion>" not in many
    assert 'aria-label="Heat map of the confusion"' in many


def test_charts_use_the_colours_of_the_page():
    page = render(report_input(30)).decode()
    svg = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) == set()
    used = set(re.findall(r"var\((--[\w-]+)\)", page))
    assert used - {"--heat"} <= set(re.findall(r"(--[\w-]+):", page))  # a cell of the table sets --heat itself
    assert {"--series-1", "--ink", "--grid", "--muted"} <= used


def test_a_report_without_a_test_set_shows_what_there_is():
    text = text_of(render(ReportInput("only trained", counts={"rows": 5})))
    assert "rows 5" in text
    assert "Confusion" not in text
    assert "Training" not in text


def test_a_perfect_model_has_no_errors_to_show():
    texts = Texts.from_strings(["0 a", "1 b"])
    result = evaluate(FirstIsRight(["x", "y"]), texts, np.array([0, 1]), ["x", "y"])
    assert text_of(render(ReportInput("perfect", result))).count("There are no errors.") == 2


def test_rows_left_out_are_told():
    texts = Texts.from_strings(["0 a", "1 b", "1 c"])
    result = evaluate(FirstIsRight(["x", "y"]), texts, np.array([0, 2, -1]), ["x", "y", "z"])
    text = text_of(render(ReportInput("some", result)))
    assert "Rows without a label, left out: 1." in text
    assert "Rows with a label that the model does not know, each counted as wrong: 1." in text


def test_curves_are_drawn_from_what_the_history_has():
    both = training_curves([{"loss": 1.0, "accuracy": 0.5}, {"loss": 0.5, "accuracy": 0.7, "gold": 0.2}])
    assert [word for word in ("Loss", "Share right", "gold") if f">{word}<" in both] == ["Loss", "Share right", "gold"]
    assert ">Share right<" not in training_curves([{"loss": 1.0}])
    assert training_curves([{"epoch": 1, "seconds": 2.0}]) == ""


def test_heat_map_holds_one_pixel_a_cell():
    import base64
    import io

    from PIL import Image

    svg = confusion_map(np.array([[3, 1], [0, 4]]))
    data = re.search(r"base64,([\w+/=\s]+)", svg).group(1)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
    assert pixels.shape == (2, 2, 4)
    assert pixels[..., 3].tolist() == [[round(255 * 0.75**0.5), 128], [0, 255]]


def test_reliability_of_empty_bins_can_be_drawn():
    from projgraph.evaluate.calibration import reliability

    assert reliability_diagram(reliability(np.zeros(0), np.zeros(0, dtype=bool))).startswith("<svg")


def test_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, ReportInput("one"))
    assert path.read_bytes() == render(ReportInput("one"))
    with pytest.raises(OutputError, match="does not exist"):
        write_report(tmp_path / "missing" / "report.html", ReportInput("one"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
