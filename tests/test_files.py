"""Files that are never half written."""

import pytest

from fnlearn import files


def test_the_file_takes_its_place_whole(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["data.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("old")

    def interrupted():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["data.txt"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No such file"), files.replacing(tmp_path / "nowhere" / "data.txt"):
        pytest.fail("nothing can be written there")
