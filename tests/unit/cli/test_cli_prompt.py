import json

from click.testing import CliRunner

from cody.cli.group import main


def prompt(*arguments: str, stdin: str = ""):
    return CliRunner().invoke(main, ["prompt", *arguments], input=stdin)


def test_the_prompt_is_printed_without_a_service(tmp_path):
    (tmp_path / "state.md").write_text("so far\n")
    result = prompt("--prompt", "Work", "--state-file", "state.md", "--working-dir", str(tmp_path))
    assert result.exit_code == 0
    text = result.stdout
    assert (
        text.index("Work") < text.index("=== CURRENT STATE ===") < text.index("so far") < text.index("=== BEGIN WORK")
    )


def test_a_request_gives_the_same_prompt(tmp_path):
    (tmp_path / "design.md").write_text("plan\n")
    body = {
        "agent": {"kind": "command", "command": ["x"]},
        "working_dir": str(tmp_path),
        "prompt": {"template": "Work", "reference_files": ["design.md"]},
    }
    by_request = prompt("--request", "-", stdin=json.dumps(body))
    by_options = prompt("--prompt", "Work", "--reference-file", "design.md", "--working-dir", str(tmp_path))
    assert by_request.exit_code == by_options.exit_code == 0
    assert by_request.stdout == by_options.stdout
    assert "plan" in by_request.stdout


def test_what_is_wrong_is_named(tmp_path):
    away = prompt("--state-file", "../x", "--working-dir", str(tmp_path))
    assert away.exit_code == 2
    assert "state_files.0" in away.output
    unknown = prompt("--request", "-", stdin='{"agent": {"kind": "command", "command": ["x"]}, "prompts": ""}')
    assert unknown.exit_code == 2
    assert "prompts" in unknown.output
    both = prompt("--request", "-", "--prompt", "x", stdin="{}")
    assert both.exit_code == 2


def test_an_unreadable_file_is_an_error_with_its_path(tmp_path):
    (tmp_path / "state.md").mkdir()
    result = prompt("--state-file", "state.md", "--working-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "state.md" in result.output
