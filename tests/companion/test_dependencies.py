"""What a notebook's outputs depend on."""

from lastiterate.companion import dependencies


def test_a_notebook_that_runs_commands_depends_on_them_and_on_what_they_tell(repository):
    files = dependencies.signature(repository, "guide/recipes")
    assert {f"lib/lastiterate/cli/{name}" for name in ("evidence.json", "extend.py", "transfer.py")} <= set(files)
    assert "lib/lastiterate/cli/evidence.json" not in dependencies.signature(repository, "schaipp2025/horizons")
