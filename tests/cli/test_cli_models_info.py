"""`subquad models` and `subquad info`."""

import pytest

from subquad import create_model, load_model
from subquad.engine.tables import print_scores, print_table
from subquad.tasks.segmentation.confusion import ConfusionMatrix

# Of the originals' heads and backbones with 150 classes: spec 5.3, published table.
PARAMETERS = {
    "light_ham_van_tiny_d256": 4_208_630,
    "light_ham_van_tiny": 4_866_134,
    "light_ham_van_small_d256": 13_831_510,
    "light_ham_van_small": 14_707_286,
    "light_ham_van_base": 27_423_958,
    "light_ham_van_large": 45_611_094,
    "light_ham_van_huge": 61_128_662,
    "light_ham_efficientnet_lite0": 3_111_990,
    "light_ham_efficientnet_lite2": 4_806_262,
}


def cells(out):
    """Return the cells of each row of the tables in a text."""
    rows = [line for line in out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


def split_at_backbone(rows):
    """Return options and parts: the second table starts with the part called backbone."""
    (_, start) = (index for index, row in enumerate(rows) if row[0] == "backbone")
    return dict(rows[:start]), dict(rows[start:])


def test_light_ham_with_parameters_and_costs(call):
    result = call("models", "light_ham_*")
    assert result.code == 0 and result.err == ""
    rows = cells(result.out)
    assert {name: int(count.replace(",", "")) for name, count, *_ in rows} == PARAMETERS
    assert [name for name, *_ in rows] == list(PARAMETERS)
    costs = [float(cost.removesuffix(" G")) for name, _, cost, _ in rows if "_van_" in name]
    assert costs == pytest.approx([6.5, 11.3, 15.8, 21.4, 34.4, 55.0, 71.8], rel=0.035), "published"


def test_each_kind_is_counted_at_its_usual_size(call):
    rows = {name: (cost, side) for name, _, cost, side in cells(call("models", "*van_tiny").out)}
    assert rows == {"light_ham_van_tiny": ("11.0 G", "512"), "van_tiny": ("0.9 G", "224")}


def test_a_pattern_chooses(call):
    assert [row[0] for row in cells(call("models", "*d256").out)] == [
        "light_ham_van_tiny_d256",
        "light_ham_van_small_d256",
    ]


def test_the_size_changes_the_cost_only(call):
    small, large = (cells(call("models", "light_ham_van_tiny", "--size", size).out) for size in (256, 512))
    assert small[0][1] == large[0][1]
    ratio = float(large[0][2].removesuffix(" G")) / float(small[0][2].removesuffix(" G"))
    assert ratio == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "quoting"),
    [
        (["nothing*"], "'nothing*'"),
        (["light_ham_van_tiny", "--size=0"], "0"),
        (["light_ham_van_tiny", "--size=-5"], "-5"),
        (["light_ham_van_tiny", "--size=abc"], "abc"),
        (["a", "b"], "b"),
    ],
    ids=str,
)
def test_bad_patterns_and_sizes(complains, arguments, quoting):
    complains("models", *arguments, quoting=quoting)


def test_info_of_a_name(call):
    result = call("info", "light_ham_van_tiny_d256")
    assert result.code == 0 and result.err == ""
    rows, parts = split_at_backbone(cells(result.out))
    expected = {"num_classes": "150", "backbone": "van_tiny", "rank": "16", "solver": "NMF(eps=1e-06)"}
    assert {name: rows[name] for name in expected} == expected
    count = {name: int(value.replace(",", "")) for name, value in parts.items()}
    assert count["total"] == PARAMETERS["light_ham_van_tiny_d256"] == count["backbone"] + count["head"]
    assert count["head"] == sum(n for part, n in count.items() if part.startswith("head."))
    network = create_model("light_ham_van_tiny_d256")
    assert count["head.hamburger"] == sum(p.numel() for p in network.head.hamburger.parameters())


@pytest.mark.parametrize("kind", ["run", "weights"])
def test_info_of_a_checkpoint(call, trained, kind):
    result = call("info", getattr(trained, kind))
    assert result.code == 0 and result.err == ""
    rows, parts = split_at_backbone(cells(result.out))
    assert (rows["num_classes"], rows["backbone"], rows["rank"]) == ("3", "conv_tiny", "4")
    assert rows["class_names"] == "('road', 'sky', 'car')"
    total = sum(p.numel() for p in load_model(trained.weights).parameters())
    assert parts["total"] == f"{total:,}"


def test_a_folder_of_that_name_does_not_hide_a_network(call, tmp_path, monkeypatch):
    (tmp_path / "light_ham_van_tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert call("info", "light_ham_van_tiny").code == 0


@pytest.mark.parametrize(
    ("name", "quoting"),
    [
        ("light_ham_van_tny", ["'light_ham_van_tny'", "Did you mean 'light_ham_van_tiny'?"]),
        ("nowhere/run", "nowhere/run"),
        ("nowhere.safetensors", "nowhere.safetensors"),
    ],
)
def test_info_of_nothing(complains, name, quoting):
    complains("info", name, quoting=quoting)


def test_info_of_a_text_file(complains, tmp_path):
    path = tmp_path / "notes.safetensors"
    path.write_text("these are notes")
    complains("info", path, quoting=[str(path), "these are notes"])


def test_names_are_printed_as_they_are(capsys):
    """Square brackets are markup to rich."""
    names = ["lane [left]", "[bold]", "[/]"]
    print_table("title [1]", ["class", "[n]"], [(name, "1") for name in names])
    print_scores(ConfusionMatrix(3, names=names).scores())
    out = capsys.readouterr().out
    assert "title [1]" in out and "[n]" in out
    assert [row[0] for row in cells(out)] == names * 2


def test_the_headline_of_scores_is_one_line(capsys):
    matrix = ConfusionMatrix(1)
    matrix.counts[0, 0] = 3
    print_scores(matrix.scores())
    assert "mean IoU 100.00 %, pixel accuracy 100.00 %" in capsys.readouterr().out
