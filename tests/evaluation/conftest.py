"""Fewer simulations than users get: only the tests of calibration need to know the ECE's interval well."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def few_resamples(request):
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_calibration"):
            patch.setattr("constitutional.evaluation.calibration.RESAMPLES", 200)
        yield
