"""What earlier runs found out about the same content, for a run with `--cache`."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from everest_secure.checks.cache import ResultCache, Results, key_of, program
from everest_secure.checks.contents import Digests, content_of
from everest_secure.checks.core import Check, Scope, Subject
from everest_secure.result import CheckResult, Outcome


class Memory:
    """Results by content: of a subject alone, and of checks that looked at what it lies in."""

    def __init__(self, cache: ResultCache, *, digests: Digests, policy: Any, day: date) -> None:  # noqa: ANN401 - any JSON value
        """`policy` is all that a policy decides, as JSON values; `day` counts because certificates expire."""
        self._cache, self._digests = cache, digests
        self._common = {"program": program(), "policy": policy, "day": day.isoformat()}
        self._learnt: dict[str, dict[str, CheckResult]] = {}
        self._kept: dict[str, Results] = {}
        self._keys: dict[tuple[Scope, str], tuple[str, ...]] = {}

    def known(self, scope: Scope, name: str, subject: Subject, checks: Mapping[int, Check]) -> Mapping[int, CheckResult]:
        """Return the results of those checks, by position, that need not be run again."""
        found: dict[str, CheckResult] = {}
        self._keys[scope, name] = self._both_keys(scope, name, subject)
        for key in self._keys[scope, name]:
            self._kept[key] = self._cache.get(key)
            found |= self._kept[key]
        return {number: found[_name(check)] for number, check in checks.items() if _name(check) in found}

    def learn(self, scope: Scope, name: str, check: Check, result: CheckResult, *, alone: bool) -> None:
        """Note a result; `alone` says that the check looked at nothing but the subject. An error is not kept, as the next run may do better."""
        keys = self._keys[scope, name]
        if keys and result.outcome is not Outcome.ERROR:
            self._learnt.setdefault(keys[0 if alone else 1], {})[_name(check)] = result

    def keep(self) -> None:
        """Write what was learnt."""
        for key, results in self._learnt.items():
            self._cache.put(key, {**self._kept.get(key, {}), **results})
        self._cache.tidy()

    def _both_keys(self, scope: Scope, name: str, subject: Subject) -> tuple[str, ...]:
        """Return the keys of results by the subject alone and by all around it; none where the content is not known."""
        content = content_of(subject, self._digests)
        if content is None:
            return ()
        return tuple(key_of(**self._common, scope=scope, name=name, content=digests) for digests in (content.own, content.around))


def _name(check: Check) -> str:
    return f"{check.requirement} {check.function.__module__}.{check.function.__qualname__} {check.title}"
