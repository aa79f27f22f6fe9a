import pytest

from cody.agents.patterns import Globs


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("**/*", "a", True),
        ("**/*", "a/b", True),
        ("*", "a/b", False),
        ("*.py", "a.py", True),
        ("**/*.py", "a.py", True),
        ("**/*.py", "x/y/a.py", True),
        ("src/**", "src/a/b", True),
        ("src/**", "srcs/a", False),
        ("src/**/b", "src/b", True),
        ("src/", "src/a", True),
        ("build", "build/a/b", True),
        ("a?c", "a/c", False),
        ("[!a]x", "bx", True),
        ("[!a]x", "/x", False),
        ("[a-c]x", "bx", True),
        ("[x", "[x", True),
        ("[z-a]", "[z-a]", True),
        ("a.b", "axb", False),
        ("./a", "a", True),
        ("*" * 50 + "x", "a" * 5000, False),
        ("new\nline", "new\nline", True),
        ("*", "new\nline", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    assert Globs([glob]).match(path) is matches


@pytest.mark.parametrize(
    ("glob", "directory", "all_below"),
    [
        (".git/**", ".git", True),
        ("**/node_modules/**", "a/node_modules", True),
        ("build", "build", True),
        ("docs/*", "docs", False),
        ("*", "a", False),
        ("**/*.pyc", "a", False),
        (".git/**", "a", False),
    ],
)
def test_a_directory_is_pruned_only_if_all_below_it_is_meant(glob: str, directory: str, all_below: bool) -> None:
    assert Globs([glob]).match_all_below(directory) is all_below


def test_no_globs_mean_nothing() -> None:
    assert not Globs([]).match("a")
    assert not Globs([]).match_all_below("a")
