"""What a GPU must reach whatever its group reached before: the net below baselines (facts/health.md §3.3).

Peaks are the data sheets' (bf16 and fp16 dense, HBM, PCIe x16 of its generation); floors between 0.4 and 1.0 of them.
"""

from msgspec import Struct


class Floor(Struct, frozen=True):
    floor: float
    peak: float


# By a part of the model's name as the driver tells it, then by metric.
FLOORS: dict[str, dict[str, Floor]] = {
    "A100-SXM4-80GB": {
        "gpu-bf16-tflops": Floor(220, 312),
        "gpu-fp16-tflops": Floor(220, 312),
        "gpu-hbm-gbs": Floor(1173, 2040),
        "gpu-pcie-gbs": Floor(21, 31.5),
    },
    "H100 80GB HBM3": {
        "gpu-bf16-tflops": Floor(600, 989),
        "gpu-fp16-tflops": Floor(600, 989),
        "gpu-hbm-gbs": Floor(1905, 3350),
        "gpu-pcie-gbs": Floor(48, 63),
    },
    "H200": {
        "gpu-bf16-tflops": Floor(600, 989),
        "gpu-fp16-tflops": Floor(600, 989),
        "gpu-hbm-gbs": Floor(2212, 4800),
        "gpu-pcie-gbs": Floor(48, 63),
    },
    "B200": {
        "gpu-bf16-tflops": Floor(1300, 2250),
        "gpu-fp16-tflops": Floor(1300, 2250),
        "gpu-hbm-gbs": Floor(4072, 8000),
        "gpu-pcie-gbs": Floor(48, 63),
    },
}


def sheet_of(model: str, metric: str) -> Floor | None:
    return next((floors[metric] for name, floors in FLOORS.items() if name in model and metric in floors), None)


def floor_of(model: str, metric: str) -> float:
    """0: none is known."""
    sheet = sheet_of(model, metric)
    return sheet.floor if sheet else 0.0
