"""The effective part of sources: what changes results counts, and nothing else."""

from __future__ import annotations

import ast
import dis
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench._util import sources
from genebench._util.hashing import digest_of_sources
from genebench._util.sources import effective

PACKAGE = Path(sources.__file__).parents[1]
SOURCE = b'''"""Module."""
import os
class A:
    """Class."""
    x: int = 1
    """Field."""
    def f(self, a, *, b=None):
        """Method."""
        return f"{a!r:>{b}} and {self.x + 2}"
'''


def part(text):
    return next(effective([text]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"""Module."""', b"# Copyright\n'''Other.'''"),
        (b'"""Class."""\n', b"# a comment\n"),
        (b'"""Field."""', b'"""Otherwise."""'),
        (b'"""Method."""', b""),
        (b"x: int = 1", b"x: int = (1)  # one"),
        (b"import os", b"\n\nimport os  # noqa"),
        (b"\n", b"\r\n"),
        (b"a, *, b=None", b"\n        a,\n        *,\n        b = None,\n    "),
        (b"import os", b"import os  # type: ignore"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old, new):
    assert old in SOURCE
    assert part(SOURCE.replace(old, new)) == part(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"= 1", b"= 2"),
        (b"= 1", b"= 1.0"),
        (b"= 1", b"= True"),
        (b"= 1", b"= '1'"),
        (b"b=None", b"b=..."),
        (b"b=None", b"b"),
        (b"!r", b"!s"),
        (b">{b}", b"<{b}"),
        (b" and ", b" or "),
        (b"self.x + 2", b"2 + self.x"),
        (b"import os", b"import sys"),
        (b"import os", b"import os as sys"),
        (b"*, b", b"b"),
        (b"class A", b"class B"),
        (b"x: int = 1", b"x = 1"),
        (b"return ", b"yield "),
        (b"        return", b"        pass\n        return"),
        (b"import os", b"import os; y = 1 # type: int"),
    ],
)
def test_everything_else_counts(old, new):
    changed = SOURCE.replace(old, new)
    assert changed != SOURCE
    assert part(changed) != part(SOURCE)


@pytest.mark.parametrize(
    "reader", [b"print(A.__doc__)", b"inspect.getsource(A)", b"open('method.py').read()"]
)
def test_every_letter_counts_where_code_may_read_it(reader):
    reading = SOURCE + reader
    assert part(reading + b"  # x") != part(reading)
    # In any file of the package.
    commented = SOURCE + b"# x"
    assert list(effective([reading, commented]))[1] != list(effective([reading, SOURCE]))[1]


@pytest.mark.parametrize("text", [b"def f(:\n", b"x = '\0'", b"x = (" * 5000, b"\xff"])
def test_what_cannot_be_parsed_counts_as_it_is(text):
    assert part(text) == b"text " + text
    assert part(text + b"# x") != part(text)


def test_a_tree_is_never_taken_for_a_text():
    tree = part(SOURCE)
    assert part(tree.removeprefix(b"tree ")) != tree


def test_names_and_borders_of_sources_count():
    one = [("a", b"x = 1"), ("b", b"")]
    others = [
        [("a", b""), ("b", b"x = 1")],
        [("b", b"x = 1"), ("a", b"")],
        [("a", b"x = 1")],
        [("a", b"x = 1"), ("c", b"")],
    ]
    assert len({digest_of_sources(one), *map(digest_of_sources, others)}) == 5


@given(
    left=st.from_regex(r"[xyz0-9+*()\-., '#\n=]{1,25}", fullmatch=True),
    right=st.from_regex(r"[xyz0-9+*()\-., '#\n=]{1,25}", fullmatch=True),
)
def test_sources_with_equal_parts_compile_to_equal_programs(left, right):
    if part(left.encode()) == part(right.encode()) != b"text " + left.encode():
        assert program(left) == program(right)


def test_the_part_of_real_sources_keeps_their_program():
    """Compare with the compiler: without comments, each module compiles to the same code."""
    for path in sorted(PACKAGE.rglob("*.py"))[::20]:
        text = path.read_text("utf-8")
        # unparse leaves out comments and layout, and keeps docstrings.
        again = ast.unparse(ast.parse(text))
        assert program(again) == program(text), path
        assert sources._tree(again.encode()) == sources._tree(text.encode()), path


def program(text):
    """Return the instructions of a source and of all functions in it, without docstrings.

    Targets and directions of jumps are left out, and instructions that do nothing: all depend on
    lines.
    """
    try:
        code = [compile(text, "source", "exec", optimize=2)]
    except SyntaxError:
        return None  # as for a star alone, which has a tree
    jumps = {*dis.hasjrel, *dis.hasjabs}
    listed = []
    while code:
        each = code.pop()
        listed += [
            (
                re.sub("_(FORWARD|BACKWARD)", "", item.opname),
                "" if item.opcode in jumps else repr(item.argval).split(" at 0x")[0],
            )
            for item in dis.get_instructions(each)
            if item.opname not in {"NOP", "EXTENDED_ARG"}
        ]
        code += [const for const in each.co_consts if hasattr(const, "co_code")]
    return listed
