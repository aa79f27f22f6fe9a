from pathlib import Path

import pytest

from cody.agents.prompt import PromptError, build
from cody.contract.requests import PromptSpec


def test_the_parts_stand_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_text("# log\n\n")
    (tmp_path / "design.md").write_text("ä\n")
    spec = PromptSpec(template="Work.\n", state_files=["log.md", "missing.md"], reference_files=["design.md"])
    assert build(tmp_path, spec) == (
        "Work.\n\n=== CURRENT STATE ===\n\n## log.md\n\n# log\n\n=== REFERENCE ===\n\n## design.md\n\nä\n\n"
        "=== BEGIN WORK ===\n"
    )


def test_what_is_not_asked_for_is_not_there(tmp_path: Path) -> None:
    assert build(tmp_path, PromptSpec(template="Work.")) == "Work.\n\n=== BEGIN WORK ===\n"
    assert build(None, PromptSpec()) == "=== BEGIN WORK ===\n"


def test_a_section_without_files_yet_still_has_its_place(tmp_path: Path) -> None:
    assert build(tmp_path, PromptSpec(state_files=["x"])) == "=== CURRENT STATE ===\n\n=== BEGIN WORK ===\n"


@pytest.mark.parametrize("kind", ["directory", "binary", "outside", "loop"])
def test_an_unreadable_file_is_named(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    bad = root / "bad.md"
    if kind == "directory":
        bad.mkdir()
    elif kind == "binary":
        bad.write_bytes(b"\xff")
    elif kind == "outside":
        (tmp_path / "out.md").write_text("secret")
        bad.symlink_to(tmp_path / "out.md")
    else:
        bad.symlink_to(bad)
    with pytest.raises(PromptError, match=r"bad\.md") as error:
        build(root, PromptSpec(state_files=["bad.md"]))
    assert error.value.path == "bad.md"


def test_a_missing_reference_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"ref\.md: does not exist"):
        build(tmp_path, PromptSpec(reference_files=["ref.md"]))


def test_a_symlink_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("real")
    (tmp_path / "link.md").symlink_to("real.md")
    assert "real\n" in build(tmp_path, PromptSpec(state_files=["link.md"]))


def test_a_nul_which_no_database_or_provider_takes_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_bytes(b"a\0b\n")
    assert "## log.md\n\na\N{REPLACEMENT CHARACTER}b\n" in build(tmp_path, PromptSpec(state_files=["log.md"]))
