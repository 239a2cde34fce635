"""What all commands have in common: an example in their help, the flags of other programs, errors that name our flags."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperCommand, TyperGroup

from mien.cli.overview import SECTIONS, two_columns
from mien.errors import MienError

SYNONYMS = {
    "-o": "--out",
    "--output": "--out",
    "--output-dir": "--out",
    "--out-dir": "--out",
    "--batch-size": "--set batch=",
    "--num-epochs": "--epochs",
    "--n-epochs": "--epochs",
    "--random-state": "--seed",
    "--random-seed": "--seed",
    "--num-workers": "--workers",
    "--num-threads": "--threads",
    "--n-jobs": "--jobs",
    "--weights": "--model",
    "--checkpoint": "--model",
    "--n-splits": "--folds",
    "--image-size": "--side",
    "--img-size": "--side",
    "--size": "--side",
}
"""Flags as other programs spell them, and ours. No help lists them. `--set NAME=` is followed by the value."""

UNOFFERED = ("--local", "--trust", "--yes")
"""Flags that nobody is told to try who mistyped another one: they open private networks, run code, or skip a question."""


def our_words(given: Sequence[str], options: Mapping[str, str], ends_in_out: bool) -> list[str]:
    """The words of a command with our flags in place of other programs'.

    `options`: the flags that the command has, each with its setting. A flag that it has stays, and so does a synonym of one
    that it lacks. `ends_in_out`: whether the command takes the new folder as its last word; then `--output OUT` goes there.
    """
    words, last, rest = list[str](), list[str](), list(given)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*words, word, *rest, *last]
        name, equals, value = word.partition("=")
        ours = "" if name in options else SYNONYMS.get(name, "")
        if ours == "--out" and ours not in options and ends_in_out and (equals or rest):
            last = [value if equals else rest.pop(0)]
        elif ours.startswith("--set ") and "--set" in options and (equals or rest):
            words += ["--set", ours.removeprefix("--set ") + (value if equals else rest.pop(0))]
        elif ours in options:
            words += [f"{ours}={value}" if equals else ours]
        else:
            words.append(word)
    return [*words, *last]


MAY_BE_EMPTY = ("--prefix",)
"""Options of which an empty word says something; so it does where it is what stands there unless another is given."""

HELP = "help"
"""The word that other programs take for --help, before a command's name or alone."""


class MienCommand(TyperCommand):
    """A command of mien."""

    def flags(self) -> dict[str, str]:
        """The command's flags, each with the setting that it stands for."""
        options = [one for one in self.params if one.param_type_name == "option"]
        return {name: str(one.name) for one in options for name in (*one.opts, *one.secondary_opts)}

    def _ends_in_out(self) -> bool:
        """Whether the last word is the new folder."""
        arguments = [one for one in self.params if one.param_type_name == "argument"]
        return bool(arguments) and "OUT" in (arguments[-1].metavar or str(arguments[-1].name).upper())

    def _require_words(self, ctx: Any, words: Sequence[str]) -> None:
        """Raises MienError for a path or name that is empty or of spaces: an unset variable would name the current folder."""
        if all(word.rpartition("=")[2].strip() for word in words):
            return
        given, _, _ = self.make_parser(ctx).parse_args(args=list(words))
        hints = getattr(self.callback, "__annotations__", {})
        for one in self.params:
            hint = hints.get(one.name)
            if one.default == "" or one.opts[0] in MAY_BE_EMPTY or not _has(hint, str, Path):
                continue
            value = given.get(str(one.name))
            several = value if isinstance(value, list | tuple) else (value,)
            if empty := [word for word in several if isinstance(word, str) and not word.strip()]:
                argument = one.param_type_name == "argument"
                named = (one.metavar or str(one.name).upper()) if argument else one.opts[0]
                found = "a word of spaces" if empty[0] else "an empty word"
                wanted = "a path" if _has(hint, Path) else "a word"
                raise MienError(f"{wanted} for {named}", found, "name one: a variable may be unset")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command, with the flags of other programs taken for ours."""
        try:
            words = our_words(args, self.flags(), self._ends_in_out())
            self._require_words(ctx, words)
            return super().parse_args(ctx, words)
        except Exception as error:
            meant = getattr(error, "possibilities", None)  # of an unknown option: the class has moved between versions of typer
            if isinstance(meant, list):
                meant[:] = [name for name in meant if name not in UNOFFERED]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises MienError in which settings are named by their flags."""
        try:
            return super().invoke(ctx)
        except MienError as error:
            flags = self.flags()
            # A setting's name may be ours with an underscore behind it (set_), and a field be offered under another name.
            by_setting = {setting.rstrip("_"): flag for flag, setting in reversed(flags.items())}
            by_setting |= {flag.removeprefix("--").replace("-", "_"): flag for flag in flags}
            arguments = [one for one in self.params if one.param_type_name == "argument"]
            by_setting |= {str(one.name): one.metavar or str(one.name).upper() for one in arguments}
            if self._ends_in_out():
                by_setting["out"] = "OUT"
            # Settings of a source that have no flag of their own; elsewhere --set changes a recipe or a network.
            raise error.with_flags(by_setting, "--set " if self.name == "import" else "") from error


def _has(hint: object, *kinds: type) -> bool:
    """Whether a parameter with this annotation is of one of these kinds, or some are."""
    return hint in kinds or any(_has(part, *kinds) for part in get_args(hint))


class WrongUsage(Exception):
    """Words that a command does not take, where errors are to be JSON."""

    def __init__(self, error: MienError, code: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.code = code


def _raise_wrong_usage(error: Exception) -> None:
    """Raises WrongUsage in the place of typer's error of wrong usage; does nothing for other errors."""
    tell = getattr(error, "format_message", None)  # the class has moved between versions of typer
    if tell is not None:
        context = getattr(error, "ctx", None)
        command = "mien" if context is None else context.command_path
        told = MienError(f"words that {command} takes", tell(), f"{command} --help lists them")
        raise WrongUsage(told, getattr(error, "exit_code", 2)) from error


class MienGroup(TyperGroup):
    """The command line itself, whose help shows the commands in groups."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read the first words. Raises WrongUsage for wrong ones, where errors are to be JSON."""
        as_json = "--json" in args
        if args[:1] == [HELP]:
            args = [*args[1:], "--help"]
        try:
            context = super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            if as_json:
                _raise_wrong_usage(error)
            raise
        context.meta["mien.json"] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed. Raises WrongUsage for wrong words, where errors are to be JSON."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if ctx.meta["mien.json"]:
                _raise_wrong_usage(error)
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, all in one paragraph, and the commands in their groups."""
        names = [one.opts[0] for one in self.get_params(ctx) if one.param_type_name == "option"]
        formatter.write_paragraph()
        formatter.write_text(f"Options: {'  '.join(reversed(names))}")
        for title, commands in SECTIONS.items():
            shown = [(name, brief) for name, brief in commands.items() if name in self.commands]
            with formatter.section(title):
                if formatter.width < 70:
                    formatter.write_dl(shown)
                else:
                    first = title == next(iter(SECTIONS))
                    for line in two_columns(shown, 1 if first else 2, formatter.width - 2):
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        formatter.write_paragraph()
        formatter.write_text("mien COMMAND --help has an example.")
