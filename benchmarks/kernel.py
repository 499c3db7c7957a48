"""Kernel ridge against scikit-learn: exact, with Nyström centres, and at the published size.

Both sides compare every λ (and width) by MAE on the same validation profiles. They use the RBF
kernel, which scikit-learn computes in compiled code, the same threads and float32 input in memory.
Processor time, best with ``--threads 1``, is disturbed least by other work.

``--part paper`` fits 10,000 centres, one width and eight λ on a prepared dataset, for the protocols
geo and gtex together. It prints time and peak memory.

Usage: ``python benchmarks/kernel.py [--part exact|nystrom|paper] [--threads 2]``
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge as Peer
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from genebench import Context, Profiles
from genebench._util.threads import cpu_count
from genebench_kernel import PARAMS
from genebench_kernel.kernels import median_squared_distance
from genebench_kernel.method import KernelRidge

LAMBDAS = np.geomspace(1e-2, 10, 8)
Result = tuple[float, float, float]
"""Chosen width, chosen λ, and their MAE."""


def correlated(
    profiles: int, validation: int, landmarks: int, targets: int
) -> tuple[Profiles, Profiles]:
    """Generate training and validation profiles of forty shared factors, and noise."""
    random = np.random.default_rng(0)
    loadings = random.normal(size=(40, landmarks + targets)) / 6
    factors = random.standard_normal((profiles + validation, 40))
    values = np.tanh(factors @ loadings)
    values += 0.6 * random.standard_normal(values.shape)
    parts = values[:profiles], values[profiles:]
    return tuple(Profiles.from_arrays(v[:, :landmarks], v[:, landmarks:]) for v in parts)


def timed(work: Callable[[], Result]) -> tuple[np.ndarray, Result]:
    """Return the seconds of some work, of the clock and of processors, and its result."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def method(widths: np.ndarray, **params: object) -> KernelRidge:
    """Return our method for some widths and the λ of this script."""
    values = {param.name: param.default for param in PARAMS}
    grids = {
        "width_min": widths[0], "width_max": widths[-1], "widths": len(widths),
        "lambda_min": LAMBDAS[0], "lambda_max": LAMBDAS[-1], "lambdas": len(LAMBDAS),
    }  # fmt: skip
    return KernelRidge(**(values | grids | params))


def ours(train: Profiles, validation: Profiles, widths: np.ndarray, centres: int = 0) -> Result:
    """Return the choice of the plugin."""
    fitted = method(widths, kernel="rbf", centres=centres)
    model = fitted.fit(train, {"validation": validation}, Context())["validation"]
    return model.choices["width"], model.choices["lambda"], min(model.curves["path"]["mae"])


def peer(
    train: Profiles, validation: Profiles, widths: np.ndarray, centres: int = 0,
    *, once: bool = False,
) -> Result:  # fmt: skip
    """Return the best width and λ of scikit-learn, with a fit for each.

    Args:
        train: training profiles.
        validation: validation profiles.
        widths: widths in units of the median squared distance.
        centres: number of centres for Nystroem and Ridge, or 0 for KernelRidge.
        once: compute the features of Nystroem once for all λ.
    """
    x, y = train.landmarks, train.targets
    unit, mean = median_squared_distance(torch.from_numpy(x)), y.mean(axis=0)
    results = []
    for width in widths.tolist():
        gamma = 1 / (width * unit)
        kept = None
        for penalty in LAMBDAS.tolist():
            if centres:
                if kept is None or not once:
                    features = Nystroem(gamma=gamma, n_components=centres, random_state=0).fit(x)
                    kept = features.transform(x), features.transform(validation.landmarks)
                ridge = Ridge(alpha=penalty, fit_intercept=False).fit(kept[0], y - mean)
                predicted = ridge.predict(kept[1])
            else:
                ridge = Peer(alpha=penalty, kernel="rbf", gamma=gamma).fit(x, y - mean)
                predicted = ridge.predict(validation.landmarks)
            error = np.abs(predicted + mean - validation.targets).mean()
            results.append((width, penalty, float(error)))
    return min(results, key=lambda result: result[2])


def table(sides: dict[str, Callable[[], Result]]) -> None:
    """Measure the sides, ours first, and print their times and choices."""
    print("| | s | processor s | width | λ | MAE | × ours | in processor s |")
    print("|---|---|---|---|---|---|---|---|")
    mine = None
    for name, work in sides.items():
        spent, (width, penalty, error) = timed(work)
        mine = spent if mine is None else mine
        cells = [*(f"{part:.1f}" for part in spent), f"{width:.3g}", f"{penalty:.3g}"]
        ratios = [f"{part:.1f}" for part in spent / mine]
        print(f"| {' | '.join([name, *cells, f'{error:.4f}', *ratios])} |", flush=True)


def exact(targets: int) -> None:
    """Compare exact fits of 5,000 profiles, three widths and eight λ."""
    sets, widths = correlated(5_000, 600, 943, targets), np.array([1.0, 2.0, 4.0])
    table(
        {
            "`kernel-ridge`, exact": lambda: ours(*sets, widths),
            "`KernelRidge` for each width and λ": lambda: peer(*sets, widths),
        }
    )


def nystrom() -> None:
    """Compare 2,000 centres of 20,000 profiles, 2,000 targets, one width and eight λ."""
    sets, widths = correlated(20_000, 2_000, 943, 2_000), np.array([2.0])
    table(
        {
            "`kernel-ridge`, 2,000 centres": lambda: ours(*sets, widths, 2_000),
            "`Nystroem` and `Ridge` for each λ": lambda: peer(*sets, widths, 2_000),
            "`Nystroem` once, `Ridge` for each λ": lambda: peer(*sets, widths, 2_000, once=True),
        }
    )


def paper(dataset: str, preset: str | None) -> None:
    """Measure both protocols on a prepared dataset, with 10,000 centres, one width and eight λ."""
    import genebench

    geo, gtex = (genebench.load(dataset, name, preset=preset) for name in ("geo", "gtex"))
    sets = {"geo": geo.validation, "gtex": gtex.validation}

    def fit() -> Result:
        began = time.perf_counter()

        def progress(done: int, total: int, what: str) -> None:
            if done == total:
                print(f"{what}: done after {time.perf_counter() - began:.0f} s", flush=True)

        models = method(np.array([1.0]), centres=10_000).fit(
            geo.train, sets, Context(progress=progress)
        )
        for name, model in models.items():
            print(name, dict(model.choices), f"MAE {min(model.curves['path']['mae']):.4f}")
        return 0.0, 0.0, 0.0

    spent, _ = timed(fit)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{spent[0]:.0f} s, {spent[1]:.0f} processor s, peak {peak:.1f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("exact", "nystrom", "paper"), action="append")
    parser.add_argument("--targets", type=int, default=9_520, help="targets of the exact fits")
    parser.add_argument("--dataset", default="sim", help="prepared dataset of --part paper")
    parser.add_argument("--preset", default="paper", help="its preset")
    parser.add_argument("--threads", type=int, default=cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        for part in arguments.part or ("exact", "nystrom"):
            if part == "exact":
                exact(arguments.targets)
            elif part == "nystrom":
                nystrom()
            else:
                paper(arguments.dataset, arguments.preset)
