"""The memory that is left: what the system tells, a container's limit, a share among processes."""

from subquad.base import memory
from subquad.base.memory import free_memory


def test_free_memory_is_a_number_of_this_machine():
    assert 2**26 < free_memory() < 2**50


def test_a_containers_limit_counts_what_is_used_and_not_only_cached(tmp_path):
    for folder, files in (
        (
            tmp_path / "two",
            {"memory.max": "1000", "memory.current": "700", "memory.stat": "inactive_file 200\n"},
        ),
        (
            tmp_path / "one" / "memory",
            {
                "memory.limit_in_bytes": "1000",
                "memory.usage_in_bytes": "700",
                "memory.stat": "cache 1\ntotal_inactive_file 200\n",
            },
        ),
        (tmp_path / "none", {"memory.max": "max"}),
    ):
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    found = [memory._left_by_container(tmp_path / name) for name in ("two", "one", "none", "nowhere")]
    assert found == [[500], [500], [], []]


def test_processes_that_train_together_plan_alike(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert free_memory() == free_memory()
    total = memory._numbers(memory.Path("/proc/meminfo"), ":")["MemTotal"] * 1024
    assert free_memory() == total // 2 // 2
