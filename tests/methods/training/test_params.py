"""The loop's parameters, declared once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genebench.methods.training.params import training_params


def test_a_method_puts_in_its_own_defaults_and_presets():
    params = {p.name: p for p in training_params(minutes=0.25, epochs={"small": 20, "paper": 500})}
    assert params["minutes"].default == 0.25
    assert [params["epochs"].value_for(preset) for preset in ("tiny", "small", "paper")] == [
        20, 20, 500,
    ]  # fmt: skip
    assert params["batch"].default == 200
    assert params["patience"].value_for("paper") == 0


def test_a_parameter_that_the_loop_lacks_is_refused():
    with pytest.raises(TypeError, match="no parameter epoch"):
        training_params(epoch=3)


def test_declaring_imports_nothing_heavy():
    code = (
        "import sys, genebench.training; genebench.training.training_params; "
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()"]
