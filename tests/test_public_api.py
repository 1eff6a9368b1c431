"""The public API: its names are a promise, so a change of them is a change of this file."""

import asyncio
import inspect
import subprocess
import sys

import pytest

import constitutional

NAMES = [
    "AcceptSettings",
    "AuditReport",
    "Chain",
    "Choice",
    "CompareSettings",
    "Comparison",
    "Constitution",
    "ConstitutionalError",
    "DataSettings",
    "Engine",
    "EngineSettings",
    "Generation",
    "JobOptions",
    "Label",
    "LabelSettings",
    "Message",
    "MixSettings",
    "Preference",
    "Principle",
    "Prompt",
    "PromptSet",
    "RedteamSettings",
    "Report",
    "ReviseSettings",
    "Round",
    "Sampling",
    "ScoreSettings",
    "ScriptedEngine",
    "Vote",
    "__version__",
    "audit_labeler",
    "audit_labeler_async",
    "build_comparisons",
    "build_comparisons_async",
    "build_sl_cai",
    "build_sl_cai_async",
    "compare",
    "join_responses",
    "join_responses_async",
    "label",
    "label_comparisons",
    "label_comparisons_async",
    "load_constitution",
    "load_prompt_set",
    "mix_preferences",
    "open_engine",
    "read_comparisons",
    "read_preferences",
    "read_prompts",
    "read_responses",
    "redteam",
    "respond",
    "revise",
    "score",
    "score_responses",
    "score_responses_async",
    "write_redteam_prompts",
    "write_redteam_prompts_async",
]


def test_the_names_are_these_in_order():
    assert constitutional.__all__ == NAMES == sorted(NAMES) == dir(constitutional)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported_and_says_what_it_is(name):
    found = getattr(constitutional, name)
    if name != "__version__":
        assert found.__doc__ and found.__name__ == name
        assert found.__module__.startswith("constitutional.")


def test_any_other_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'constitutional' has no attribute 'revize'"):
        constitutional.revize  # noqa: B018


def test_importing_everything_at_once_loads_no_model_library():
    program = (
        "import sys\nfrom constitutional import *\n"
        "print(sorted({'torch', 'transformers', 'vllm', 'datasets', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_the_package_loads_nothing_else_of_it():
    program = "import sys, constitutional; print([name for name in sys.modules if name.startswith('constitutional.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", [name for name in NAMES if f"{name}_async" in NAMES])
def test_inside_a_running_event_loop_the_function_to_await_is_named(name):
    function = getattr(constitutional, name)
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]

    async def call():
        function(*("nothing" for _ in needed))

    with pytest.raises(constitutional.ConstitutionalError, match=rf"await {name}_async\(…\)"):
        asyncio.run(call())
