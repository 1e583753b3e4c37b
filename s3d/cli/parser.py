"""argparse, made to say what is wrong in one line and to name what is near.

No abbreviated options: a new option must not change what an old command means.
"""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NoReturn, TypeAlias, get_args, get_type_hints

from s3d.errors import InputError


class Parser(argparse.ArgumentParser):
    """Parse arguments; an error is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise an InputError that names the help to read."""
        raise InputError(f"{message}. See {self.prog} --help.")


Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"
"""What a verb is added to."""

DATA_HELP = "folder DIR/<class>/*.*, CSV with path,label[,group][,split], or data set NAME:DIR"
"""What a verb says of the data it takes."""

PLAIN = (bool, int, float, str)
"""The types of fields that an option can give."""


def parse(words: Sequence[str], parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options that the words of a command name.

    Args:
        words: The words after the command's name.
        parser: The command's parser.

    Raises:
        InputError: A verb, option or argument is unknown, missing or of the wrong kind.
    """
    guarded = _guard_dashes(words, parser)
    _check_verb(guarded, parser)
    options, unknown = parser.parse_known_args(guarded)
    if unknown:
        raise _unknown_option(unknown[0], options, parser)
    return options


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the verbs by name; those of a verb's own verbs, given its parser."""
    choice = _choice_of(parser)
    return dict(choice.choices) if choice else {}


def walk_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser, then those of all verbs and of the verbs of these."""
    yield parser
    for below in subparsers(parser).values():
        yield from walk_parsers(below)


def add_verb(
    verbs: Verbs, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a verb and return its parser, for its options.

    Args:
        verbs: What the verb is added to.
        name: What a person types.
        text: What the verb does, in small letters without a full stop.
        run: Does it and returns the exit code.
    """
    parser = verbs.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def split_words(text: str | None) -> tuple[str, ...]:
    """Return the words of an option such as A,B; none where it is not given."""
    return tuple(word for word in (text or "").split(",") if word)


def add_fields(
    parser: argparse.ArgumentParser,
    cls: type,
    skipped: Sequence[str] = (),
    defaults: object = None,
) -> None:
    """Add an option for each field of a dataclass that has a help text.

    Args:
        parser: The verb's parser.
        cls: The dataclass; a field's metadata holds `help` and perhaps `metavar`.
        skipped: Names of fields that get no option.
        defaults: One of the dataclass, whose values are the defaults in the place of its own.
    """
    hints = get_type_hints(cls)
    for option in fields(cls):
        if option.name in skipped or "help" not in option.metadata:
            continue
        kinds = [k for k in (*get_args(hints[option.name]), hints[option.name]) if k in PLAIN]
        value = option.default if defaults is None else getattr(defaults, option.name)
        shown = "chosen" if value is None else value
        extra: dict[str, Any] = {"help": f"{option.metadata['help']} [{shown}]"}
        if kinds[0] is bool:
            extra["action"] = argparse.BooleanOptionalAction
        else:
            extra["type"] = kinds[0]
            extra["metavar"] = option.metadata.get("metavar", kinds[0].__name__.upper())
        flag = "--" + option.name.replace("_", "-")
        parser.add_argument(flag, dest=option.name, default=value, **extra)


def _guard_dashes(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Let a file whose name begins with a dash be named like any other."""
    known = {s for p in walk_parsers(parser) for a in p._actions for s in a.option_strings}

    def is_file(word: str) -> bool:
        is_option = not word.startswith("-") or word.partition("=")[0] in {*known, "--"}
        # os.path, since Path.exists raises for a name too long to be one.
        return not is_option and os.path.exists(word)  # noqa: PTH110

    return [f"./{word}" if is_file(word) else word for word in words]


def _check_verb(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    choice, word = _choice_of(parser), next(iter(words), "-")
    if choice is None or word.startswith("-"):
        return
    verbs = dict(choice.choices)
    if word not in verbs:
        kind = str(choice.metavar).lower()
        raise InputError(f"unknown {kind} {word!r}.{_near(word, verbs)} Known: {', '.join(verbs)}.")
    _check_verb(words[1:], verbs[word])


def _choice_of(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[Any] | None:
    """Return where a parser takes the name of a verb, if it does."""
    found = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next(found, None)


def _chosen(
    options: argparse.Namespace, parser: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """Return the parser of the verb that was named, the innermost."""
    choice = _choice_of(parser)
    name = getattr(options, choice.dest, None) if choice else None
    return _chosen(options, subparsers(parser)[name]) if name else parser


def _unknown_option(
    word: str, options: argparse.Namespace, parser: argparse.ArgumentParser
) -> InputError:
    sub = _chosen(options, parser)
    known = [s for action in sub._actions for s in action.option_strings]
    hint = _near(word.partition("=")[0], known)
    kind = "option" if word.startswith("-") else "argument"
    return InputError(f"unknown {kind} {word!r}.{hint} See {sub.prog} --help.")


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""
