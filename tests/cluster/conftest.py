"""One Slurm for all tests of this folder, or a reason why there is none."""

import pytest

from tests.cluster.slurm import OneMachineSlurm, search_path, why_not


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with (
        pytest.MonkeyPatch.context() as patch,
        OneMachineSlurm(tmp_path_factory.mktemp("slurm")) as cluster,
    ):
        patch.setenv("PATH", search_path())
        yield cluster
