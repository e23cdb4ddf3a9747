"""The models of a house: those of this machine, with the settings that its processes find them by."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from app.imports import index_library
from app.shop import DEMO
from deploy.local_models import check_packages, free_ports, local_settings, running
from graph.settings import GraphSettings
from runtime.home import Home


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The extra `local-model` in a house."""

    home: Home
    settings: Mapping[str, str]
    meaning_port: int

    @classmethod
    def of(cls, home: Home) -> "LocalModels":
        """Raises NoLocalModels where the packages are not there."""
        check_packages()
        language, meaning = free_ports(2)
        ports = {"LANGUAGE_PORT": str(language), "MEANING_PORT": str(meaning)}
        return cls(home, {**local_settings(home.folder, language, meaning), **ports}, meaning)

    @contextmanager
    def running(self, *, language: bool) -> "Iterator[LocalModels]":
        """The model of meaning, and that of language where it is wanted, for as long as the block takes."""
        with ExitStack() as stack:
            stack.enter_context(running("meaning", self.meaning_port))
            if language:
                stack.enter_context(running("language", int(self.settings["LANGUAGE_PORT"])))
            yield self

    async def read_library(self, url: str, on_progress: Callable[[int, int], None]) -> None:
        """Let the model of meaning read what it has not read of the demo shop's policy. Raises NoLocalModels.

        The settings are those of this process by then.
        """
        settings = GraphSettings(
            database_url=SecretStr(url), intake_keys=self.home.public_keys_file("intake")
        )
        with running("meaning", self.meaning_port):
            await index_library(url, DEMO, settings, on_progress)
