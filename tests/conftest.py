"""What the workflow tests and those on a cluster share."""

import pytest

from tests.workflow.project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The tiny study, run to its end without a disturbance."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.run()
    return project
