"""The method under check: its spec, its parameters, and how to create and fit it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from genebench._util.seeds import seed_everything
from genebench.conformance.base import Models, NothingToCheck, Params
from genebench.conformance.temporary_home import EASY, PROTOCOLS, open_dataset
from genebench.data.profiles import Profiles
from genebench.errors import UserError
from genebench.method import Context, Method, Model
from genebench.methods.device import resolve_device
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Job, Settings
from genebench.runs.plan import Request, make_plan
from genebench.specs import MethodSpec

STAND_INS = ("lsr", "knn-ge")
"""Methods that one which is made of others is checked with: quick, deterministic, and saved."""


class MethodUnderCheck:
    """A method with certain parameters, as it is checked.

    Attributes:
        spec: its spec.
        plugin: the plugin that offers it.
        preset: the preset of its parameters.
        overrides: parameter → value as typed, where it is not the preset's.
        params: the parameters in effect.
    """

    def __init__(
        self, name: str, *, preset: str = "tiny", overrides: Mapping[str, str] | None = None
    ) -> None:
        """Find an installed method.

        Args:
            name: its name.
            preset: the preset of its parameters.
            overrides: parameter → value, as typed.

        Raises:
            UserError: there is no such method or parameter, or a value is out of range.
        """
        self.spec: MethodSpec = registry().methods.get(name)
        self.plugin = registry().methods.plugins[name]
        self.preset, self.overrides = preset, dict(overrides or {})
        if self.spec.members:
            self.overrides.setdefault(self.spec.members, ",".join(STAND_INS))
        self.params = self.spec.values(preset, self.overrides)

    @cached_property
    def device(self) -> str:
        """The CPU if the method runs on it, else CUDA.

        Raises:
            NothingToCheck: this machine has no device that the method runs on.
        """
        try:
            return resolve_device("cpu" if "cpu" in self.spec.devices else "auto", self.spec)
        except UserError as error:
            raise NothingToCheck(str(error)) from error

    def create(self, params: Params | None = None) -> Method:
        """Return a new method with its parameters, or with others.

        Raises:
            Exception: any exception of the method.
        """
        method: Method = load_code(self.spec.code)(**(self.params if params is None else params))
        return method

    def fit(
        self,
        train: Profiles,
        validation_sets: Mapping[str, Profiles],
        params: Params | None = None,
        **settings: Any,
    ) -> Models:
        """Create the method and fit it, as a job does. Fit those that it is made of before.

        Args:
            train: the training profiles.
            validation_sets: protocol → its validation set.
            params: the parameters, if not those of this object.
            settings: fields of the :class:`Context`, where they are not the defaults.

        Raises:
            Exception: any exception of the method.
        """
        load_code(self.spec.code)
        if "device" not in settings:
            settings["device"] = self.device
        if self.spec.members:
            settings["members"] = self._members(train, validation_sets, params or self.params)
        context = Context(**settings)
        # Only now: the import of the method may be the first one of torch, which has a generator.
        seed_everything(context.seed)
        return self.create(params).fit(train, dict(validation_sets), context)

    def _members(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], params: Params
    ) -> dict[str, dict[str, Model]]:
        """Return protocol → method → its model, for the methods that this one is made of."""
        fitted = {
            name: MethodUnderCheck(name, preset=self.preset).fit(train, validation_sets)
            for name in self.spec.members_in(params)
        }
        return {
            protocol: {name: models[protocol] for name, models in fitted.items()}
            for protocol in validation_sets
        }

    def jobs(self, results: Path) -> list[Job]:
        """Return the jobs that ``genebench run`` would plan for this method.

        Those of methods that it is made of are executed.

        Args:
            results: the results folder.
        """
        request = Request(
            methods=[self.spec.name],
            protocols=list(PROTOCOLS),
            preset=self.preset,
            overrides={self.spec.name: self.overrides},
        )
        store = ResultsStore(results)
        store.prepare()
        plan = make_plan(request, open_dataset(EASY), EASY, registry(), store)
        settings = Settings(results=results, keep=frozenset({"model"}), sealed="off")
        for job in plan.members.values():
            execute(job, settings)
        return [job for job in plan.jobs if job.method.name == self.spec.name]
