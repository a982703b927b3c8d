import pytest

from kubeberth.cluster.datadir import DataDir, Running, Settings
from kubeberth.errors import UsageError


def test_a_new_folder_is_prepared_and_remembers_its_settings(tmp_path):
    datadir = DataDir(tmp_path / "new")
    assert not datadir.exists()
    assert datadir.prepare() == Settings()
    datadir.save(Settings(port=7000))
    assert DataDir(tmp_path / "new").prepare() == Settings(port=7000)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and no kubeberth data directory"):
        DataDir(tmp_path).prepare()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_data_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file: name a folder"):
        DataDir(tmp_path / "file").prepare()


def test_a_damaged_marker_is_named(tmp_path):
    datadir = DataDir(tmp_path)
    datadir.prepare()
    (tmp_path / "kubeberth.json").write_text("{")
    with pytest.raises(UsageError, match=r"kubeberth\.json is damaged"):
        datadir.prepare()


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path):
    datadir = DataDir(tmp_path)
    datadir.prepare()
    datadir.save(Settings(format=99))
    with pytest.raises(UsageError, match="written by a newer kubeberth"):
        datadir.prepare()


def test_a_folder_holds_one_running_cluster(tmp_path):
    datadir = DataDir(tmp_path)
    datadir.prepare()
    assert datadir.running() is None
    with datadir.lock():
        datadir.save_running(Running(1, "https://x", 0.0))
        assert DataDir(tmp_path).running() == Running(1, "https://x", 0.0)
        with pytest.raises(UsageError, match="a cluster already runs in"):
            DataDir(tmp_path).lock()
    assert datadir.running() is None
