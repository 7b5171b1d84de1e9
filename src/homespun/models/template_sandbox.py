"""Runs a file's chat template so that it can neither reach out nor hang nor eat memory.

A template is a program by a stranger. Jinja's sandbox keeps it from Python's insides; here every turn of a
loop, call and filter is also paid from a budget, and whatever could become large is paid by its size before
it is made. No clock and no tracing: the same template and messages always end the same way.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context
from jinja2.visitor import NodeTransformer

from homespun.models.template_budget import LEAST, Budget

#: Filters that are there; of Jinja's own the ones that need no large work, and that templates use.
FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
    "forceescape", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min",
    "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "sort", "string",
    "sum", "title", "tojson", "trim", "unique", "upper", "wordcount",
)  # fmt: skip
#: These look at no more than the outermost list.
_SHALLOW = frozenset({
    "abs", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list", "map",
    "reject", "rejectattr", "reverse", "round", "safe", "select", "selectattr",
})  # fmt: skip
#: These may write an argument many times.
_REPEATING = frozenset({"indent", "tojson", "trim"})
_COMPARING_TESTS = frozenset({"in", "eq", "equalto", "==", "ne", "!=", "lt", "le", "gt", "ge", "sameas"})
_REFUSED_METHODS = frozenset({"to_bytes", "from_bytes", "encode", "maketrans", "translate", "expandtabs"})
_PADDING_METHODS = frozenset({"ljust", "rjust", "center", "zfill"})

_MAX_TEMPLATE_CHARACTERS = 1_000_000
_MAX_BITS = 4096


_BUDGET: ContextVar[Budget] = ContextVar("template budget")


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The environment that chat templates are compiled and run in."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, extensions: list[Any]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=extensions,
            optimized=False,  # else constants like 'x' * 10 ** 10 are worked out while compiling
            finalize=_shown,
        )
        self.filters = {name: _bounded(name, self.filters[name]) for name in FILTERS}
        self.filters.update({"#step": _step, "#weigh": _weighed, "#slice": _slice, "#join": _join})
        for name in _COMPARING_TESTS & set(self.tests):
            self.tests[name] = _paid_test(cast(Callable[..., Any], self.tests[name]))
        for name in ("lipsum", "cycler"):
            self.globals.pop(name, None)

    def render(self, program: Any, budget: Budget, **variables: Any) -> str:
        """The text that a program of this environment writes.

        Raises:
            jinja2.TemplateError: the budget is spent, or something was done that is not allowed.
        """
        token = _BUDGET.set(budget)
        try:
            return str(program.render(**variables))
        finally:
            _BUDGET.reset(token)

    @staticmethod
    def bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter of one's own that pays like the others."""
        return _bounded(name, function)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > _MAX_TEMPLATE_CHARACTERS:
            raise jinja2.TemplateSyntaxError("it is longer than a million characters", 1)
        tree = super()._parse(source, name, filename)
        _Metering().visit(tree)
        tree.set_environment(self)
        return tree

    def call(self, context: Context, called: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Call something, paid by what goes in and comes out."""
        budget = _BUDGET.get()
        budget.step(LEAST)
        owner = getattr(called, "__self__", None)
        if isinstance(owner, str):
            _pay_method(budget, owner, called.__name__, args, kwargs)
        for value in (*args, *kwargs.values()):
            budget.glance(value)
        result = super().call(context, called, *args, **kwargs)
        if isinstance(result, (str, list, tuple, dict, Namespace)):
            budget.weigh(result)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """A sum, product, power or remainder, refused before it is large."""
        budget = _BUDGET.get()
        budget.step(LEAST)
        if operator == "+":
            budget.glance(left)
            budget.glance(right)
            if isinstance(left, tuple):  # can be hashed, which goes deep
                budget.weigh(left)
                budget.weigh(right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left, r"\d{4}|\*")
            budget.pay((1 + left.count("%")) * budget.weigh(right))
        elif operator in ("*", "**"):
            _pay_product(budget, operator, left, right)
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may see an attribute."""
        return attr not in _REFUSED_METHODS and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        """`str.format` without wide fields."""
        formatted = super().wrap_str_format(value)
        if formatted is None:
            return None
        text = value.__self__

        def checked(*args: Any, **kwargs: Any) -> str:
            _check_format(text, r"\d{4}|:[^}]*\{")
            budget = _BUDGET.get()
            budget.pay((1 + text.count("{")) * budget.weigh([list(args), kwargs]))
            return str(formatted(*args, **kwargs))

        return checked


class _Metering(NodeTransformer):
    """Puts payments into a parsed template: whatever repeats, compares, joins, cuts or builds."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, self._step(node, node.body))
        if node.test is not None:
            node.test = nodes.And(self._step(node, []).node, node.test, lineno=node.lineno)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, self._step(node, node.body))
        return node

    visit_CallBlock = visit_Macro  # type: ignore[assignment]
    visit_Block = visit_Macro  # type: ignore[assignment]

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = self._filter(node.expr, "#weigh")
        for operand in node.ops:
            operand.expr = self._filter(operand.expr, "#weigh")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._filter(nodes.Tuple(node.nodes, "load", lineno=node.lineno), "#join")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        none = nodes.Const(None, lineno=node.lineno)
        parts: list[nodes.Expr] = [node.arg.start or none, node.arg.stop or none, node.arg.step or none]
        return self._filter(node.node, "#slice", parts)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return self._filter(node, "#weigh")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return self._filter(node, "#weigh")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return self._filter(node, "#weigh") if node.ctx == "load" else node

    def visit_ScopedEvalContextModifier(self, node: nodes.Node) -> nodes.Node:
        raise jinja2.TemplateSyntaxError("it changes escaping, which chats have no use for", node.lineno)

    def _filter(self, node: nodes.Expr, name: str, args: list[nodes.Expr] | None = None) -> nodes.Filter:
        return nodes.Filter(node, name, args or [], [], None, None, lineno=node.lineno)

    def _step(self, node: nodes.Node, body: list[nodes.Node]) -> nodes.ExprStmt:
        """Pays for one run of a body, its fixed text included."""
        size = sum(len(data.data) for part in body for data in part.find_all(nodes.TemplateData))
        return nodes.ExprStmt(
            self._filter(nodes.Const(size, lineno=node.lineno), "#step"), lineno=node.lineno
        )


# Functions that take the context are never run while compiling.


@pass_context
def _shown(context: Context, value: Any) -> Any:
    _BUDGET.get().weigh(value)
    return value


@pass_context
def _step(context: Context, n_characters: int) -> bool:
    _BUDGET.get().step(n_characters)
    return True


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _BUDGET.get().weigh(value)
    return value


@pass_context
def _slice(context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    _BUDGET.get().glance(value)
    return value[start:stop:step]


@pass_context
def _join(context: Context, values: tuple[Any, ...]) -> str:
    _BUDGET.get().weigh(values)
    return "".join(map(str, values))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays by what goes in and what comes out."""
    passed = getattr(function, "jinja_pass_arg", None)
    kind = passed.name if passed is not None else None

    @pass_context
    def bounded(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget = _BUDGET.get()
        budget.step(LEAST)
        if name in ("join", "sum") and not isinstance(value, (str, list, tuple, dict)):
            value = list(value)
        if name in _SHALLOW:
            budget.glance(value)
        else:
            weight = budget.weigh(value)
            _pay_arguments(budget, name, value, weight, (*args, *kwargs.values()))
        if kind is not None:
            given = {"context": context, "environment": context.environment, "eval_context": context.eval_ctx}
            result = function(given[kind], value, *args, **kwargs)
        else:
            result = function(value, *args, **kwargs)
        budget.glance(result)
        return result

    return bounded


def _pay_arguments(budget: Budget, name: str, value: Any, weight: int, arguments: tuple[Any, ...]) -> None:
    largest = 0
    for argument in arguments:
        is_number = isinstance(argument, int) and not isinstance(argument, bool)
        largest = max(largest, abs(argument) if is_number else budget.weigh(argument))
    if name in _REPEATING and arguments:
        budget.pay(weight * (1 + largest))
    elif name == "join" and not isinstance(value, dict):
        budget.pay(len(value) * largest)
    elif name == "replace" and len(arguments) > 1:
        budget.pay(str(value).count(str(arguments[0])) * largest)
    elif name == "sum" and any(isinstance(item, (list, tuple)) for item in value):
        raise jinja2.TemplateRuntimeError("it sums lists")


def _paid_test(function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def paid(context: Context, value: Any, other: Any) -> bool:
        _weighed(context, value)
        _weighed(context, other)
        return bool(function(value, other))

    return paid


def _pay_method(budget: Budget, owner: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    budget.pay(len(owner))
    if name in _PADDING_METHODS and args and isinstance(args[0], int):
        budget.pay(args[0])
    elif name == "join" and args:
        if not isinstance(args[0], (str, list, tuple, dict)):
            raise jinja2.TemplateRuntimeError("it joins something that is no list")
        budget.weigh(args[0])
        budget.pay(len(args[0]) * len(owner))
    elif name == "replace" and len(args) > 1:
        budget.pay(owner.count(str(args[0])) * len(str(args[1])))
    elif name.endswith("strip") and args and isinstance(args[0], str):
        budget.pay(len(owner) * len(args[0]))


def _pay_product(budget: Budget, operator: str, left: Any, right: Any) -> None:
    for times, repeated in ((left, right), (right, left)):
        if isinstance(repeated, (str, bytes, list, tuple)) and isinstance(times, int):
            budget.pay(len(repeated) * max(times, 0))
            if isinstance(repeated, tuple):
                budget.pay(budget.weigh(repeated) * max(times, 0))
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        bits = bits + right.bit_length() if operator == "*" else bits * abs(right)
        if bits > _MAX_BITS:
            raise jinja2.TemplateRuntimeError("it works with numbers of more than a thousand digits")


def _check_format(text: str, refused: str) -> None:
    if re.search(refused, text):
        raise jinja2.TemplateRuntimeError("it pads text to a width that no chat needs")


class GenerationTag(Extension):
    """`{% generation %}`, which some templates put around the assistant's text; it changes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        """The tag's body, as it is."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)
