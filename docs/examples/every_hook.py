"""Every hook of genebench, each in a few lines.

Try it with ``genebench list plugins --plugin every_hook.py``.
"""
# ruff: noqa: ANN001, ANN201, ANN202, ANN204, ARG001, ARG002, D101, D102, D103, T201

from __future__ import annotations

import json
import logging

from genebench import Method, Model, hookimpl
from genebench.reports.report import Report, Row, Section, Table
from genebench.specs import (
    DatasetSpec,
    EngineSpec,
    FormatSpec,
    MethodSpec,
    MetricSpec,
    Param,
    Part,
    ProtocolSpec,
    ReporterSpec,
    ReportSpec,
    SplitSpec,
)

genebench_contract = 1

log = logging.getLogger("genebench")


@hookimpl
def genebench_methods():
    return [
        MethodSpec(
            name="shrunk-mean",
            title="Shrunk mean",
            summary="a share of each target's mean over the training profiles",
            code="every_hook:ShrunkMean",
            params=(
                Param(name="share", default=0.5, minimum=0, maximum=1, help="share of the mean"),
            ),
        )
    ]


class ShrunkMean(Method):
    def fit(self, train, validation_sets, context):
        context.progress(1, 1, "taking means")
        model = Constant(self.params["share"] * train.targets.mean(axis=0))
        return dict.fromkeys(validation_sets, model)

    def restore(self, tensors, context):
        return Constant(tensors["values"])


class Constant(Model):
    def __init__(self, values):
        self.values = values
        self.n_parameters = len(values)

    def predict(self, landmarks):
        return self.values[None, :].repeat(len(landmarks), axis=0)

    def tensors(self):
        return {"values": self.values}


@hookimpl
def genebench_metrics():
    return [
        MetricSpec(
            name="bias",
            title="Bias",
            summary="absolute mean of prediction less truth",
            code="every_hook:bias",
            unit="standard deviations of the gene",
            direction="lower",
            best=0.0,
        )
    ]


def bias(truth, prediction):
    return abs((prediction - truth).mean(axis=0))


@hookimpl
def genebench_splits():
    return [
        SplitSpec(
            name="tissue",
            title="By tissue",
            summary="the first two tissues for validation and test, the others for training",
            code="every_hook:by_tissue",
        )
    ]


def by_tissue(profiles, seed):
    tissues = sorted(set(profiles["tissue"]))
    held_out = {tissues[0]: "validation", tissues[1]: "test"}
    return [held_out.get(tissue, "train") for tissue in profiles["tissue"]]


@hookimpl
def genebench_protocols():
    return [
        ProtocolSpec(
            name="lcl",
            title="GEO → 1000 Genomes",
            summary="as gtex, with the two RNA-seq platforms the other way round",
            train=Part(platform="geo", split="train"),
            validation=Part(platform="gtex"),
            test=Part(platform="1000g"),
        )
    ]


@hookimpl
def genebench_datasets():
    return [DatasetSpec(name="noise", title="Random numbers", code="every_hook:noise")]


def noise(preset):
    import numpy as np
    import pandas as pd

    from genebench.preprocessing.compendium import Compendium, Platform

    rng = np.random.default_rng(0)
    ids = [f"ENSG{number:011d}" for number in range(30)]
    genes = pd.DataFrame({"symbol": ids, "probes": ""}, index=ids)
    platforms = {}
    for name, count in {"geo": 200, "1000g": 40, "gtex": 40}.items():
        profiles = [f"{name}-{number}" for number in range(count)]
        reader = in_memory(name, ids, profiles, rng.normal(8, 2, (count, len(ids))))
        platforms[name] = Platform(reader=reader, ids="ensembl")
    return Compendium(
        name="noise",
        title="Random numbers",
        landmarks=genes.iloc[:10],
        targets=genes.iloc[10:],
        platforms=platforms,
        origin={"kind": "simulated"},
    )


@hookimpl
def genebench_formats():
    return [
        FormatSpec(
            name="json",
            title="JSON: genes, profiles, and values by profile",
            suffixes=(".json",),
            reader="every_hook:read_json",
        )
    ]


def read_json(path):
    content = json.loads(path.read_text("utf-8"))
    return in_memory(str(path), content["genes"], content["profiles"], content["values"])


def in_memory(source, genes, profiles, values):
    import numpy as np
    import pandas as pd

    from genebench.formats.base import Reader

    class ArrayReader(Reader):
        def __init__(self):
            self.source = source
            self.gene_ids = pd.Index(genes)
            self.profiles = pd.DataFrame(index=pd.Index(profiles))
            self.values = np.array(values, dtype=float)

        def blocks(self, genes, size=1024):
            for start in range(0, len(self.profiles), size):
                block = self.values[start : start + size, genes]
                self.check_finite(block, start, genes)
                yield block

    return ArrayReader()


@hookimpl
def genebench_engines():
    return [EngineSpec(name="backwards", title="the last job first", code="every_hook:backwards")]


def backwards(jobs, settings):
    from genebench.runs.execute import execute

    for job in reversed(list(jobs)):
        execute(job, settings)
        yield job


@hookimpl
def genebench_reports():
    return [
        ReportSpec(
            name="slowest",
            title="Slowest fits",
            summary="seconds of fitting, the slowest result first",
            code="every_hook:SlowestReport",
        )
    ]


class SlowestReport(Report):
    def sections(self):
        rows = [Row((name, f"{seconds:.1f}")) for name, seconds in self.values().to_numpy()]
        yield Section("slowest fits", (Table("seconds of fitting", ("method", "s"), tuple(rows)),))

    def values(self):
        import pandas as pd

        rows = [(r.identity.method, r.seconds.get("fit", 0.0)) for r in self.records]
        return pd.DataFrame(rows, columns=["method", "fit"]).sort_values("fit", ascending=False)


@hookimpl
def genebench_reporters():
    return [ReporterSpec(name="keys", title="one key a line", code="every_hook:keys")]


def keys(report):
    return "\n".join(record.key for record in report.records)


@hookimpl
def genebench_commands(app):
    @app.command("protocols", help="Print the names of the protocols of this plugin.")
    def protocols():
        print(*(spec.name for spec in genebench_protocols()))


@hookimpl
def genebench_job_started(job):
    log.warning("%s: started", job.label)


@hookimpl
def genebench_job_progressed(job, done, total, message):
    log.warning("%s: %d of %d, %s", job.label, done, total, message)


@hookimpl
def genebench_job_finished(job, records):
    for record in records:
        log.warning("%s: %s", job.label, record.status)
