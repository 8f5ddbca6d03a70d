"""The GPUs of this machine under the agent's own checks, against their data sheets. `python -m bench.gpu --seconds 60`.

Ends with 0 when all is well, 1 when a GPU is wrong or below its floor, 2 when there is none that could be measured.
"""

import argparse
import sys

from tocsin.agent.deep import gpus
from tocsin.core.deep.floors import sheet_of
from tocsin.model.deep import CheckResult

NOTHING_TO_MEASURE = 2


def shown(result: CheckResult) -> bool:
    """Print a result; whether it is well."""
    if result.outcome != "passed":
        print(f"  {result.test:<20} {result.outcome}: {result.detail}")
        return result.outcome != "failed"
    sheet = sheet_of(result.model, result.metric)
    floor, peak = (f"{sheet.floor:8.1f}", f"{100 * result.value / sheet.peak:5.1f} %") if sheet else ("unknown", "")
    low = bool(sheet and result.value < sheet.floor)
    print(f"  {result.test:<20} {result.value:8.1f} {result.unit:<8} {floor:>8} {peak:>8}  {'LOW' if low else ''}")
    return not low


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the matrix product of each GPU")
    asked = parser.parse_args()
    work, missing = gpus.found()
    if work is None:
        print(f"Nothing to measure: {missing}.", file=sys.stderr)
        return NOTHING_TO_MEASURE
    well = True
    for gpu in range(work.count()):
        print(f"GPU {gpu}, {work.name(gpu)}, by {type(work).__name__}")
        print("  test                 measured             floor  of peak")
        well = not [one for one in gpus.burn_one(work, gpu, asked.seconds) if not shown(one)] and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
