from types import SimpleNamespace
from typing import Any

import pytest

from jsd.batch.ray_engine import _connect, plan_actors
from jsd.errors import InvalidInputError


def machine(num_cpus: int = 8, num_gpus: int = 0, *, alive: bool = True) -> dict[str, Any]:
    """As `ray.nodes` lists one: no GPU, no such key."""
    return {"Alive": alive, "Resources": {"CPU": num_cpus, "memory": 1e9} | ({"GPU": num_gpus} if num_gpus else {})}


@pytest.mark.parametrize(
    ("machines", "device", "num_workers", "actors"),
    [
        ([machine(num_gpus=4), machine(num_gpus=2), machine()], None, None, (6, 1)),
        ([machine(num_gpus=4), machine(num_gpus=2), machine()], "cuda", 3, (3, 1)),
        ([machine(num_gpus=4), machine(num_gpus=2), machine()], "cpu", None, (3, 0)),
        ([machine(), machine()], None, None, (2, 0)),
        ([machine(), machine()], None, 5, (5, 0)),
        ([machine(num_gpus=2, alive=False), machine(num_cpus=0, num_gpus=2), machine()], None, None, (1, 0)),
    ],
    ids=["GPUs", "GPUs and workers", "not the GPUs", "no GPU", "no GPU and workers", "none that can be used"],
)
def test_an_actor_a_gpu_else_an_actor_a_machine(
    machines: list[dict[str, Any]], device: str | None, num_workers: int | None, actors: tuple[int, int]
) -> None:
    assert plan_actors(machines, device, num_workers) == actors


def test_cuda_on_a_cluster_without_gpus_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="cuda"):
        plan_actors([machine()], "cuda", None)


def test_workers_of_a_cluster_that_runs_already_wait_for_each_other_as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read when a worker loads torch: before an actor is made of it."""
    asked: dict[str, Any] = {}
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    _connect(SimpleNamespace(init=lambda address, **options: asked.update(options)), "auto")
    assert asked["runtime_env"] == {"env_vars": {"OMP_WAIT_POLICY": "active"}}
