from stepladder.report.html.network_view import view_network


def test_the_network_of_a_recipe(complete_study, tmp_path):
    view = view_network(complete_study(tmp_path, rungs=2, seeds=1, epochs=1), "standardize", None)
    assert view.rung == "standardize"
    assert view.line == "conv3-4 pool2 fc16 fc"
    assert [row[0] for row in view.table().rows] == ["conv1", "relu1", "pool1", "flatten", "fc1", "relu2", "fc2"]
    assert "16,682 weights" in view.words


def test_a_recipe_without_a_network_has_none(make_study):
    assert view_network(make_study(rungs=1, seeds=1, epochs=1), None, None) is None
