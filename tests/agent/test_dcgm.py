"""DCGM's diagnostics: a program on PATH that answers as dcgmi 3 and 4 do, and what becomes of its answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_deep_checks import order, program
from tocsin.agent.deep import dcgm
from tocsin.agent.deep.gpus import burn
from tocsin.model.deep import DeepKind

DBE = "A DBE has been detected in the framebuffer of GPU 3."
PERSISTENCE = "Persistence mode for GPU 0 is disabled."
CONFIG, ISOLATE, MONITOR, RESET = 5, 2, 1, 6


def three(**tests: Any) -> dict[str, Any]:
    """As DCGM 3 tells it: GPUs by their number, warnings as texts."""
    told = [{"name": name.replace("_", " "), "results": results} for name, results in tests.items()]
    return {"DCGM GPU Diagnostic": {"test_categories": [{"category": "any", "tests": told}], "version": "3.3.9"}}


def four(**tests: Any) -> dict[str, Any]:
    """As DCGM 4 tells it: parts by kind and number, warnings with a severity."""
    told = [
        {"name": name, "results": results, "test_summary": {"status": results[0]["status"]}}
        for name, results in tests.items()
    ]
    groups = [{"entity_group": "GPU", "entity_group_id": 1, "entities": [{"entity_id": 0}]}]
    return {
        "DCGM Diagnostic": {"test_categories": [{"category": "any", "tests": told}]},
        "entity_groups": groups,
        "metadata": {"version": "4.2.3", "Driver Version Detected": "580.82.09"},
    }


def of_gpu(number: int, status: str, *warned: tuple[str, int]) -> dict[str, Any]:
    warnings = [
        {"warning": words, "error_id": 29, "error_category": 8, "error_severity": severity}
        for words, severity in warned
    ]
    told = {"entity_group": "GPU", "entity_id": number, "status": status}
    return {**told, "warnings": warnings} if warnings else told


ANSWERS = [
    (three(Denylist=[{"gpu_ids": "0,1", "status": "Pass"}]), "passed", "1 results passed"),
    (
        three(GPU_Memory=[{"gpu_id": "3", "status": "Fail", "warnings": [DBE]}, {"gpu_id": "4", "status": "Pass"}]),
        "failed",
        f"GPU Memory of GPU 3: {DBE}",
    ),
    (three(GPU_Memory=[{"gpu_id": "3", "status": "FAIL", "warnings": DBE}]), "failed", f"GPU Memory of GPU 3: {DBE}"),
    (three(Persistence_Mode=[{"gpu_ids": "0,1", "status": "Fail", "warnings": PERSISTENCE}]), "skipped", PERSISTENCE),
    (three(PCIe=[{"gpu_id": "0", "status": "Skip"}]), "skipped", "DCGM skipped all its tests"),
    (four(software=[of_gpu(0, "Pass")], memory=[of_gpu(0, "Pass"), of_gpu(1, "Pass")]), "passed", "3 results passed"),
    (four(memory=[of_gpu(0, "Pass"), of_gpu(1, "Fail", (DBE, ISOLATE))]), "failed", f"memory of GPU 1: {DBE}"),
    (four(memory=[of_gpu(1, "Fail", (DBE, RESET))]), "failed", f"memory of GPU 1: {DBE}"),
    (four(memory=[of_gpu(1, "Fail")]), "failed", "memory of GPU 1: no reason is told"),
    (
        four(software=[of_gpu(0, "Fail", (PERSISTENCE, CONFIG))], memory=[of_gpu(0, "Skip")]),
        "skipped",
        f"software of GPU 0: {PERSISTENCE}",
    ),
    (
        four(software=[of_gpu(0, "Fail", (PERSISTENCE, CONFIG))], memory=[of_gpu(0, "Pass")]),
        "passed",
        f"1 results passed; not about the hardware: software of GPU 0: {PERSISTENCE}",
    ),
    (four(pcie=[of_gpu(0, "Fail", ("Correctable errors", MONITOR), (DBE, ISOLATE))]), "failed", DBE),
    ({"DCGM Diagnostic": {"version": "4.2.3", "runtime_error": "CUDA cannot be initialised"}}, "failed", "CUDA cannot"),
    (
        {"DCGM Diagnostic": {"version": "4.2.3", "runtime_error": "Unable to run diagnostic on unsupported GPU 0."}},
        "skipped",
        "unsupported GPU 0",
    ),
]


@pytest.mark.parametrize(("answer", "outcome", "detail"), ANSWERS)
def test_an_answer_of_dcgm_fails_only_for_what_it_says_of_the_hardware(
    answer: dict[str, Any], outcome: str, detail: str
) -> None:
    printed = f"Successfully ran diagnostic for group.\n{json.dumps(answer)}\n".encode()
    found = dcgm.judged(printed, b"", 226)  # whatever the exit code
    assert found[0] == outcome
    assert detail in found[1]


@pytest.mark.parametrize(
    ("output", "code", "outcome"),
    [
        (b"Error: unable to establish a connection to the specified host: localhost", 255, "skipped"),
        (b"Segmentation fault", 139, "failed"),
        (b"{not json}", 1, "failed"),
        (b'{"something": "else"}', 0, "skipped"),
    ],
)
def test_no_answer_is_no_proof_where_nothing_was_tested(output: bytes, code: int, outcome: str) -> None:
    found = dcgm.judged(output, b"", code)
    assert (found[0], f"exit code {code}" in found[1]) == (outcome, True)


def test_diagnostics_that_fail_fail_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps(four(memory=[of_gpu(3, "Fail", (DBE, ISOLATE))]))
    program(tmp_path, "dcgmi", f"[ \"$*\" = 'diag -r 3 -j' ] && echo '{answer}'; exit 205")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    found = {one.test: one for one in burn(order(DeepKind.STRESS, dcgm_level=3), tmp_path)}
    told = found["DCGM diagnostics level 3"]
    assert (told.outcome, told.detail) == ("failed", f"memory of GPU 3: {DBE}")


def test_diagnostics_that_hang_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "dcgmi", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert "did not end within 0.1 s" in dcgm.diagnose(1, 0.1).detail
